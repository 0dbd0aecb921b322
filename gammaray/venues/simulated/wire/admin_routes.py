"""The admin API outside Alpaca's paths: clock, barrier, faults, assignment, halts (docs/venue.md)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gammaray.venues.simulated.model import ExchangeReject
from gammaray.venues.simulated.wire.clock_driver import ClockDriver
from gammaray.venues.simulated.wire.data_stream import StepCount
from gammaray.venues.simulated.wire.errors import json_response, syntax_error
from gammaray.venues.simulated.wire.faults import STREAM_ACTIONS, STREAMS, read_http_fault
from gammaray.venues.simulated.wire.requests import quantity, read_body
from gammaray.venues.simulated.wire.service import VenueService

Handler = Callable[[Request], Awaitable[Response]]

MAX_COUNT = 1_000_000


class AdminRoutes:
    """Handlers over one service and its clock. With a token set, every request must carry it in X-Admin-Token."""

    def __init__(self, service: VenueService, clock: ClockDriver, token: str) -> None:
        self._service = service
        self._clock = clock
        self._token = token

    def routes(self) -> list[Route]:
        """The routes."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/admin/clock", self.clock),
            ("POST", "/admin/clock/step", self.step),
            ("POST", "/admin/clock/run", self.run),
            ("POST", "/admin/clock/pause", self.pause),
            ("GET", "/admin/barrier", self.barrier),
            ("GET", "/admin/faults", self.faults),
            ("DELETE", "/admin/faults", self.clear_faults),
            ("POST", "/admin/faults/http", self.add_http_fault),
            ("POST", "/admin/faults/stream", self.add_stream_fault),
            ("POST", "/admin/assign", self.assign),
            ("POST", "/admin/halt", self.halt),
            ("POST", "/admin/snapshot", self.snapshot),
        ]
        return [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            given = request.headers.get("x-admin-token", "")
            if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
                return json_response({"message": "X-Admin-Token: missing or wrong"}, 401)
            return await handler(request)

        return answer

    async def clock(self, _request: Request) -> Response:
        """GET /admin/clock."""
        return json_response(self._clock.describe())

    async def step(self, request: Request) -> Response:
        """POST /admin/clock/step {"to_ns": N} or {"steps": n}: answers when every frame was handed to the sockets."""
        body = await read_body(request)
        if "to_ns" in body and "steps" in body:
            raise syntax_error("give to_ns or steps, not both")
        to_ns = body.get("to_ns")
        if to_ns is not None and (isinstance(to_ns, bool) or not isinstance(to_ns, int)):
            raise syntax_error("invalid to_ns: expected nanoseconds")
        counts = await self._clock.step(to_ns=to_ns, steps=quantity(body.get("steps", 1), "steps"))
        return json_response(self._clock.describe() | {"published": [_count_json(count) for count in counts]})

    async def run(self, request: Request) -> Response:
        """POST /admin/clock/run {"speed": X}: X seconds of the market for a second of the wall."""
        speed = (await read_body(request)).get("speed", 1)
        if isinstance(speed, bool) or not isinstance(speed, (int, Decimal)) or not 0 < speed <= 1_000_000_000:
            raise syntax_error("invalid speed: expected a number above 0, at most 1e9")
        self._clock.run(float(speed))
        return json_response(self._clock.describe())

    async def pause(self, _request: Request) -> Response:
        """POST /admin/clock/pause."""
        self._clock.pause()
        return json_response(self._clock.describe())

    async def barrier(self, _request: Request) -> Response:
        """GET /admin/barrier: answers when everything published so far was handed to the sockets."""
        await self._service.drained()
        exchange = self._service.exchange
        return json_response({"clock_ns": exchange.clock_ns(), "last_event_id": exchange.last_event_id()})

    async def faults(self, _request: Request) -> Response:
        """GET /admin/faults."""
        return json_response(self._service.faults.describe())

    async def clear_faults(self, _request: Request) -> Response:
        """DELETE /admin/faults."""
        self._service.faults.clear()
        return json_response(self._service.faults.describe())

    async def add_http_fault(self, request: Request) -> Response:
        """POST /admin/faults/http {"method", "path", "status", "count", "after_accept", "latency_ms"}."""
        self._service.faults.http.append(read_http_fault(await read_body(request)))
        return json_response(self._service.faults.describe())

    async def add_stream_fault(self, request: Request) -> Response:
        """POST /admin/faults/stream {"stream", "action", "count"}."""
        body = await read_body(request)
        stream = _word(body, "stream", STREAMS)
        action = _word(body, "action", STREAM_ACTIONS)
        count = quantity(body.get("count", 1), "count")
        if count > MAX_COUNT:
            raise syntax_error(f"invalid count: at most {MAX_COUNT}")
        if action == "disconnect":
            if stream == "trade_updates":
                await self._service.trade_stream.disconnect()
            else:
                await self._service.data_streams.disconnect(stream)
        else:
            fault = self._service.faults.streams[stream]
            if action in {"mute", "unmute"}:
                fault.muted = action == "mute"
            else:
                setattr(fault, action, count)
        return json_response(self._service.faults.describe())

    async def snapshot(self, _request: Request) -> Response:
        """POST /admin/snapshot: keep the state in the journal now; answers with the state's size and digest."""
        state = self._service.snapshot()
        return json_response({"bytes": len(state), "sha256": hashlib.sha256(state).hexdigest()})

    async def assign(self, request: Request) -> Response:
        """POST /admin/assign {"symbol", "qty"}: assign a short position early."""
        body = await read_body(request)
        self._service.assign(_symbol(body), quantity(body.get("qty", 1)))
        return await self.barrier(request)

    async def halt(self, request: Request) -> Response:
        """POST /admin/halt {"symbol", "halted"}: halt or resume an underlying and its options."""
        body = await read_body(request)
        halted = body.get("halted", True)
        if not isinstance(halted, bool):
            raise syntax_error("invalid halted: expected true or false")
        self._service.halt(_symbol(body), halted)
        return await self.barrier(request)


def _count_json(count: StepCount) -> dict[str, Any]:
    return {
        "ts_ns": count.ts_ns,
        "options": dict(count.options),
        "addressed": dict(count.addressed),
        "stocks": list(count.stocks),
    }


def _symbol(body: Mapping[str, Any]) -> str:
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise ExchangeReject(422, 40010001, "symbol is required")
    return symbol


def _word(body: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = body.get(name)
    if value not in allowed:
        raise syntax_error(f"invalid {name}: expected one of {', '.join(allowed)}")
    return str(value)
