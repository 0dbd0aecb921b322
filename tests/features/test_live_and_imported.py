"""What a session of the simulated exchange teaches is what the import says of that day: training and serving see one thing."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.engine import FeatureEngine
from gammaray.market.chain import ChainSettings, ChainState
from gammaray.market.daily import DailyRecordBuilder, with_official_prices
from gammaray.storage.history_import import sp500_records
from gammaray.types.calendar import TradingCalendar
from gammaray.venues.simulated.in_process import InProcessVenue
from gammaray.venues.simulated.server import VenueSettings, build_exchange

DAY = date(2018, 2, 5)


@pytest.fixture(scope="module")
def live_record():
    """The record of 5 February 2018 as a market actor would make it, with six decisions in the session."""
    exchange = build_exchange(VenueSettings(port=0, first=DAY, last=DAY, steps_per_session=6))
    venue = InProcessVenue(exchange)
    calendar = TradingCalendar(DAY - timedelta(days=10), DAY + timedelta(days=300))
    chain = ChainState("SPY", ChainSettings(rate=0.0), calendar=calendar)
    builder = DailyRecordBuilder("SPY")
    for ts_ns in exchange.step_times():
        venue.advance_to(ts_ns)
        chain.list_contracts(venue.contracts("SPY", first=DAY, last=DAY + timedelta(days=200)))
        chain.apply(venue.chain_quotes("SPY"))
        builder.add(chain.snapshot(ts_ns, True))
    record = builder.finish(DAY, calendar.session(DAY).close_ns)
    (bar,) = venue.daily_bars("SPY", first=DAY, last=DAY)
    return with_official_prices(record, bar.open, bar.high, bar.low, bar.close)


def test_prices_and_volatilities_agree(live_record):
    (imported,) = sp500_records(DAY, DAY, price_scale=0.1)
    assert live_record.ts_ns == imported.ts_ns
    for name in ("open", "high", "low", "close"):
        # Quotes are whole cents.
        assert getattr(live_record, name) == pytest.approx(getattr(imported, name), abs=0.02), name
    # Half a point of volatility on the day that it doubled.
    for name in ("atm_iv_30d", "atm_iv_90d", "skew_25d"):
        assert getattr(live_record, name) == pytest.approx(getattr(imported, name), abs=0.005), name


def test_features_agree(live_record):
    past = sp500_records(date(2017, 6, 1), DAY, price_scale=0.1)

    def features(record):
        engine = FeatureEngine("SPY", MODEL_FEATURES)
        engine.warm_up(past[:-1])
        return engine.update(record)

    live, imported = features(live_record), features(past[-1])
    history = FeatureEngine("SPY", MODEL_FEATURES)
    history.warm_up(past[:-32])
    spread = np.std([history.update(record).values for record in past[-32:-1]], axis=0) + 1e-9
    # Off by a small part of what a feature moves in a month; the exchange lets the skew stray from the level, history does not.
    off = np.abs(live.values - imported.values) / spread
    assert np.median(off) < 0.01
    assert off.max() < 1.0, live.names[int(off.argmax())]
