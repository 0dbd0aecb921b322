"""One account: orders, ledger, pre-trade gate. A pure state machine with a thin shell that journals and talks to the venue."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gammaray.desk.desk import Desk
    from gammaray.desk.limits import RiskLimits
    from gammaray.desk.session import DeskSession

__all__ = ["Desk", "DeskSession", "RiskLimits"]

_HOMES = {"Desk": "desk", "DeskSession": "session", "RiskLimits": "limits"}


def __getattr__(name: str) -> Any:
    """Strategies need only `gammaray.desk.view`: what brings the compiler along is imported when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"gammaray.desk.{_HOMES[name]}"), name)
