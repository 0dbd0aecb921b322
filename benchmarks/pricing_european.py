"""European prices and greeks beside their peers.

    python -m benchmarks.pricing_european [--options N]

Every peer gets the same chain: spot 100, strikes within 2.5 standard deviations, 3 days to 2 years, 10 to 60 %. The honest rival is numpy with
`scipy.special.ndtr`; object-by-object libraries are timed on a part of the chain.
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

SCALAR_ROWS = 2000


def chain(n: int) -> dict[str, np.ndarray]:
    """n options in columns."""
    rng = np.random.default_rng(1)
    tau = rng.uniform(3 / 365, 2, n)
    volatility = rng.uniform(0.1, 0.6, n)
    return {
        "right": np.where(rng.random(n) < 0.5, 1.0, -1.0),
        "spot": np.full(n, 100.0),
        "strike": 100 * np.exp(np.clip(rng.normal(size=n), -2.5, 2.5) * volatility * np.sqrt(tau)),
        "tau": tau,
        "rate": rng.uniform(0.01, 0.05, n),
        "volatility": volatility,
        "dividend_yield": rng.uniform(0, 0.03, n),
    }


def numpy_greeks(
    right: np.ndarray,
    spot: np.ndarray,
    strike: np.ndarray,
    tau: np.ndarray,
    rate: np.ndarray,
    volatility: np.ndarray,
    dividend_yield: np.ndarray,
    *,
    price_only: bool = False,
) -> tuple[np.ndarray, ...]:
    """Price, delta, gamma, vega, theta, rho as one writes them with numpy and ndtr."""
    root = np.sqrt(tau)
    s = volatility * root
    d1 = (np.log(spot / strike) + (rate - dividend_yield + 0.5 * volatility**2) * tau) / s
    d2 = d1 - s
    yield_discount, discount = np.exp(-dividend_yield * tau), np.exp(-rate * tau)
    n1, n2 = ndtr(right * d1), ndtr(right * d2)
    spot_pv, strike_pv = spot * yield_discount, strike * discount
    price = right * (spot_pv * n1 - strike_pv * n2)
    if price_only:
        return (price,)
    density = np.exp(-0.5 * d1 * d1) * 0.3989422804014327
    return (
        price,
        right * yield_discount * n1,
        yield_discount * density / (spot * s),
        spot_pv * density * root,
        right * (dividend_yield * spot_pv * n1 - rate * strike_pv * n2) - spot_pv * density * volatility / (2 * root),
        right * strike_pv * tau * n2,
    )


def torch_prices(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    """The price formula in torch float64, or None where torch is not installed."""
    torch = peer("torch")
    if torch is None:
        return None
    torch.set_num_threads(1)
    right, spot, strike, tau, rate, volatility, q = (torch.from_numpy(c) for c in columns.values())

    def work() -> Any:
        s = volatility * torch.sqrt(tau)
        d1 = (torch.log(spot / strike) + (rate - q + 0.5 * volatility**2) * tau) / s
        first = spot * torch.exp(-q * tau) * torch.special.ndtr(right * d1)
        return right * (first - strike * torch.exp(-rate * tau) * torch.special.ndtr(right * (d1 - s)))

    return work


def quantlib_greeks(columns: dict[str, np.ndarray], rows: int) -> Callable[[], Any] | None:
    """QuantLib's BlackCalculator, option by option."""
    ql = peer("QuantLib")
    if ql is None:
        return None
    table = [tuple(map(float, row)) for row in zip(*(c[:rows] for c in columns.values()), strict=True)]

    def work() -> float:
        total = 0.0
        for right, spot, strike, tau, rate, volatility, q in table:
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike)
            forward = spot * np.exp((rate - q) * tau)
            calculator = ql.BlackCalculator(payoff, forward, volatility * np.sqrt(tau), np.exp(-rate * tau))
            total += calculator.value() + calculator.delta(spot) + calculator.gamma(spot)
            total += calculator.vega(tau) + calculator.theta(spot, tau) + calculator.rho(tau)
        return total

    return work


def vollib_greeks(columns: dict[str, np.ndarray], rows: int) -> Callable[[], Any] | None:
    """py_vollib, option by option."""
    formulas, greeks = peer("py_vollib.black_scholes_merton"), peer("py_vollib.black_scholes_merton.greeks.analytical")
    if formulas is None or greeks is None:
        return None
    table = [tuple(map(float, row)) for row in zip(*(c[:rows] for c in columns.values()), strict=True)]

    def work() -> float:
        total = 0.0
        for right, spot, strike, tau, rate, volatility, q in table:
            flag = "c" if right > 0 else "p"
            total += formulas.black_scholes_merton(flag, spot, strike, tau, rate, volatility, q)
            for greek in (greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho):
                total += greek(flag, spot, strike, tau, rate, volatility, q)
        return total

    return work


