"""The table from which the iteration for the exercise boundary starts.

In units of the strike and variance time the boundary depends on t = σ²τ, a = r/σ² and b = q/σ² alone. The table holds −log(B/X)/√t at the
Chebyshev nodes, on a grid uniform in log t, log a and √|1 − b/a| (b ≤ a) or √log(b/a) (b > a), and is interpolated cubically. It is within
about 1e-3 of the boundary, which one sweep of the iteration takes to 1e-4. Making it takes a fraction of a second, once a process.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from gammaray.pricing import american_boundary
from gammaray.pricing.american_collocation import GUESS_NODES, collocation
from gammaray.pricing.arguments import FloatArray

TIMES, RATES, RATIOS = 24, 16, 12
LOG_TIME = (np.log(1e-5), np.log(10.0))
LOG_RATE = (np.log(1e-2), np.log(1e2))
LARGEST_SHAPE = 2.2  # √log(b/a): a yield of 126 times the rate


@cache
def guess_table() -> tuple[FloatArray, FloatArray]:
    """The table, shape (2, TIMES, RATES, RATIOS, GUESS_NODES), and its axes: origin and steps by unit of log t and of log a, steps by unit of
    the two shapes."""
    times = np.linspace(*LOG_TIME, TIMES)
    rates = np.linspace(*LOG_RATE, RATES)
    t, a, shape = np.meshgrid(np.exp(times), np.exp(rates), np.linspace(0.0, 1.0, RATIOS), indexing="ij")
    time = np.concatenate([t.ravel(), t.ravel()])
    rate = np.concatenate([a.ravel(), a.ravel()])
    ratio = np.concatenate([1.0 - shape.ravel() ** 2, np.exp((LARGEST_SHAPE * shape.ravel()) ** 2)])
    logs = american_boundary.boundaries(collocation("accurate"), time, rate, rate * ratio)
    table = (-logs / np.sqrt(time)[:, None]).reshape(2, TIMES, RATES, RATIOS, GUESS_NODES)
    axes = np.array(
        [
            LOG_TIME[0],
            (TIMES - 1) / (LOG_TIME[1] - LOG_TIME[0]),
            LOG_RATE[0],
            (RATES - 1) / (LOG_RATE[1] - LOG_RATE[0]),
            RATIOS - 1.0,
            (RATIOS - 1) / LARGEST_SHAPE,
        ]
    )
    return np.ascontiguousarray(table), axes
