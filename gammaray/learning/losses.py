"""One number for how wrong a forecast was, the same in drift detection, the gate and the promotion test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gammaray.models.dataset import FloatArray
from gammaray.operations.errors import BadInput


@dataclass(frozen=True, slots=True)
class ForecastLoss:
    """Weighted sum of |log(forecast volatility / realised)| and |iv change error| / iv_scale.

    iv_weight: share of the implied-volatility head, 0 to 1. iv_scale: an iv error (absolute) that counts like a log error of 1.
    """

    iv_weight: float = 0.5
    iv_scale: float = 0.04

    def __post_init__(self) -> None:
        if not 0.0 <= self.iv_weight <= 1.0:
            raise BadInput("iv_weight", f"must be 0 to 1, was {self.iv_weight}")
        if not self.iv_scale > 0:
            raise BadInput("iv_scale", f"must be positive, was {self.iv_scale}")

    def __call__(self, forecasts: FloatArray, outcomes: FloatArray) -> FloatArray:
        """Losses (m,) of forecasts (m, 2) against outcomes (m, 2). Where one outcome is NaN the other head counts alone; NaN when both are."""
        volatility = np.abs(np.log(forecasts[:, 0]) - np.log(outcomes[:, 0]))
        implied = np.abs(forecasts[:, 1] - outcomes[:, 1]) / self.iv_scale
        both = (1.0 - self.iv_weight) * volatility + self.iv_weight * implied
        return np.where(np.isnan(volatility), implied, np.where(np.isnan(implied), volatility, both))

    def one(self, realized_volatility: float, iv_change: float, outcome: tuple[float, float]) -> float:
        """The loss of one forecast."""
        return float(self(np.array([[realized_volatility, iv_change]]), np.array([outcome]))[0])
