"""GammaRay: a continual-learning options trading system on Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gammaray.version import __version__ as __version__

if TYPE_CHECKING:
    from gammaray.client import TradingSystem as TradingSystem


def __getattr__(name: str) -> Any:
    # The client is loaded when it is asked for: importing the library must stay cheap.
    if name == "TradingSystem":
        from gammaray.client import TradingSystem

        return TradingSystem
    raise AttributeError(f"module 'gammaray' has no attribute {name!r}")
