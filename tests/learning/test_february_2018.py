"""Real data: a model trained before October 2017 meets the volatility shock of 5 February 2018."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.definition import set_version
from gammaray.features.engine import compute_features
from gammaray.features.targets import compute_targets
from gammaray.learning.drift import DriftEvent, DriftMonitor
from gammaray.learning.losses import ForecastLoss
from gammaray.models.baselines import HarForecaster, PersistenceForecaster
from gammaray.models.dataset import TrainingSet, purged_split
from gammaray.models.forecaster import LstmForecaster
from gammaray.storage.history_import import sp500_records


@pytest.fixture(scope="module")
def rows() -> TrainingSet:
    """S&P 500 and VIX by day, mid-2014 to March 2018."""
    records = sp500_records(date(2014, 1, 2), date(2018, 3, 29), price_scale=0.1)
    features, targets = compute_features(records, MODEL_FEATURES), compute_targets(records)
    known = np.isfinite(features).all(axis=1)
    return TrainingSet.from_arrays(
        tuple(feature.name for feature in MODEL_FEATURES),
        set_version(MODEL_FEATURES),
        features[known],
        targets[known],
        np.array([record.ts_ns for record in records], dtype=np.int64)[known],
    )


def test_the_shock_is_found_in_days_and_nothing_before_it(rows: TrainingSet) -> None:
    dates = rows.dates
    first = dates.index(date(2017, 10, 2))
    windows = rows.known_at(int(rows.ts_ns[first - 1])).windows(20)
    before, unseen = purged_split(windows, int(windows.ts_ns[-250]))
    model = LstmForecaster(rows.feature_names, rows.feature_version, seed=1)
    model.fit(*purged_split(before, int(before.ts_ns[-120])))
    loss = ForecastLoss()
    reference = loss(model.predict(unseen.inputs), unseen.targets)

    # On the year before the run, which it has not seen, the model beats both baselines.
    har = HarForecaster(rows.feature_names, rows.feature_version, "realized_volatility_1d", "atm_iv_30d")
    har.fit(before)
    yesterday = PersistenceForecaster(rows.feature_names, rows.feature_version, "realized_volatility_1d")
    for baseline in (har, yesterday):
        assert reference.mean() < loss(baseline.predict(unseen.inputs), unseen.targets).mean()

    monitor = DriftMonitor("lstm", rows.feature_names)
    monitor.set_reference_features(rows.features[:first])
    monitor.set_reference_losses(reference)
    last = dates.index(date(2018, 3, 29))
    later = rows.windows(20)
    at = np.searchsorted(later.ts_ns, rows.ts_ns[first - 1 : last])
    losses = loss(model.predict(later.inputs[at]), later.targets[at])
    events: list[tuple[date, DriftEvent]] = []
    for row in range(first, last + 1):
        ts = int(rows.ts_ns[row])
        found = monitor.observe_loss(ts, float(losses[row - first]))
        found += monitor.observe_features(ts, rows.features[row])
        events += [(dates[row], event) for event in found]
    days = {event.detector: day for day, event in reversed(events)}
    assert min(day for day, _ in events) >= date(2018, 2, 5)
    assert days["page_hinkley"] <= date(2018, 2, 9)
    assert days["ks"] <= date(2018, 3, 2)
