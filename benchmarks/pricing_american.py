"""American options beside QuantLib: CPU time and error, continuous yield and cash dividends.

    python -m benchmarks.pricing_american [--options N] [--peer-options N]

Both sides price the same rows in the same process; ours are given as columns, QuantLib's one by one as it allows, with its quotes and engine
made beforehand. Errors are root mean squares for a strike of 100, against QuantLib with tanh–sinh quadrature, 40 nodes and 20 iterations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Comparison, peer, report, single_threaded

single_threaded()

import numpy as np  # noqa: E402

from gammaray.pricing.american import american_greeks, american_implied_volatility, american_price  # noqa: E402
from gammaray.pricing.american_collocation import Accuracy  # noqa: E402

ql: Any = peer("QuantLib")

REFERENCE_ROWS = 100
DIVIDENDS = [(36, 1.0), (127, 1.0), (219, 1.0), (310, 1.0)]  # days, dollars


def paper_grid(count: int) -> np.ndarray:
    """Puts drawn from the grid of Andersen, Lake and Offengenden (2016): rows of right, spot, strike, days, rate, volatility, yield."""
    rng = np.random.default_rng(1)
    values: tuple[list[float], ...] = (
        [-1],
        [25, 50, 80, 90, 100, 110, 120, 150, 175, 200],
        [100],
        [30, 91, 182, 273, 365],
        [0.02, 0.04, 0.06, 0.08, 0.1],
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        [0, 0.04, 0.08, 0.12],
    )
    return np.column_stack([rng.choice(np.array(column, dtype=float), count) for column in values])


def wide_range(count: int) -> np.ndarray:
    """Calls and puts of one day to ten years, rates and yields to 12 %, volatilities of 5 to 90 %; the same columns."""
    rng = np.random.default_rng(2)
    dividend = np.where(rng.random(count) < 0.7, rng.uniform(0, 0.12, count), 0.0)
    return np.column_stack(
        [
            rng.choice([-1.0, 1.0], count),
            100 * np.exp(0.35 * rng.normal(size=count)),
            np.full(count, 100.0),
            rng.choice([1, 2, 7, 30, 90, 365, 730, 1825, 3650], count),
            rng.uniform(0.001, 0.12, count),
            rng.uniform(0.05, 0.9, count),
            dividend,
        ]
    )


def columns(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    right, spot, strike, days, rate, volatility, dividend = np.ascontiguousarray(rows.T)
    return right, spot, strike, days / 365, rate, volatility, dividend


class QuantLib:
    """One process whose quotes are set for each option."""

    def __init__(self) -> None:
        self.today = ql.Date(1, 1, 2026)
        ql.Settings.instance().evaluationDate = self.today
        self.quotes = [ql.SimpleQuote(0.2) for _ in range(4)]
        spot, rate, dividend, volatility = (ql.QuoteHandle(quote) for quote in self.quotes)
        days = ql.Actual365Fixed()
        self.process = ql.BlackScholesMertonProcess(
            spot,
            ql.YieldTermStructureHandle(ql.FlatForward(self.today, dividend, days)),
            ql.YieldTermStructureHandle(ql.FlatForward(self.today, rate, days)),
            ql.BlackVolTermStructureHandle(ql.BlackConstantVol(self.today, ql.NullCalendar(), volatility, days)),
        )

    def prices(self, rows: np.ndarray, engine: Any) -> np.ndarray:
        values = np.empty(len(rows))
        for i, (right, spot, strike, days, rate, volatility, dividend) in enumerate(rows.tolist()):
            for quote, value in zip(self.quotes, (spot, rate, dividend, volatility), strict=True):
                quote.setValue(value)
            payoff = ql.PlainVanillaPayoff(ql.Option.Call if right > 0 else ql.Option.Put, strike)
            option = ql.VanillaOption(payoff, ql.AmericanExercise(self.today, self.today + int(days)))
            option.setPricingEngine(engine)
            values[i] = option.NPV()
        return values

    def collocation(self, scheme: Any) -> Any:
        return ql.QdFpAmericanEngine(self.process, scheme)

    def finite_differences(self, points: int) -> Any:
        schedule = ql.DividendVector([self.today + day for day, _ in DIVIDENDS], [cash for _, cash in DIVIDENDS])
        scheme = ql.FdmSchemeDesc.CrankNicolson()
        return ql.FdBlackScholesVanillaEngine(self.process, schedule, points, points, 0, scheme)


def rms(error: np.ndarray) -> str:
    return f"RMSE {np.sqrt(np.mean(error * error)):.1e}"


def continuous_yield(name: str, make: Callable[[int], np.ndarray], options: int, peer_options: int) -> list[Comparison]:
    """Each of our accuracies beside the setting of QuantLib of that name."""
    rows = make(options)
    few = rows[:REFERENCE_ROWS]
    rival = QuantLib() if ql else None
    converged = american_price(*columns(few), accuracy="high")
    schemes = {}
    if rival:
        converged = rival.prices(few, rival.collocation(ql.QdFpTanhSinhIterationScheme(20, 40, 1e-10)))
        engine = ql.QdFpAmericanEngine
        schemes = {
            "fast": engine.fastScheme(),
            "accurate": engine.accurateScheme(),
            "high": engine.highPrecisionScheme(),
        }
    comparisons = []
    accuracies: tuple[Accuracy, ...] = ("fast", "accurate", "high")
    for accuracy in accuracies:
        measured = rows[: options // 10] if accuracy == "high" else rows
        arguments = columns(measured)
        comparison = Comparison(f"American {accuracy}, {name}", len(measured), repeats=3)

        def ours(arguments: Any = arguments, accuracy: Accuracy = accuracy, threads: int = 1) -> Any:
            return american_price(*arguments, accuracy=accuracy, threads=threads)

        error = american_price(*columns(few), accuracy=accuracy) - converged
        comparison.time("gammaray", ours, note=rms(error))
        comparison.time("gammaray, two threads (elapsed)", lambda ours=ours: ours(threads=2), wall=True)
        if rival:
            setting = rival.collocation(schemes[accuracy])
            some = few if accuracy == "high" else rows[:peer_options]
            note = rms(rival.prices(few, setting) - converged)
            comparison.repeats = 1
            comparison.time(
                f"QuantLib QdFp {accuracy}",
                lambda some=some, setting=setting: rival.prices(some, setting),
                items=len(some),
                note=note,
            )
        else:
            comparison.missing("QuantLib")
        comparisons.append(comparison)
    return comparisons


def greeks_and_inversion(options: int) -> list[Comparison]:
    """No peer gives these: QuantLib's engine has the price alone, its greeks are eight or more prices."""
    arguments = columns(paper_grid(options))
    value = american_price(*arguments)
    greeks = Comparison("American greeks, accurate", options, repeats=3)
    greeks.time("gammaray, price and seven greeks", lambda: american_greeks(*arguments))
    inversion = Comparison("American implied volatility, accurate", options, repeats=3)
    inversion.time("gammaray", lambda: american_implied_volatility(value, *arguments[:5], arguments[6]))
    return [greeks, inversion]


