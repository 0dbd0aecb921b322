"""Prices, greeks, implied volatilities, surfaces and revaluation of options; names are loaded when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gammaray.pricing.european import (
        Greeks,
        SecondOrderGreeks,
        ThirdOrderGreeks,
        greeks,
        price,
        price_forward,
    )
    from gammaray.pricing.implied import ImpliedVolatilityStatus, implied_volatility

_HOMES = {
    "price": "european",
    "price_forward": "european",
    "greeks": "european",
    "Greeks": "european",
    "SecondOrderGreeks": "european",
    "ThirdOrderGreeks": "european",
    "implied_volatility": "implied",
    "ImpliedVolatilityStatus": "implied",
    "american_price": "american",
    "american_greeks": "american",
    "american_implied_volatility": "american",
    "exercise_boundary": "american",
}
_ROOMS = ("heston", "scenarios", "surface")

__all__ = [
    "Greeks",
    "ImpliedVolatilityStatus",
    "SecondOrderGreeks",
    "ThirdOrderGreeks",
    "greeks",
    "implied_volatility",
    "price",
    "price_forward",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
