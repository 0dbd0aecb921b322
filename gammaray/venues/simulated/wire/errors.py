"""Error bodies as Alpaca writes them: `{"code": int, "message": str, …}` (wire.md 2.10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from gammaray.venues.simulated.model import ExchangeReject

SYNTAX = 40010001
BUSINESS = 42210000
NOT_FOUND = 40410000
FORBIDDEN = 40310000
RATE_LIMIT = 42910000
INTERNAL = 50010000


def syntax_error(message: str) -> ExchangeReject:
    """A field that cannot be read: HTTP 422, code 40010001."""
    return ExchangeReject(422, SYNTAX, message)


def not_found(message: str) -> ExchangeReject:
    """Something that does not exist: HTTP 404, code 40410000."""
    return ExchangeReject(404, NOT_FOUND, message)


def error_body(reject: ExchangeReject) -> dict[str, Any]:
    """The JSON object of a refusal."""
    body: dict[str, Any] = {"code": reject.code, "message": reject.message, **reject.details}
    if "related_orders" in body:
        body["related_orders"] = [order_id for order_id in reject.details["related_orders"].split(",") if order_id]
    return body


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, headers, "application/json")


def error_response(reject: ExchangeReject) -> Response:
    """The answer to a refused request."""
    return json_response(error_body(reject), reject.status)
