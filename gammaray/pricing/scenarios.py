"""Full revaluation: the value of a book of options under many scenarios, without a matrix where only its sums are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gammaray.pricing import scenarios_kernel as kernel
from gammaray.pricing.arguments import Domain, FloatArray, broadcast, first_index
from gammaray.pricing.ladders import Ladders
from gammaray.pricing.threads import in_threads

Reduction = Literal["none", "total", "underlying", "statistics"]

_SCENARIO_DOMAINS = {
    "spot_shift": Domain.FINITE,
    "volatility_shift": Domain.FINITE,
    "rate_shift": Domain.FINITE,
    "time_shift": Domain.FINITE,
}


@dataclass(frozen=True, slots=True)
class Positions:
    """A book of n options, columns of shape (n,); make it with `Positions.of`.

    `quantity` is signed and in units of the underlying (contracts times multiplier); `underlying` an index from 0 that
    picks the scenario's column of the position; `is_american` whether the position may be exercised early.
    """

    columns: FloatArray
    underlying: NDArray[np.int64]
    is_american: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        right: ArrayLike,
        spot: ArrayLike,
        strike: ArrayLike,
        tau: ArrayLike,
        rate: ArrayLike,
        volatility: ArrayLike,
        dividend_yield: ArrayLike = 0.0,
        *,
        quantity: ArrayLike = 1.0,
        underlying: ArrayLike = 0,
        is_american: ArrayLike = False,
    ) -> Positions:
        """Positions from arguments that broadcast to one dimension; units and errors as for `gammaray.pricing.price`."""
        inputs = broadcast(
            right=right,
            spot=spot,
            strike=strike,
            tau=tau,
            rate=rate,
            volatility=volatility,
            dividend_yield=dividend_yield,
            quantity=quantity,
            underlying=np.asarray(underlying, dtype=np.float64),
            is_american=np.asarray(is_american, dtype=np.float64),
        )
        if len(inputs.shape) > 1:
            raise ValueError(f"positions: expected arguments of at most one dimension, was {inputs.shape}")
        *columns, group, american = inputs.columns
        indices = group.astype(np.int64)
        if np.any(wrong := (indices != group) | (indices < 0)):
            index = first_index(wrong)
            raise ValueError(f"underlying[{index[0]}]: expected an index from 0, was {group[index]}")
        with np.errstate(divide="ignore", invalid="ignore"):
            log_moneyness = np.log(columns[1]) - np.log(columns[2])
            near = np.abs(columns[1] - columns[2]) < 0.5 * columns[2]
            log_moneyness[near] = np.log1p((columns[1] - columns[2])[near] / columns[2][near])
        log_moneyness = np.nan_to_num(np.clip(log_moneyness, -kernel.LARGEST_LOG, kernel.LARGEST_LOG), nan=0.0)
        return cls(np.stack([*columns, log_moneyness]), indices, american != 0.0)

    @property
    def size(self) -> int:
        """The number of positions."""
        return int(self.columns.shape[1])

    def values(self) -> FloatArray:
        """What each position is worth now, dollars, shape (n,): revaluation under one scenario in which nothing moves."""
        underlyings = int(self.underlying.max()) + 1 if self.size else 1
        return revalue(self, Scenarios.of(np.zeros((1, underlyings))))[:, 0]


@dataclass(frozen=True, slots=True)
class Scenarios:
    """m joint moves of u underlyings; make it with `Scenarios.of`. `planes` is of shape (5, u, m)."""

    planes: FloatArray

    @classmethod
    def of(
        cls,
        spot_shift: ArrayLike,
        volatility_shift: ArrayLike = 0.0,
        rate_shift: ArrayLike = 0.0,
        time_shift: ArrayLike = 0.0,
    ) -> Scenarios:
        """Scenarios from arguments of shape (m,), or (m, u) with a column for each underlying; they broadcast.

        Args:
            spot_shift: relative: -0.2 is a fall of the spot by a fifth; at least -1.
            volatility_shift: added to the volatility, which stops at zero.
            rate_shift: added to the rate.
            time_shift: years that pass; an option does not live beyond its expiry.
        """
        inputs = broadcast(
            domains=_SCENARIO_DOMAINS,
            spot_shift=spot_shift,
            volatility_shift=volatility_shift,
            rate_shift=rate_shift,
            time_shift=time_shift,
        )
        if len(inputs.shape) not in (1, 2):
            raise ValueError(f"scenarios: expected arguments of shape (m,) or (m, underlyings), was {inputs.shape}")
        count, width = inputs.shape if len(inputs.shape) == 2 else (inputs.shape[0], 1)
        spot, volatility, rate, time = (column.reshape(count, width).T for column in inputs.columns)
        if np.any(spot < -1.0):
            index = first_index((spot < -1.0).T)
            raise ValueError(f"spot_shift[{index[0]}]: expected at least -1, was {spot.T[index]}")
        with np.errstate(divide="ignore"):
            log_factor = np.maximum(np.log1p(spot), -kernel.LARGEST_LOG)
        return cls(np.stack([1.0 + spot, log_factor, volatility, rate, time]))

    @property
    def size(self) -> int:
        """The number of scenarios."""
        return int(self.planes.shape[2])

    @property
    def underlyings(self) -> int:
        """The number of underlyings that move on their own; 1 where all positions share the moves."""
        return int(self.planes.shape[1])

    @property
    def moves_rates(self) -> bool:
        """Whether any scenario moves a rate or lets time pass."""
        return bool(self.planes[kernel.RATE_SHIFT :].any())


@dataclass(frozen=True, slots=True)
class RevaluationStatistics:
    """What is left of a revaluation without its matrix, in dollars.

    `total` (m,): the book under each scenario; `by_underlying` (u, m); `least`, `greatest`, `mean` (n,): each position over the
    scenarios; `interpolation_error`: the sum over positions of the largest miss measured between the nodes of their ladders; zero without
    American positions.
    """

    total: FloatArray
    by_underlying: FloatArray
    least: FloatArray
    greatest: FloatArray
    mean: FloatArray
    interpolation_error: float


@overload
def revalue(
    positions: Positions,
    scenarios: Scenarios,
    *,
    reduce: Literal["none", "total", "underlying"] = "none",
    ladders: Ladders | None = None,
    threads: int = 1,
) -> FloatArray: ...


@overload
def revalue(
    positions: Positions,
    scenarios: Scenarios,
    *,
    reduce: Literal["statistics"],
    ladders: Ladders | None = None,
    threads: int = 1,
) -> RevaluationStatistics: ...


def revalue(
    positions: Positions,
    scenarios: Scenarios,
    *,
    reduce: Reduction = "none",
    ladders: Ladders | None = None,
    threads: int = 1,
) -> FloatArray | RevaluationStatistics:
    """Value every position under every scenario by its pricing formula.

    Args:
        positions: n options; with scenarios of one column all positions share it.
        scenarios: m joint moves.
        reduce: "none" for the matrix of position values (n, m); "total" for the value of the book (m,); "underlying" for that of
            each underlying (u, m); "statistics" for these and the extremes of each position. Only "none" holds n·m numbers.
        ladders: of early-exercise premiums of the American positions, to use again; built for these scenarios where not given.
        threads: how many threads may share the positions.

    Returns:
        Dollars: price times quantity. Profit and loss is the difference to `positions.values()`.

    Raises:
        ValueError: when a position's `underlying` has no column in the scenarios, or `ladders` do not cover them.
    """
    if reduce not in ("none", "total", "underlying", "statistics"):
        raise ValueError(f"reduce: expected 'none', 'total', 'underlying' or 'statistics', was {reduce!r}")
    group = positions.underlying
    if scenarios.underlyings > 1:
        if np.any(outside := group >= scenarios.underlyings):
            index = first_index(outside)[0]
            raise ValueError(f"underlying[{index}]: scenarios have {scenarios.underlyings} columns, was {group[index]}")
    else:
        group = np.zeros_like(group)
    if ladders is None:
        ladders = Ladders.of(positions.columns, positions.is_american, scenarios.planes)
    else:
        ladders.check(positions.is_american, scenarios.planes)
    n, m, u = positions.size, scenarios.size, scenarios.underlyings
    statistics = reduce == "statistics"
    matrix = np.empty((n, m) if reduce == "none" else (0, 0))
    extremes = np.empty((3, n) if statistics else (0, 0))
    moves_rates = scenarios.moves_rates
    book = ladders

    def rows(start: int, stop: int) -> FloatArray:
        totals = np.zeros((u, m) if reduce != "none" else (0, 0))
        kernel.revalue_rows(
            positions.columns,
            group,
            scenarios.planes,
            moves_rates,
            book.row,
            book.premiums,
            book.log_boundaries,
            book.log_volatilities,
            start,
            stop,
            matrix,
            totals,
            extremes,
        )
        return totals

    totals = sum(in_threads(rows, n, threads, smallest=256))
    if reduce == "none":
        return matrix
    assert isinstance(totals, np.ndarray)
    if reduce == "underlying":
        return totals
    total: FloatArray = totals.sum(axis=0)
    if reduce == "total":
        return total
    error = float(np.abs(positions.columns[kernel.QUANTITY]) @ ladders.error)
    return RevaluationStatistics(total, totals, extremes[0], extremes[1], extremes[2], error)
