"""The venue as a server: builds an exchange from settings and serves Alpaca's wire, in this process or in a thread of it."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn

from gammaray.operations.errors import ConfigurationError
from gammaray.types.money import MICROS
from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.journal import ExchangeJournal
from gammaray.venues.simulated.wire.app import create_app
from gammaray.venues.simulated.wire.auth import DEFAULT_KEY_ID, DEFAULT_SECRET_KEY, Credentials
from gammaray.venues.simulated.wire.service import VenueService

SCENARIOS = ("history", "synthetic")
PROFILES = ("paper", "live")
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """What to serve. Raises ConfigurationError naming the setting.

    data: a folder of recorded quotes (then `scenario` is not used). speed: seconds of the market for a second of the wall; None: the
    clock waits for the admin API. port 0: any free one. fees: charge them on the paper profile too.
    delayed_activities: non-trade activities show at the start of the next day, as on Alpaca paper.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 7
    scenario: str = "history"
    data: Path | None = None
    first: date | None = None
    last: date | None = None
    steps_per_session: int = 13
    speed: float | None = None
    profile: str = "paper"
    cash_dollars: int = 1_000_000
    fees: bool = False
    delayed_activities: bool = False
    journal: Path | None = None
    admin_token: str = field(default="", repr=False)
    key_id: str = DEFAULT_KEY_ID
    secret_key: str = field(default=DEFAULT_SECRET_KEY, repr=False)
    requests_per_minute: int = 0
    connections_per_feed: int = 1

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise ConfigurationError(f"scenario: expected {' or '.join(SCENARIOS)}, was {self.scenario!r}")
        if self.profile not in PROFILES:
            raise ConfigurationError(f"profile: expected {' or '.join(PROFILES)}, was {self.profile!r}")
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"port: expected 0 to 65535, was {self.port}")
        if self.steps_per_session < 1:
            raise ConfigurationError(f"steps_per_session: must be positive, was {self.steps_per_session}")
        if self.cash_dollars <= 0:
            raise ConfigurationError(f"cash_dollars: must be positive, was {self.cash_dollars}")
        if self.speed is not None and self.speed <= 0:
            raise ConfigurationError(f"speed: must be positive, was {self.speed}")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ConfigurationError(f"first: {self.first} is after last {self.last}")
        if self.data is not None and not self.data.is_dir():
            raise ConfigurationError(f"data: no such folder: {self.data}")

    def identity(self) -> Mapping[str, str]:
        """What determines the market and the account: a journal belongs to one of these."""
        names = (
            "seed",
            "scenario",
            "data",
            "first",
            "last",
            "steps_per_session",
            "profile",
            "cash_dollars",
            "fees",
            "delayed_activities",
        )
        return {name: str(getattr(self, name)) for name in names}


def build_exchange(settings: VenueSettings) -> ExchangeApi:
    """The exchange of the settings. Raises ConfigurationError for dates or data that make no market."""
    from gammaray.venues.simulated.exchange import Exchange
    from gammaray.venues.simulated.model import ExchangeSettings
    from gammaray.venues.simulated.scenario.build import build_scenario

    try:
        account = ExchangeSettings(
            seed=settings.seed,
            cash=settings.cash_dollars * MICROS,
            profile=settings.profile,
            fees=settings.fees,
            delayed_activities=settings.delayed_activities,
        )
        scenario = build_scenario(
            settings.scenario if settings.data is None else "recorded",
            seed=settings.seed,
            first=settings.first,
            last=settings.last,
            data=settings.data,
            steps_per_session=settings.steps_per_session,
        )
        return Exchange(scenario, account)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def build_service(settings: VenueSettings, exchange: ExchangeApi | None = None) -> VenueService:
    """The service of the settings, with the state of its journal where there is one."""
    journal = None if settings.journal is None else ExchangeJournal(settings.journal, settings.identity())
    return VenueService(
        build_exchange(settings) if exchange is None else exchange,
        credentials=Credentials(settings.key_id, settings.secret_key),
        journal=journal,
        connections_per_feed=settings.connections_per_feed,
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError when the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        taken = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise ConfigurationError(f"port: {host}:{port} {taken}") from None
    listener.listen(128)
    return listener


def _server(service: VenueService, settings: VenueSettings) -> uvicorn.Server:
    app = create_app(
        service,
        admin_token=settings.admin_token,
        requests_per_minute=settings.requests_per_minute,
        speed=settings.speed,
    )
    config = uvicorn.Config(
        app,
        loop="auto",
        http="auto",
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # costs more than it saves on a local wire
        ws_max_size=4 << 20,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=120,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def serve(settings: VenueSettings) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError before the first request is taken, or not at all."""
    listener = bind(settings.host, settings.port)
    service = build_service(settings)
    host, port = listener.getsockname()[:2]
    clock = "waits for /admin/clock" if settings.speed is None else f"runs at {settings.speed:g}x"
    source = settings.scenario if settings.data is None else settings.data
    print(
        f"venue http://{host}:{port} market={source} seed={settings.seed} profile={settings.profile} clock {clock}",
        flush=True,
    )
    _server(service, settings).run(sockets=[listener])


class VenueServer:
    """A venue in a thread of this process, for tests, notebooks and benchmarks. Use as a context manager."""

    def __init__(self, settings: VenueSettings, exchange: ExchangeApi | None = None) -> None:
        self._listener = bind(settings.host, settings.port)
        self.service = build_service(settings, exchange)
        self._server = _server(self.service, settings)
        self._thread = threading.Thread(target=self._run, name="venue", daemon=True)
        host, port = self._listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

    def start(self) -> Self:
        """Start serving. Raises ConfigurationError when the server does not come up."""
        self._thread.start()
        waiting = threading.Event()
        for _ in range(int(START_TIMEOUT_S / 0.01)):
            if self._server.started:
                return self
            if not self._thread.is_alive():
                break
            waiting.wait(0.01)
        raise ConfigurationError("venue: the server did not start")

    def stop(self) -> None:
        """Stop serving; open connections are closed."""
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
