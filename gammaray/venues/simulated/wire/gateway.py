"""What every HTTP request passes: request ids, keys, rate limit, armed faults."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gammaray.venues.simulated.wire.auth import Credentials
from gammaray.venues.simulated.wire.errors import RATE_LIMIT, json_response
from gammaray.venues.simulated.wire.faults import FaultBoard
from gammaray.venues.simulated.wire.identifiers import named_id

WINDOW_S = 60.0

_FAULT_BODIES: dict[int, tuple[int, str]] = {
    429: (RATE_LIMIT, "rate limit exceeded"),
    500: (50010000, "internal server error occurred"),
    504: (50410000, "gateway timeout"),
}


class RateLimit:
    """Requests in a sliding minute; 0 means no limit."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._times: deque[float] = deque()

    def take(self) -> tuple[bool, dict[str, str]]:
        """Whether a request may pass, and the X-RateLimit headers of its answer."""
        if not self.per_minute:
            return True, {}
        now = time.monotonic()
        while self._times and self._times[0] <= now - WINDOW_S:
            self._times.popleft()
        allowed = len(self._times) < self.per_minute
        if allowed:
            self._times.append(now)
        reset = time.time() + (self._times[0] + WINDOW_S - now)
        return allowed, {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(self.per_minute - len(self._times)),
            "X-RateLimit-Reset": str(int(reset)),
        }


class Gateway:
    """ASGI middleware around the application. The admin API passes untouched; it has its own token."""

    def __init__(self, app: ASGIApp, credentials: Credentials, faults: FaultBoard, per_minute: int = 0) -> None:
        self._app = app
        self._credentials = credentials
        self._faults = faults
        self._limit = RateLimit(per_minute)
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"].startswith("/admin/"):
            await self._app(scope, receive, send)
            return
        self._requests += 1
        headers = {"X-Request-ID": named_id("request", str(self._requests)).replace("-", "")}
        if not self._credentials.accept_headers(Headers(scope=scope)):
            await json_response({"message": "unauthorized."}, 401, headers)(scope, receive, send)
            return
        allowed, limits = self._limit.take()
        headers |= limits
        if not allowed:
            body = {"code": RATE_LIMIT, "message": "rate limit exceeded"}
            await json_response(body, 429, headers)(scope, receive, send)
            return
        fault = self._faults.take(scope["method"], scope["path"])
        if fault is None:
            await self._app(scope, receive, _with_headers(send, headers))
            return
        if fault.latency_ms:
            # The request has arrived whole: a client that gives up waiting does not undo it.
            receive = await _arrived(receive)
            await asyncio.sleep(fault.latency_ms / 1000)
        if fault.status == 0:
            await self._app(scope, receive, _with_headers(send, headers))
            return
        if fault.after_accept:
            await self._app(scope, receive, _discard)
        code, message = _FAULT_BODIES.get(fault.status, (fault.status * 100_000, "injected fault"))
        await json_response({"code": code, "message": message}, fault.status, headers)(scope, receive, send)


async def _arrived(receive: Receive) -> Receive:
    parts: list[Message] = []
    while not parts or parts[-1].get("more_body", False):
        parts.append(await receive())

    async def replay() -> Message:
        return parts.pop(0) if parts else await receive()

    return replay


async def _discard(_message: Message) -> None:
    return


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    extra = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return forward
