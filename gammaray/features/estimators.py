"""Variance of a session from its prices, the one estimator behind the volatility features and the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SESSIONS_A_YEAR = 252.0
_CONTINUITY = 0.5825971579390107
"""−ζ(1/2)/√(2π): by how many standard deviations of one sampling interval the largest of the samples stays below the true maximum."""
_LN2 = 0.6931471805599453
_MINIMUM_VARIANCE = 1e-10


def session_variance(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray
) -> FloatArray:
    """Variance of the log price within each session, by Garman and Klass (1980); arrays of shape (n,), result not annualised.

    0.5 ln(H/L)² − (2 ln 2 − 1) ln(C/O)². Where high and low were observed at `samples` instants (0: continuously), the range is
    first widened by the continuity correction of Broadie, Glasserman and Kou (1997), so that live records, made from a session's
    snapshots, estimate the same thing as the exchange's own high and low.
    """
    span = np.log(high / low)
    drift = np.log(close / open_)
    variance = _garman_klass(span, drift)
    interval = np.where(samples > 0.0, 1.0 / np.sqrt(np.maximum(samples, 1.0)), 0.0)
    if interval.any():
        # The correction needs the volatility that it corrects: a few fixed-point steps, contracting for a dozen samples and more.
        for _ in range(8):
            variance = _garman_klass(span + 2.0 * _CONTINUITY * np.sqrt(variance) * interval, drift)
    return variance


def daily_variance(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, samples: FloatArray
) -> FloatArray:
    """Variance from the previous close to the close: the squared overnight log return plus `session_variance`. Shape (n − 1,)."""
    overnight = np.log(open_[1:] / close[:-1])
    return np.asarray(overnight**2 + session_variance(open_, high, low, close, samples)[1:])


def annualised(variance: float) -> float:
    """Annual volatility of a daily variance."""
    return float(np.sqrt(SESSIONS_A_YEAR * variance))


def _garman_klass(span: FloatArray, drift: FloatArray) -> FloatArray:
    return np.maximum(0.5 * span**2 - (2.0 * _LN2 - 1.0) * drift**2, _MINIMUM_VARIANCE)
