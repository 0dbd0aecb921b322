"""The Parquet history: written once, whole or not at all, the same rows after compaction."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.storage import history as history_module
from gammaray.storage.history import History, HistoryTable

DAY = date(2018, 2, 5)
TABLE = HistoryTable.PREDICTIONS


def append(history, batch_id, *values, day=DAY, underlying="SPY"):
    rows = [{"ts_ns": value, "value": float(value)} for value in values]
    return history.append(TABLE, rows, batch_id=batch_id, day=day, underlying=underlying)


def read(history):
    table = history.query("SELECT ts_ns, value, date, underlying FROM predictions ORDER BY ts_ns")
    return [tuple(row.values()) for row in table.to_pylist()]


def test_a_batch_is_written_once(tmp_path):
    history = History(tmp_path)
    assert append(history, "b1", 1, 2)
    assert not append(history, "b1", 1, 2)
    assert not append(History(tmp_path), "b1", 7), "another process knows it too"
    assert append(history, "b2", 3)
    assert read(history) == [(1, 1.0, DAY, "SPY"), (2, 2.0, DAY, "SPY"), (3, 3.0, DAY, "SPY")]
    assert history.has(TABLE, batch_id="b1", day=DAY, underlying="SPY")
    assert not history.has(TABLE, batch_id="b1", day=DAY, underlying="QQQ")


def test_partitions_are_folders_and_columns(tmp_path):
    history = History(tmp_path)
    append(history, "b1", 1)
    append(history, "b1", 2, underlying="QQQ")
    append(history, "b1", 3, day=date(2018, 2, 6))
    assert (tmp_path / "predictions/date=2018-02-05/underlying=QQQ/b1.parquet").is_file()
    found = history.query("SELECT count(*) AS n FROM predictions WHERE date = DATE '2018-02-05' AND underlying = 'SPY'")
    assert found.to_pylist() == [{"n": 1}]


def test_compaction_keeps_rows_and_remembers_batches(tmp_path):
    history = History(tmp_path)
    for i in range(5):
        append(history, f"b{i}", 10 - i)
    before = read(history)
    assert history.compact(TABLE) == 5
    assert len(history.files(TABLE)) == 1
    assert read(history) == before
    assert not append(history, "b3", 99)
    assert append(history, "b9", 99)
    assert history.compact(TABLE) == 2, "the compacted file and the new one become one"
    assert read(history) == [*before, (99, 99.0, DAY, "SPY")]
    assert not append(History(tmp_path), "b9", 99)
    assert history.compact(TABLE) == 0


def test_compaction_leaves_later_days_alone(tmp_path):
    history = History(tmp_path)
    for i in range(3):
        append(history, f"b{i}", i)
        append(history, f"b{i}", i, day=date(2018, 2, 6))
    assert history.compact(TABLE, before=date(2018, 2, 6)) == 3
    assert len(history.files(TABLE)) == 1 + 3


def test_a_crash_between_compaction_and_removal_doubles_nothing(tmp_path, monkeypatch):
    history = History(tmp_path)
    for i in range(3):
        append(history, f"b{i}", i)
    before = read(history)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", lambda self, missing_ok=False: None)
        history.compact(TABLE)
    folder = tmp_path / "predictions/date=2018-02-05/underlying=SPY"
    assert len(list(folder.glob("*.parquet"))) == 4, "all files are still there"
    after = History(tmp_path)
    assert read(after) == before
    after.compact(TABLE)
    assert [file.name for file in sorted(folder.iterdir())] == ["compacted-000001.parquet"]


def test_a_crash_while_writing_leaves_no_batch(tmp_path, monkeypatch):
    history = History(tmp_path)
    append(history, "b1", 1)

    def fail(*_args, **_kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(history_module.pq, "write_table", fail)
    with pytest.raises(OSError, match="no space"):
        append(history, "b2", 2)
    monkeypatch.undo()
    assert read(history) == [(1, 1.0, DAY, "SPY")]
    assert not list(tmp_path.rglob("*.tmp"))
    assert append(history, "b2", 2)


def test_columns_may_come_later(tmp_path):
    history = History(tmp_path)
    append(history, "b1", 1)
    history.append(TABLE, pa.table({"ts_ns": [2], "extra": ["x"]}), batch_id="b2", day=DAY, underlying="SPY")
    assert history.compact(TABLE) == 2
    assert history.query("SELECT ts_ns, value, extra FROM predictions ORDER BY ts_ns").to_pylist() == [
        {"ts_ns": 1, "value": 1.0, "extra": None},
        {"ts_ns": 2, "value": None, "extra": "x"},
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_id": "../../x"}, "batch_id: expected"),
        ({"batch_id": "compacted-000001"}, "batch_id: expected"),
        ({"underlying": "SPY/.."}, "underlying: not a ticker"),
        ({"rows": []}, "rows: expected at least one"),
        ({"rows": [{"ts_ns": 1, "underlying": "SPY"}]}, "rows: \\['underlying'\\] come from the partition"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, arguments, message):
    good = {"rows": [{"ts_ns": 1}], "batch_id": "b1", "underlying": "SPY"}
    rows = (good | arguments).pop("rows")
    names = {key: value for key, value in (good | arguments).items() if key != "rows"}
    with pytest.raises(ValueError, match=message):
        History(tmp_path).append(TABLE, rows, day=DAY, **names)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 9), st.just("compact"), st.just("reopen")), max_size=20))
def test_any_order_of_appends_and_compactions_reads_each_batch_once(tmp_path_factory, actions):
    path = tmp_path_factory.mktemp("history")
    history, written = History(path), set()
    for action in actions:
        if action == "compact":
            history.compact(TABLE)
        elif action == "reopen":
            history = History(path)
        else:
            assert append(history, f"b{action}", action) == (action not in written)
            written.add(action)
    if written:
        assert [row[0] for row in read(history)] == sorted(written)
