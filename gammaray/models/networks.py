"""The two small networks, with scaling inside, so that what is exported takes raw features and returns raw units.

Both add their output to a linear map of the window's last row: with a few thousand noisy rows the linear part (close to a HAR regression)
carries most of what can be learnt, and the sequence part only has to learn what is left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gammaray.models.dataset import N_TARGETS

# Scaled features are cut here: a value six deviations out says "extreme", and its exact size must not blow the forecast up.
CLIP = 6.0
# Forecasts of log volatility stay within these annual volatilities.
MIN_VOLATILITY, MAX_VOLATILITY = 0.005, 4.0


class ScaledNetwork(nn.Module):
    """Raw window (m, look_back, F) → raw forecasts (m, 2): annual realised volatility and change of implied volatility."""

    feature_mean: Tensor
    feature_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, n_features: int, core: nn.Module) -> None:
        super().__init__()
        self.core = core
        self.linear = nn.Linear(n_features, N_TARGETS)
        self.register_buffer("feature_mean", torch.zeros(n_features))
        self.register_buffer("feature_scale", torch.ones(n_features))
        self.register_buffer("target_mean", torch.zeros(N_TARGETS))
        self.register_buffer("target_scale", torch.ones(N_TARGETS))

    def set_scaling(
        self, feature_mean: Tensor, feature_scale: Tensor, target_mean: Tensor, target_scale: Tensor
    ) -> None:
        """Store means and deviations of features and of targets (log volatility, iv change)."""
        self.feature_mean.copy_(feature_mean)
        self.feature_scale.copy_(feature_scale)
        self.target_mean.copy_(target_mean)
        self.target_scale.copy_(target_scale)

    def scaled_features(self, features: Tensor) -> Tensor:
        """Features (…, F) in deviations, extremes cut."""
        return torch.clamp((features - self.feature_mean) / self.feature_scale, -CLIP, CLIP)

    def scaled_forecast(self, window: Tensor) -> Tensor:
        """Forecasts (m, 2) in units of the targets' deviations; what the loss is taken on."""
        scaled = self.scaled_features(window)
        out: Tensor = self.core(scaled) + self.linear(scaled[:, -1, :])
        return out

    def forward(self, window: Tensor) -> Tensor:
        """Forecasts (m, 2) in raw units."""
        raw = self.scaled_forecast(window) * self.target_scale + self.target_mean
        log_volatility = torch.clamp(raw[:, 0:1], math.log(MIN_VOLATILITY), math.log(MAX_VOLATILITY))
        return torch.cat([torch.exp(log_volatility), raw[:, 1:2]], dim=1)


class LstmCore(nn.Module):
    """LSTM, bidirectional inside the look-back window only, pooled by attention over its rows."""

    def __init__(self, n_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_features, hidden, num_layers=1, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * hidden, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, N_TARGETS)
        _start_at_zero(self.head)

    def forward(self, window: Tensor) -> Tensor:
        """(m, L, F) → (m, 2)."""
        states, _ = self.lstm(window)
        weights = torch.softmax(self.attention(states), dim=1)
        pooled = torch.sum(weights * states, dim=1)
        out: Tensor = self.head(self.dropout(pooled))
        return out


class TransformerCore(nn.Module):
    """Transformer encoder (pre-norm) over the rows of the window with a learnt position for each; the last row's state is read."""

    def __init__(self, n_features: int, look_back: int, hidden: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Linear(n_features, hidden)
        self.position = nn.Parameter(torch.randn(look_back, hidden) * 0.02)
        layer = nn.TransformerEncoderLayer(
            hidden, heads, 2 * hidden, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(hidden), enable_nested_tensor=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, N_TARGETS)
        _start_at_zero(self.head)

    def forward(self, window: Tensor) -> Tensor:
        """(m, L, F) → (m, 2)."""
        states = self.encoder(self.embedding(window) + self.position)
        out: Tensor = self.head(self.dropout(states[:, -1, :]))
        return out


def _start_at_zero(layer: nn.Linear) -> None:
    """Make the network start as its linear part alone."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
