"""What the shells do themselves, without a cluster."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from actors.calls import last_line
from actors.cluster import choose_port, free_ports, require_free_port, serve_environment
from actors.desk_answers import signal_from_order
from actors.forecasting import combine
from apps.schemas import OrderBody
from gammaray.client import TradingSystem
from gammaray.features.observer import SessionClose
from gammaray.operations.errors import BadInput, ConfigurationError, RetryLater
from gammaray.operations.settings import ServeSettings
from gammaray.types.signals import Purpose


def test_ports_differ_and_a_taken_one_is_named() -> None:
    assert len(set(free_ports(20))) == 20
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"serve\.http_port: port {port}"):
            require_free_port("127.0.0.1", port, "serve.http_port")
        assert choose_port("127.0.0.1", port) != port


def test_haproxy_gets_ports_and_files_of_its_own(tmp_path: Path) -> None:
    environment = serve_environment(ServeSettings(), tmp_path)
    ports = [value for name, value in environment.items() if name.endswith("_PORT")]
    assert len(ports) == len(set(ports)) == 4
    assert all(str(tmp_path) in environment[f"RAY_SERVE_HAPROXY_{name}"] for name in ("CONFIG_FILE_LOC", "SOCKET_PATH"))
    assert serve_environment(ServeSettings(haproxy=False), tmp_path)["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


def test_an_order_over_http_becomes_a_signal() -> None:
    legs = [
        {"symbol": "SPY180316C00280000", "side": "buy", "ratio_qty": 1, "position_intent": "buy_to_open"},
        {"symbol": "SPY180316C00285000", "side": "sell", "ratio_qty": 1},
    ]
    body = OrderBody.model_validate({"legs": legs, "qty": 3, "limit_price": "-1.05"})
    signal = signal_from_order(body.model_dump(), 7)
    assert (signal.underlying, signal.qty, signal.limit_price, signal.purpose) == ("SPY", 3, -1_050_000, Purpose.OPEN)
    same = OrderBody.model_validate({"legs": [legs[0], legs[0]], "qty": 1})
    with pytest.raises(BadInput, match="must differ") as caught:
        signal_from_order(same.model_dump(), 7)
    assert caught.value.field == "legs"


def test_forecasts_are_combined_by_their_geometric_mean() -> None:
    close = SessionClose("SPY", 5, 4, ("a",), "v", np.ones((20, 1)), np.array([0.1, 0.0]), 6)
    answers = [
        {"model": "lstm", "version": "1", "request_id": "r1", "realized_volatility": 0.1, "iv_change": 0.02},
        {"model": "transformer", "version": "3", "request_id": "r2", "realized_volatility": 0.4, "iv_change": 0.0},
    ]
    forecast = combine(close, answers)
    assert forecast.realized_volatility == pytest.approx(0.2)  # √(0.1 × 0.4)
    assert forecast.iv_change == pytest.approx(0.01)
    assert (forecast.model, forecast.version) == ("lstm+transformer", "1+3")


def test_errors_of_other_processes_are_one_line() -> None:
    assert last_line(RetryLater("Traceback …\n  File x\n\x1b[31mboom\x1b[0m\n")) == "RetryLater: boom"


def test_joining_needs_a_running_system(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no endpoints\.json"):
        TradingSystem.connect(tmp_path)
    with pytest.raises(ConfigurationError, match=r"only risk\.\*"):
        TradingSystem().set_config("run.seed", 5)
