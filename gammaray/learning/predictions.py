"""The log of what every version predicted, joined with what happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from gammaray.learning.losses import ForecastLoss
from gammaray.models.dataset import FloatArray
from gammaray.models.serving import Served
from gammaray.operations.errors import BadInput

_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    request_id TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    role TEXT NOT NULL,
    served INTEGER NOT NULL,
    underlying TEXT NOT NULL,
    ts_ns INTEGER NOT NULL,
    target_ns INTEGER NOT NULL,
    realized_volatility REAL NOT NULL,
    iv_change REAL NOT NULL,
    PRIMARY KEY (request_id, model, version, role)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS predictions_by_target ON predictions (underlying, target_ns);
CREATE TABLE IF NOT EXISTS outcomes (
    underlying TEXT NOT NULL,
    target_ns INTEGER NOT NULL,
    known_ns INTEGER NOT NULL,
    realized_volatility REAL,
    iv_change REAL,
    PRIMARY KEY (underlying, target_ns)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """What one version said. target_ns: close of the session that it forecasts, by which its outcome is found."""

    request_id: str
    model: str
    version: str
    role: str
    served: bool
    underlying: str
    ts_ns: int
    target_ns: int
    realized_volatility: float
    iv_change: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened in the session that closed at `target_ns`. NaN where it could not be measured."""

    underlying: str
    target_ns: int
    known_ns: int
    realized_volatility: float
    iv_change: float


@dataclass(frozen=True, slots=True)
class JoinedPrediction:
    """A prediction and its outcome."""

    prediction: LoggedPrediction
    outcome: Outcome

    def loss(self, measure: ForecastLoss) -> float:
        """How wrong it was."""
        return measure.one(
            self.prediction.realized_volatility,
            self.prediction.iv_change,
            (self.outcome.realized_volatility, self.outcome.iv_change),
        )


@dataclass(frozen=True, slots=True)
class VersionError:
    """Mean errors of one version in one role. log_volatility: mean |log ratio|; iv_change: mean absolute error."""

    model: str
    version: str
    role: str
    count: int
    log_volatility: float
    iv_change: float
    loss: float


def logged(served: Served, underlying: str, target_ns: int) -> tuple[LoggedPrediction, ...]:
    """The log rows of one answered request: the served prediction first."""
    return tuple(
        LoggedPrediction(
            served.request_id,
            served.model,
            prediction.version,
            prediction.role.value,
            prediction is served.served,
            underlying,
            served.ts_ns,
            target_ns,
            prediction.realized_volatility,
            prediction.iv_change,
        )
        for prediction in served.predictions
    )


class PredictionLog:
    """SQLite file of predictions and outcomes. Appending what is there already changes nothing.

    One writer; it may be handed to another thread, never used from two at once.
    """

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def append(self, predictions: Iterable[LoggedPrediction]) -> int:
        """Write a batch in one transaction; returns how many were new. Raises BadInput when a forecast looks back."""
        rows = []
        for item in predictions:
            if item.target_ns <= item.ts_ns:
                raise BadInput(
                    "target_ns", f"must lie after ts_ns {item.ts_ns}, was {item.target_ns} ({item.request_id})"
                )
            rows.append(
                (
                    item.request_id, item.model, item.version, item.role, int(item.served), item.underlying,
                    item.ts_ns, item.target_ns, item.realized_volatility, item.iv_change,
                )
            )  # fmt: skip
        return self._insert("INSERT OR IGNORE INTO predictions VALUES (?,?,?,?,?,?,?,?,?,?)", rows)

    def append_outcomes(self, outcomes: Iterable[Outcome]) -> int:
        """Write a batch of outcomes; returns how many were new. The first value for a session stands."""
        rows = [
            (item.underlying, item.target_ns, item.known_ns, _stored(item.realized_volatility), _stored(item.iv_change))
            for item in outcomes
        ]
        return self._insert("INSERT OR IGNORE INTO outcomes VALUES (?,?,?,?,?)", rows)

    def joined(
        self, model: str, from_ns: int = 0, known_by_ns: int = 2**63 - 1, underlying: str | None = None
    ) -> list[JoinedPrediction]:
        """Predictions made at or after `from_ns` with outcomes known by `known_by_ns`, in order of time, then request, version and role."""
        rows = self._connection.execute(
            """SELECT p.request_id, p.model, p.version, p.role, p.served, p.underlying, p.ts_ns, p.target_ns,
                      p.realized_volatility, p.iv_change, o.known_ns, o.realized_volatility, o.iv_change
               FROM predictions p JOIN outcomes o ON o.underlying = p.underlying AND o.target_ns = p.target_ns
               WHERE p.model = ? AND p.ts_ns >= ? AND o.known_ns <= ? AND (? IS NULL OR p.underlying = ?)
               ORDER BY p.ts_ns, p.request_id, p.version, p.role""",
            (model, from_ns, known_by_ns, underlying, underlying),
        ).fetchall()
        return [
            JoinedPrediction(
                LoggedPrediction(row[0], row[1], row[2], row[3], bool(row[4]), *row[5:10]),
                Outcome(row[5], row[7], row[10], _read(row[11]), _read(row[12])),
            )
            for row in rows
        ]

    def errors(self, model: str, from_ns: int = 0, measure: ForecastLoss | None = None) -> list[VersionError]:
        """Mean errors by version and role over everything joined since `from_ns`."""
        measure = measure or ForecastLoss()
        groups: dict[tuple[str, str], list[JoinedPrediction]] = {}
        for item in self.joined(model, from_ns):
            groups.setdefault((item.prediction.version, item.prediction.role), []).append(item)
        return [_summarise(model, version, role, items, measure) for (version, role), items in sorted(groups.items())]

    def counts(self) -> tuple[int, int]:
        """Predictions and outcomes in the log."""
        (predictions,) = self._connection.execute("SELECT count(*) FROM predictions").fetchone()
        (outcomes,) = self._connection.execute("SELECT count(*) FROM outcomes").fetchone()
        return int(predictions), int(outcomes)

    def _insert(self, statement: str, rows: Sequence[tuple[object, ...]]) -> int:
        before = self._connection.total_changes
        with self._connection:
            self._connection.executemany(statement, rows)
        return self._connection.total_changes - before


def _summarise(
    model: str, version: str, role: str, items: list[JoinedPrediction], measure: ForecastLoss
) -> VersionError:
    forecasts = np.array([(i.prediction.realized_volatility, i.prediction.iv_change) for i in items])
    outcomes = np.array([(i.outcome.realized_volatility, i.outcome.iv_change) for i in items])
    return VersionError(
        model,
        version,
        role,
        len(items),
        _mean(np.abs(np.log(forecasts[:, 0]) - np.log(outcomes[:, 0]))),
        _mean(np.abs(forecasts[:, 1] - outcomes[:, 1])),
        _mean(measure(forecasts, outcomes)),
    )


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _stored(value: float) -> float | None:
    return None if np.isnan(value) else value


def _read(value: float | None) -> float:
    return float("nan") if value is None else value
