"""Rows of features with the outcomes that followed, and the windows a sequence model reads from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gammaray.operations.errors import BadInput
from gammaray.types.clock import to_datetime

if TYPE_CHECKING:
    from gammaray.features.training import TrainingFrame

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TARGET_NAMES = ("realized_volatility", "iv_change")
N_TARGETS = len(TARGET_NAMES)


@dataclass(frozen=True, slots=True)
class WindowSet:
    """Windows of consecutive rows, each with the outcome that followed its last row.

    inputs: (m, look_back, F), oldest row first. targets: (m, 2), NaN where unknown.
    ts_ns: (m,) time of the last row. outcome_ts_ns: (m,) when the target became known.
    """

    inputs: FloatArray
    targets: FloatArray
    ts_ns: IntArray
    outcome_ts_ns: IntArray

    def __len__(self) -> int:
        return len(self.ts_ns)

    def take(self, rows: npt.NDArray[np.bool_] | IntArray) -> WindowSet:
        """The windows chosen by a mask or by positions."""
        return WindowSet(self.inputs[rows], self.targets[rows], self.ts_ns[rows], self.outcome_ts_ns[rows])


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Daily rows in time order.

    features: (n, F) float64, finite. targets: (n, 2) float64, columns `TARGET_NAMES`: realised volatility of the next session
    (annual, positive) and change of the 30-day at-the-money implied volatility to the next session's close (absolute); NaN where an outcome is
    unknown (the last row, or years without an implied volatility). ts_ns: (n,) time at which a row was complete, strictly rising.
    outcome_ts_ns: (n,) time at which its target became known, after ts_ns; by default the time of the following row.
    """

    feature_names: tuple[str, ...]
    feature_version: str
    features: FloatArray
    targets: FloatArray
    ts_ns: IntArray
    outcome_ts_ns: IntArray

    def __post_init__(self) -> None:
        rows, columns = len(self.ts_ns), len(self.feature_names)
        if len(set(self.feature_names)) != columns:
            raise BadInput("feature_names", "a name occurs twice")
        for field, array, shape in (
            ("features", self.features, (rows, columns)),
            ("targets", self.targets, (rows, N_TARGETS)),
            ("outcome_ts_ns", self.outcome_ts_ns, (rows,)),
        ):
            if array.shape != shape:
                raise BadInput(field, f"expected shape {shape}, was {array.shape}")
        if np.any(np.diff(self.ts_ns) <= 0):
            raise BadInput("ts_ns", "must rise strictly")
        if np.any(self.outcome_ts_ns <= self.ts_ns):
            raise BadInput("outcome_ts_ns", "a target must become known after its row")
        bad = np.argwhere(~np.isfinite(self.features))
        if len(bad):
            row, column = bad[0]
            raise BadInput(
                f"features[{row}].{self.feature_names[column]}", f"must be finite, was {self.features[row, column]}"
            )
        if np.any(self.targets[:, 0] <= 0):
            row = int(np.argmax(self.targets[:, 0] <= 0))
            raise BadInput(f"targets[{row}].{TARGET_NAMES[0]}", f"must be positive, was {self.targets[row, 0]}")
        if np.any(np.isinf(self.targets)):
            raise BadInput("targets", "must not be infinite")

    @classmethod
    def from_arrays(
        cls,
        feature_names: Sequence[str],
        feature_version: str,
        features: npt.ArrayLike,
        targets: npt.ArrayLike,
        ts_ns: npt.ArrayLike,
        outcome_ts_ns: npt.ArrayLike | None = None,
    ) -> TrainingSet:
        """Build from array-likes. Without `outcome_ts_ns` a target is known when the next row is (one day later for the last row).

        Raises BadInput naming the field when shapes, order or values are wrong.
        """
        times = np.ascontiguousarray(ts_ns, dtype=np.int64)
        if times.ndim != 1:
            raise BadInput("ts_ns", f"expected one dimension, was {times.ndim}")
        if outcome_ts_ns is None:
            after_last = times[-1:] + 86_400 * 1_000_000_000
            outcomes = np.concatenate([times[1:], after_last])
        else:
            outcomes = np.ascontiguousarray(outcome_ts_ns, dtype=np.int64)
        return cls(
            tuple(feature_names),
            feature_version,
            np.ascontiguousarray(features, dtype=np.float64),
            np.ascontiguousarray(targets, dtype=np.float64),
            times,
            outcomes,
        )

    @classmethod
    def from_frame(cls, frame: TrainingFrame, until_ns: int) -> TrainingSet:
        """From the feature store's table as it was known at `until_ns`."""
        last = np.array([max(until_ns, int(frame.ts_ns[-1]) + 1)]) if len(frame.ts_ns) else np.empty(0, dtype=np.int64)
        known = np.concatenate([frame.ts_ns[1:], last])
        return cls.from_arrays(frame.names, frame.version, frame.x, frame.y, frame.ts_ns, known)

    def __len__(self) -> int:
        return len(self.ts_ns)

    @property
    def dates(self) -> tuple[date, ...]:
        """UTC date of each row (a US session's close falls on the same UTC date)."""
        return tuple(to_datetime(int(ts)).date() for ts in self.ts_ns)

    def rows(self, start: int, stop: int) -> TrainingSet:
        """Rows start to stop (exclusive), as for a slice."""
        return TrainingSet(
            self.feature_names,
            self.feature_version,
            self.features[start:stop],
            self.targets[start:stop],
            self.ts_ns[start:stop],
            self.outcome_ts_ns[start:stop],
        )

    def known_at(self, cut_ns: int) -> TrainingSet:
        """What was known at `cut_ns`: rows complete by then, and targets that had come out by then (NaN for the others)."""
        stop = int(np.searchsorted(self.ts_ns, cut_ns, side="right"))
        past = self.rows(0, stop)
        targets = past.targets.copy()
        targets[past.outcome_ts_ns > cut_ns] = np.nan
        return TrainingSet(
            past.feature_names, past.feature_version, past.features, targets, past.ts_ns, past.outcome_ts_ns
        )

    def windows(self, look_back: int) -> WindowSet:
        """Every window of `look_back` rows whose last row has at least one known target.

        Raises BadInput when there are fewer rows than `look_back`.
        """
        if look_back < 1 or len(self) < look_back:
            raise BadInput("look_back", f"needs 1 to {len(self)} rows, was {look_back}")
        view = np.lib.stride_tricks.sliding_window_view(self.features, look_back, axis=0)
        inputs = np.swapaxes(view, 1, 2)
        last = np.arange(look_back - 1, len(self))
        known = ~np.all(np.isnan(self.targets[last]), axis=1)
        last = last[known]
        return WindowSet(
            np.ascontiguousarray(inputs[known]), self.targets[last], self.ts_ns[last], self.outcome_ts_ns[last]
        )

    def check_features(self, names: Sequence[str], version: str) -> None:
        """Raises BadInput when this set does not hold exactly the features, in order and version, that a model was built for."""
        check_features(self.feature_names, self.feature_version, names, version)

    def save(self, path: Path) -> None:
        """Write one .npz file."""
        np.savez(
            path,
            feature_names=np.array(self.feature_names),
            feature_version=np.array(self.feature_version),
            features=self.features,
            targets=self.targets,
            ts_ns=self.ts_ns,
            outcome_ts_ns=self.outcome_ts_ns,
        )

    @classmethod
    def load(cls, path: Path) -> TrainingSet:
        """Read what `save` wrote. Raises BadInput when an array is missing or wrong."""
        with np.load(path, allow_pickle=False) as file:
            try:
                return cls(
                    tuple(str(name) for name in file["feature_names"]),
                    str(file["feature_version"]),
                    file["features"],
                    file["targets"],
                    file["ts_ns"],
                    file["outcome_ts_ns"],
                )
            except KeyError as error:
                raise BadInput(str(path), f"is not a training set: {error}") from None


