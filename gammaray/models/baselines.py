"""Forecasts that a network must beat: yesterday's value, and the heterogeneous autoregression of realised volatility."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gammaray.models.dataset import N_TARGETS, FloatArray, WindowSet
from gammaray.models.windows import check_windows
from gammaray.operations.errors import BadInput


class PersistenceForecaster:
    """The next session's realised volatility is this session's, and implied volatility does not change."""

    def __init__(
        self, feature_names: Sequence[str], feature_version: str, volatility: str, look_back: int = 20
    ) -> None:
        """volatility: name of the feature that holds the session's realised volatility (annual)."""
        self.feature_names = tuple(feature_names)
        self.feature_version = feature_version
        self.look_back = look_back
        self._column = _column(self.feature_names, volatility)

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Forecasts (m, 2) for windows (m, look_back, F)."""
        check_windows(inputs, self.look_back, self.feature_names)
        out = np.zeros((len(inputs), N_TARGETS))
        out[:, 0] = np.maximum(inputs[:, -1, self._column], 1e-4)
        return out


class HarForecaster:
    """Least squares of log volatility, and of the change of implied volatility, on log volatility of a day, a week, a month and log implied.

    Source: Corsi, Journal of Financial Econometrics 7 (2009), in logs. Features: `volatility` is the session's realised volatility,
    `implied` the 30-day at-the-money implied volatility, both annual.
    """

    def __init__(
        self, feature_names: Sequence[str], feature_version: str, volatility: str, implied: str, look_back: int = 20
    ) -> None:
        if look_back < 20:
            raise BadInput("look_back", f"HAR needs 20 sessions, was {look_back}")
        self.feature_names = tuple(feature_names)
        self.feature_version = feature_version
        self.look_back = look_back
        self._volatility = _column(self.feature_names, volatility)
        self._implied = _column(self.feature_names, implied)
        self._coefficients: FloatArray | None = None

    def fit(self, training: WindowSet, validation: WindowSet | None = None) -> dict[str, float]:
        """Ordinary least squares for each head on the windows whose target is known; `validation` is not used."""
        design = self._design(training.inputs)
        goals = training.targets.copy()
        goals[:, 0] = np.log(goals[:, 0])
        columns, residuals = [], {}
        for head in range(N_TARGETS):
            known = np.isfinite(goals[:, head])
            if known.sum() <= design.shape[1]:
                raise BadInput(
                    "training", f"head {head} has {known.sum()} known targets for {design.shape[1]} coefficients"
                )
            solution = np.linalg.lstsq(design[known], goals[known, head], rcond=None)[0]
            columns.append(solution)
            residuals[f"residual_{head}"] = float(np.std(goals[known, head] - design[known] @ solution))
        self._coefficients = np.stack(columns, axis=1)
        return residuals

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Forecasts (m, 2) for windows (m, look_back, F)."""
        if self._coefficients is None:
            raise BadInput("model", "has not been fitted")
        check_windows(inputs, self.look_back, self.feature_names)
        out = self._design(inputs) @ self._coefficients
        out[:, 0] = np.exp(out[:, 0])
        return np.asarray(out, dtype=np.float64)

    def _design(self, inputs: FloatArray) -> FloatArray:
        variance = np.maximum(inputs[:, :, self._volatility], 1e-4) ** 2
        day, week, month = (0.5 * np.log(variance[:, -n:].mean(axis=1)) for n in (1, 5, 20))
        implied = np.log(np.maximum(inputs[:, -1, self._implied], 1e-4))
        return np.column_stack([np.ones(len(inputs)), day, week, month, implied])


def _column(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise BadInput("feature_names", f"has no {name!r}")
    return list(names).index(name)
