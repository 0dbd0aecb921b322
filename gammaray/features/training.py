"""The table that models are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.definition import Feature, set_version
from gammaray.features.engine import compute_features
from gammaray.features.targets import compute_targets
from gammaray.storage.history import History
from gammaray.storage.history_daily import read_daily_records


class TrainingFrame(NamedTuple):
    """Rows in order of time, all of one underlying.

    ts_ns: close of the session after which the features were known, shape (n,). x: features, shape (n, len(names)).
    y: `gammaray.features.targets.TARGETS` of the session that followed, shape (n, 2).
    """

    names: tuple[str, ...]
    version: str
    ts_ns: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def training_frame(
    history: History, until_ns: int, *, underlying: str = "SPY", features: Sequence[Feature] = MODEL_FEATURES
) -> TrainingFrame:
    """Features and outcomes that were known at `until_ns`; sessions with an unknown feature or outcome are left out.

    Nothing that became known later takes part: neither later sessions nor later corrections.
    """
    records = read_daily_records(history, underlying, until_ns=until_ns)
    x = compute_features(records, features)
    y = compute_targets(records)
    rows = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    ts_ns = np.array([record.ts_ns for record in records], dtype=np.int64)
    return TrainingFrame(tuple(item.name for item in features), set_version(features), ts_ns[rows], x[rows], y[rows])
