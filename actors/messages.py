"""What travels between the actors: frozen batches, one a step, passed by reference through the object store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.view import BookView
from gammaray.market.snapshot import ChainSnapshot
from gammaray.operations.progress import ModelState
from gammaray.types.signals import Forecast


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: its number, market time and session; `expected` is how many option quotes the venue says it published."""

    number: int
    ts_ns: int
    session_open: bool
    session_open_ns: int
    session_close_ns: int
    is_close: bool
    expected: Mapping[str, int]
    last_event_id: int


@dataclass(frozen=True, slots=True)
class MarketTick:
    """The market at a step.

    backfilled: underlyings whose stream fell short and was replaced by REST. baseline_volatility: annual, without any model; NaN where
    too little is known.
    """

    step: Step
    snapshots: Mapping[str, ChainSnapshot]
    quotes_seen: int
    backfilled: tuple[str, ...]
    baseline_volatility: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SessionClose:
    """What one underlying's finished session teaches.

    window: the last feature vectors, oldest first, shape (sessions, features), ending with this session's; empty while too few are known.
    outcomes: targets that became known at this close, for predictions made at the previous one, in the order of the models' heads.
    target_ns: the next session's close, which predictions made now are about.
    """

    underlying: str
    ts_ns: int
    previous_ts_ns: int
    feature_names: tuple[str, ...]
    feature_version: str
    window: NDArray[np.float64]
    outcomes: NDArray[np.float64]
    target_ns: int


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
