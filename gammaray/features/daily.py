"""The daily features of one underlying. All are free of the price scale, so that an index and its tracker give the same values.

Volatilities and implied volatilities are annual fractions (0.2 is 20 %), returns are logarithmic.
"""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from gammaray.features.definition import Feature, feature
from gammaray.features.estimators import SESSIONS_A_YEAR, annualised, daily_variance, session_variance

FloatArray = NDArray[np.float64]

_BARS = ("open", "high", "low", "close", "samples")


def _return(sessions: int) -> Feature:
    def compute(close: FloatArray) -> float:
        return math.log(close[-1] / close[0])

    return Feature(
        f"return_{sessions}d",
        1,
        ("close",),
        sessions + 1,
        "log",
        f"Close over the close {sessions} sessions ago.",
        compute,
    )


def _realized(sessions: int) -> Feature:
    def compute(open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray) -> float:
        return annualised(float(np.mean(daily_variance(open_, high, low, close, samples))))

    doc = f"Realised volatility of {sessions} sessions: root mean of overnight² plus Garman–Klass (`estimators.daily_variance`)."
    return Feature(f"realized_volatility_{sessions}d", 1, _BARS, sessions + 1, "annual volatility", doc, compute)


def _close_to_close(sessions: int) -> Feature:
    def compute(close: FloatArray) -> float:
        returns = np.diff(np.log(close))
        return annualised(float(np.mean(returns**2)))

    doc = f"Close-to-close volatility of {sessions} sessions, mean return taken as zero."
    return Feature(f"close_volatility_{sessions}d", 1, ("close",), sessions + 1, "annual volatility", doc, compute)


@feature("open", "close", window=2, units="log")
def overnight_return(open_: FloatArray, close: FloatArray) -> float:
    """Open over the previous close."""
    return math.log(open_[-1] / close[-2])


@feature("open", "close", window=1, units="log")
def session_return(open_: FloatArray, close: FloatArray) -> float:
    """Close over the open of the session."""
    return math.log(close[-1] / open_[-1])


@feature("high", "low", "close", window=1, units="share of the range")
def close_location(high: FloatArray, low: FloatArray, close: FloatArray) -> float:
    """Where the close lies in the session's range: 0 at the low, 1 at the high; one half for a session without a range."""
    span = high[-1] - low[-1]
    return float((close[-1] - low[-1]) / span) if span > 0.0 else 0.5


@feature(*_BARS, window=1, units="annual volatility")
def session_volatility(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray
) -> float:
    """Garman–Klass volatility of the session alone."""
    return annualised(float(session_variance(open_, high, low, close, samples)[-1]))


@feature("high", "low", window=10, units="annual volatility")
def parkinson_volatility_10d(high: FloatArray, low: FloatArray) -> float:
    """Parkinson (1980): mean of ln(H/L)² / (4 ln 2) over ten sessions; leaves the nights out."""
    return annualised(float(np.mean(np.log(high / low) ** 2) / (4.0 * math.log(2.0))))


@feature(*_BARS, window=22, units="annual volatility")
def volatility_of_volatility_21d(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray
) -> float:
    """Standard deviation over 21 sessions of the daily change of the log of the session's volatility, times √252."""
    logs = 0.5 * np.log(session_variance(open_, high, low, close, samples))
    return float(np.std(np.diff(logs)) * math.sqrt(SESSIONS_A_YEAR))


@feature("close", window=22, units="share")
def downside_share_21d(close: FloatArray) -> float:
    """Share of falling sessions in the squared returns of 21 sessions; one half without any move."""
    returns = np.diff(np.log(close))
    total = float(np.sum(returns**2))
    return float(np.sum(np.where(returns < 0.0, returns, 0.0) ** 2)) / total if total > 0.0 else 0.5


