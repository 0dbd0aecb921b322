"""What models forecast, and the frame they are trained on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.definition import set_version
from gammaray.features.engine import compute_features
from gammaray.features.targets import compute_targets, outcome
from gammaray.features.training import training_frame
from gammaray.market.daily import DailyRecord
from gammaray.storage.history import History
from gammaray.storage.history_daily import append_daily_records
from gammaray.storage.history_import import sp500_records


def two_sessions():
    first = DailyRecord("SPY", date(2018, 2, 5), 10**18, 100.0, 101.0, 99.0, 100.0, atm_iv_30d=0.2)
    return first, DailyRecord("SPY", date(2018, 2, 6), 2 * 10**18, 101.0, 104.0, 100.0, 102.0, atm_iv_30d=0.25)


def test_the_outcome_by_hand():
    # ln(1.01)² + 0.5·ln(1.04)² − (2 ln 2 − 1)·ln(102/101)² = 0.00009901 + 0.00076913 − 0.00003750 = 0.00083064; √(252 ·) = 0.45752
    found = outcome(*two_sessions())
    assert found.realized_volatility == pytest.approx(0.45752, abs=1e-5)
    assert found.iv_change == pytest.approx(0.05, rel=1e-12)


def test_outcomes_need_two_sessions_in_order():
    first, second = two_sessions()
    with pytest.raises(ValueError, match="2018-02-05 does not follow SPY 2018-02-06"):
        outcome(second, first)
    with pytest.raises(ValueError, match="QQQ 2018-02-06 does not follow"):
        outcome(first, replace(second, underlying="QQQ"))


def test_batch_targets_are_the_outcomes_and_end_before_the_last():
    records = sp500_records(date(2018, 1, 25), date(2018, 2, 9))
    targets = compute_targets(records)
    for i in range(len(records) - 1):
        assert targets[i].tobytes() == outcome(records[i], records[i + 1]).as_array().tobytes()
    assert np.isnan(targets[-1]).all()
    # 5 February 2018: VIX from 17.31 to 37.32, the index down 4.1 %; the largest change of the fortnight by far.
    at = [record.day for record in records].index(date(2018, 2, 2))
    assert np.nanargmax(targets[:, 1]) == at
    assert targets[at, 1] > 0.12
    # Overnight ln(2741.06 / 2762.13), then a session between 2763.39 and 2638.17: 41 % annual.
    assert targets[at, 0] == pytest.approx(0.415, abs=0.005)


@pytest.fixture(scope="module")
def records():
    return sp500_records(date(2014, 1, 1), date(2014, 12, 31))


def test_the_training_frame_holds_what_was_known(records, tmp_path):
    history = History(tmp_path)
    append_daily_records(history, records)
    until = records[199].ts_ns
    frame = training_frame(history, until)
    assert frame.names == tuple(item.name for item in MODEL_FEATURES)
    assert frame.version == set_version(MODEL_FEATURES)
    # 200 sessions known; the longest window (126) is full from the 126th on; the last has no outcome yet: 74 rows.
    assert frame.x.shape == (74, 36)
    assert frame.y.shape == (74, 2)
    assert np.isfinite(frame.x).all()
    assert frame.ts_ns.tolist() == [record.ts_ns for record in records[125:199]]
    assert frame.x.tobytes() == compute_features(records, MODEL_FEATURES)[125:199].tobytes()
    assert frame.y.tobytes() == compute_targets(records)[125:199].tobytes()


def test_a_correction_is_seen_from_when_it_was_known(records, tmp_path):
    history = History(tmp_path)
    append_daily_records(history, records[:140])
    wrong = records[130]
    known = records[135].ts_ns
    append_daily_records(history, [replace(wrong, close=wrong.high, known_ns=known)], batch_id="correction")
    before, after = training_frame(history, known - 1), training_frame(history, known)
    at = int(np.flatnonzero(before.ts_ns == wrong.ts_ns)[0])
    column = before.names.index("close_location")
    assert before.x[at, column] != 1.0
    assert after.x[at, column] == 1.0
    assert before.x[:at].tobytes() == after.x[:at].tobytes()


def test_an_empty_history_gives_an_empty_frame(tmp_path):
    frame = training_frame(History(tmp_path), 2**62)
    assert frame.x.shape == (0, 36)
    assert frame.y.shape == (0, 2)
    assert frame.ts_ns.size == 0
