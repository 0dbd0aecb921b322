"""Daily records and chain snapshots as rows of the history."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import pyarrow as pa

from gammaray.market.daily import DailyRecord
from gammaray.market.snapshot import ChainSnapshot
from gammaray.storage.history import History, HistoryTable
from gammaray.types.clock import to_datetime

_FIELDS = tuple(name for name in DailyRecord.__slots__ if name not in ("underlying", "day"))


def append_daily_records(history: History, records: Iterable[DailyRecord], *, batch_id: str = "") -> int:
    """Write records into the partition of their year's first day, one batch per underlying and year. Returns how many were new.

    A record of a later `known_ns` for the same day corrects the earlier one. batch_id: by default derived from the records, so
    that the same records are never written twice.
    """
    written = 0
    ordered = sorted(records, key=lambda record: (record.underlying, record.day, record.known_ns))
    for (underlying, _), group in groupby(ordered, key=lambda record: (record.underlying, record.day.year)):
        batch = list(group)
        rows = [{"day": record.day} | {name: getattr(record, name) for name in _FIELDS} for record in batch]
        name = batch_id or f"{batch[0].day:%Y%m%d}-{batch[-1].day:%Y%m%d}-{batch[-1].known_ns}"
        if history.append(
            HistoryTable.DAILY_RECORDS,
            rows,
            batch_id=name,
            day=batch[0].day.replace(month=1, day=1),
            underlying=underlying,
        ):
            written += len(batch)
    return written


def read_daily_records(history: History, underlying: str, *, until_ns: int) -> list[DailyRecord]:
    """What was known at `until_ns`: one record per day, the latest version of each, in order of day."""
    if not history.has_rows(HistoryTable.DAILY_RECORDS):
        return []
    table = history.query(
        f"SELECT day, {', '.join(_FIELDS)} FROM {HistoryTable.DAILY_RECORDS} WHERE underlying = ? AND known_ns <= ? "
        "QUALIFY row_number() OVER (PARTITION BY day ORDER BY known_ns DESC) = 1 ORDER BY day",
        [underlying, until_ns],
    )
    return [DailyRecord(underlying=underlying, **row) for row in table.to_pylist()]


def append_snapshot(history: History, snapshot: ChainSnapshot) -> bool:
    """Write the quoted rows of a snapshot to the chain quotes; its version and time are the batch. Returns False when it was there.

    Rows that were never quoted are left out; a snapshot without any is not written.
    """
    rows = np.flatnonzero(snapshot.quote_ts_ns > 0)
    if rows.size == 0:
        return False
    table = snapshot.table
    columns = {
        "symbol": pa.array([table.symbols[row] for row in rows]),
        "expiration": pa.array(table.expiration[rows], pa.date32()),
        "strike": table.strike[rows],
        "right": pa.array(np.where(table.is_call[rows], "C", "P")),
        "quality": snapshot.quality[rows],
        "quote_ts_ns": snapshot.quote_ts_ns[rows],
        "spot": np.full(rows.size, snapshot.spot),
        "ts_ns": np.full(rows.size, snapshot.ts_ns),
    }
    for name in ("bid", "ask", "bid_size", "ask_size", "implied_volatility", "delta", "gamma", "vega", "theta"):
        columns[name] = getattr(snapshot, name)[rows]
    return history.append(
        HistoryTable.CHAIN_QUOTES,
        pa.table(columns),
        batch_id=f"{snapshot.ts_ns}-{snapshot.version}",
        day=to_datetime(snapshot.ts_ns).date(),
        underlying=snapshot.underlying,
    )
