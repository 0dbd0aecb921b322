"""Whatever the market and the forecast: an opening is a valid order of defined risk within its limits, on good quotes, and can be closed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gammaray.strategies.legs import Leg, extremes
from gammaray.strategies.protocol import MarketView
from gammaray.strategies.variance_premium import VariancePremium, VariancePremiumSettings
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS, from_datetime
from gammaray.types.instruments import parse_occ
from gammaray.types.money import MICROS
from gammaray.types.signals import Forecast, Purpose

RULES = VariancePremiumSettings()
MONDAY = from_datetime(datetime(2018, 1, 8, 10, 0, tzinfo=NEW_YORK))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spot=st.floats(262.0, 288.0),
    level=st.floats(0.09, 0.6),
    forecast=st.floats(0.03, 1.2),
    days=st.lists(st.integers(0, 40), min_size=1, max_size=4, unique=True),
    step=st.sampled_from([1, 2, 5]),
    equity=st.integers(10_000, 5_000_000),
    broken=st.integers(0, 2**31),
)
def test_openings_and_closings_are_sound(snap, book, spot, level, forecast, days, step, equity, broken):
    expirations = tuple(date(2018, 1, 8) + timedelta(days=day) for day in sorted(days))
    snapshot = snap(spot=spot, level=level, days=expirations, strikes=tuple(range(240, 310, step)))
    # A tenth of the quotes is stale.
    stale = np.random.default_rng(broken).random(len(snapshot.table)) < 0.1
    snapshot.quality[stale] |= 16
    view = MarketView(
        snapshot.ts_ns,
        snapshot.ts_ns + 3 * 3600 * NANOS,
        {"SPY": snapshot},
        {"SPY": Forecast("SPY", snapshot.ts_ns, 1, forecast, 0.0, "m", "1", "r")},
    )
    strategy = VariancePremium(RULES)
    signals = strategy.decide(view, book(equity=equity * MICROS))
    assert len(signals) <= 1
    for signal in signals:
        order = signal.to_order("c-1")
        assert order.is_package
        legs = [Leg(parse_occ(leg.symbol), leg.side.sign * leg.ratio_qty) for leg in signal.legs]
        loss = 100 * signal.limit_price / MICROS - extremes(legs).worst
        assert 0.0 < loss * signal.qty <= RULES.risk_share * equity
        assert 0.0 <= signal.probability <= 1.0
        assert signal.expected_edge > 0
        for leg in legs:
            row = snapshot.table.index[leg.contract.symbol]
            assert leg.contract.expiration > date(2018, 1, 8)
            assert snapshot.quality[row] == 0
        # Held, with the same market and then another: whatever is closed is the reverse of what is held, at most all of it.
        held = book((signal, MONDAY), equity=equity * MICROS)
        for closing in strategy.decide(view, held):
            assert closing.purpose is Purpose.CLOSE
            quantities = held.strategy_positions[0].signed_qty
            for leg in closing.to_order("c-2").legs:
                assert leg.side.sign * quantities[leg.symbol] < 0
                assert closing.qty * leg.ratio_qty <= abs(quantities[leg.symbol])
