"""The definitions against hand calculations."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from gammaray.features.daily import DAILY_FEATURES, third_friday
from gammaray.features.engine import compute_features
from gammaray.features.estimators import daily_variance, session_variance
from gammaray.market.daily import DailyRecord

NAMES = [item.name for item in DAILY_FEATURES]


def record(day, open_, high, low, close, *, atm=0.2, quarter=0.21, skew=0.04, spread=0.03, imbalance=0.1, samples=0):
    return DailyRecord(
        underlying="SPY",
        day=day,
        ts_ns=day.toordinal() * 86_400 * 10**9,
        open=open_,
        high=high,
        low=low,
        close=close,
        samples=samples,
        atm_iv_30d=atm,
        atm_iv_90d=quarter,
        skew_25d=skew,
        relative_spread=spread,
        size_imbalance=imbalance,
    )


def values(records):
    """Features after the last record by name."""
    return dict(zip(NAMES, compute_features(records)[-1].tolist(), strict=True))


def flat(count, **changes):
    """Sessions at 100 that never move, on consecutive days."""
    first = date(2018, 1, 1)
    return [record(first + timedelta(days=i), 100.0, 100.0, 100.0, 100.0, **changes) for i in range(count)]


def test_one_session_by_hand():
    # Close 100, then open 101, high 104, low 100, close 102 on Tuesday 2018-02-06.
    found = values([record(date(2018, 2, 5), 100, 101, 99, 100), record(date(2018, 2, 6), 101, 104, 100, 102)])
    assert found["return_1d"] == pytest.approx(math.log(1.02), rel=1e-14)
    assert found["overnight_return"] == pytest.approx(math.log(1.01), rel=1e-14)
    assert found["session_return"] == pytest.approx(math.log(102 / 101), rel=1e-14)
    assert found["close_location"] == 0.5
    # Garman–Klass: 0.5·ln(1.04)² − (2 ln 2 − 1)·ln(102/101)² = 0.0007691274 − 0.0000375029 = 0.0007316; ·252, root: 0.42938
    session = 0.5 * 0.039220713153281295**2 - 0.3862943611198906 * 0.009852296443011594**2
    assert found["session_volatility"] == pytest.approx(math.sqrt(252 * session), rel=1e-12)
    assert found["session_volatility"] == pytest.approx(0.4294, abs=1e-4)
    # With the night: + ln(1.01)² = 0.0000990
    total = session + 0.009950330853168083**2
    assert found["realized_volatility_1d"] == pytest.approx(math.sqrt(252 * total), rel=1e-12)
    assert found["term_slope"] == pytest.approx(0.01, rel=1e-12)
    assert found["iv_change_1d"] == 0.0
    assert found["weekday"] == 0.25
    assert found["calendar_gap"] == 1.0
    # The monthly expiry of February 2018 was Friday the 16th: ten days.
    assert found["time_to_monthly_expiry"] == pytest.approx(10 / 30)


def test_a_market_that_does_not_move_gives_the_neutral_values():
    found = values(flat(130))
    assert found["return_21d"] == found["momentum_21d"] == found["drawdown_63d"] == found["jump_share_21d"] == 0.0
    assert found["downside_share_21d"] == found["relative_strength_14d"] == found["close_location"] == 0.5
    assert found["iv_percentile_126d"] == 1.0
    assert found["leverage_correlation_63d"] == 0.0
    # The floor of the session's variance, 1e-10, keeps logarithms finite: √(252 · 1e-10)
    assert found["realized_volatility_5d"] == pytest.approx(1.587e-4, rel=1e-3)


def test_a_steady_rise_by_hand():
    first = date(2018, 1, 1)
    prices = [100.0 * 1.01**i for i in range(130)]
    records = [
        record(first + timedelta(days=i), p / 1.01, p, p / 1.01, p, atm=0.2 + 0.001 * i) for i, p in enumerate(prices)
    ]
    found = values(records)
    step = math.log(1.01)
    assert found["return_21d"] == pytest.approx(21 * step, rel=1e-12)
    assert found["close_volatility_21d"] == pytest.approx(math.sqrt(252) * step, rel=1e-12)
    # Sum of 21 equal returns over the root of the sum of their squares: √21
    assert found["momentum_21d"] == pytest.approx(math.sqrt(21), rel=1e-12)
    assert found["relative_strength_14d"] == pytest.approx(1.0, rel=1e-12)
    assert found["downside_share_21d"] == 0.0
    assert found["drawdown_63d"] == 0.0
    assert found["iv_percentile_126d"] == 1.0
    assert found["iv_change_5d"] == pytest.approx(0.005, rel=1e-9)
    # Parkinson: √(252 · ln(1.01)² / (4 ln 2))
    assert found["parkinson_volatility_10d"] == pytest.approx(math.sqrt(252 / (4 * math.log(2))) * step, rel=1e-12)


def test_returns_and_implied_volatility_that_mirror_each_other_correlate_at_minus_one():
    rng = np.random.default_rng(1)
    moves = 0.01 * rng.normal(size=70)
    prices = 100 * np.exp(np.cumsum(moves))
    records = [
        record(date(2018, 1, 1) + timedelta(days=i), p, p, p, p, atm=0.3 - 0.5 * float(np.log(p / 100)))
        for i, p in enumerate(prices.tolist())
    ]
    assert values(records)["leverage_correlation_63d"] == pytest.approx(-1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("year", "month", "day"), [(2018, 1, 19), (2018, 2, 16), (2018, 6, 15), (2017, 12, 15), (2019, 3, 15)]
)
def test_third_fridays(year, month, day):
    assert third_friday(year, month) == date(year, month, day)


def test_after_the_monthly_expiry_the_next_month_counts():
    found = values([record(date(2017, 12, 18), 100, 101, 99, 100), record(date(2017, 12, 19), 100, 101, 99, 100)])
    assert found["time_to_monthly_expiry"] == pytest.approx(31 / 30)  # to 2018-01-19


def test_a_sampled_range_estimates_what_the_full_range_does():
    # 4,000 sessions of Brownian motion with 1 % daily volatility, watched at 26 instants and at 10,400.
    rng = np.random.default_rng(11)
    steps = 400
    fine_high, fine_low, coarse_high, coarse_low, close = (np.empty(4000) for _ in range(5))
    for i in range(4000):
        path = np.concatenate(([0.0], np.cumsum(0.01 / math.sqrt(26 * steps) * rng.normal(size=26 * steps))))
        fine_high[i], fine_low[i] = path.max(), path.min()
        coarse_high[i], coarse_low[i], close[i] = path[::steps].max(), path[::steps].min(), path[-1]
    one, none, samples = np.ones(4000), np.zeros(4000), np.full(4000, 26.0)
    full = session_variance(one, np.exp(fine_high), np.exp(fine_low), np.exp(close), none).mean()
    raw = session_variance(one, np.exp(coarse_high), np.exp(coarse_low), np.exp(close), none).mean()
    corrected = session_variance(one, np.exp(coarse_high), np.exp(coarse_low), np.exp(close), samples).mean()
    assert full == pytest.approx(1e-4, rel=0.05)
    assert raw < 0.76e-4, "the samples miss the extremes"
    assert corrected == pytest.approx(1e-4, rel=0.05)


def test_daily_variance_adds_the_night():
    open_, close = np.array([100.0, 102.0]), np.array([100.0, 102.0])
    night = daily_variance(open_, open_, open_, close, np.zeros(2))
    assert night == pytest.approx([math.log(1.02) ** 2 + 1e-10], rel=1e-12)
