"""Computes features from daily records: one by one as sessions end, or for a whole history at once, with the same bits."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from gammaray.features.daily import DAILY_FEATURES
from gammaray.features.definition import INPUTS, Feature, input_row, set_version
from gammaray.market.daily import DailyRecord

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeatureVector:
    """The features of one underlying after one session.

    ts_ns: the close of that session; known_ns: when the values were known. values: shape (len(names),), NaN where not known.
    """

    underlying: str
    day: date
    ts_ns: int
    known_ns: int
    names: tuple[str, ...]
    version: str
    values: FloatArray

    @property
    def missing(self) -> tuple[str, ...]:
        """Names without a value."""
        return tuple(name for name, value in zip(self.names, self.values, strict=True) if math.isnan(value))

    def select(self, names: Sequence[str]) -> FloatArray:
        """The values of some features, in that order. Raises KeyError for a name that is not there."""
        rows = {name: row for row, name in enumerate(self.names)}
        return self.values[[rows[name] for name in names]]

    def as_dict(self) -> Mapping[str, float]:
        """Name to value."""
        return dict(zip(self.names, self.values.tolist(), strict=True))


class FeatureEngine:
    """Features of one underlying, updated with one daily record after another.

    Its state is the inputs of the last sessions, as many as the longest window: `state` and `restore` give it back exactly.
    """

    def __init__(self, underlying: str, features: Sequence[Feature] = DAILY_FEATURES) -> None:
        if not features:
            raise ValueError("features: expected at least one")
        self.underlying = underlying
        self.features = tuple(features)
        self.names = tuple(item.name for item in features)
        self.version = set_version(features)
        self._length = max(item.window for item in features)
        self._columns = np.empty((len(INPUTS), 0))
        self._last: date | None = None

    @property
    def last_day(self) -> date | None:
        """The session of the newest record."""
        return self._last

    def warm_up(self, records: Iterable[DailyRecord]) -> None:
        """Take in records without computing anything. Raises ValueError as `update` does."""
        for record in records:
            self._push(record)

    def update(self, record: DailyRecord) -> FeatureVector:
        """Take in the next session's record and compute the features after it.

        Raises ValueError for another underlying or a day that is not after the last.
        """
        self._push(record)
        return FeatureVector(
            underlying=self.underlying,
            day=record.day,
            ts_ns=record.ts_ns,
            known_ns=record.known_ns,
            names=self.names,
            version=self.version,
            values=np.array([item.value(self._columns) for item in self.features]),
        )

    def state(self) -> bytes:
        """The whole state as text bytes; floats are written in hexadecimal, so that nothing is rounded."""
        columns = [[value.hex() for value in column] for column in self._columns.tolist()]
        last = self._last.isoformat() if self._last else None
        return json.dumps({"version": self.version, "last": last, "columns": columns}).encode()

    def restore(self, state: bytes) -> None:
        """Take the state that `state` gave. Raises ValueError when it is malformed or of another set of features."""
        try:
            content = json.loads(state)
            columns = np.array([[float.fromhex(value) for value in column] for column in content["columns"]])
            last, version = content["last"], content["version"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"state: not a feature engine's state: {error}") from error
        if version != self.version:
            raise ValueError(f"state: of feature set {version}, expected {self.version}")
        self._columns = columns.reshape(len(INPUTS), -1)
        self._last = date.fromisoformat(last) if last else None

    def _push(self, record: DailyRecord) -> None:
        if record.underlying != self.underlying:
            raise ValueError(f"record: expected {self.underlying}, was {record.underlying}")
        if self._last is not None and record.day <= self._last:
            raise ValueError(f"record: {record.day} is not after {self._last}")
        self._columns = np.column_stack(
            (self._columns[:, -(self._length - 1) :] if self._length > 1 else self._columns[:, :0], input_row(record))
        )
        self._last = record.day


def compute_features(records: Sequence[DailyRecord], features: Sequence[Feature] = DAILY_FEATURES) -> FloatArray:
    """Features after each record, shape (records, features), NaN where unknown; row i depends on records up to i only.

    records: of one underlying, days increasing. Raises ValueError where they are not.
    """
    for before, after in itertools.pairwise(records):
        if after.underlying != before.underlying or after.day <= before.day:
            raise ValueError(
                f"records: {after.underlying} {after.day} does not follow {before.underlying} {before.day}"
            )
    if not records:
        return np.empty((0, len(features)))
    columns = np.column_stack([input_row(record) for record in records])
    result = np.empty((len(records), len(features)))
    for column, item in enumerate(features):
        for row in range(len(records)):
            result[row, column] = item.value(columns[:, max(0, row + 1 - item.window) : row + 1])
    return result
