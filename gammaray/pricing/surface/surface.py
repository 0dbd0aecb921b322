"""The volatility surface of one underlying: fitted from the raw quotes of a chain, queried by strike or log-moneyness and time."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gammaray.pricing.arguments import Domain, broadcast
from gammaray.pricing.surface.arbitrage_free import fit_slices as fit_splines
from gammaray.pricing.surface.essvi import fit_essvi
from gammaray.pricing.surface.nonparametric import SplineSlices
from gammaray.pricing.surface.parametric import SviSlices
from gammaray.pricing.surface.preparation import Exclusion, PreparedChain, prepare_chain
from gammaray.pricing.surface.quotes import ChainQuotes, FloatArray
from gammaray.pricing.surface.reports import ArbitrageReport, ExpiryFit, FitReport, report_fit
from gammaray.pricing.surface.ssvi import SsviSurface, fit_ssvi
from gammaray.pricing.surface.svi import fit_slice

_FORMAT = 1


class SurfaceMethod(StrEnum):
    """How a surface is fitted."""

    ARBITRAGE_FREE = "arbitrage_free"
    ESSVI = "essvi"
    SSVI = "ssvi"
    SVI = "svi"


class SurfaceModel(Protocol):
    """Normalised surface: everything per unit of forward, at flat columns of log-moneyness and time."""

    def otm_price(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Price of the out-of-the-money option."""
        ...

    def total_variance(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Implied variance times time."""
        ...

    def density(self, k: FloatArray, tau: FloatArray) -> FloatArray:
        """Risk-neutral density of ln(S_τ / F)."""
        ...

    def arrays(self) -> dict[str, FloatArray]:
        """Everything that defines the model beside the expiries."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class VolatilitySurface:
    """A fitted surface. Make one with `from_quotes`; it does not change."""

    method: SurfaceMethod
    spot: float
    tau: FloatArray  # expiries, years, increasing
    forward: FloatArray  # dollars, by expiry
    discount: FloatArray  # by expiry
    model: SurfaceModel
    parameters: dict[str, float]  # of the whole surface, where the method has such: ρ, η, γ of SSVI
    report: FitReport

    @classmethod
    def from_quotes(
        cls, chain_quotes: ChainQuotes, method: str = "arbitrage_free", *, start: VolatilitySurface | None = None
    ) -> VolatilitySurface:
        """Fit a surface to the raw rows of a chain.

        Forward and discount of each expiry are implied by put-call parity, rows that are not usable are dropped and counted by reason
        (`fit_report().excluded`), expiries with fewer than five usable strikes are dropped too.

        Args:
            chain_quotes: calls and puts of all expiries at one moment.
            method: "arbitrage_free" (the smoothest prices inside the quotes, no arbitrage), "essvi" (three numbers per expiry, no arbitrage),
                "ssvi" (three numbers and one level per expiry, no arbitrage) or "svi" (five numbers per expiry, no butterfly arbitrage).
            start: an earlier surface of the same underlying and method, to start from.

        Raises:
            ValueError: unknown method, one expiration with two taus, or no expiry is usable.
        """
        try:
            chosen = SurfaceMethod(method)
        except ValueError:
            raise ValueError(f"method: expected one of {', '.join(SurfaceMethod)}, was {method!r}") from None
        chain = prepare_chain(chain_quotes)
        warm = start if start is not None and start.method is chosen else None
        model, parameters = _FITS[chosen](chain, warm)
        times = np.repeat(chain.tau, np.diff(chain.offsets))
        variance = model.total_variance(chain.k, times)
        report = report_fit(chain, model.otm_price(chain.k, times), variance)
        return cls(chosen, chain.spot, chain.tau, chain.forward, chain.discount, model, parameters, report)

    def refit(self, chain_quotes: ChainQuotes) -> VolatilitySurface:
        """A surface of the same method for newer quotes of the same underlying, started from this one."""
        return VolatilitySurface.from_quotes(chain_quotes, self.method, start=self)

    def forward_at(self, tau: npt.ArrayLike) -> Any:
        """Forward price for delivery in `tau` years; its growth rate is constant between expiries and beyond them."""
        args = broadcast(tau=tau)
        return args.restore(
            self.spot * np.exp(_log_linear(self.tau, np.log(self.forward / self.spot), args.columns[0]))
        )

    def discount_at(self, tau: npt.ArrayLike) -> Any:
        """Discount factor over `tau` years; the forward rate is constant between expiries and beyond them."""
        args = broadcast(tau=tau)
        return args.restore(np.exp(_log_linear(self.tau, np.log(self.discount), args.columns[0])))

    def total_variance(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> Any:
        """σ²τ at log-moneyness k = ln(strike / forward) and `tau` years (positive); broadcasts."""
        args = broadcast(k=k, tau=tau, domains=_POSITIVE_TAU)
        return args.restore(self.model.total_variance(*args.columns))

    def density(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> Any:
        """Risk-neutral density of ln(S_τ / F) at k; its integral over k is one. Broadcasts."""
        args = broadcast(k=k, tau=tau, domains=_POSITIVE_TAU)
        return args.restore(self.model.density(*args.columns))

    def implied_volatility(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> Any:
        """Black implied volatility at `strike` dollars and `tau` years (positive); broadcasts."""
        args = broadcast(strike=strike, tau=tau, domains=_POSITIVE_BOTH)
        strikes, times = args.columns
        k = np.log(strikes / self.forward_at(times))
        return args.restore(np.sqrt(self.model.total_variance(k, times) / times))

    def price(self, right: npt.ArrayLike, strike: npt.ArrayLike, tau: npt.ArrayLike) -> Any:
        """European price in dollars; `right` as 'C'/'P', +1/-1 or is_call. Broadcasts."""
        args = broadcast(right=right, strike=strike, tau=tau, domains=_POSITIVE_BOTH)
        sign, strikes, times = args.columns
        forward = self.forward_at(times)
        k = np.log(strikes / forward)
        otm = forward * self.model.otm_price(k, times)
        intrinsic = np.maximum(sign * (forward - strikes), 0.0)
        return args.restore(self.discount_at(times) * (otm + intrinsic))

    def fit_report(self) -> FitReport:
        """Errors per expiry, share of quotes inside the spread, and what was excluded and why."""
        return self.report

    def arbitrage_report(self, *, points: int = 401, between: int = 3, reach: float = 6.0) -> ArbitrageReport:
        """Dense check of the fitted surface.

        Args:
            points: strikes per time, spread over ± `reach` standard deviations of the last expiry, denser at the money.
            between: times checked between neighbouring expiries (and before the first, and after the last).
            reach: in at-the-money standard deviations.
        """
        knots = np.r_[0.0, self.tau, self.tau[-1] * 1.5]
        steps = np.arange(1, between + 2) / (between + 1)
        times = np.unique((knots[:-1, None] + np.diff(knots)[:, None] * steps[None, :]).ravel())
        deviation = np.sqrt(self.model.total_variance(np.zeros(times.shape), times))
        u = np.linspace(-1.0, 1.0, points)
        k = reach * deviation[-1] * np.sinh(5.0 * u) / np.sinh(5.0)
        grid_k, grid_t = (np.ascontiguousarray(a).ravel() for a in np.broadcast_arrays(k[None, :], times[:, None]))
        shape = (times.shape[0], points)
        density = self.model.density(grid_k, grid_t).reshape(shape)
        density = density / density.max(axis=1, keepdims=True)
        price = self.model.otm_price(grid_k, grid_t).reshape(shape)
        increase = np.diff(price, axis=0)
        return ArbitrageReport(
            points=grid_k.shape[0],
            butterfly_violations=int((density < -_DENSITY_ROUNDING).sum()),
            calendar_violations=int((increase < -_PRICE_ROUNDING).sum()),
            worst_density=float(density.min()),
            worst_calendar=float(increase.min()),
        )

    def to_bytes(self) -> bytes:
        """The surface as bytes; `from_bytes` gives back one with the same bits."""
        header = {
            "format": _FORMAT,
            "method": self.method.value,
            "spot": self.spot,
            "parameters": self.parameters,
            "expiries": [asdict(expiry) for expiry in self.report.expiries],
            "excluded": {reason.value: count for reason, count in self.report.excluded.items()},
        }
        columns = {"tau": self.tau, "forward": self.forward, "discount": self.discount}
        columns |= {f"model_{name}": array for name, array in self.model.arrays().items()}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **columns)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> VolatilitySurface:
        """The surface that `to_bytes` wrote; ValueError where the bytes are not such a surface."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                columns = {name: archive[name] for name in archive.files}
            header = json.loads(columns.pop("header").tobytes())
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"data is not a volatility surface: {error}") from error
        if header.get("format") != _FORMAT:
            raise ValueError(f"data has surface format {header.get('format')}, expected {_FORMAT}")
        report = FitReport(
            tuple(ExpiryFit(**expiry) for expiry in header["expiries"]),
            {Exclusion(reason): count for reason, count in header["excluded"].items()},
        )
        tau = columns["tau"]
        method = SurfaceMethod(header["method"])
        arrays = {name.removeprefix("model_"): array for name, array in columns.items() if name.startswith("model_")}
        return cls(
            method=method,
            spot=header["spot"],
            tau=tau,
            forward=columns["forward"],
            discount=columns["discount"],
            model=(SplineSlices if method is SurfaceMethod.ARBITRAGE_FREE else SviSlices)(tau, **arrays),
            parameters=header["parameters"],
            report=report,
        )


_POSITIVE_TAU = {"tau": Domain.POSITIVE}
_POSITIVE_BOTH = {"tau": Domain.POSITIVE, "strike": Domain.POSITIVE}
_DENSITY_ROUNDING = 1e-12
_PRICE_ROUNDING = 1e-14


def _log_linear(knots: FloatArray, values: FloatArray, at: FloatArray) -> FloatArray:
    """Linear through the origin and the knots, with the last slope beyond them."""
    x, y = np.r_[0.0, knots], np.r_[0.0, values]
    inside: FloatArray = np.interp(at, x, y)
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    return np.where(at > x[-1], y[-1] + slope * (at - x[-1]), inside)


def _quote_weights(chain: PreparedChain) -> FloatArray:
    """One over the squared spread in total variance, the spread at least a thousandth of the variance."""
    below = chain.mid_variance - chain.bid_variance
    above = chain.ask_variance - chain.mid_variance
    spread = np.maximum(np.minimum(2.0 * below, below + above), 1e-3 * chain.mid_variance)
    weights: FloatArray = 1.0 / spread**2
    return weights


def _fit_svi(chain: PreparedChain, warm: VolatilitySurface | None) -> tuple[SurfaceModel, dict[str, float]]:
    weights = _quote_weights(chain)
    parameters = np.empty((chain.tau.shape[0], 5))
    for i, tau in enumerate(chain.tau.tolist()):
        rows = chain.expiry(i)
        start = np.empty(0)
        if warm is not None and isinstance(warm.model, SviSlices):
            nearest = int(np.argmin(np.abs(warm.tau - tau)))
            if abs(warm.tau[nearest] - tau) < 0.2 * tau:
                start = warm.model.parameters[nearest]
        parameters[i], _ = fit_slice(chain.k[rows], chain.mid_variance[rows], weights[rows], start)
    return SviSlices(chain.tau, parameters), {}


def _fit_ssvi(chain: PreparedChain, warm: VolatilitySurface | None) -> tuple[SurfaceModel, dict[str, float]]:
    expiry = np.repeat(np.arange(chain.tau.shape[0]), np.diff(chain.offsets))
    start = None
    if warm is not None:
        theta = np.maximum.accumulate(warm.model.total_variance(np.zeros(chain.tau.shape), chain.tau))
        start = SsviSurface(**warm.parameters, theta=theta)
    fitted = fit_ssvi(chain.k, chain.mid_variance, expiry, _quote_weights(chain), start=start)
    return SviSlices(chain.tau, fitted.raw_svi()), {"rho": fitted.rho, "eta": fitted.eta, "gamma": fitted.gamma}


def _fit_essvi(chain: PreparedChain, warm: VolatilitySurface | None) -> tuple[SurfaceModel, dict[str, float]]:
    expiry = np.repeat(np.arange(chain.tau.shape[0]), np.diff(chain.offsets))
    fitted = fit_essvi(chain.k, chain.mid_variance, expiry, _quote_weights(chain))
    return SviSlices(chain.tau, fitted.raw_svi()), {}


def _fit_arbitrage_free(chain: PreparedChain, warm: VolatilitySurface | None) -> tuple[SurfaceModel, dict[str, float]]:
    start = warm.model if warm is not None and isinstance(warm.model, SplineSlices) else None
    return fit_splines(chain, _quote_weights(chain), start), {}


_FITS: dict[
    SurfaceMethod, Callable[[PreparedChain, VolatilitySurface | None], tuple[SurfaceModel, dict[str, float]]]
] = {
    SurfaceMethod.ARBITRAGE_FREE: _fit_arbitrage_free,
    SurfaceMethod.ESSVI: _fit_essvi,
    SurfaceMethod.SSVI: _fit_ssvi,
    SurfaceMethod.SVI: _fit_svi,
}
