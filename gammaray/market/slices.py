"""From a fitted volatility surface to the slices that a snapshot carries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from gammaray.market.snapshot import SurfaceSlice
from gammaray.pricing.surface.surface import VolatilitySurface

_DEVIATIONS = np.linspace(-3.0, 3.0, 121)
"""Grid of log-moneyness in at-the-money standard deviations on which the 25-delta strikes are located."""


def surface_slices(surface: VolatilitySurface) -> tuple[SurfaceSlice, ...]:
    """One slice per fitted expiry, by increasing time.

    The 25-delta volatilities are read where the undiscounted Black delta, at the smile's own volatility, is 0.25 for the call
    and -0.25 for the put.
    """
    tau = surface.tau
    atm = np.sqrt(surface.total_variance(np.zeros(tau.size), tau))
    k = atm[:, None] * _DEVIATIONS[None, :]
    deviation = np.sqrt(surface.total_variance(k, np.broadcast_to(tau[:, None], k.shape)))
    call_delta = ndtr(-k / deviation + 0.5 * deviation)
    slices = []
    for i, fit in enumerate(surface.fit_report().expiries):
        put = _volatility_at(call_delta[i], deviation[i], 0.75)
        call = _volatility_at(call_delta[i], deviation[i], 0.25)
        root = float(np.sqrt(tau[i]))
        slices.append(
            SurfaceSlice(
                expiration=fit.expiration,
                tau=float(tau[i]),
                forward=fit.forward,
                discount=fit.discount,
                atm_volatility=float(atm[i]) / root,
                skew_25d=(put - call) / root,
                rmse=fit.volatility_error,
                inside_share=fit.inside / max(1, fit.quotes),
                quotes=fit.quotes,
            )
        )
    return tuple(slices)


def _volatility_at(call_delta: NDArray[np.float64], deviation: NDArray[np.float64], delta: float) -> float:
    # The call delta falls with strike; interp wants increasing abscissae.
    return float(np.interp(delta, call_delta[::-1], deviation[::-1]))
