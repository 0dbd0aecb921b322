"""Volatility smiles and surfaces, from raw quotes to prices."""

from gammaray.pricing.surface.essvi import EssviSurface, fit_essvi
from gammaray.pricing.surface.preparation import Exclusion, PreparedChain, prepare_chain
from gammaray.pricing.surface.quotes import ChainQuotes
from gammaray.pricing.surface.reports import ArbitrageReport, ExpiryFit, FitReport
from gammaray.pricing.surface.sabr import SabrSmile, fit_sabr
from gammaray.pricing.surface.ssvi import SsviSurface, fit_ssvi
from gammaray.pricing.surface.surface import SurfaceMethod, VolatilitySurface
from gammaray.pricing.surface.svi import SviSmile, fit_svi

__all__ = [
    "ArbitrageReport",
    "ChainQuotes",
    "EssviSurface",
    "Exclusion",
    "ExpiryFit",
    "FitReport",
    "PreparedChain",
    "SabrSmile",
    "SsviSurface",
    "SurfaceMethod",
    "SviSmile",
    "VolatilitySurface",
    "fit_essvi",
    "fit_sabr",
    "fit_ssvi",
    "fit_svi",
    "prepare_chain",
]
