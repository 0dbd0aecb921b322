"""Settings come from the environment, name the variable that is missing, and show no secret."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from gammaray.operations.errors import ConfigurationError
from gammaray.venues.alpaca.config import AlpacaSettings, Environment

KEYS = {"APCA_API_KEY_ID": "PK123", "APCA_API_SECRET_KEY": "hunter2-secret"}


def test_paper_endpoints() -> None:
    settings = AlpacaSettings.from_environment("paper", KEYS)
    assert settings.environment is Environment.PAPER
    assert settings.trading_url == "https://paper-api.alpaca.markets"
    assert settings.trading_stream_url == "wss://paper-api.alpaca.markets/stream"
    assert settings.option_stream_url == "wss://stream.data.alpaca.markets/v1beta1/indicative"
    assert settings.stock_stream_url == "wss://stream.data.alpaca.markets/v2/iex"


@pytest.mark.parametrize("value", [None, "", "no", "YES", "true"])
def test_live_needs_the_second_switch(value: str | None) -> None:
    variables = KEYS if value is None else {**KEYS, "GAMMARAY_ALLOW_LIVE": value}
    with pytest.raises(ConfigurationError, match="GAMMARAY_ALLOW_LIVE"):
        AlpacaSettings.from_environment("live", variables)


def test_live_with_the_switch() -> None:
    settings = AlpacaSettings.from_environment("live", {**KEYS, "GAMMARAY_ALLOW_LIVE": "yes"})
    assert settings.trading_url == "https://api.alpaca.markets"


@pytest.mark.parametrize("missing", sorted(KEYS))
def test_a_missing_key_names_its_variable(missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{missing}: not set"):
        AlpacaSettings.from_environment("paper", {name: value for name, value in KEYS.items() if name != missing})


def test_overrides_are_checked() -> None:
    settings = AlpacaSettings.from_environment("paper", {**KEYS, "GAMMARAY_TRADING_URL": "http://127.0.0.1:1"})
    assert settings.trading_stream_url == "ws://127.0.0.1:1/stream"
    with pytest.raises(ConfigurationError, match="without a trailing slash, was"):
        AlpacaSettings.from_environment("paper", {**KEYS, "GAMMARAY_TRADING_URL": "http://127.0.0.1:1/"})
    with pytest.raises(ConfigurationError, match="data_stream_url: expected ws or wss"):
        AlpacaSettings.from_environment("paper", {**KEYS, "GAMMARAY_DATA_STREAM_URL": "https://x"})


def test_simulated_is_one_origin() -> None:
    settings = AlpacaSettings.simulated("http://127.0.0.1:8700")
    assert settings.trading_url == settings.data_url == "http://127.0.0.1:8700"
    assert settings.option_stream_url == "ws://127.0.0.1:8700/v1beta1/indicative"


def test_secrets_show_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    settings = AlpacaSettings.from_environment("paper", KEYS)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("settings %s %r %s", settings, settings, dataclasses.asdict(settings))
    assert "hunter2" not in caplog.text
    assert "PK123" not in caplog.text
