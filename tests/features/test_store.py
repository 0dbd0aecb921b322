"""The point-in-time store: what was served is what is looked up, and nothing is known before it was."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gammaray.features.engine import FeatureVector
from gammaray.features.store import FeatureStore
from gammaray.storage.history import History, HistoryTable

NAMES = ("a", "b")


def vector(ts_ns, known_ns, value, version="v1", underlying="SPY"):
    return FeatureVector(underlying, date(1970, 1, 1), ts_ns, known_ns, NAMES, version, np.array([value, -value]))


def test_online_equals_offline_for_every_time(tmp_path):
    store = FeatureStore(History(tmp_path))
    served = {}
    for day in range(1, 6):
        assert store.write(vector(100 * day, 100 * day + 3, 0.1 * day))
        served[100 * day + 3] = store.online("SPY", "v1").values.copy()
    times = list(served)
    ts_ns, values = store.as_of("SPY", "v1", NAMES, times)
    assert ts_ns.tolist() == [100, 200, 300, 400, 500]
    assert values.tobytes() == np.array(list(served.values())).tobytes()


def test_a_vector_is_invisible_until_it_is_known(tmp_path):
    store = FeatureStore(History(tmp_path))
    store.write(vector(100, 150, 1.0))
    ts_ns, values = store.as_of("SPY", "v1", NAMES, [100, 149, 150, 10**15])
    assert ts_ns.tolist() == [0, 0, 100, 100]
    assert np.isnan(values[:2]).all()
    assert values[2:, 0].tolist() == [1.0, 1.0]


def test_a_late_correction_of_an_old_session_does_not_hide_a_newer_one(tmp_path):
    store = FeatureStore(History(tmp_path))
    store.write(vector(100, 100, 1.0))
    store.write(vector(200, 200, 2.0))
    store.write(vector(100, 250, 9.0))
    store.write(vector(200, 300, 3.0))
    _, values = store.as_of("SPY", "v1", ["a"], [100, 200, 250, 300])
    assert values[:, 0].tolist() == [1.0, 2.0, 2.0, 3.0]
    assert store.online("SPY", "v1").values[0] == 3.0


def test_writing_twice_changes_nothing_and_versions_are_apart(tmp_path):
    history = History(tmp_path)
    store = FeatureStore(history)
    assert store.write(vector(100, 100, 1.0))
    assert not store.write(vector(100, 100, 1.0))
    assert store.write(vector(100, 100, 5.0, version="v2"))
    assert store.write(vector(100, 100, 7.0, underlying="QQQ"))
    assert len(history.files(HistoryTable.FEATURES)) == 3
    assert store.as_of("SPY", "v2", ["a"], [100])[1][0, 0] == 5.0
    assert store.as_of("QQQ", "v1", ["b"], [100])[1][0, 0] == -7.0
    assert store.online("IWM", "v1") is None


def test_a_restarted_store_serves_what_was_served(tmp_path):
    history = History(tmp_path)
    store = FeatureStore(history)
    store.write(vector(100, 100, 1.0))
    store.write(vector(200, 200, float("nan")))
    other = FeatureVector("SPY", date(1970, 1, 1), 300, 300, ("c",), "v2", np.array([3.0]))
    store.write(other)
    found = FeatureStore(history).online("SPY", "v1")
    assert repr(found) == repr(store.online("SPY", "v1"))
    assert found.values.tobytes() == store.online("SPY", "v1").values.tobytes()
    assert FeatureStore(history).online("SPY", "v2").names == ("c",)
    assert FeatureStore(history).online("SPY", "v3") is None


def test_an_unknown_value_comes_back_as_nan(tmp_path):
    store = FeatureStore(History(tmp_path))
    store.write(vector(100, 100, float("nan")))
    assert np.isnan(store.as_of("SPY", "v1", NAMES, [100])[1]).all()


def test_nothing_is_known_before_it_happened(tmp_path):
    with pytest.raises(ValueError, match="known_ns: 99 is before ts_ns 100"):
        FeatureStore(History(tmp_path)).write(vector(100, 99, 1.0))


@settings(max_examples=10, deadline=None)
@example(entries=[(1, 7), (6, 0), (6, 2)], times=[8])
@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(0, 18), min_size=1, max_size=6),
)
def test_as_of_equals_the_obvious_search(tmp_path_factory, entries, times):
    store = FeatureStore(History(tmp_path_factory.mktemp("store")))
    vectors = [vector(ts, ts + delay, float(i)) for i, (ts, delay) in enumerate(entries)]
    for item in vectors:
        store.write(item)
    ts_ns, values = store.as_of("SPY", "v1", ["a"], times)
    for i, time in enumerate(times):
        known = [item for item in vectors if item.known_ns <= time]
        best = max(known, key=lambda item: (item.ts_ns, item.known_ns), default=None)
        assert ts_ns[i] == (best.ts_ns if best else 0)
        assert np.array_equal(values[i, 0], best.values[0] if best else np.nan, equal_nan=True)
