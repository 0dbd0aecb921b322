"""Daily records: what they accept, and how snapshots become one."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from gammaray.market.chain import ChainState
from gammaray.market.daily import DailyRecord, DailyRecordBuilder, atm_term_volatility, with_official_prices
from gammaray.market.level_surface import LevelSurface
from gammaray.market.snapshot import SurfaceSlice
from gammaray.types.clock import NANOS

DAY = date(2018, 1, 8)


def session(contracts, quote, now_ns, spots, levels):
    """Snapshots a minute apart."""
    chain = ChainState("SPY")
    chain.list_contracts(contracts)
    for i, (spot, level) in enumerate(zip(spots, levels, strict=True)):
        at = now_ns + 60 * i * NANOS
        chain.apply(quote(chain, at, spot, level))
        yield chain.snapshot(at, True)


def test_a_session_s_snapshots_become_its_record(contracts, quote, now_ns):
    builder = DailyRecordBuilder("SPY")
    snapshots = list(session(contracts, quote, now_ns, [274.0, 276.0, 273.0, 275.0], [0.12, 0.12, 0.12, 0.14]))
    builder.add(replace(snapshots[0], session_open=False, spot=999.0))
    for snapshot in snapshots:
        builder.add(snapshot)
    assert builder.samples == 4
    close_ns = now_ns + 3600 * NANOS
    record = builder.finish(DAY, close_ns)
    assert (record.open, record.high, record.low, record.close, record.samples) == (274.0, 276.0, 273.0, 275.0, 4)
    assert (record.ts_ns, record.known_ns) == (close_ns, close_ns)
    returns = [math.log(276 / 274), math.log(273 / 276), math.log(275 / 273)]
    assert record.intraday_variance == pytest.approx(sum(r * r for r in returns), rel=1e-12)
    # The factors are those of the last snapshot; 30 and 90 days lie near and beyond the last expiry (2 February).
    factors = LevelSurface(0.14).factors()
    assert record.atm_iv_30d == pytest.approx(factors.atm_30d, abs=0.004)
    assert record.skew_25d == pytest.approx(factors.skew_25d, abs=0.006)
    # Quotes are 1 % of the price to each side and at least a cent; all sizes are ten, so rows count.
    assert 0.02 <= record.relative_spread <= 0.1
    calls = [snapshot.table.is_call[snapshot.good()] for snapshot in snapshots]
    assert record.size_imbalance == pytest.approx(np.median([(~c).mean() - c.mean() for c in calls]), rel=1e-12)
    assert builder.samples == 0, "the next session starts afresh"


def test_records_without_snapshots_or_of_another_underlying_are_refused(contracts, quote, now_ns):
    builder = DailyRecordBuilder("SPY")
    with pytest.raises(ValueError, match="no snapshot of SPY on 2018-01-08"):
        builder.finish(DAY, now_ns)
    first, second = session(contracts, quote, now_ns, [274.0, 275.0], [0.12, 0.12])
    builder.add(second)
    with pytest.raises(ValueError, match="is before"):
        builder.add(first)
    with pytest.raises(ValueError, match="expected QQQ, was SPY"):
        DailyRecordBuilder("QQQ").add(first)


def test_the_term_volatility_follows_a_curved_term_structure():
    # Expiries a month apart on the level surface; in between, the monotone cubic is within 0.02 points of it.
    truth = LevelSurface(0.10)
    surface = tuple(
        SurfaceSlice(day, day / 365, 100.0, 1.0, float(truth.implied_volatility(0.0, day / 365)), 0.0, 0.0, 1.0, 10)
        for day in (5, 12, 19, 40, 75, 110)
    )
    for day in (8, 30, 55, 90, 100):
        expected = float(truth.implied_volatility(0.0, day / 365))
        assert atm_term_volatility(surface, day / 365) == pytest.approx(expected, abs=2e-4)
    assert atm_term_volatility(surface, 1 / 365) == surface[0].atm_volatility
    assert atm_term_volatility(surface, 1.0) == surface[-1].atm_volatility
    assert math.isnan(atm_term_volatility((), 0.1))


def test_official_prices_replace_the_sampled_ones():
    sampled = DailyRecord("SPY", DAY, 5, 100.0, 101.0, 99.0, 100.5, samples=26, atm_iv_30d=0.2)
    official = with_official_prices(sampled, 100.0, 101.5, 98.5, 100.4)
    assert (official.high, official.low, official.close, official.samples) == (101.5, 98.5, 100.4, 0)
    assert official.atm_iv_30d == 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"open": 0.0}, "open: must be positive"),
        ({"close": float("nan")}, "close: must be positive and finite"),
        ({"high": 99.5}, "high, low: 99.5, 99.0 do not contain"),
        ({"low": 100.4}, "high, low: 101.0, 100.4 do not contain"),
        ({"atm_iv_30d": 0.0}, "atm_iv_30d: must be positive"),
        ({"samples": -1}, "samples: must not be negative"),
        ({"known_ns": 4}, "known_ns: 4 is before ts_ns 5"),
    ],
)
def test_impossible_records_are_refused(change, message):
    good = DailyRecord("SPY", DAY, 5, 100.0, 101.0, 99.0, 100.5)
    with pytest.raises(ValueError, match=message):
        replace(good, **change)
