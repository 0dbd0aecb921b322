"""What a forecasting model is: fitted on windows, asked for forecasts, saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, Self

from gammaray.models.dataset import FloatArray, WindowSet


class Forecaster(Protocol):
    """Something that forecasts `TARGET_NAMES` from windows of features: all that serving needs."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features it reads, in order."""
        ...

    @property
    def feature_version(self) -> str:
        """Version of the definitions of those features."""
        ...

    @property
    def look_back(self) -> int:
        """Rows in a window."""
        ...

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Forecasts (m, 2) for windows (m, look_back, F), in the units of `TARGET_NAMES`."""
        ...


class Model(Forecaster, Protocol):
    """A forecaster that learns."""

    def fit(self, training: WindowSet, validation: WindowSet | None = None) -> Mapping[str, float]:
        """Learn from `training`; `validation` decides when to stop. Returns figures of the fit."""
        ...

    def save(self, path: Path) -> None:
        """Write everything that `load` needs to one file."""
        ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        ...