def check_features(given: Sequence[str], given_version: str, expected: Sequence[str], expected_version: str) -> None:
    """Raises BadInput unless names (in order) and version agree; the message names the first difference."""
    if given_version != expected_version:
        raise BadInput("feature_version", f"expected {expected_version!r}, was {given_version!r}")
    if len(given) != len(expected):
        raise BadInput("feature_names", f"expected {len(expected)} features, were {len(given)}")
    for position, (name, wanted) in enumerate(zip(given, expected, strict=True)):
        if name != wanted:
            raise BadInput(f"feature_names[{position}]", f"expected {wanted!r}, was {name!r}")


def purged_split(
    windows: WindowSet, validation_from_ns: int, validation_until_ns: int | None = None, embargo: int = 0
) -> tuple[WindowSet, WindowSet]:
    """Training windows and validation windows with no target that overlaps.

    Training: every window whose outcome was known at or before `validation_from_ns`, less the last `embargo` of them.
    Validation: windows at or after `validation_from_ns` whose outcome is known by `validation_until_ns` (all, when None).
    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7.
    """
    if embargo < 0:
        raise BadInput("embargo", f"must not be negative, was {embargo}")
    training = np.flatnonzero(windows.outcome_ts_ns <= validation_from_ns)
    if embargo:
        training = training[:-embargo]
    inside = windows.ts_ns >= validation_from_ns
    if validation_until_ns is not None:
        inside &= windows.outcome_ts_ns <= validation_until_ns
    return windows.take(training), windows.take(np.flatnonzero(inside))
