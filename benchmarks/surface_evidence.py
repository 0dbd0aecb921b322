"""How well each kind of surface fits real chains, and whether it admits arbitrage; the table of docs/surface-evidence.md.

    python -m benchmarks.surface_evidence --data ../shared/data --out docs/surface-evidence.md [--days N] [--every MINUTES]

Every SPX chain of 2019 and the GOOG chain of 2015-12-24 through the day. A liquid quote is two-sided and traded that day. The arbitrage check is
`VolatilitySurface.arbitrage_report`: 201 strikes at each expiry and at times between, before and beyond them.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import machine, single_threaded

single_threaded()

import numpy as np  # noqa: E402

from benchmarks.surface_chains import goog_minutes, spx_days  # noqa: E402
from gammaray.pricing.surface import ChainQuotes, VolatilitySurface, fit_sabr, prepare_chain  # noqa: E402
from gammaray.pricing.surface.black import otm_prices  # noqa: E402

COLUMNS = (
    "| method | liquid inside the spread | worst chain | all inside | liquid in the money | volatility RMSE "
    "| butterfly | calendar | points checked | cold ms | warm ms |"
)
HEAD = """# Surfaces on real chains

Written by `python -m benchmarks.surface_evidence --data ../shared/data --out docs/surface-evidence.md`, on one thread of {processor}
({cores} cores), Python {python}.

