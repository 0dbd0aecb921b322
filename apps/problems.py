"""Errors of the HTTP API as RFC 9457 problem documents: `application/problem+json` with type, title, status, detail and the field."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gammaray.operations.errors import BadInput, GammaRayError, RetryLater

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error that the caller sees. `errors` lists {field, problem} pairs."""

    def __init__(
        self, status: int, title: str, detail: str, kind: str, errors: list[dict[str, str]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.kind = kind
        self.errors = errors or []


def document(
    status: int, title: str, detail: str, kind: str, errors: list[dict[str, str]] | None = None
) -> JSONResponse:
    """The response of one problem. `kind` ends its type URI."""
    body: dict[str, Any] = {"type": f"urn:gammaray:problem:{kind}", "title": title, "status": status, "detail": detail}
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)


def _path(location: tuple[Any, ...]) -> str:
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    return ".".join(str(part) for part in parts) or "body"


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> JSONResponse:
        return document(error.status, error.title, error.detail, error.kind, error.errors)

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"field": _path(item["loc"]), "problem": item["msg"]} for item in error.errors()]
        detail = "; ".join(f"{item['field']}: {item['problem']}" for item in errors)
        return document(422, "The request does not fit", detail, "validation", errors)

    @app.exception_handler(BadInput)
    async def _bad_input(_request: Request, error: BadInput) -> JSONResponse:
        errors = [{"field": error.field, "problem": error.problem}]
        return document(422, "The request does not fit", str(error), "validation", errors)

    @app.exception_handler(RetryLater)
    async def _retry(_request: Request, error: RetryLater) -> JSONResponse:
        response = document(503, "Try again", str(error), "unavailable")
        response.headers["Retry-After"] = "1"
        return response

    @app.exception_handler(GammaRayError)
    async def _own(_request: Request, error: GammaRayError) -> JSONResponse:
        return document(409, type(error).__name__, str(error), "refused")

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return document(error.status_code, str(error.detail), str(error.detail), "http")

    @app.exception_handler(Exception)
    async def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
        # The text of an unforeseen error may hold anything; its type is enough for the caller, the log has the rest.
        return document(500, "Internal error", f"{type(error).__name__}; the log has the details", "internal")
