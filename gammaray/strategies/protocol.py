"""What every strategy is: a pure function of the market and the book, with whatever state it needs inside the book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gammaray.desk.view import BookView
from gammaray.market.snapshot import ChainSnapshot
from gammaray.types.signals import Forecast, Signal


@dataclass(frozen=True, slots=True)
class MarketView:
    """The market at a decision: the newest snapshot and forecast of each underlying, and the time the session closes."""

    ts_ns: int
    session_close_ns: int
    snapshots: Mapping[str, ChainSnapshot]
    forecasts: Mapping[str, Forecast]


class Strategy(Protocol):
    """Decides at every snapshot. It keeps no state of its own that a restart would lose: positions and orders are in the book."""

    name: str

    def decide(self, market: MarketView, book: BookView) -> list[Signal]:
        """Signals wanted now, in order of preference."""
        ...
