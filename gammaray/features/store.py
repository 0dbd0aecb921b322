"""The point-in-time store: feature vectors with the time they are about and the time they were known.

The value served online for a time and the value looked up later for that time are the same bits, because both are the vector that
was written; a vector that became known later, for the same session or an earlier one, is invisible to earlier look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gammaray.features.engine import FeatureVector
from gammaray.storage.history import History, HistoryTable
from gammaray.types.clock import to_datetime

_PREFIX = "f_"
"""Columns of features start with it, so that a feature may have any name."""


class FeatureStore:
    """Feature vectors in the history, and the newest of each underlying in memory."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._online: dict[tuple[str, str], FeatureVector] = {}

    def write(self, vector: FeatureVector) -> bool:
        """Keep a vector. Returns False when it was written before.

        Raises ValueError when `known_ns` lies before `ts_ns`: nothing is known before it happened.
        """
        if vector.known_ns < vector.ts_ns:
            raise ValueError(f"known_ns: {vector.known_ns} is before ts_ns {vector.ts_ns}")
        columns = {f"{_PREFIX}{name}": value for name, value in vector.as_dict().items()}
        row = {"ts_ns": vector.ts_ns, "known_ns": vector.known_ns, "day": vector.day, "version": vector.version}
        written = self._history.append(
            HistoryTable.FEATURES,
            [row | columns],
            batch_id=f"{vector.version}-{vector.ts_ns}-{vector.known_ns}",
            day=to_datetime(vector.ts_ns).date(),
            underlying=vector.underlying,
        )
        key = (vector.underlying, vector.version)
        newest = self._online.get(key)
        if newest is None or (vector.ts_ns, vector.known_ns) >= (newest.ts_ns, newest.known_ns):
            self._online[key] = vector
        return written

    def online(self, underlying: str, version: str) -> FeatureVector | None:
        """The newest vector of a feature set: from memory, or, after a restart, from the history. None when there is none."""
        key = (underlying, version)
        if key not in self._online and self._history.has_rows(HistoryTable.FEATURES):
            rows = self._history.query(
                f"SELECT * FROM {HistoryTable.FEATURES} WHERE underlying = ? AND version = ? "
                "ORDER BY ts_ns DESC, known_ns DESC LIMIT 1",
                [underlying, version],
            ).to_pylist()
            if rows:
                self._online[key] = _vector(rows[0])
        return self._online.get(key)

    def as_of(
        self, underlying: str, version: str, names: Sequence[str], times_ns: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For each time the vector of the latest session among those known by then.

        Returns the sessions' ts_ns, shape (times,), 0 where nothing was known, and the values, shape (times, names), NaN there.
        """
        ts_ns = np.zeros(len(times_ns), np.int64)
        values = np.full((len(times_ns), len(names)), np.nan)
        if not times_ns or not self._history.has_rows(HistoryTable.FEATURES):
            return ts_ns, values
        # Among the rows known so far the best is the latest session, and of it the latest version: a running arg max in the order of
        # known time, the same for all rows known at one time. The times are then joined on known time alone.
        packed = ", ".join(f"{_PREFIX}{name}" for name in names)
        table = self._history.query(
            f"""
            WITH known AS (
                SELECT known_ns, arg_max({{'ts': ts_ns, 'v': [{packed}]}}, {{'ts': ts_ns, 'known': known_ns}}) OVER (
                    ORDER BY known_ns RANGE UNBOUNDED PRECEDING) AS best
                FROM {HistoryTable.FEATURES} WHERE underlying = $underlying AND version = $version
            ),
            latest AS (SELECT known_ns, any_value(best) AS best FROM known GROUP BY known_ns),
            asked AS (SELECT unnest($times::BIGINT[]) AS t, unnest(range(len($times::BIGINT[]))) AS i)
            SELECT i, best.ts AS ts, best.v AS v FROM asked ASOF LEFT JOIN latest ON asked.t >= latest.known_ns ORDER BY i
            """,
            {"underlying": underlying, "version": version, "times": [int(time) for time in times_ns]},
        )
        for i, row in enumerate(table.to_pylist()):
            if row["ts"] is not None:
                ts_ns[i] = row["ts"]
                values[i] = [np.nan if value is None else value for value in row["v"]]
        return ts_ns, values


def _vector(row: dict[str, Any]) -> FeatureVector:
    """The vector of a stored row. A column that is null belongs to another set of features; an unknown value is NaN."""
    values = {
        name.removeprefix(_PREFIX): value
        for name, value in row.items()
        if name.startswith(_PREFIX) and value is not None
    }
    return FeatureVector(
        underlying=row["underlying"],
        day=row["day"],
        ts_ns=row["ts_ns"],
        known_ns=row["known_ns"],
        names=tuple(values),
        version=row["version"],
        values=np.array(list(values.values())),
    )
