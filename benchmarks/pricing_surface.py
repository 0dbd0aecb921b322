"""Volatility smiles and surfaces beside what else can fit them: CPU time of one thread.

    python -m benchmarks.pricing_surface [--data DIR]

A smile of 25 strikes is fitted by raw SVI; the rivals get the same points. A whole chain of the size of SPX is fitted from its raw rows: that of
2019-05-14 where --data names the folder of recorded data, else a generated one. The rival there is the linear programme that only looks
for one convex curve through the quotes of each expiry, with a general solver, and gives neither smoothness nor order in time nor tails.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.harness import Comparison, peer, report, single_threaded

single_threaded()

import numpy as np  # noqa: E402
from scipy.optimize import least_squares, linprog, minimize  # noqa: E402
from scipy.sparse import coo_matrix, vstack  # noqa: E402

from benchmarks.surface_chains import generated_chain, spx_days  # noqa: E402
from gammaray.pricing.surface import (  # noqa: E402
    ChainQuotes,
    PreparedChain,
    SviSmile,
    VolatilitySurface,
    fit_svi,
    prepare_chain,
)

TRUE = SviSmile(a=0.004, b=0.05, rho=-0.55, m=0.02, sigma=0.09)


def one_smile() -> Comparison:
    """25 strikes with noise of half a volatility point."""
    k = np.linspace(-0.5, 0.35, 25)
    w = TRUE.total_variance(k) * (1.0 + 0.02 * np.random.default_rng(1).standard_normal(25))
    comparison = Comparison("raw SVI, 25 strikes (per fit)", 1, repeats=30)

    def rmse(parameters: Any) -> str:
        return f"RMSE {np.sqrt(np.mean((SviSmile(*parameters).total_variance(k) - w) ** 2)):.3e}"

    fitted = comparison.time("gammaray, cold", lambda: fit_svi(k, w))
    comparison.note(f"{rmse(fitted.parameters())}, no butterfly arbitrage")
    warm = comparison.time("gammaray, from the last fit", lambda: fit_svi(k, w, start=fitted))
    comparison.note(rmse(warm.parameters()))

    start = np.array([0.5 * w.min(), 0.1, -0.3, 0.0, 0.1])

    def residuals(p: np.ndarray) -> np.ndarray:
        return p[0] + p[1] * (p[2] * (k - p[3]) + np.sqrt((k - p[3]) ** 2 + p[4] ** 2)) - w

    bounds = ([-1.0, 1e-6, -0.999, -1.0, 1e-4], [1.0, 2.0, 0.999, 1.0, 2.0])
    rival = comparison.time(
        "scipy least_squares", lambda: least_squares(residuals, start, bounds=bounds, x_scale=[0.01, 0.1, 1, 0.1, 0.1])
    )
    comparison.note(rmse(rival.x))
    rival = comparison.time(
        "scipy Nelder–Mead",
        lambda: minimize(
            lambda p: float(np.sum(residuals(p) ** 2)), start, method="Nelder-Mead", options={"maxiter": 2000}
        ),
    )
    comparison.note(rmse(rival.x))
    ql: Any = peer("QuantLib")
    if ql is None:
        comparison.missing("QuantLib SviInterpolatedSmileSection")
    else:
        _quantlib(ql, comparison, k, w, rmse)
    comparison.missing("stochastic-rs", "not installed; 54 µs in shared/pricing.md")
    comparison.missing("svi-py", "not installed; 7.6 ms in shared/pricing.md")
    return comparison


def _quantlib(ql: Any, comparison: Comparison, k: np.ndarray, w: np.ndarray, rmse: Any) -> None:
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    strikes, volatilities = list(100.0 * np.exp(k)), list(np.sqrt(w))

    def work() -> list[float]:
        section = ql.SviInterpolatedSmileSection(
            today + 365, 100.0, strikes, False, float(np.sqrt(np.interp(0.0, k, w))), volatilities,
            0.01, 0.1, 0.1, -0.3, 0.0, False, False, False, False, False, True,
            ql.EndCriteria(5000, 500, 1e-12, 1e-12, 1e-12), ql.LevenbergMarquardt(), ql.Actual365Fixed(),
        )  # fmt: skip
        return [section.a(), section.b(), section.rho(), section.m(), section.sigma()]

    try:
        comparison.note(rmse(comparison.time("QuantLib SviInterpolatedSmileSection", work)))
    except (RuntimeError, TypeError, AttributeError) as error:
        comparison.missing("QuantLib SviInterpolatedSmileSection", str(error).splitlines()[0][:80])


def whole_chain(name: str, quotes: ChainQuotes) -> Comparison:
    """From raw rows to a fitted surface."""
    comparison = Comparison(f"{name}: {len(quotes):,} rows to a surface (per surface)", 1, repeats=9)

    def told(surface: VolatilitySurface) -> str:
        fit = surface.fit_report()
        return f"{len(fit.expiries)} expiries, {100 * fit.liquid_inside_share:.2f} % of {fit.liquid:,} liquid quotes inside"

    surface = comparison.time("gammaray arbitrage_free, cold", lambda: VolatilitySurface.from_quotes(quotes))
    comparison.note(told(surface))
    comparison.note(told(comparison.time("gammaray arbitrage_free, warm refit", lambda: surface.refit(quotes))))
    for method in ("essvi", "ssvi", "svi"):
        comparison.note(
            told(comparison.time(f"gammaray {method}, cold", lambda m=method: VolatilitySurface.from_quotes(quotes, m)))
        )
    chain = prepare_chain(quotes)
    comparison.repeats = 2
    inside = comparison.time("linear programme per expiry (HiGHS)", lambda: convex_curves(chain))
    comparison.note(f"{100 * inside:.2f} % of the liquid quotes inside; from prepared quotes")
    return comparison


def convex_curves(chain: PreparedChain) -> float:
    """Share of liquid quotes inside the spread of the convex decreasing call prices with the least excess, expiry by expiry."""
    inside = 0
    for i in range(chain.tau.shape[0]):
        rows = chain.expiry(i)
        x = np.exp(chain.k[rows])
        intrinsic = np.maximum(1.0 - x, 0.0)
        bid, ask, liquid = chain.bid[rows] + intrinsic, chain.ask[rows] + intrinsic, chain.liquid[rows]
        n = x.size
        step = np.diff(x)
        at = np.arange(n - 2)
        convex = coo_matrix(
            (
                np.concatenate([-1 / step[:-1], 1 / step[:-1] + 1 / step[1:], -1 / step[1:]]),
                (np.tile(at, 3), np.concatenate([at, at + 1, at + 2])),
            ),
            shape=(n - 2, 2 * n),
        )
        ends = coo_matrix(
            ([1.0 / step[0], -1.0 / step[0], -1.0, 1.0], ([0, 0, 1, 1], [0, 1, n - 2, n - 1])), shape=(2, 2 * n)
        )
        every = np.arange(n)
        below = coo_matrix(
            (np.full(2 * n, -1.0), (np.tile(every, 2), np.concatenate([every, every + n]))), shape=(n, 2 * n)
        )
        above = coo_matrix(
            (np.concatenate([np.ones(n), -np.ones(n)]), (np.tile(every, 2), np.concatenate([every, every + n]))),
            shape=(n, 2 * n),
        )
        solution = linprog(
            np.concatenate([np.zeros(n), 1.0 / (ask - bid + 1e-12)]),
            A_ub=vstack([convex, ends, below, above]),
            b_ub=np.concatenate([np.zeros(n - 2), [1.0, 0.0], -bid, ask]),
            bounds=[(0.0, 1.0)] * n + [(0.0, None)] * n,
        )
        if solution.status == 0:
            inside += int((solution.x[n:][liquid] < 1e-9).sum())
    return inside / max(1, int(chain.liquid.sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of recorded data, laid out as shared/data/README.md says")
    data = parser.parse_args().data
    comparisons = [one_smile(), whole_chain("generated chain", generated_chain())]
    if data is not None:
        comparisons += [whole_chain(f"SPX {day}", quotes) for day, quotes in spx_days(data) if day == "2019-05-14"]
    report("pricing_surface", comparisons)


if __name__ == "__main__":
    main()
