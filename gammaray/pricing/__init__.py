"""Prices, greeks, implied volatilities, surfaces and revaluation of options; names are loaded when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gammaray.pricing import heston, scenarios, surface
    from gammaray.pricing.american import (
        AmericanGreeks,
        american_greeks,
        american_implied_volatility,
        american_price,
        exercise_boundary,
    )
    from gammaray.pricing.european import Greeks, SecondOrderGreeks, ThirdOrderGreeks, greeks, price, price_forward
    from gammaray.pricing.implied import ImpliedVolatilityStatus, implied_volatility
    from gammaray.pricing.variance_strip import OptionStrip, VarianceIndex, variance_index

_MODULE_OF = {
    "AmericanGreeks": "american",
    "american_greeks": "american",
    "american_implied_volatility": "american",
    "american_price": "american",
    "exercise_boundary": "american",
    "Greeks": "european",
    "SecondOrderGreeks": "european",
    "ThirdOrderGreeks": "european",
    "greeks": "european",
    "price": "european",
    "price_forward": "european",
    "ImpliedVolatilityStatus": "implied",
    "implied_volatility": "implied",
    "OptionStrip": "variance_strip",
    "VarianceIndex": "variance_strip",
    "variance_index": "variance_strip",
}
_MODULES = ("heston", "scenarios", "surface")

__all__ = [
    "AmericanGreeks",
    "Greeks",
    "ImpliedVolatilityStatus",
    "OptionStrip",
    "SecondOrderGreeks",
    "ThirdOrderGreeks",
    "VarianceIndex",
    "american_greeks",
    "american_implied_volatility",
    "american_price",
    "exercise_boundary",
    "greeks",
    "heston",
    "implied_volatility",
    "price",
    "price_forward",
    "scenarios",
    "surface",
    "variance_index",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
