"""Full revaluation of a book beside its peers.

    python -m benchmarks.pricing_scenarios [--positions N] [--scenarios M]

European positions under joint moves of spot and volatility, summed to the value of the book per scenario. The peers work
in blocks of positions that fit the cache, which is the quickest that numpy and torch do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Comparison, peer, report, single_threaded

single_threaded()

import numpy as np  # noqa: E402
from scipy.special import ndtr  # noqa: E402

from gammaray import pricing  # noqa: E402
from gammaray.pricing.ladders import Ladders  # noqa: E402
from gammaray.pricing.scenarios import Positions, Scenarios, revalue  # noqa: E402

SPOT, RATE, YIELD = 100.0, 0.03, 0.01
BLOCK = 16  # positions


def book(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "right": np.where(rng.random(n) < 0.5, 1.0, -1.0),
        "strike": rng.uniform(70, 130, n),
        "tau": rng.uniform(0.01, 2, n),
        "volatility": rng.uniform(0.1, 0.6, n),
        "quantity": 100.0 * rng.integers(-50, 51, n),
    }


def array_totals(library: Any, cdf: Callable[[Any], Any], columns: dict[str, Any], factor: Any, shift: Any) -> Any:
    """The value of the book by the formula over blocks of positions, in numpy or torch; logarithms hoisted."""
    total = library.zeros_like(factor)
    log_factor = library.log(factor)
    n = columns["strike"].shape[0]
    for first in range(0, n, BLOCK):
        right, strike, tau, volatility, quantity = (c[first : first + BLOCK, None] for c in columns.values())
        root = library.sqrt(tau)
        strike_pv = strike * library.exp(-RATE * tau)
        moved = volatility + shift
        s = (moved * (moved > 0)) * root + 1e-16
        h = (library.log(SPOT / strike) + (RATE - YIELD) * tau + log_factor) / s
        spot_pv = SPOT * library.exp(-YIELD * tau) * factor
        price = right * (spot_pv * cdf(right * (h + 0.5 * s)) - strike_pv * cdf(right * (h - 0.5 * s)))
        total = total + (quantity * price).sum(0)
    return total


def jax_totals(columns: dict[str, np.ndarray], factor: np.ndarray, shift: np.ndarray) -> Callable[[], Any] | None:
    """The formula over the whole matrix, fused by XLA; None where jax is not installed."""
    jax = peer("jax")
    if jax is None:
        return None
    jax.config.update("jax_enable_x64", True)
    library, cdf = jax.numpy, jax.scipy.special.ndtr

    @jax.jit
    def totals(right: Any, strike: Any, tau: Any, volatility: Any, quantity: Any, factor: Any, shift: Any) -> Any:
        s = library.maximum(volatility + shift, 0.0) * library.sqrt(tau) + 1e-16
        h = (library.log(SPOT / strike) + (RATE - YIELD) * tau + library.log(factor)) / s
        spot_pv, strike_pv = SPOT * library.exp(-YIELD * tau) * factor, strike * library.exp(-RATE * tau)
        price = right * (spot_pv * cdf(right * (h + 0.5 * s)) - strike_pv * cdf(right * (h - 0.5 * s)))
        return (quantity * price).sum(0)

    arguments = [library.asarray(c[:, None]) for c in columns.values()] + [
        library.asarray(factor),
        library.asarray(shift),
    ]
    return lambda: totals(*arguments).block_until_ready()


def compare(n: int, m: int) -> list[Comparison]:
    """European totals beside numpy and torch; American ladders beside pricing every pair."""
    columns = book(n)
    rng = np.random.default_rng(4)
    spot_shift, volatility_shift = rng.normal(0, 0.03, m), rng.normal(0, 0.02, m)
    rest = {k: columns[k] for k in ("strike", "tau", "volatility")}
    positions = Positions.of(
        columns["right"],
        SPOT,
        rest["strike"],
        rest["tau"],
        RATE,
        rest["volatility"],
        YIELD,
        quantity=columns["quantity"],
    )
    scenarios = Scenarios.of(spot_shift, volatility_shift)

    european = Comparison(f"value of the book, {n:,} European positions × {m:,} scenarios", n * m, repeats=5)
    ours = european.time("gammaray", lambda: revalue(positions, scenarios, reduce="total"))
    scale = np.abs(columns["quantity"]).sum() * SPOT

    def difference(values: np.ndarray) -> str:
        return f"largest difference {np.max(np.abs(values - ours)) / scale:.0e} of the book's gross notional"

    theirs = european.time(
        "numpy + scipy ndtr", lambda: array_totals(np, ndtr, columns, 1 + spot_shift, volatility_shift)
    )
    european.note(difference(theirs))
    torch = peer("torch")
    if torch is None:
        european.missing("torch")
    else:
        torch.set_num_threads(1)
        tensors = {k: torch.from_numpy(v) for k, v in columns.items()}
        moves = torch.from_numpy(1 + spot_shift), torch.from_numpy(volatility_shift)
        theirs = european.time("torch, one thread", lambda: array_totals(torch, torch.special.ndtr, tensors, *moves))
        european.note(difference(theirs.numpy()))
    work = jax_totals(columns, 1 + spot_shift, volatility_shift)
    if work is None:
        european.missing("jax")
    else:
        european.note(difference(np.asarray(european.time("jax, compiled", work, note="CPU time of all its threads"))))
    european.time("gammaray, the whole matrix", lambda: revalue(positions, scenarios))
    european.time(
        "gammaray, two threads",
        lambda: revalue(positions, scenarios, reduce="total", threads=2),
        wall=True,
        note="wall clock",
    )

    few = max(1, n // 100)
    american = Positions.of(
        columns["right"][:few],
        SPOT,
        *(rest[k][:few] for k in ("strike", "tau")),
        RATE,
        rest["volatility"][:few],
        YIELD,
        is_american=True,
    )
    ladders = Ladders.of(american.columns, american.is_american, scenarios.planes)
    early = Comparison(f"{few:,} American positions × {m:,} scenarios", few * m, repeats=3)
    interpolated = early.time("gammaray, ladders at hand", lambda: revalue(american, scenarios, ladders=ladders))
    early.time(
        "gammaray, building the ladders", lambda: Ladders.of(american.columns, american.is_american, scenarios.planes)
    )
    exact = early.time(
        "gammaray, american_price of every pair",
        lambda: pricing.american_price(
            columns["right"][:few, None],
            SPOT * (1 + spot_shift),
            rest["strike"][:few, None],
            rest["tau"][:few, None],
            RATE,
            np.maximum(rest["volatility"][:few, None] + volatility_shift, 0.0),
            YIELD,
        ),
    )
    miss = np.abs(interpolated - exact)
    early.note(f"ladders differ by {np.sqrt(np.mean(miss**2)):.0e} rms, {miss.max():.0e} at most, of a spot of 100")
    return [european, early]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--positions", type=int, default=10_000)
    parser.add_argument("--scenarios", type=int, default=1_000)
    arguments = parser.parse_args()
    report("pricing_scenarios", compare(arguments.positions, arguments.scenarios))


if __name__ == "__main__":
    main()
