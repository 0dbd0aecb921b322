"""Volatility without a model: what a run trades on where no model was trained, and what every model must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gammaray.features.estimators import SESSIONS_A_YEAR

SESSION_S = 6.5 * 3600.0


def ewma_volatility(closes: Sequence[float], decay: float = 0.94, minimum: int = 10) -> float:
    """Annual volatility by exponentially weighted squared daily log returns, oldest close first; NaN with fewer than `minimum` returns.

    Source: RiskMetrics Technical Document (1996), λ = 0.94 for daily data.
    """
    if not 0.0 < decay < 1.0:
        raise ValueError(f"decay: must lie inside (0, 1), was {decay}")
    returns = np.diff(np.log(np.asarray(closes, dtype=np.float64)))
    if len(returns) < minimum or not np.isfinite(returns).all():
        return math.nan
    weights = decay ** np.arange(len(returns) - 1, -1, -1)
    return math.sqrt(float(weights @ returns**2 / weights.sum()) * SESSIONS_A_YEAR)


def intraday_volatility(spots: Sequence[float], elapsed_s: float, minimum: int = 20) -> float:
    """Annual volatility by squared log returns within one session over `elapsed_s` seconds of it; NaN with fewer than `minimum` returns."""
    returns = np.diff(np.log(np.asarray(spots, dtype=np.float64)))
    if len(returns) < minimum or not np.isfinite(returns).all() or not elapsed_s > 0:
        return math.nan
    return math.sqrt(float(returns @ returns) / elapsed_s * SESSION_S * SESSIONS_A_YEAR)
