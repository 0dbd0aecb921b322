"""What the models forecast, and how the outcome is measured.

Both are measured from daily records alone, by one estimator in history and live: the realised volatility of a session is the
annualised root of its squared overnight return plus its Garman–Klass variance (`estimators.daily_variance`, with the continuity
correction where high and low were sampled). Intraday returns are not used: history does not have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gammaray.features.definition import INPUTS, input_row
from gammaray.features.estimators import annualised, daily_variance
from gammaray.market.daily import DailyRecord

FloatArray = NDArray[np.float64]

TARGETS = ("realized_volatility", "iv_change")
"""Columns of every target array: annual volatility of the next session; change of the 30-day at-the-money volatility over it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came true of a forecast made after `previous`, one session later."""

    realized_volatility: float
    iv_change: float

    def as_array(self) -> FloatArray:
        """In the order of `TARGETS`."""
        return np.array([self.realized_volatility, self.iv_change])


def outcome(previous: DailyRecord, current: DailyRecord) -> Outcome:
    """The outcome of the session of `current` for a forecast made after the session of `previous`.

    Raises ValueError unless both are of one underlying and `current` is later.
    """
    if current.underlying != previous.underlying or current.day <= previous.day:
        raise ValueError(
            f"current: {current.underlying} {current.day} does not follow {previous.underlying} {previous.day}"
        )
    columns = dict(zip(INPUTS, np.column_stack((input_row(previous), input_row(current))), strict=True))
    variance = daily_variance(*(columns[name] for name in ("open", "high", "low", "close", "samples")))
    return Outcome(annualised(float(variance[0])), current.atm_iv_30d - previous.atm_iv_30d)


def compute_targets(records: Sequence[DailyRecord]) -> FloatArray:
    """Targets of the forecast made after each record, shape (records, 2) in the order of `TARGETS`; NaN after the last."""
    result = np.full((len(records), len(TARGETS)), np.nan)
    for row in range(len(records) - 1):
        result[row] = outcome(records[row], records[row + 1]).as_array()
    return result
