"""Forecasts for a back-test from registered models, served in process."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gammaray.features.observer import SessionClose
from gammaray.models.serving import ForecastServer, ModelRouting, VersionRef
from gammaray.operations.errors import ConfigurationError
from gammaray.types.signals import Forecast


class ModelForecasts:
    """Champions fixed for the whole back-test. The geometric mean of their volatilities is the forecast."""

    def __init__(self, champions: Mapping[str, tuple[str, Path]], trained_until_ns: int) -> None:
        """champions: version and exported file of each model. trained_until_ns: sessions before it are not forecast, since the models have
        seen what followed them."""
        self._server = ForecastServer()
        self._server.configure(
            {name: ModelRouting(VersionRef(version, str(path))) for name, (version, path) in champions.items()}
        )
        self._version = "+".join(version for version, _ in champions.values())
        self._model = "+".join(champions)
        self._trained_until_ns = trained_until_ns

    @classmethod
    def of_run(cls, models: Path) -> ModelForecasts:
        """The first versions of a run's registry. Raises ConfigurationError when it holds none."""
        from gammaray.learning.registry import MlflowRegistry

        registry = MlflowRegistry(models)
        firsts = {name: registry.get(name, "1") for name in registry.models()}
        if not firsts:
            raise ConfigurationError(f"--models: no registered model in {models}")
        return cls(
            {name: (version.version, version.onnx_path) for name, version in firsts.items()},
            max(version.card.data_until_ns for version in firsts.values()),
        )

    def forecast(self, closes: Sequence[SessionClose]) -> dict[str, Forecast]:
        """By underlying, for those with a full window."""
        forecasts = {}
        for close in closes:
            if not len(close.window) or close.ts_ns < self._trained_until_ns:
                continue
            answers = [
                self._server.predict(
                    name,
                    close.window,
                    f"{name}-{close.ts_ns}",
                    close.underlying,
                    close.ts_ns,
                    close.feature_version,
                    close.feature_names,
                ).served
                for name in self._server.routing
            ]
            forecasts[close.underlying] = Forecast(
                close.underlying,
                close.ts_ns,
                1,
                math.exp(float(np.mean([math.log(answer.realized_volatility) for answer in answers]))),
                float(np.mean([answer.iv_change for answer in answers])),
                self._model,
                self._version,
                f"{self._model}-{close.ts_ns}",
            )
        return forecasts