Inside the spread: bid ≤ fitted price ≤ ask. Times are CPU milliseconds from the raw rows to the surface, medians; the warm ones start from the
chain before (for SPX that of the day before). Violations are counted on a dense grid at, between, before and beyond the expiries. SABR is
fitted expiry by expiry and is no surface. GOOG options are American and are treated as European."""
METHODS = ("arbitrage_free", "essvi", "ssvi", "svi", "sabr")


@dataclass
class Tally:
    """What one method did over all chains of one underlying."""

    chains: int = 0
    quotes: int = 0
    inside: int = 0
    liquid: int = 0
    liquid_inside: int = 0
    money: int = 0
    money_inside: int = 0
    squared_error: float = 0.0
    butterfly: int = 0
    calendar: int = 0
    checked: int = 0
    worst: tuple[float, str] = (1.0, "")
    seconds: list[float] = field(default_factory=list)
    warm_seconds: list[float] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    expiries: int = 0


def add_surface(
    tally: Tally, label: str, quotes: ChainQuotes, method: str, before: VolatilitySurface | None
) -> VolatilitySurface:
    """Fit one chain and count."""
    start = time.process_time()
    surface = VolatilitySurface.from_quotes(quotes, method)
    tally.seconds.append(time.process_time() - start)
    if before is not None:
        start = time.process_time()
        before.refit(quotes)
        tally.warm_seconds.append(time.process_time() - start)
    fit = surface.fit_report()
    liquid_inside = sum(expiry.liquid_inside for expiry in fit.expiries)
    tally.chains += 1
    tally.expiries += len(fit.expiries)
    tally.quotes += fit.quotes
    tally.inside += sum(expiry.inside for expiry in fit.expiries)
    tally.liquid += fit.liquid
    tally.liquid_inside += liquid_inside
    tally.squared_error += fit.quotes * fit.volatility_error**2
    if fit.liquid:
        tally.worst = min(tally.worst, (liquid_inside / fit.liquid, label))
    tally.excluded.update({reason.value: count for reason, count in fit.excluded.items()})
    check = surface.arbitrage_report(points=201, between=2)
    tally.butterfly += check.butterfly_violations
    tally.calendar += check.calendar_violations
    tally.checked += check.points
    money, inside = in_the_money(surface, quotes)
    tally.money += money
    tally.money_inside += inside
    return surface


def in_the_money(surface: VolatilitySurface, quotes: ChainQuotes) -> tuple[int, int]:
    """Liquid quotes in the money, which the fit does not use, and how many of them the surface prices inside the spread."""
    expiries = {expiry.expiration: expiry.forward for expiry in surface.fit_report().expiries}
    forward = np.array([expiries.get(int(e), np.nan) for e in quotes.expiration])
    volume = np.zeros(len(quotes)) if quotes.volume is None else quotes.volume
    deep = np.where(quotes.is_call, quotes.strike <= forward, quotes.strike > forward)
    rows = np.flatnonzero(deep & (quotes.bid > 0.0) & (quotes.ask >= quotes.bid) & (volume > 0.0))
    if rows.size == 0:
        return 0, 0
    price = surface.price(quotes.is_call[rows], quotes.strike[rows], quotes.tau[rows])
    return rows.size, int(((price >= quotes.bid[rows]) & (price <= quotes.ask[rows])).sum())


def add_sabr(tally: Tally, label: str, quotes: ChainQuotes) -> None:
    """SABR (β = 1) expiry by expiry; no surface, so no check of arbitrage."""
    start = time.process_time()
    chain = prepare_chain(quotes)
    spread = np.maximum(chain.mid_variance - chain.bid_variance, 1e-3 * chain.mid_variance)
    variance = np.empty(chain.k.shape)
    for i, tau in enumerate(chain.tau.tolist()):
        rows = chain.expiry(i)
        smile = fit_sabr(chain.k[rows], chain.mid_variance[rows], tau, 1.0 / spread[rows] ** 2)
        variance[rows] = smile.total_variance(chain.k[rows])
    tally.seconds.append(time.process_time() - start)
    price = otm_prices(chain.k, np.sqrt(variance))
    inside = (price >= chain.bid) & (price <= chain.ask)
    tau = np.repeat(chain.tau, np.diff(chain.offsets))
    tally.chains += 1
    tally.quotes += chain.k.size
    tally.inside += int(inside.sum())
    tally.liquid += int(chain.liquid.sum())
    tally.liquid_inside += int(inside[chain.liquid].sum())
    tally.squared_error += float(np.sum((np.sqrt(variance / tau) - np.sqrt(chain.mid_variance / tau)) ** 2))
    if chain.liquid.any():
        tally.worst = min(tally.worst, (float(inside[chain.liquid].mean()), label))


def table(name: str, tallies: dict[str, Tally]) -> str:
    """One underlying as a Markdown table and a line on what was excluded."""
    head = tallies["arbitrage_free"]
    lines = [
        f"## {name}",
        "",
        f"{head.chains} chains, {head.expiries} expiries, {head.quotes:,} out-of-the-money quotes used, {head.liquid:,} of them liquid.",
        "",
        COLUMNS,
        "|" + "---|" * (COLUMNS.count("|") - 1),
    ]
    for method, tally in tallies.items():
        checked = (
            f"{tally.butterfly:,} | {tally.calendar:,} | {tally.checked:,}" if tally.checked else "not checked | | "
        )
        money = f"{100 * tally.money_inside / tally.money:.2f} % of {tally.money:,}" if tally.money else ""
        warm = f"{1e3 * np.median(tally.warm_seconds):.1f}" if tally.warm_seconds else ""
        lines.append(
            f"| {method} | {100 * tally.liquid_inside / tally.liquid:.2f} % | {100 * tally.worst[0]:.2f} % ({tally.worst[1]}) "
            f"| {100 * tally.inside / tally.quotes:.2f} % | {money} | {100 * np.sqrt(tally.squared_error / tally.quotes):.2f} points "
            f"| {checked} | {1e3 * np.median(tally.seconds):.1f} | {warm} |"
        )
    excluded = ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in head.excluded.most_common())
    return "\n".join([*lines, "", f"Rows not used: {excluded}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--days", type=int, default=1000, help="at most so many SPX days")
    parser.add_argument("--every", type=int, default=10, help="minutes between GOOG chains")
    arguments = parser.parse_args()
    parts = []
    for name, chains, limit in (
        ("SPX, 2019-04-25 to 2019-07-22", spx_days(arguments.data), arguments.days),
        (
            f"GOOG, 2015-12-24, every {arguments.every} minutes (UTC)",
            goog_minutes(arguments.data, arguments.every),
            1000,
        ),
    ):
        tallies = {method: Tally() for method in METHODS}
        last: dict[str, VolatilitySurface] = {}
        for count, (label, quotes) in enumerate(chains):
            if count >= limit:
                break
            for method in METHODS:
                if method == "sabr":
                    add_sabr(tallies[method], label, quotes)
                else:
                    last[method] = add_surface(tallies[method], label, quotes, method, last.get(method))
            print(
                label,
                f"{100 * tallies['arbitrage_free'].liquid_inside / max(1, tallies['arbitrage_free'].liquid):.3f} %",
                flush=True,
            )
        parts.append(table(name, tallies))
    described = machine()
    head = HEAD.format(**described)
    text = "\n\n".join([head, *parts])
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
