"""What a run says about itself while it works: one frozen picture a step, shown by the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ModelState:
    """One model as it is served."""

    name: str
    champion: str
    challenger: str
    traffic_percentage: float
    phase: str
    last_event: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at one time. Money is micro-dollars; greeks are of the whole book in dollars (per $1, per 1.00 volatility, per day)."""

    market_ns: int
    done: float
    underlyings: Mapping[str, float]
    contracts: int
    quotes: int
    surface_rmse: float
    positions: int
    working_orders: int
    orders_by_state: Mapping[str, int]
    trading_state: str
    equity: int
    realized_pnl: int
    unrealized_pnl: int
    fees: int
    delta: float
    gamma: float
    vega: float
    theta_per_day: float
    models: tuple[ModelState, ...] = ()
    drift_events: int = 0
    last_drift: str = ""
    retraining_jobs: int = 0
    retraining: str = ""
    restarts: int = 0


class ProgressView(Protocol):
    """Shows progress to a person."""

    def stage(self, text: str) -> None:
        """Something that happened: a stage of the start or the end, an event of the run."""
        ...

    def update(self, progress: Progress) -> None:
        """The newest picture."""
        ...

    def close(self) -> None:
        """Leave the screen as it is."""
        ...


class Silent:
    """Shows nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def update(self, progress: Progress) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
