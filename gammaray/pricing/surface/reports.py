"""What a surface says about itself: how well it fits the quotes, and whether it admits arbitrage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gammaray.pricing.surface.preparation import Exclusion, PreparedChain
from gammaray.pricing.surface.quotes import FloatArray


@dataclass(frozen=True, slots=True)
class ExpiryFit:
    """The fit of one expiry."""

    expiration: int  # as in the chain
    tau: float  # years
    forward: float  # dollars
    discount: float
    quotes: int  # out-of-the-money quotes used
    inside: int  # of them, fitted price inside bid and ask
    liquid: int  # traded that day
    liquid_inside: int
    volatility_error: float  # root mean square of fitted minus mid implied volatility
    max_volatility_error: float


@dataclass(frozen=True, slots=True)
class FitReport:
    """The fit of a surface, expiry by expiry, and the rows of the chain that it did not use."""

    expiries: tuple[ExpiryFit, ...]
    excluded: Mapping[Exclusion, int]

    @property
    def quotes(self) -> int:
        """Quotes used."""
        return sum(expiry.quotes for expiry in self.expiries)

    @property
    def liquid(self) -> int:
        """Quotes used that traded that day."""
        return sum(expiry.liquid for expiry in self.expiries)

    @property
    def inside_share(self) -> float:
        """Share of the quotes used whose fitted price is inside bid and ask."""
        return sum(expiry.inside for expiry in self.expiries) / max(1, self.quotes)

    @property
    def liquid_inside_share(self) -> float:
        """Share of the liquid quotes used whose fitted price is inside bid and ask; NaN where none is liquid."""
        return sum(expiry.liquid_inside for expiry in self.expiries) / self.liquid if self.liquid else float("nan")

    @property
    def volatility_error(self) -> float:
        """Root mean square of fitted minus mid implied volatility over all quotes used."""
        total = sum(expiry.quotes * expiry.volatility_error**2 for expiry in self.expiries)
        return float(np.sqrt(total / max(1, self.quotes)))


def report_fit(chain: PreparedChain, price: FloatArray, total_variance: FloatArray) -> FitReport:
    """The report for normalised out-of-the-money prices and total variances fitted to the quotes of `chain`."""
    inside = (price >= chain.bid) & (price <= chain.ask)
    expiries = []
    for i in range(chain.tau.shape[0]):
        rows = chain.expiry(i)
        tau = float(chain.tau[i])
        error = np.sqrt(total_variance[rows] / tau) - np.sqrt(chain.mid_variance[rows] / tau)
        liquid = chain.liquid[rows]
        expiries.append(
            ExpiryFit(
                expiration=int(chain.labels[i]),
                tau=tau,
                forward=float(chain.forward[i]),
                discount=float(chain.discount[i]),
                quotes=rows.stop - rows.start,
                inside=int(inside[rows].sum()),
                liquid=int(liquid.sum()),
                liquid_inside=int(inside[rows][liquid].sum()),
                volatility_error=float(np.sqrt(np.mean(error**2))),
                max_volatility_error=float(np.abs(error).max()),
            )
        )
    return FitReport(tuple(expiries), chain.excluded)


@dataclass(frozen=True, slots=True)
class ArbitrageReport:
    """Result of a dense check of a surface: points of a grid at, between, before and after the expiries."""

    points: int
    butterfly_violations: int  # negative density
    calendar_violations: int  # undiscounted price at fixed forward moneyness that falls with time
    worst_density: float  # smallest density of ln(S / F), relative to the largest of its expiry; ≥ 0 without violation
    worst_calendar: float  # smallest increase in time of the normalised price; ≥ 0 without violation

    @property
    def is_free(self) -> bool:
        """Whether no violation was found."""
        return self.butterfly_violations == 0 and self.calendar_violations == 0
