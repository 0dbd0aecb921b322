"""Training rows: validation, windows, what is known when, purging."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gammaray.models.dataset import TrainingSet, purged_split
from gammaray.operations.errors import BadInput

NAMES = ("a", "b")


def rows(n: int) -> TrainingSet:
    """Row i: features (i, -i), targets (i + 1, i / 100), complete at 10 i, outcome known at 10 (i + 1)."""
    i = np.arange(n)
    return TrainingSet.from_arrays(
        NAMES,
        "v1",
        np.column_stack([i, -i]),
        np.column_stack([i + 1.0, i / 100.0]),
        10 * i,
        10 * (i + 1),
    )


def test_window_ends_at_its_row_oldest_first() -> None:
    windows = rows(5).windows(3)
    assert len(windows) == 3
    np.testing.assert_array_equal(windows.inputs[0], [[0, 0], [1, -1], [2, -2]])
    np.testing.assert_array_equal(windows.targets[0], [3.0, 0.02])
    assert windows.ts_ns.tolist() == [20, 30, 40]


def test_known_at_hides_rows_and_outcomes_of_the_future() -> None:
    known = rows(5).known_at(30)
    # Row 3 is complete at 30, its outcome comes at 40; row 2's outcome came at 30.
    assert known.ts_ns.tolist() == [0, 10, 20, 30]
    assert np.isnan(known.targets[3]).all()
    assert known.targets[2, 0] == 3.0
    assert known.windows(2).ts_ns.tolist() == [10, 20]


def test_default_outcome_time_is_the_next_row() -> None:
    data = TrainingSet.from_arrays(("a",), "v", [[1.0], [2.0]], [[0.1, 0.0], [0.2, 0.0]], [5, 9])
    assert data.outcome_ts_ns.tolist() == [9, 9 + 86_400 * 10**9]


def test_purge_leaves_out_targets_that_overlap_the_validation() -> None:
    training, validation = purged_split(rows(10).windows(1), validation_from_ns=50)
    # Row 4's outcome is known at 50, exactly when validation begins; row 5 is the first to validate.
    assert training.ts_ns.tolist() == [0, 10, 20, 30, 40]
    assert validation.ts_ns.tolist() == [50, 60, 70, 80, 90]
    embargoed, _ = purged_split(rows(10).windows(1), 50, embargo=2)
    assert embargoed.ts_ns.tolist() == [0, 10, 20]
    _, until = purged_split(rows(10).windows(1), 50, validation_until_ns=80)
    assert until.ts_ns.tolist() == [50, 60, 70]


@given(
    n=st.integers(5, 40),
    look_back=st.integers(1, 4),
    horizon=st.integers(1, 5),
    start=st.integers(0, 400),
    embargo=st.integers(0, 3),
)
def test_no_training_outcome_is_known_after_validation_starts(
    n: int, look_back: int, horizon: int, start: int, embargo: int
) -> None:
    i = np.arange(n)
    data = TrainingSet.from_arrays(
        ("a",), "v", i[:, None], np.column_stack([i + 1.0, i]), 10 * i, 10 * i + 10 * horizon
    )
    training, validation = purged_split(data.windows(look_back), start, embargo=embargo)
    assert (training.outcome_ts_ns <= start).all()
    assert (validation.ts_ns >= start).all()


@given(cut=st.integers(0, 120))
def test_the_future_never_changes_the_past(cut: int) -> None:
    data = rows(10)
    features, targets = data.features.copy(), data.targets.copy()
    later = data.ts_ns > cut
    features[later] += 1000.0
    targets[data.outcome_ts_ns > cut] += 1000.0
    other = TrainingSet.from_arrays(NAMES, "v1", features, targets, data.ts_ns, data.outcome_ts_ns)
    first, second = data.known_at(cut), other.known_at(cut)
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.targets, second.targets)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"features": [[1.0, np.nan], [2.0, 3.0]]}, "features[0].b"),
        ({"targets": [[0.1, 0.0], [-0.1, 0.0]]}, "targets[1].realized_volatility"),
        ({"ts_ns": [5, 5]}, "ts_ns"),
        ({"outcome_ts_ns": [1, 20]}, "outcome_ts_ns"),
        ({"targets": [[0.1, 0.0]]}, "targets"),
        ({"feature_names": ("a", "a")}, "feature_names"),
    ],
)
def test_bad_rows_are_refused_by_field(change: dict[str, object], field: str) -> None:
    good: dict[str, object] = {
        "feature_names": NAMES,
        "feature_version": "v",
        "features": [[1.0, 2.0], [2.0, 3.0]],
        "targets": [[0.1, 0.0], [0.2, 0.0]],
        "ts_ns": [1, 2],
        "outcome_ts_ns": [2, 3],
    }
    with pytest.raises(BadInput) as caught:
        TrainingSet.from_arrays(**{**good, **change})  # type: ignore[arg-type]
    assert caught.value.field == field


def test_features_are_checked_by_name_order_and_version() -> None:
    data = rows(3)
    data.check_features(NAMES, "v1")
    with pytest.raises(BadInput, match=r"feature_names\[0\]: expected 'b', was 'a'"):
        data.check_features(("b", "a"), "v1")
    with pytest.raises(BadInput, match="feature_version: expected 'v2', was 'v1'"):
        data.check_features(NAMES, "v2")
    with pytest.raises(BadInput, match="expected 3 features, were 2"):
        data.check_features(("a", "b", "c"), "v1")


def test_file_round_trip(tmp_path: Path) -> None:
    data = rows(4).known_at(25)
    data.save(tmp_path / "rows.npz")
    again = TrainingSet.load(tmp_path / "rows.npz")
    assert again.feature_names == NAMES
    assert again.feature_version == "v1"
    for name in ("features", "targets", "ts_ns", "outcome_ts_ns"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))
    np.savez(tmp_path / "other.npz", x=np.zeros(1))
    with pytest.raises(BadInput, match="is not a training set"):
        TrainingSet.load(tmp_path / "other.npz")
