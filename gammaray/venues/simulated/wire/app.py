"""The ASGI application: every route of Alpaca's wire on one origin, and the admin API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from gammaray.venues.simulated.model import ExchangeReject
from gammaray.venues.simulated.wire.admin_routes import AdminRoutes
from gammaray.venues.simulated.wire.chain_greeks import load_kernels
from gammaray.venues.simulated.wire.clock_driver import ClockDriver
from gammaray.venues.simulated.wire.errors import INTERNAL, NOT_FOUND, error_response, json_response
from gammaray.venues.simulated.wire.gateway import Gateway
from gammaray.venues.simulated.wire.option_routes import OptionRoutes
from gammaray.venues.simulated.wire.reference_routes import ReferenceRoutes
from gammaray.venues.simulated.wire.service import VenueService
from gammaray.venues.simulated.wire.stock_routes import StockRoutes
from gammaray.venues.simulated.wire.trading_routes import TradingRoutes

log = logging.getLogger(__name__)

STOCK_FEEDS = frozenset({"iex", "sip", "delayed_sip", "boats", "overnight", "test"})
OPTION_FEEDS = frozenset({"indicative", "opra"})


def create_app(
    service: VenueService, *, admin_token: str = "", requests_per_minute: int = 0, speed: float | None = None
) -> ASGIApp:
    """The application over one service. With `speed` the clock runs from the start, else it waits for the admin API."""
    clock = ClockDriver(service)

    async def stock_feed(websocket: WebSocket) -> None:
        await _feed(websocket, "stocks", websocket.path_params["feed"], STOCK_FEEDS)

    async def option_feed(websocket: WebSocket) -> None:
        await _feed(websocket, "options", websocket.path_params["feed"], OPTION_FEEDS)

    async def news_feed(websocket: WebSocket) -> None:
        await service.data_streams.serve(websocket, "news", "news")

    async def _feed(websocket: WebSocket, kind: str, feed: str, known: frozenset[str]) -> None:
        if feed not in known:
            await websocket.send_denial_response(json_response({"message": "unknown feed"}, 404))
            return
        await service.data_streams.serve(websocket, kind, feed)

    routes: list[BaseRoute] = [
        *TradingRoutes(service).routes(),
        *ReferenceRoutes(service).routes(),
        *OptionRoutes(service).routes(),
        *StockRoutes(service).routes(),
        *AdminRoutes(service, clock, admin_token).routes(),
        WebSocketRoute("/stream", service.trade_stream.serve),
        # `news` before `{feed}`: both match the path.
        WebSocketRoute("/v1beta1/news", news_feed),
        WebSocketRoute("/v1beta1/{feed}", option_feed),
        WebSocketRoute("/v2/{feed}", stock_feed),
    ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if speed is not None:
            clock.run(speed)
        # Loading the pricing kernels takes a moment that no request should wait for.
        warming = asyncio.get_running_loop().run_in_executor(None, load_kernels)
        try:
            yield
        finally:
            warming.cancel()
            clock.pause()
            service.close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            ExchangeReject: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _gone,
            Exception: _crashed,
        },
    )
    app.router.redirect_slashes = False  # alpaca-py cannot follow redirects (wire.md 1.2)
    return Gateway(app, service.credentials, service.faults, requests_per_minute)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ExchangeReject)
    return error_response(error)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = {404: "endpoint not found", 405: "method not allowed"}.get(error.status_code, error.detail)
    code = NOT_FOUND if error.status_code == 404 else error.status_code * 100_000
    return json_response({"code": code, "message": message}, error.status_code, error.headers)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it: the client hung up within its request


async def _crashed(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return json_response({"code": INTERNAL, "message": "internal server error occurred"}, 500)
