"""Ladders of early-exercise premiums: American positions priced on a grid of spot and volatility, to be interpolated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gammaray.pricing import scenarios_kernel as kernel
from gammaray.pricing.arguments import FloatArray
from gammaray.pricing.european import price

SPOT_NODES = kernel.Z_NODES
VOLATILITY_NODES = 9
NEVER = 1e3  # the logarithm of a boundary that no spot reaches


@dataclass(frozen=True, slots=True)
class Ladders:
    """The American less the European price of American positions, on a grid that follows their exercise boundary.

    Nodes lie at equal steps of log σ and of √z, where z = |log(spot/boundary)|/(σ√τ) goes from 0 to `kernel.LARGEST_Z`. Between
    them the premium is smooth, since the jump of its second derivative is at z = 0; beyond them it has died away; past the
    boundary the price is the exercise value. Cubics interpolate the premium and the boundary; the European part of the price is
    exact. So a ladder holds for any spot.

    `row` (n,) is the ladder of a position or -1; `premiums` (ladders, SPOT_NODES, VOLATILITY_NODES), dollars per unit; `log_boundaries`
    (ladders, VOLATILITY_NODES); `log_volatilities` (ladders, 2), first node and step. `error` (n,) is the largest miss of the
    interpolated price at the centres of the cells, where it is priced again. `shifts` is what the ladders were built for: rate shift,
    time shift, least and greatest volatility shift.
    """

    row: NDArray[np.int64]
    premiums: FloatArray
    log_boundaries: FloatArray
    log_volatilities: FloatArray
    error: FloatArray
    shifts: tuple[float, float, float, float]

    @classmethod
    def of(cls, columns: FloatArray, is_american: NDArray[np.bool_], scenarios: FloatArray) -> Ladders:
        """Ladders for the volatility moves of the scenarios, after their move of rates and time.

        Raises ValueError where American positions meet scenarios that do not all move rates and time alike.
        """
        count = columns.shape[1]
        row = np.full(count, -1, dtype=np.int64)
        error = np.zeros(count)
        which = np.flatnonzero(is_american)
        if which.size == 0 or scenarios.shape[2] == 0:
            return cls(row, np.empty((0, 4, 4)), np.empty((0, 4)), np.empty((0, 2)), error, (0.0, 0.0, 0.0, 0.0))
        from gammaray.pricing.american import exercise_boundary

        shifts = _shifts(scenarios)
        rate_shift, time_shift, lowest, highest = shifts
        chosen = columns[:, which].copy()
        chosen[kernel.TAU] = np.maximum(chosen[kernel.TAU] - time_shift, 0.0)
        chosen[kernel.RATE] += rate_shift
        least = np.maximum(chosen[kernel.VOLATILITY] + lowest, kernel.LEAST_VOLATILITY)
        first = np.log(least)
        step = np.log(np.maximum((chosen[kernel.VOLATILITY] + highest) / least, 1.02)) / (VOLATILITY_NODES - 1)
        log_sigma = first[:, None] + step[:, None] * np.arange(VOLATILITY_NODES)
        sign, strike, tau, rate, dividend = (
            chosen[k][:, None] for k in (kernel.SIGN, kernel.STRIKE, kernel.TAU, kernel.RATE, kernel.DIVIDEND)
        )
        boundaries = exercise_boundary(sign, strike, tau, rate, np.exp(log_sigma), dividend)
        with np.errstate(divide="ignore"):
            log_boundaries = np.clip(np.log(boundaries), -NEVER, NEVER)
        roots = np.linspace(0.0, np.sqrt(kernel.LARGEST_Z), SPOT_NODES)
        premiums = _premium(chosen, log_boundaries, np.exp(log_sigma), roots**2)
        row[which] = np.arange(which.size)
        # Priced again at the centres of the cells, on the interpolated boundary.
        across, along = _to_centres(SPOT_NODES), _to_centres(VOLATILITY_NODES)
        centres = (across @ roots) ** 2
        exact = _premium(chosen, log_boundaries @ along.T, np.exp(log_sigma @ along.T), centres)
        interpolated = np.einsum("ak,pkl,bl->pab", across, premiums, along, optimize=True)
        error[which] = np.abs(interpolated - exact).max(axis=(1, 2))
        return cls(row, premiums, log_boundaries, np.stack([first, step], axis=1), error, shifts)

    def check(self, is_american: NDArray[np.bool_], scenarios: FloatArray) -> None:
        """Raise ValueError unless these ladders are of these positions and cover the moves of the scenarios."""
        if self.row.shape != is_american.shape or not np.array_equal(self.row >= 0, is_american):
            raise ValueError("ladders: are of other positions")
        if not is_american.any() or scenarios.shape[2] == 0:
            return
        rate_shift, time_shift, lowest, highest = _shifts(scenarios)
        if (rate_shift, time_shift) != self.shifts[:2]:
            raise ValueError(
                f"ladders: are for rate and time shifts of {self.shifts[:2]}, was {(rate_shift, time_shift)}"
            )
        if lowest < self.shifts[2] - 1e-12 or highest > self.shifts[3] + 1e-12:
            raise ValueError(f"ladders: are for volatility shifts in {self.shifts[2:]}, was {(lowest, highest)}")


def _shifts(scenarios: FloatArray) -> tuple[float, float, float, float]:
    for plane, name in ((kernel.RATE_SHIFT, "rate_shift"), (kernel.TIME_SHIFT, "time_shift")):
        if np.any(scenarios[plane] != scenarios[plane, 0, 0]):
            raise ValueError(f"{name}: must be the same in all scenarios where positions are American")
    volatility = scenarios[kernel.VOLATILITY_SHIFT]
    return (
        float(scenarios[kernel.RATE_SHIFT, 0, 0]),
        float(scenarios[kernel.TIME_SHIFT, 0, 0]),
        float(volatility.min()),
        float(volatility.max()),
    )


def _premium(columns: FloatArray, log_boundaries: FloatArray, sigma: FloatArray, z: FloatArray) -> FloatArray:
    """American less European price, shape (positions, z, σ); zero where the boundary is out of reach."""
    from gammaray.pricing.american import american_price

    sign, strike, tau, rate, dividend = (
        columns[k][:, None, None] for k in (kernel.SIGN, kernel.STRIKE, kernel.TAU, kernel.RATE, kernel.DIVIDEND)
    )
    volatility = sigma[:, None, :]
    away = z[:, None] * volatility * np.sqrt(tau)
    reachable = np.abs(log_boundaries) < NEVER
    log_spot = np.where(reachable, log_boundaries, 0.0)[:, None, :] - sign * away
    spot = np.exp(np.clip(log_spot, -kernel.LARGEST_LOG / 2, kernel.LARGEST_LOG / 2))
    premium = american_price(sign, spot, strike, tau, rate, volatility, dividend) - price(
        sign, spot, strike, tau, rate, volatility, dividend
    )
    result: FloatArray = np.where(reachable[:, None, :], premium, 0.0)
    return result


def _to_centres(nodes: int) -> FloatArray:
    """Cubic interpolation from `nodes` equidistant nodes to the centres between them, as a matrix (nodes − 1, nodes)."""
    result = np.zeros((nodes - 1, nodes))
    for cell in range(nodes - 1):
        first = min(max(cell - 1, 0), nodes - 4)
        result[cell, first : first + 4] = kernel.cubic_weights(cell + 0.5 - first)
    return result
