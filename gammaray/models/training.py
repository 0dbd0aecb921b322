"""Gradient training of a scaled network: mini-batches, masked targets, early stopping, an optional pull towards earlier weights."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gammaray.models.dataset import FloatArray, WindowSet
from gammaray.models.networks import ScaledNetwork

# Penalties tried for the linear part, per window.
RIDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How a network is trained; epochs are an upper bound when there is a validation set."""

    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 5e-4
    weight_decay: float = 1e-2
    patience: int = 6
    huber_delta: float = 1.5


@dataclass(frozen=True, slots=True)
class EwcPenalty:
    """Elastic weight consolidation: ½ · strength · Σ F (θ − θ*)², with the diagonal Fisher information F at the anchor θ*.

    Source: Kirkpatrick et al., PNAS 114 (2017), equation 3.
    """

    strength: float
    anchor: dict[str, Tensor]
    fisher: dict[str, Tensor]

    def __call__(self, network: torch.nn.Module) -> Tensor:
        """The penalty for the network's present weights."""
        total = torch.zeros(())
        for name, weight in network.named_parameters():
            total = total + torch.sum(self.fisher[name] * (weight - self.anchor[name]) ** 2)
        return 0.5 * self.strength * total


def to_tensor(values: FloatArray) -> Tensor:
    """float32 tensor that shares nothing with `values`."""
    return torch.from_numpy(np.array(values, dtype=np.float32))


def scaled_targets(network: ScaledNetwork, targets: FloatArray) -> tuple[Tensor, Tensor]:
    """Targets (m, 2) as (log volatility, iv change) in deviations, and the mask of known ones."""
    raw = targets.copy()
    raw[:, 0] = np.log(raw[:, 0])
    known = torch.from_numpy(np.isfinite(raw))
    values = (to_tensor(np.where(np.isfinite(raw), raw, 0.0)) - network.target_mean) / network.target_scale
    return values, known


def masked_huber(forecast: Tensor, target: Tensor, known: Tensor, weight: Tensor, delta: float) -> Tensor:
    """Weighted mean over known targets of the Huber loss, each head with the same share."""
    error = torch.nn.functional.huber_loss(forecast, target, reduction="none", delta=delta)
    mass = known * weight[:, None]
    per_head = torch.sum(error * mass, dim=0) / torch.clamp(torch.sum(mass, dim=0), min=1e-12)
    heads = torch.clamp(torch.sum(torch.any(known, dim=0)), min=1)
    return torch.sum(per_head) / heads


def start_linear_part(network: ScaledNetwork, training: WindowSet) -> None:
    """Set the linear part to the ridge regression of the scaled targets on the scaled last row, each head on its known targets.

    The penalty of each head is the largest of `RIDGES` whose leave-one-out error is within a standard error of the least (Hastie, Tibshirani and
    Friedman, The Elements of Statistical Learning (2009), section 7.10).
    """
    with torch.no_grad():
        rows = network.scaled_features(to_tensor(training.inputs[:, -1, :])).double()
        target, known = scaled_targets(network, training.targets)
        for head in range(target.shape[1]):
            x, y = rows[known[:, head]], target[known[:, head], head].double()
            mean, level = x.mean(dim=0), y.mean()
            u, singular, basis = torch.linalg.svd(x - mean, full_matrices=False)
            along = u.T @ (y - level)
            errors, solutions = [], []
            for ridge in RIDGES:
                shrink = singular**2 / (singular**2 + ridge * len(x))
                leverage = u**2 @ shrink + 1.0 / len(x)
                residual = (y - level) - u @ (shrink * along)
                errors.append((residual / torch.clamp(1.0 - leverage, min=1e-6)) ** 2)
                solutions.append(basis.T @ (shrink / torch.clamp(singular, min=1e-12) * along))
            means = torch.stack([torch.mean(error) for error in errors])
            least = int(torch.argmin(means))
            bar = means[least] + torch.std(errors[least]) / math.sqrt(len(x))
            coefficients = solutions[int(torch.nonzero(means <= bar).max())]
            network.linear.weight[head] = coefficients.float()
            network.linear.bias[head] = (level - mean @ coefficients).float()


