"""What the learning loop is told, and what it asks for. Every message carries market time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gammaray.learning.drift import DriftEvent
from gammaray.learning.retrain import RetrainResult
from gammaray.models.serving import RolePrediction, Served


@dataclass(frozen=True, slots=True)
class FeaturesObserved:
    """A feature vector was completed."""

    model: str
    ts_ns: int
    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PredictionMade:
    """A request was answered. predictions: of every version in any role. target_ns: the outcome they forecast."""

    model: str
    ts_ns: int
    target_ns: int
    request_id: str
    predictions: tuple[RolePrediction, ...]

    @classmethod
    def of(cls, served: Served, target_ns: int) -> PredictionMade:
        """From an answer of the forecast server."""
        return cls(served.model, served.ts_ns, target_ns, served.request_id, served.predictions)


@dataclass(frozen=True, slots=True)
class OutcomeKnown:
    """What happened in the session that closed at target_ns. NaN where it could not be measured."""

    model: str
    ts_ns: int
    target_ns: int
    realized_volatility: float
    iv_change: float


@dataclass(frozen=True, slots=True)
class RetrainingFinished:
    """A job came to a result (which may be that the challenger is worse)."""

    model: str
    ts_ns: int
    result: RetrainResult


@dataclass(frozen=True, slots=True)
class RetrainingFailed:
    """A job ended without a result: it could not start, was killed, ran out of time."""

    model: str
    ts_ns: int
    job_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class RetrainRequested:
    """A person asks for a retraining."""

    model: str
    ts_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChallengerRequested:
    """A person puts a registered version on trial. A traffic_percentage of 0 makes it a shadow."""

    model: str
    ts_ns: int
    version: str
    traffic_percentage: float


Event = (
    FeaturesObserved
    | PredictionMade
    | OutcomeKnown
    | RetrainingFinished
    | RetrainingFailed
    | RetrainRequested
    | ChallengerRequested
)


@dataclass(frozen=True, slots=True)
class ReportDrift:
    """A detector has alarmed."""

    model: str
    ts_ns: int
    event: DriftEvent


@dataclass(frozen=True, slots=True)
class StartRetraining:
    """Run a retraining job. job_id is the same after a restart: a second submission of it must be a success."""

    model: str
    ts_ns: int
    job_id: str
    champion_version: str
    evidence: Mapping[str, Any]
    seed: int
    data_until_ns: int


@dataclass(frozen=True, slots=True)
class Deploy:
    """Serve exactly these versions."""

    model: str
    ts_ns: int
    champion: str
    challenger: str | None
    traffic_percentage: float
    shadows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promote:
    """The challenger is the champion from now on: move the alias. A Deploy follows."""

    model: str
    ts_ns: int
    version: str
    former: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """The challenger is not better: drop its alias. A Deploy follows."""

    model: str
    ts_ns: int
    version: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RollBack:
    """The promoted version proved worse: the former champion `version` serves again. A Deploy follows."""

    model: str
    ts_ns: int
    version: str
    removed: str
    evidence: Mapping[str, Any]


Command = ReportDrift | StartRetraining | Deploy | Promote | Reject | RollBack
