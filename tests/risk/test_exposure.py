"""Exposure of a small book, against figures worked by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from gammaray.market.snapshot import ChainSnapshot, ContractTable
from gammaray.risk.exposure import book_exposure
from gammaray.types.instruments import OptionContract, Right

CALL = OptionContract("SPY", date(2018, 3, 16), 280_000, Right.CALL)
PUT = OptionContract("SPY", date(2018, 3, 16), 260_000, Right.PUT)


def snapshot(delta_of_put: float = -0.2, bid_of_put: float = 1.0) -> ChainSnapshot:
    table = ContractTable((PUT, CALL), np.array([1, 1]))

    def column(put: float, call: float) -> np.ndarray:
        return np.array([put, call])

    return ChainSnapshot(
        version=1, ts_ns=5, underlying="SPY", session_open=True, spot=270.0, spot_bid=269.9, spot_ask=270.1, spot_ts_ns=5,
        table=table, tau=column(0.1, 0.1), bid=column(bid_of_put, 2.0), ask=column(1.2, 2.2), bid_size=column(9, 9),
        ask_size=column(9, 9), quote_ts_ns=np.array([5, 5]), quality=np.array([0, 0], np.uint8),
        implied_volatility=column(0.2, 0.15), delta=column(delta_of_put, 0.3), gamma=column(0.01, 0.02), vega=column(20.0, 30.0),
        theta=column(-36.5, -73.0), surface=(), rate=0.0, dividend_yield=0.0,
    )  # fmt: skip


def test_sums_over_shares_and_contracts() -> None:
    exposure = book_exposure(5, {"SPY": -40, CALL.symbol: 2, PUT.symbol: -3}, {"SPY": snapshot()})
    total = exposure.total
    assert total.delta == pytest.approx(-40 + 200 * 0.3 + 300 * 0.2)  # 80
    assert total.delta_dollars == pytest.approx(80 * 270.0)
    assert total.gamma == pytest.approx(200 * 0.02 - 300 * 0.01)
    assert total.vega == pytest.approx(200 * 30 - 300 * 20)
    assert total.theta_per_day == pytest.approx(200 * -0.2 + 300 * 0.1)
    assert total.gross == pytest.approx(40 * 270 + 200 * 2.1 + 300 * 1.1)
    assert exposure.by_underlying == {"SPY": total}
    assert exposure.unpriced == ()


def test_what_cannot_be_priced_is_named_and_left_out() -> None:
    known = snapshot(delta_of_put=float("nan"))
    exposure = book_exposure(5, {PUT.symbol: 1, "QQQ": 10, CALL.symbol: 1, "SPY": 0}, {"SPY": known})
    assert exposure.unpriced == ("QQQ", PUT.symbol)
    assert exposure.total.delta == pytest.approx(30.0)


def test_a_missing_bid_is_worth_nothing_not_unknown() -> None:
    exposure = book_exposure(5, {PUT.symbol: 1}, {"SPY": snapshot(bid_of_put=float("nan"))})
    assert exposure.unpriced == ()
    assert exposure.total.gross == pytest.approx(60.0)