@feature("close", window=22, units="ratio")
def jump_share_21d(close: FloatArray) -> float:
    """Part of 21 sessions' squared returns that bipower variation (Barndorff-Nielsen and Shephard 2004) does not explain, at least 0."""
    returns = np.abs(np.diff(np.log(close)))
    total = float(np.sum(returns**2))
    if total == 0.0:
        return 0.0
    bipower = 0.5 * math.pi * float(np.sum(returns[1:] * returns[:-1])) * returns.size / (returns.size - 1)
    return max(0.0, 1.0 - bipower / total)


@feature("close", window=22, units="correlation")
def return_autocorrelation_21d(close: FloatArray) -> float:
    """First autocorrelation of daily returns over 21 sessions, mean taken as zero."""
    returns = np.diff(np.log(close))
    total = float(np.sum(returns**2))
    return float(np.sum(returns[1:] * returns[:-1])) / total if total > 0.0 else 0.0


@feature("close", window=22, units="standard deviations")
def momentum_21d(close: FloatArray) -> float:
    """21-session return over its own volatility."""
    returns = np.diff(np.log(close))
    scale = math.sqrt(float(np.sum(returns**2)))
    return math.log(close[-1] / close[0]) / scale if scale > 0.0 else 0.0


@feature("close", window=63, units="log")
def drawdown_63d(close: FloatArray) -> float:
    """Close over the highest close of 63 sessions; never positive."""
    return math.log(close[-1] / float(np.max(close)))


@feature("close", window=50, units="log")
def distance_to_mean_50d(close: FloatArray) -> float:
    """Close over the mean close of 50 sessions."""
    return math.log(close[-1] / float(np.mean(close)))


@feature("close", window=15, units="index 0 to 1")
def relative_strength_14d(close: FloatArray) -> float:
    """Share of gains in the sum of absolute returns of 14 sessions (Cutler's RSI); one half without any move."""
    returns = np.diff(np.log(close))
    total = float(np.sum(np.abs(returns)))
    return float(np.sum(np.maximum(returns, 0.0))) / total if total > 0.0 else 0.5


@feature("atm_iv_30d", window=1, units="annual volatility")
def atm_iv_30d(atm: FloatArray) -> float:
    """At-the-money implied volatility at 30 days."""
    return float(atm[-1])


def _iv_change(sessions: int) -> Feature:
    def compute(atm: FloatArray) -> float:
        return float(atm[-1] - atm[0])

    doc = f"Change of the 30-day at-the-money implied volatility over {sessions} sessions."
    return Feature(f"iv_change_{sessions}d", 1, ("atm_iv_30d",), sessions + 1, "annual volatility", doc, compute)


@feature("atm_iv_30d", window=126, units="share")
def iv_percentile_126d(atm: FloatArray) -> float:
    """Share of the last 126 sessions (this one included) whose 30-day implied volatility was at most today's."""
    return float(np.mean(atm <= atm[-1]))


@feature("atm_iv_30d", window=22, units="annual")
def iv_volatility_21d(atm: FloatArray) -> float:
    """Standard deviation over 21 sessions of the daily log change of the 30-day implied volatility, times √252."""
    return float(np.std(np.diff(np.log(atm))) * math.sqrt(SESSIONS_A_YEAR))


@feature("atm_iv_30d", "atm_iv_90d", window=1, units="annual volatility")
def term_slope(month: FloatArray, quarter: FloatArray) -> float:
    """90-day less 30-day at-the-money implied volatility."""
    return float(quarter[-1] - month[-1])


@feature("skew_25d", window=1, units="annual volatility")
def skew_25d(skew: FloatArray) -> float:
    """25-delta put less call implied volatility at 30 days."""
    return float(skew[-1])


@feature("skew_25d", "atm_iv_30d", window=6, units="ratio")
def skew_change_5d(skew: FloatArray, atm: FloatArray) -> float:
    """Change over five sessions of skew over at-the-money volatility."""
    return float(skew[-1] / atm[-1] - skew[0] / atm[0])


