"""The trainable forecasters: an LSTM and a transformer behind the `Model` protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from gammaray.models.dataset import N_TARGETS, FloatArray, WindowSet
from gammaray.models.networks import LstmCore, ScaledNetwork, TransformerCore
from gammaray.models.training import (
    EwcPenalty,
    TrainingConfig,
    diagonal_fisher,
    fit_network,
    start_linear_part,
    to_tensor,
)
from gammaray.models.windows import check_windows
from gammaray.operations.errors import BadInput


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Size of a network. heads and layers concern the transformer."""

    look_back: int = 20
    hidden: int = 32
    heads: int = 4
    layers: int = 2
    dropout: float = 0.2
    training: TrainingConfig = field(default_factory=TrainingConfig)


class TorchForecaster:
    """A scaled network with its features' names: fit, predict, save, load. Deterministic for a seed, one thread."""

    architecture: ClassVar[str]

    def __init__(
        self, feature_names: Sequence[str], feature_version: str, config: NetworkConfig | None = None, seed: int = 0
    ) -> None:
        self.feature_names = tuple(feature_names)
        self.feature_version = feature_version
        self.config = config or NetworkConfig()
        self.seed = seed
        self.fitted = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ScaledNetwork(len(self.feature_names), self._core(len(self.feature_names), self.config))
        self.network.eval()

    @staticmethod
    def _core(n_features: int, config: NetworkConfig) -> nn.Module:
        raise NotImplementedError

    @property
    def look_back(self) -> int:
        """Rows in a window."""
        return self.config.look_back

    def fit(self, training: WindowSet, validation: WindowSet | None = None) -> dict[str, float]:
        """Learn scaling and weights from `training`; `validation` decides when to stop. Returns figures of the fit.

        Raises BadInput when there are too few windows or a head has no known target.
        """
        self._check_trainable(training)
        inputs = training.inputs.reshape(-1, training.inputs.shape[2])
        raw = training.targets.copy()
        raw[:, 0] = np.log(raw[:, 0])
        self.network.set_scaling(
            to_tensor(inputs.mean(axis=0)),
            to_tensor(np.maximum(inputs.std(axis=0), 1e-8)),
            to_tensor(np.nanmean(raw, axis=0)),
            to_tensor(np.maximum(np.nanstd(raw, axis=0), 1e-8)),
        )
        start_linear_part(self.network, training)
        figures = fit_network(self.network, training, validation, self.config.training, self.seed)
        self.fitted = True
        return figures

    def continue_fit(
        self,
        training: WindowSet,
        validation: WindowSet | None,
        config: TrainingConfig,
        seed: int,
        weights: FloatArray | None = None,
        penalty: EwcPenalty | None = None,
    ) -> dict[str, float]:
        """Go on from the present weights and scaling (a warm start). weights: (m,) of the training windows."""
        self._check_trainable(training)
        return fit_network(self.network, training, validation, config, seed, weights, penalty)

    def consolidation(self, windows: WindowSet, strength: float) -> EwcPenalty:
        """The EWC penalty that holds later weights near the present ones, by their importance on `windows`."""
        fisher = diagonal_fisher(self.network, windows, self.config.training.huber_delta)
        anchor = {name: weight.detach().clone() for name, weight in self.network.named_parameters()}
        return EwcPenalty(strength, anchor, fisher)

    def predict(self, inputs: FloatArray) -> FloatArray:
        """Forecasts (m, 2) for windows (m, look_back, F), raw units. Raises BadInput for wrong shapes, NaN, or an unfitted model."""
        if not self.fitted:
            raise BadInput("model", "has not been fitted")
        check_windows(inputs, self.look_back, self.feature_names)
        with torch.no_grad():
            return np.asarray(self.network(to_tensor(inputs)).numpy(), dtype=np.float64)

    def clone(self) -> Self:
        """An independent copy with the same weights."""
        other = type(self)(self.feature_names, self.feature_version, self.config, self.seed)
        other.network.load_state_dict(self.network.state_dict())
        other.fitted = self.fitted
        return other

    def save(self, path: Path) -> None:
        """Write weights, scaling and configuration to one file."""
        torch.save(
            {
                "architecture": self.architecture,
                "feature_names": list(self.feature_names),
                "feature_version": self.feature_version,
                "config": asdict(self.config),
                "seed": self.seed,
                "state": self.network.state_dict(),
            },
            path,
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises BadInput when the file holds another architecture."""
        content = _read(path)
        if content["architecture"] != cls.architecture:
            raise BadInput("architecture", f"expected {cls.architecture!r}, was {content['architecture']!r} in {path}")
        return cls._from_content(content)

    @classmethod
    def _from_content(cls, content: dict[str, Any]) -> Self:
        settings = dict(content["config"])
        training = TrainingConfig(**settings.pop("training"))
        model = cls(
            content["feature_names"],
            content["feature_version"],
            NetworkConfig(**settings, training=training),
            content["seed"],
        )
        model.network.load_state_dict(content["state"])
        model.fitted = True
        return model

    def _check_trainable(self, training: WindowSet) -> None:
        check_windows(training.inputs, self.look_back, self.feature_names)
        if len(training) < 2:
            raise BadInput("training", f"needs at least 2 windows, has {len(training)}")
        if training.targets.shape != (len(training), N_TARGETS):
            raise BadInput("targets", f"expected shape {(len(training), N_TARGETS)}, was {training.targets.shape}")
        if not np.isfinite(training.targets).any(axis=0).all():
            raise BadInput("targets", "a head has no known target")


class LstmForecaster(TorchForecaster):
    """LSTM with attention pooling (Hochreiter and Schmidhuber 1997; bidirectional inside the look-back only)."""

    architecture = "lstm"

    @staticmethod
    def _core(n_features: int, config: NetworkConfig) -> nn.Module:
        return LstmCore(n_features, config.hidden, config.dropout)


class TransformerForecaster(TorchForecaster):
    """Pre-norm transformer encoder over the window (Vaswani et al. 2017; Xiong et al. 2020)."""

    architecture = "transformer"

    @staticmethod
    def _core(n_features: int, config: NetworkConfig) -> nn.Module:
        return TransformerCore(n_features, config.look_back, config.hidden, config.heads, config.layers, config.dropout)


ARCHITECTURES: dict[str, type[TorchForecaster]] = {
    LstmForecaster.architecture: LstmForecaster,
    TransformerForecaster.architecture: TransformerForecaster,
}


def architecture(name: str) -> type[TorchForecaster]:
    """The class of an architecture. Raises BadInput for an unknown name."""
    if name not in ARCHITECTURES:
        raise BadInput("architecture", f"unknown {name!r}; known: {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[name]


def load_forecaster(path: Path) -> TorchForecaster:
    """Read a saved forecaster of whichever architecture the file holds."""
    content = _read(path)
    return architecture(content["architecture"])._from_content(content)


def _read(path: Path) -> dict[str, Any]:
    content = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or "architecture" not in content:
        raise BadInput(str(path), "is not a saved forecaster")
    return content
