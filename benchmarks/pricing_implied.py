"""Implied volatility beside its peers.

    python -m benchmarks.pricing_implied [--options N]

Out-of-the-money quotes of a realistic chain (3 days to 2 years, 10 to 60 %, within 2.5 standard deviations); every peer gets the same
prices. The error is relative to the volatility that the prices were made with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Comparison, peer, report, single_threaded

single_threaded()

import numpy as np  # noqa: E402

from gammaray import pricing  # noqa: E402

RATE, YIELD, SPOT = 0.03, 0.01, 100.0
SCALAR_ROWS = 2000


def quotes(n: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of out-of-the-money quotes, and their volatilities."""
    rng = np.random.default_rng(2)
    tau = rng.uniform(3 / 365, 2, n)
    volatility = rng.uniform(0.1, 0.6, n)
    strike = SPOT * np.exp(np.clip(rng.normal(size=n), -2.5, 2.5) * volatility * np.sqrt(tau))
    right = np.where(strike > SPOT * np.exp((RATE - YIELD) * tau), 1.0, -1.0)
    spot, rate, dividend_yield = np.full(n, SPOT), np.full(n, RATE), np.full(n, YIELD)
    price = pricing.price(right, spot, strike, tau, rate, volatility, dividend_yield)
    columns = {
        "price": price,
        "right": right,
        "spot": spot,
        "strike": strike,
        "tau": tau,
        "rate": rate,
        "dividend_yield": dividend_yield,
    }
    return columns, volatility


def pyfeng(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    module = peer("pyfeng")
    if module is None:
        return None
    model = module.Bsm(0.2, intr=RATE, divr=YIELD)
    price, right, spot, strike, tau, _, _ = columns.values()
    return lambda: model.impvol(price, strike, spot, tau, cp=right)


def pyvolr(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    module = peer("pyvolr.bs")
    if module is None:
        return None
    price, right, *rest = columns.values()
    flags = np.where(right > 0, "c", "p")
    return lambda: module.implied_vol(price, flags, *rest, return_as="numpy")


def vectorized(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    module = peer("py_vollib_vectorized")
    if module is None:
        return None
    price, right, spot, strike, tau, rate, q = columns.values()
    flags = np.where(right > 0, "c", "p")
    return lambda: module.vectorized_implied_volatility(
        price, spot, strike, tau, rate, flags, q, model="black_scholes_merton", return_as="numpy", on_error="ignore"
    )


def fast_vollib(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    module = peer("fast_vollib")
    if module is None:
        return None
    price, right, spot, strike, tau, rate, q = columns.values()
    flags = np.where(right > 0, "c", "p")
    return lambda: module.fast_implied_volatility(
        price, spot, strike, tau, rate, flags, q, model="black_scholes_merton", return_as="numpy"
    )


def py_vollib(columns: dict[str, np.ndarray], rows: int) -> Callable[[], Any] | None:
    module = peer("py_vollib.black_scholes_merton.implied_volatility")
    if module is None:
        return None
    table = [tuple(map(float, row)) for row in zip(*(c[:rows] for c in columns.values()), strict=True)]
    return lambda: np.array(
        [
            module.implied_volatility(price, spot, strike, tau, rate, q, "c" if right > 0 else "p")
            for price, right, spot, strike, tau, rate, q in table
        ]
    )


def quantlib(columns: dict[str, np.ndarray], rows: int) -> Callable[[], Any] | None:
    ql = peer("QuantLib")
    if ql is None:
        return None
    table = [tuple(map(float, row)) for row in zip(*(c[:rows] for c in columns.values()), strict=True)]

    def work() -> Any:
        result = []
        for price, right, spot, strike, tau, rate, q in table:
            kind = ql.Option.Call if right > 0 else ql.Option.Put
            forward, discount = spot * np.exp((rate - q) * tau), np.exp(-rate * tau)
            guess = 0.3 * np.sqrt(tau)
            s = ql.blackFormulaImpliedStdDev(kind, strike, forward, price, discount, 0.0, guess, 1e-12, 200)
            result.append(s / np.sqrt(tau))
        return np.array(result)

    return work


def compare(n: int) -> list[Comparison]:
    """All peers on one chain."""
    columns, volatility = quotes(n)
    rows = min(n, SCALAR_ROWS)
    comparison = Comparison("implied volatility", n)

    def judged(name: str, work: Callable[[], Any] | None, items: int = n, *, wall: bool = False) -> None:
        if work is None:
            comparison.missing(name)
            return
        values = np.asarray(comparison.time(name, work, items=items, wall=wall), dtype=float).reshape(-1)
        error = np.abs(values / volatility[:items] - 1)
        failures = int(np.sum(~(error < 1e-3)))
        comparison.note(f"largest relative error {np.nanmax(error[error < 1e-3]):.1e}, {failures} failures")

    buffer = np.empty(n)
    judged("gammaray", lambda: pricing.implied_volatility(**columns, out=buffer))
    # py_vollib comes first: importing py_vollib_vectorized replaces its functions.
    judged("py_vollib, one by one", py_vollib(columns, rows), rows)
    judged("PyFENG", pyfeng(columns))
    judged("pyvolr", pyvolr(columns))
    judged("py_vollib_vectorized", vectorized(columns))
    judged("fast_vollib", fast_vollib(columns))
    judged("QuantLib blackFormulaImpliedStdDev, one by one", quantlib(columns, rows), rows)
    judged(
        "gammaray, two threads (wall clock)",
        lambda: pricing.implied_volatility(**columns, out=buffer, threads=2),
        wall=True,
    )
    return [comparison]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--options", type=int, default=100_000)
    report("pricing_implied", compare(parser.parse_args().options))


if __name__ == "__main__":
    main()
