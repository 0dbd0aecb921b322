"""Heston prices of one expiry beside QuantLib, and a calibration: CPU time and error.

    python -m benchmarks.pricing_heston [--strikes N]

The strikes are within three deviations. QuantLib prices option by option, with model, process and engine made beforehand. Errors are root mean
squares from the median of all engines; our integral is held to 50-digit references by tests/pricing/test_heston.py.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.harness import Comparison, peer, report, single_threaded

single_threaded()

import numpy as np  # noqa: E402

from gammaray.pricing import heston  # noqa: E402
from gammaray.pricing.heston import HestonParameters  # noqa: E402

ql: Any = peer("QuantLib")

PARAMETERS = HestonParameters(0.04, 2.5, 0.06, 0.75, -0.6)
RATE, DIVIDEND = 0.03, 0.01
CALLS = 20  # of ours in one measurement


def one_expiry(days: int, count: int) -> Comparison:
    tau = days / 365
    deviation = np.sqrt(PARAMETERS.expected_variance(tau))
    strikes = 100.0 * np.exp((RATE - DIVIDEND) * tau + np.linspace(-3.0, 3.0, count) * deviation)
    comparison = Comparison(f"Heston, {count} strikes of {days} days", count)

    def ours() -> Any:
        for _ in range(CALLS):
            prices = heston.price("C", 100.0, strikes, tau, RATE, PARAMETERS, DIVIDEND)
        return prices

    results = [comparison.time("gammaray", ours, items=CALLS * count)]
    if ql is None:
        comparison.missing("QuantLib")
        return comparison
    comparison.repeats = 3
    exercise, engines = quantlib_engines(days)
    for name, engine in engines.items():

        def theirs(engine: Any = engine) -> np.ndarray:
            prices = np.empty(count)
            for i, strike in enumerate(strikes.tolist()):
                option = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Call, strike), exercise)
                option.setPricingEngine(engine)
                prices[i] = option.NPV()
            return prices

        results.append(comparison.time(name, theirs))
    median = np.median(results, axis=0)
    for row, result in zip(comparison.rows, results, strict=True):
        row.note = f"RMSE {np.sqrt(np.mean((result - median) ** 2)):.1e}"
    return comparison


def quantlib_engines(days: int) -> tuple[Any, dict[str, Any]]:
    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    day_count = ql.Actual365Fixed()
    process = ql.HestonProcess(
        ql.YieldTermStructureHandle(ql.FlatForward(today, RATE, day_count)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, DIVIDEND, day_count)),
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        PARAMETERS.initial_variance,
        PARAMETERS.mean_reversion,
        PARAMETERS.long_run_variance,
        PARAMETERS.volatility_of_variance,
        PARAMETERS.correlation,
    )
    model = ql.HestonModel(process)
    engines = {
        "QuantLib exponential fitting": ql.ExponentialFittingHestonEngine(model),
        "QuantLib Gauss–Laguerre, 144 points": ql.AnalyticHestonEngine(model, 144),
        "QuantLib Fourier-cosine": ql.COSHestonEngine(model),
    }
    return ql.EuropeanExercise(today + days), engines


def calibration() -> Comparison:
    """Five expiries of 21 strikes, from the default guess to a fit to rounding."""
    tau = np.repeat([0.1, 0.25, 0.5, 1.0, 2.0], 21)
    strike = 100.0 * np.exp(np.tile(np.linspace(-2.0, 2.0, 21), 5) * 0.2 * np.sqrt(tau))
    value = heston.price("C", 100.0, strike, tau, RATE, PARAMETERS, DIVIDEND)
    comparison = Comparison("Heston calibration, five expiries", value.size)
    fit = comparison.time("gammaray", lambda: heston.calibrate(value, "C", 100.0, strike, tau, RATE, DIVIDEND))
    comparison.note(f"{fit.iterations} steps, error of volatility {fit.rmse:.0e}")
    return comparison


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strikes", type=int, default=50)
    strikes = parser.parse_args().strikes
    report("pricing_heston", [*(one_expiry(days, strikes) for days in (1, 30, 365, 3650)), calibration()])


if __name__ == "__main__":
    main()