def cash_dividends(options: int, peer_options: int) -> list[Comparison]:
    """Each of our accuracies beside the finite differences of QuantLib of about that error."""
    rows = paper_grid(options)
    rows[:, 0] = np.where(np.arange(options) % 2, 1.0, -1.0)
    rows[:, 1] = np.clip(rows[:, 1], 80, 120)
    rows[:, 3] = 365
    rows[:, 6] = 0.0
    schedule = [(days / 365, cash) for days, cash in DIVIDENDS]
    few = rows[:peer_options]
    converged = american_price(*columns(few), dividends=schedule, accuracy="high")
    arguments = columns(rows)
    comparisons = []
    settings: tuple[tuple[Accuracy, int], ...] = (("fast", 200), ("accurate", 400))
    for accuracy, points in settings:
        comparison = Comparison(f"American {accuracy}, four cash dividends", options, repeats=3)

        def ours(columns: Any = arguments, accuracy: Accuracy = accuracy) -> Any:
            return american_price(*columns, dividends=schedule, accuracy=accuracy)

        comparison.time("gammaray", ours, note=rms(ours(columns(few)) - converged) + " to our high")
        if ql:
            rival = QuantLib()
            engine = rival.finite_differences(points)
            comparison.repeats = 1
            prices = comparison.time(
                f"QuantLib finite differences {points}²",
                lambda rival=rival, engine=engine: rival.prices(few, engine),
                items=len(few),
            )
            comparison.note(rms(prices - converged) + " to our high")
        else:
            comparison.missing("QuantLib")
        comparisons.append(comparison)
    return comparisons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--options", type=int, default=50_000)
    parser.add_argument("--peer-options", type=int, default=300)
    arguments = parser.parse_args()
    report(
        "pricing_american",
        [
            *continuous_yield("one month to one year", paper_grid, arguments.options, arguments.peer_options),
            *continuous_yield("one day to ten years", wide_range, arguments.options, arguments.peer_options),
            *greeks_and_inversion(arguments.options // 5),
            *cash_dividends(512, 64),
        ],
    )


if __name__ == "__main__":
    main()
