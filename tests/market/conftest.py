"""A chain quoted from a level surface: listed contracts and batches of quotes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from gammaray.market.chain import YEAR_NS, ChainState
from gammaray.market.level_surface import LevelSurface
from gammaray.pricing.european import price
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import from_datetime
from gammaray.types.instruments import OptionContract, Right
from gammaray.venues.protocol import QuoteBatch

MONDAY = from_datetime(datetime(2018, 1, 8, 10, 0, tzinfo=NEW_YORK))


@pytest.fixture
def now_ns() -> int:
    """10:00 in New York on Monday 2018-01-08."""
    return MONDAY


@pytest.fixture
def contracts() -> list[OptionContract]:
    """Four weekly expiries from Friday 2018-01-12, strikes 250 to 299, calls and puts: 400 contracts."""
    fridays = [date(2018, 1, 12) + timedelta(days=7 * i) for i in range(4)]
    return [OptionContract("SPY", day, 1000 * k, right) for day in fridays for k in range(250, 300) for right in Right]


@pytest.fixture
def quote() -> Callable[..., QuoteBatch]:
    """A batch with every contract of a chain and then the underlying, at fair value ± a spread, on the cent."""

    def make(chain: ChainState, now_ns: int, spot: float = 274.0, level: float = 0.12) -> QuoteBatch:
        table = chain.table
        tau = (table.expiry_ns - now_ns) / YEAR_NS
        forward = spot * np.exp(0.02 * tau)
        volatility = LevelSurface(level).implied_volatility(np.log(table.strike / forward), tau)
        fair = price(table.is_call, spot, table.strike, tau, 0.02, volatility)
        half = np.maximum(0.01, 0.01 * fair)
        bid, ask = np.floor(100 * (fair - half)) / 100, np.ceil(100 * (fair + half)) / 100
        count = len(table) + 1
        return QuoteBatch(
            names=(*table.symbols, "SPY"),
            symbol=np.arange(count, dtype=np.int32),
            ts_ns=np.full(count, now_ns),
            bid=np.append(np.maximum(bid, 0.0), spot - 0.01),
            ask=np.append(ask, spot + 0.01),
            bid_size=np.full(count, 10.0),
            ask_size=np.full(count, 10.0),
        )

    return make