def vectorized_greeks(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    """py_vollib_vectorized."""
    module = peer("py_vollib_vectorized")
    if module is None:
        return None
    right, spot, strike, tau, rate, volatility, q = columns.values()
    flags = np.where(right > 0, "c", "p")

    def work() -> Any:
        price = module.vectorized_black_scholes_merton(flags, spot, strike, tau, rate, volatility, q, return_as="numpy")
        return price, module.get_all_greeks(
            flags, spot, strike, tau, rate, volatility, q, model="black_scholes_merton", return_as="dict"
        )

    return work


def fast_vollib_greeks(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    """fast_vollib, its default backend."""
    module = peer("fast_vollib")
    if module is None:
        return None
    right, spot, strike, tau, rate, volatility, q = columns.values()
    flags = np.where(right > 0, "c", "p")

    def work() -> Any:
        price = module.fast_black_scholes_merton(flags, spot, strike, tau, rate, volatility, q, return_as="numpy")
        return price, module.get_all_greeks(
            flags, spot, strike, tau, rate, volatility, q, model="black_scholes_merton", return_as="dict"
        )

    return work


def pyvolr_greeks(columns: dict[str, np.ndarray]) -> Callable[[], Any] | None:
    """pyvolr (Rust), one thread."""
    module = peer("pyvolr.bs")
    if module is None:
        return None
    right, spot, strike, tau, rate, volatility, q = columns.values()
    flags = np.where(right > 0, "c", "p")

    def work() -> Any:
        arguments = (flags, spot, strike, tau, rate, volatility, q)
        return module.price(*arguments, return_as="numpy"), module.greeks(*arguments, return_as="numpy")

    return work


def compare(n: int) -> list[Comparison]:
    """Price alone, price with first-order greeks, and all sixteen greeks."""
    columns = chain(n)
    rows = min(n, SCALAR_ROWS)

    prices = Comparison("price", n)
    buffer = np.empty(n)
    ours = prices.time("gammaray", lambda: pricing.price(**columns, out=buffer))
    theirs = prices.time("numpy + scipy ndtr", lambda: numpy_greeks(**columns, price_only=True))[0]
    prices.note(f"largest difference {np.max(np.abs(ours - theirs)):.1e}")
    work = torch_prices(columns)
    if work is None:
        prices.missing("torch")
    else:
        difference = np.max(np.abs(prices.time("torch, one thread", work).numpy() - ours))
        prices.note(f"largest difference {difference:.1e}")
    prices.time(
        "gammaray, two threads", lambda: pricing.price(**columns, out=buffer, threads=2), wall=True, note="wall clock"
    )

    first = Comparison("price, delta, gamma, vega, theta, rho", n)
    planes = np.empty((6, n))
    result = first.time("gammaray", lambda: pricing.greeks(**columns, out=planes))
    theirs = first.time("numpy + scipy ndtr", lambda: numpy_greeks(**columns))
    worst = max(
        np.max(np.abs(getattr(result, k) - v))
        for k, v in zip(("price", "delta", "gamma", "vega"), theirs, strict=False)
    )
    first.note(f"largest difference {worst:.1e}")
    for name, scalar in (
        ("QuantLib BlackCalculator, one by one", quantlib_greeks),
        ("py_vollib, one by one", vollib_greeks),
    ):
        work = scalar(columns, rows)
        if work is None:
            first.missing(name)
        else:
            first.time(name, work, items=rows)
    for name, driver in (
        ("py_vollib_vectorized", vectorized_greeks),
        ("fast_vollib", fast_vollib_greeks),
        ("pyvolr", pyvolr_greeks),
    ):
        work = driver(columns)
        if work is None:
            first.missing(name)
        else:
            first.time(name, work)
    first.time("gammaray, new arrays each call", lambda: pricing.greeks(**columns))
    first.time(
        "gammaray, two threads", lambda: pricing.greeks(**columns, out=planes, threads=2), wall=True, note="wall clock"
    )

    third = Comparison("price and sixteen greeks in one pass", n)
    planes3 = np.empty((17, n))
    third.time("gammaray", lambda: pricing.greeks(**columns, order=3, out=planes3))
    third.time("numpy + scipy ndtr, price and five greeks", lambda: numpy_greeks(**columns))
    third.missing("opengreeks", "its wheel needs Python 3.12")
    return [prices, first, third]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--options", type=int, default=100_000)
    report("pricing_european", compare(parser.parse_args().options))


if __name__ == "__main__":
    main()