@feature(*_BARS, "atm_iv_30d", window=22, units="annual variance")
def variance_premium_21d(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray, atm: FloatArray
) -> float:
    """30-day implied variance less the realised variance of 21 sessions."""
    realized = SESSIONS_A_YEAR * float(np.mean(daily_variance(open_, high, low, close, samples)))
    return float(atm[-1] ** 2) - realized


@feature(*_BARS, "atm_iv_30d", window=6, units="log")
def implied_over_realized_5d(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray, atm: FloatArray
) -> float:
    """Log of 30-day implied volatility over the realised volatility of five sessions."""
    return math.log(atm[-1] / annualised(float(np.mean(daily_variance(open_, high, low, close, samples)))))


@feature("close", "atm_iv_30d", window=64, units="correlation")
def leverage_correlation_63d(close: FloatArray, atm: FloatArray) -> float:
    """Correlation of daily returns with changes of implied volatility over 63 sessions; 0 where either does not move."""
    returns, changes = np.diff(np.log(close)), np.diff(atm)
    returns, changes = returns - np.mean(returns), changes - np.mean(changes)
    scale = math.sqrt(float(np.sum(returns**2)) * float(np.sum(changes**2)))
    return float(np.sum(returns * changes)) / scale if scale > 0.0 else 0.0


@feature("relative_spread", window=1, units="share of the price")
def relative_spread(spread: FloatArray) -> float:
    """Median quoted spread over the mid, over the session."""
    return float(spread[-1])


@feature("size_imbalance", window=1, units="share")
def size_imbalance(imbalance: FloatArray) -> float:
    """Quoted size in puts less calls over their sum, over the session."""
    return float(imbalance[-1])


@feature("day", window=1, units="share of the week")
def weekday(day: FloatArray) -> float:
    """Day of the week: 0 on Monday, 1 on Friday."""
    return float((int(day[-1]) + 3) % 7) / 4.0


@feature("day", window=1, units="months")
def time_to_monthly_expiry(day: FloatArray) -> float:
    """Calendar days to the next standard monthly expiry (third Friday), over 30; 0 on the day itself."""
    today = date(1970, 1, 1) + timedelta(days=int(day[-1]))
    friday = third_friday(today.year, today.month)
    if friday < today:
        friday = third_friday(today.year + today.month // 12, today.month % 12 + 1)
    return (friday - today).days / 30.0


@feature("day", window=2, units="days")
def calendar_gap(day: FloatArray) -> float:
    """Calendar days since the previous session."""
    return float(day[-1] - day[-2])


def third_friday(year: int, month: int) -> date:
    """The third Friday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


MODEL_FEATURES: tuple[Feature, ...] = (
    _return(1),
    _return(5),
    _return(21),
    overnight_return,
    session_return,
    close_location,
    session_volatility,
    _realized(1),
    _realized(5),
    _realized(10),
    _realized(21),
    _realized(63),
    _close_to_close(21),
    parkinson_volatility_10d,
    volatility_of_volatility_21d,
    downside_share_21d,
    jump_share_21d,
    return_autocorrelation_21d,
    momentum_21d,
    drawdown_63d,
    distance_to_mean_50d,
    relative_strength_14d,
    atm_iv_30d,
    _iv_change(1),
    _iv_change(5),
    iv_percentile_126d,
    iv_volatility_21d,
    term_slope,
    skew_25d,
    skew_change_5d,
    variance_premium_21d,
    implied_over_realized_5d,
    leverage_correlation_63d,
    weekday,
    time_to_monthly_expiry,
    calendar_gap,
)
"""What the models see: features whose inputs are known in imported history too."""

QUOTE_FEATURES: tuple[Feature, ...] = (relative_spread, size_imbalance)
"""Features of live quotes, unknown in imported history; watched for drift."""

DAILY_FEATURES: tuple[Feature, ...] = MODEL_FEATURES + QUOTE_FEATURES
