"""Which Alpaca-speaking venue to talk to, and with which keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import SecretStr

from gammaray.operations.errors import ConfigurationError

KEY_VARIABLE = "APCA_API_KEY_ID"
SECRET_VARIABLE = "APCA_API_SECRET_KEY"
LIVE_VARIABLE = "GAMMARAY_ALLOW_LIVE"


class Environment(StrEnum):
    """Where orders go. Only `live` moves real money."""

    SIMULATED = "simulated"
    PAPER = "paper"
    LIVE = "live"


_TRADING = {Environment.PAPER: "https://paper-api.alpaca.markets", Environment.LIVE: "https://api.alpaca.markets"}
_DATA = "https://data.alpaca.markets"
_DATA_STREAM = "wss://stream.data.alpaca.markets"


@dataclass(frozen=True, slots=True)
class AlpacaSettings:
    """Endpoints, keys and time limits of the Alpaca adapter; seconds are wall-clock seconds.

    Built by `simulated` or `from_environment`. URLs are scheme, host and port without a trailing slash (alpaca-py would make `//v2`).
    """

    environment: Environment
    key_id: SecretStr
    secret_key: SecretStr
    trading_url: str
    data_url: str
    data_stream_url: str
    option_feed: str = "indicative"
    stock_feed: str = "iex"
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 15.0
    read_attempts: int = 5
    mute_quotes_after_s: float | None = None
    """Reconnect a quote stream on which nothing came for this long; None: never (a lock-step clock may stand still)."""
    mute_updates_after_s: float = 10.0
    """Reconnect the trading stream when an accepted order has had no update for this long."""
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 30.0

    def __post_init__(self) -> None:
        for name in ("trading_url", "data_url", "data_stream_url"):
            value = getattr(self, name)
            parts = urlsplit(value)
            wanted = {"ws", "wss"} if name == "data_stream_url" else {"http", "https"}
            if parts.scheme not in wanted or not parts.netloc or value.endswith("/"):
                schemes = " or ".join(sorted(wanted))
                raise ConfigurationError(
                    f"{name}: expected {schemes}://host[:port] without a trailing slash, was {value!r}"
                )
        for name, variable in (("key_id", KEY_VARIABLE), ("secret_key", SECRET_VARIABLE)):
            if not getattr(self, name).get_secret_value():
                raise ConfigurationError(f"{variable}: not set; the {self.environment} venue needs it ({name})")

    @property
    def trading_stream_url(self) -> str:
        """Address of the trading stream."""
        return "ws" + self.trading_url.removeprefix("http") + "/stream"

    @property
    def option_stream_url(self) -> str:
        """Address of the option quote stream."""
        return f"{self.data_stream_url}/v1beta1/{self.option_feed}"

    @property
    def stock_stream_url(self) -> str:
        """Address of the stock quote stream."""
        return f"{self.data_stream_url}/v2/{self.stock_feed}"

    @classmethod
    def simulated(cls, url: str, *, key_id: str = "PKSIMULATED", secret_key: str = "simulated") -> AlpacaSettings:
        """Settings for a simulated venue at an `http://host:port`."""
        return cls(
            environment=Environment.SIMULATED,
            key_id=SecretStr(key_id),
            secret_key=SecretStr(secret_key),
            trading_url=url,
            data_url=url,
            data_stream_url="ws" + url.removeprefix("http"),
            reconnect_min_s=0.1,
            reconnect_max_s=2.0,
        )

    @classmethod
    def from_environment(cls, environment: Environment | str, variables: Mapping[str, str]) -> AlpacaSettings:
        """Settings for Alpaca paper or live from environment variables.

        APCA_API_KEY_ID and APCA_API_SECRET_KEY are the keys; GAMMARAY_TRADING_URL, GAMMARAY_DATA_URL and GAMMARAY_DATA_STREAM_URL
        override the endpoints, GAMMARAY_OPTION_FEED and GAMMARAY_STOCK_FEED the feeds; live also needs GAMMARAY_ALLOW_LIVE=yes.
        Raises ConfigurationError naming the variable.
        """
        environment = Environment(environment)
        if environment is Environment.SIMULATED:
            raise ConfigurationError("environment: use AlpacaSettings.simulated(url) for the simulated venue")
        if environment is Environment.LIVE and variables.get(LIVE_VARIABLE) != "yes":
            raise ConfigurationError(f"{LIVE_VARIABLE}: must be 'yes' to trade real money on the live venue")
        return cls(
            environment=environment,
            key_id=SecretStr(variables.get(KEY_VARIABLE, "")),
            secret_key=SecretStr(variables.get(SECRET_VARIABLE, "")),
            trading_url=variables.get("GAMMARAY_TRADING_URL") or _TRADING[environment],
            data_url=variables.get("GAMMARAY_DATA_URL") or _DATA,
            data_stream_url=variables.get("GAMMARAY_DATA_STREAM_URL") or _DATA_STREAM,
            option_feed=variables.get("GAMMARAY_OPTION_FEED") or "indicative",
            stock_feed=variables.get("GAMMARAY_STOCK_FEED") or "iex",
            mute_quotes_after_s=60.0,
        )