def fit_network(
    network: ScaledNetwork,
    training: WindowSet,
    validation: WindowSet | None,
    config: TrainingConfig,
    seed: int,
    weights: FloatArray | None = None,
    penalty: EwcPenalty | None = None,
) -> dict[str, float]:
    """Train in place and return {"epochs", "best_epoch", "training_loss", "validation_loss"}.

    With `validation` the weights of its best epoch are kept, and training ends after `patience` epochs without a better one. Without it all
    epochs are run. weights: (m,) relative weight of each training window. One thread, deterministic for a seed.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # dropout draws from the global generator
    inputs = to_tensor(training.inputs)
    target, known = scaled_targets(network, training.targets)
    weight = torch.ones(len(training)) if weights is None else to_tensor(weights)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * math.ceil(len(training) / config.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=max(steps, 1))
    best_loss, best_epoch, best = math.inf, -1, copy.deepcopy(network.state_dict())
    if validation is not None and len(validation):
        check_inputs = to_tensor(validation.inputs)
        check_target, check_known = scaled_targets(network, validation.targets)
        check_weight = torch.ones(len(validation))
        # A warm start that no epoch improves on is kept as it is.
        best_loss = _loss(network, check_inputs, check_target, check_known, check_weight, config)
    epoch, mean_loss = 0, math.nan
    for epoch in range(1, config.epochs + 1):
        network.train()
        order = torch.randperm(len(training), generator=generator)
        total = 0.0
        for start in range(0, len(training), config.batch_size):
            rows = order[start : start + config.batch_size]
            optimiser.zero_grad()
            loss = masked_huber(
                network.scaled_forecast(inputs[rows]), target[rows], known[rows], weight[rows], config.huber_delta
            )
            if penalty is not None:
                loss = loss + penalty(network)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        mean_loss = total / len(training)
        if validation is None or not len(validation):
            continue
        check = _loss(network, check_inputs, check_target, check_known, check_weight, config)
        if check < best_loss:
            best_loss, best_epoch, best = check, epoch, copy.deepcopy(network.state_dict())
        elif epoch - max(best_epoch, 0) >= config.patience:
            break
    if validation is not None and len(validation):
        network.load_state_dict(best)
    network.eval()
    return {
        "epochs": float(epoch),
        "best_epoch": float(max(best_epoch, 0) if validation is not None else epoch),
        "training_loss": mean_loss,
        "validation_loss": best_loss if validation is not None else math.nan,
    }


def diagonal_fisher(
    network: ScaledNetwork, windows: WindowSet, huber_delta: float, limit: int = 128
) -> dict[str, Tensor]:
    """Diagonal empirical Fisher information of every parameter: mean of squared gradients of the loss over single windows.

    At most `limit` windows are used, evenly spaced in time.
    """
    torch.set_num_threads(1)
    network.eval()
    rows = np.unique(np.linspace(0, len(windows) - 1, min(limit, len(windows))).astype(np.int64))
    chosen = windows.take(rows)
    inputs = to_tensor(chosen.inputs)
    target, known = scaled_targets(network, chosen.targets)
    one = torch.ones(1)
    fisher = {name: torch.zeros_like(weight) for name, weight in network.named_parameters()}
    for row in range(len(chosen)):
        network.zero_grad()
        at = slice(row, row + 1)
        loss = masked_huber(network.scaled_forecast(inputs[at]), target[at], known[at], one, huber_delta)
        loss.backward()  # type: ignore[no-untyped-call]
        for name, weight in network.named_parameters():
            if weight.grad is not None:
                fisher[name] += weight.grad.detach() ** 2
    network.zero_grad()
    return {name: total / len(chosen) for name, total in fisher.items()}


def _loss(
    network: ScaledNetwork, inputs: Tensor, target: Tensor, known: Tensor, weight: Tensor, config: TrainingConfig
) -> float:
    network.eval()
    with torch.no_grad():
        return float(masked_huber(network.scaled_forecast(inputs), target, known, weight, config.huber_delta))
