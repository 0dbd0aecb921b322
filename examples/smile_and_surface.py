"""From the raw quotes of a chain to a smile and a surface, drawn to PNG.

    python -m examples.smile_and_surface [--data DIR --day 2019-05-14] [--out DIR]

Without --data the chain is generated. It writes smile.png, density.png and surface.png.
"""

# %% Quotes: one row a contract, calls and puts of all expiries together.
from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.surface_chains import generated_chain, spx_days
from gammaray.pricing.surface import ChainQuotes, VolatilitySurface, prepare_chain


def read_quotes(data: Path | None, day: str) -> tuple[str, ChainQuotes]:
    """The recorded chain of a day, or a generated one."""
    if data is None:
        return "a generated chain", generated_chain()
    for found, quotes in spx_days(data):
        if found == day:
            return f"SPX {day}", quotes
    raise SystemExit(f"{data} has no SPX chain of {day}")


# %% The fit, and what it says of itself.
def describe(surface: VolatilitySurface) -> None:
    """Print the reports."""
    fit, arbitrage = surface.fit_report(), surface.arbitrage_report()
    print(
        f"{len(fit.expiries)} expiries, {fit.quotes:,} quotes used, {fit.liquid:,} liquid, {fit.liquid_inside_share:.2%} of them inside the spread"
    )
    print("not used:", ", ".join(f"{reason} {count:,}" for reason, count in fit.excluded.items()))
    print(
        f"{arbitrage.points:,} points checked: {arbitrage.butterfly_violations} butterfly, {arbitrage.calendar_violations} calendar violations"
    )


def four_expiries(surface: VolatilitySurface) -> list[int]:
    """Expiries nearest to two days, two weeks, two months and one year."""
    return sorted(
        {int(np.argmin(np.abs(np.log(surface.tau / target)))) for target in (2 / 365, 14 / 365, 60 / 365, 1.0)}
    )


# %% Smiles: bid and ask as a band, the fitted volatility as a line, raw SVI beside it.
def draw_smiles(
    surface: VolatilitySurface, rival: VolatilitySurface, quotes: ChainQuotes, name: str, path: Path
) -> None:
    chain = prepare_chain(quotes)
    chosen = four_expiries(surface)
    figure, axes = plt.subplots(1, len(chosen), figsize=(4.5 * len(chosen), 4), layout="constrained")
    for axis, i in zip(np.atleast_1d(axes), chosen, strict=True):
        rows, tau = chain.expiry(i), float(surface.tau[i])
        deviation = np.sqrt(surface.total_variance(0.0, tau))
        k = chain.k[rows]
        ask = np.minimum(chain.ask_variance[rows], 4.0 * chain.mid_variance[rows])
        axis.fill_between(
            k / deviation, np.sqrt(chain.bid_variance[rows] / tau), np.sqrt(ask / tau), alpha=0.35, label="bid to ask"
        )
        dense = np.linspace(k.min() - 0.5 * deviation, k.max() + 0.5 * deviation, 500)
        axis.plot(
            dense / deviation, np.sqrt(surface.total_variance(dense, tau) / tau), "C3", lw=1, label=surface.method.value
        )
        axis.plot(
            dense / deviation, np.sqrt(rival.total_variance(dense, tau) / tau), "k:", lw=1, label=rival.method.value
        )
        axis.set(
            title=f"{365 * tau:.1f} days", xlabel="log-moneyness in standard deviations", ylabel="implied volatility"
        )
    np.atleast_1d(axes)[0].legend()
    figure.suptitle(f"Smiles of {name}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


# %% Densities: smooth, without spikes, nowhere negative; on the left as they are, on the right by the logarithm.
def draw_densities(surface: VolatilitySurface, name: str, path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    z = np.linspace(-8.0, 5.0, 2000)
    for i in four_expiries(surface):
        tau = float(surface.tau[i])
        deviation = np.sqrt(surface.total_variance(0.0, tau))
        for axis in axes:
            axis.plot(z, deviation * surface.density(z * deviation, tau), label=f"{365 * tau:.1f} days")
    axes[1].set(yscale="log", ylim=(1e-8, 2.0))
    for axis in axes:
        axis.set(xlabel="log-moneyness in standard deviations", ylabel="risk-neutral density")
    axes[0].legend()
    figure.suptitle(f"Risk-neutral densities of {name}")
    figure.savefig(path, dpi=110)
    plt.close(figure)


# %% The surface between, before and beyond the expiries.
def draw_surface(surface: VolatilitySurface, name: str, path: Path) -> None:
    tau = np.geomspace(surface.tau[0], surface.tau[-1], 80)[:, None]
    z = np.linspace(-3.0, 1.8, 100)[None, :]
    k = z * np.sqrt(surface.total_variance(0.0, tau))
    volatility = np.sqrt(surface.total_variance(k, tau) / tau)
    figure = plt.figure(figsize=(8, 6), layout="constrained")
    axis = figure.add_subplot(projection="3d")
    axis.plot_surface(
        np.broadcast_to(z, volatility.shape),
        np.broadcast_to(np.log10(365 * tau), volatility.shape),
        volatility,
        cmap="viridis",
    )
    axis.set(
        xlabel="log-moneyness in standard deviations",
        ylabel="log10 of days",
        zlabel="implied volatility",
        title=f"Surface of {name}",
    )
    axis.view_init(25, -50)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of recorded data, laid out as shared/data/README.md says")
    parser.add_argument("--day", default="2019-05-14")
    parser.add_argument("--out", type=Path, default=Path())
    arguments = parser.parse_args()
    name, quotes = read_quotes(arguments.data, arguments.day)
    surface = VolatilitySurface.from_quotes(quotes)
    describe(surface)
    arguments.out.mkdir(parents=True, exist_ok=True)
    draw_smiles(surface, VolatilitySurface.from_quotes(quotes, "svi"), quotes, name, arguments.out / "smile.png")
    draw_densities(surface, name, arguments.out / "density.png")
    draw_surface(surface, name, arguments.out / "surface.png")
    print("written to", ", ".join(str(arguments.out / f"{what}.png") for what in ("smile", "density", "surface")))


if __name__ == "__main__":
    main()
