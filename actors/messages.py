"""What travels between the actors: frozen batches, one a step, passed by reference through the object store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gammaray.desk.view import BookView
from gammaray.features.observer import Step
from gammaray.operations.progress import ModelState
from gammaray.types.signals import Forecast


@dataclass(frozen=True, slots=True)
class DeskReport:
    """The desk after a step. `totals` holds the running counts that end in summary.json."""

    step: Step
    book: BookView
    totals: Mapping[str, Any]
    market: MarketSummary
    incidents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarketSummary:
    """What a person wants to know of the market at a step."""

    spots: Mapping[str, float]
    contracts: int
    quotes: int
    surface_rmse: float


@dataclass(frozen=True, slots=True)
class LearningReport:
    """The learning loop after a session. Events are dictionaries that go into summary.json as they are.

    pending: retraining jobs that are not over yet.
    """

    models: tuple[ModelState, ...]
    drift_events: tuple[Mapping[str, Any], ...]
    retraining_jobs: tuple[Mapping[str, Any], ...]
    promotions: tuple[Mapping[str, Any], ...]
    rejections: tuple[Mapping[str, Any], ...]
    rollbacks: tuple[Mapping[str, Any], ...]
    predictions: int
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForecastReport:
    """What the desk was told at a session's close; `request_ids` lets the drift actor wait for their log records."""

    ts_ns: int
    forecasts: tuple[Forecast, ...]
    request_ids: tuple[str, ...]
