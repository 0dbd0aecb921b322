"""Snapshots of a chain quoted from a level surface, and books to decide on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from gammaray.desk.view import BookView, PositionView, StrategyPosition
from gammaray.market.chain import YEAR_NS, ChainState
from gammaray.market.level_surface import LevelSurface
from gammaray.market.snapshot import ChainSnapshot
from gammaray.pricing.european import price
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import from_datetime
from gammaray.types.instruments import OptionContract, Right
from gammaray.types.money import MICROS
from gammaray.types.signals import Signal, TradingState
from gammaray.venues.protocol import QuoteBatch

MONDAY = from_datetime(datetime(2018, 1, 8, 10, 0, tzinfo=NEW_YORK))
FRIDAYS = tuple(date(2018, 1, 12) + timedelta(days=7 * i) for i in range(6))


@pytest.fixture
def snap() -> Callable[..., ChainSnapshot]:
    """A snapshot of a SPY chain with the spot at 274 and the level at 12 % unless told; strikes from 250 to 299."""

    def make(
        now_ns: int = MONDAY,
        *,
        spot: float = 274.0,
        level: float = 0.12,
        days: tuple[date, ...] = FRIDAYS,
        strikes: tuple[float, ...] = tuple(range(250, 300)),
        half_spread: float = 0.01,
    ) -> ChainSnapshot:
        chain = ChainState("SPY")
        chain.list_contracts(
            OptionContract("SPY", day, round(1000 * k), right) for day in days for k in strikes for right in Right
        )
        chain.snapshot(now_ns, True)  # drops what has expired
        table = chain.table
        tau = (table.expiry_ns - now_ns) / YEAR_NS
        forward = spot * np.exp(0.02 * tau)
        volatility = LevelSurface(level).implied_volatility(np.log(table.strike / forward), tau)
        fair = price(table.is_call, spot, table.strike, tau, 0.02, volatility)
        half = np.maximum(half_spread, 0.01 * fair)
        count = len(table) + 1
        chain.apply(
            QuoteBatch(
                names=(*table.symbols, "SPY"),
                symbol=np.arange(count, dtype=np.int32),
                ts_ns=np.full(count, now_ns),
                bid=np.append(np.maximum(np.floor(100 * (fair - half)) / 100, 0.0), spot - 0.01),
                ask=np.append(np.ceil(100 * (fair + half)) / 100, spot + 0.01),
                bid_size=np.full(count, 10.0),
                ask_size=np.full(count, 10.0),
            )
        )
        return chain.snapshot(now_ns, True)

    return make


@pytest.fixture
def book() -> Callable[..., BookView]:
    """A book of a million dollars; `filled` holds signals that have filled whole at their limit, and when."""

    def make(
        *filled: tuple[Signal, int],
        ts_ns: int = MONDAY,
        equity: int = 10**6 * MICROS,
        state: TradingState = TradingState.ACTIVE,
        working: tuple = (),
        shares: int = 0,
    ) -> BookView:
        positions: dict[str, int] = {"SPY": shares} if shares else {}
        held = []
        for signal, opened_ns in filled:
            quantities = {leg.symbol: signal.qty * leg.side.sign * leg.ratio_qty for leg in signal.legs}
            for symbol, qty in quantities.items():
                positions[symbol] = positions.get(symbol, 0) + qty
            net = (signal.limit_price or 0) * signal.qty * 100
            held.append(
                StrategyPosition(signal.position_id, signal.strategy, signal.underlying, opened_ns, quantities, net)
            )
        views = {symbol: PositionView(symbol, qty, 0, 0) for symbol, qty in positions.items()}
        return BookView(ts_ns, state, equity, equity, equity, views, tuple(held), working)

    return make
