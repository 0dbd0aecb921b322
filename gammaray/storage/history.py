"""History: Parquet micro-batches on disk, partitioned by date and underlying, queried with DuckDB.

A batch is a file that appears in one atomic rename, named by its id, so that writing a batch twice changes nothing. Compaction
merges the files of a partition into one that lists, in its metadata, the batches it holds; a batch that is both in a file of its
own and in a compacted one (a crash in between) is read once.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_BATCH_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")
_PART = re.compile(r"^[A-Za-z0-9.]{1,32}$")
_COMPACTED = "compacted-"
_BATCHES = b"gammaray.batches"


class HistoryTable(StrEnum):
    """The tables of the history."""

    CHAIN_QUOTES = "chain_quotes"
    DAILY_RECORDS = "daily_records"
    FEATURES = "features"
    PREDICTIONS = "predictions"


class History:
    """Tables of Parquet files under one folder: `<path>/<table>/date=<day>/underlying=<ticker>/<batch>.parquet`.

    Several processes may append (different batches) and read at once; compaction wants to be alone on its partition.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._batches_of: dict[Path, frozenset[str]] = {}

    def append(
        self,
        table: HistoryTable,
        rows: pa.Table | Sequence[Mapping[str, Any]],
        *,
        batch_id: str,
        day: date,
        underlying: str,
    ) -> bool:
        """Write one batch of one partition. Returns False, and writes nothing, when the batch is there already.

        The partition columns `date` and `underlying` come from the folder and must not be among the columns.
        Raises ValueError for an id or underlying that cannot be a file name, for no rows and for those columns.
        """
        if not _BATCH_ID.match(batch_id) or batch_id.startswith(_COMPACTED):
            raise ValueError(f"batch_id: expected 1 to 128 letters, digits, '._:-', was {batch_id!r}")
        if not _PART.match(underlying):
            raise ValueError(f"underlying: not a ticker: {underlying!r}")
        content = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([dict(row) for row in rows])
        if content.num_rows == 0:
            raise ValueError("rows: expected at least one")
        clash = {"date", "underlying"} & set(content.column_names)
        if clash:
            raise ValueError(f"rows: {sorted(clash)} come from the partition and must not be columns")
        folder = self._partition(table, day, underlying)
        if batch_id in self._known(folder):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        _write(content, folder / f"{batch_id}.parquet")
        return True

    def has(self, table: HistoryTable, *, batch_id: str, day: date, underlying: str) -> bool:
        """Whether a batch was written."""
        return batch_id in self._known(self._partition(table, day, underlying))

    def files(self, table: HistoryTable) -> list[Path]:
        """The files that hold a table, each batch exactly once, in order of partition and name."""
        result: list[Path] = []
        for folder in sorted((self.path / table.value).glob("date=*/underlying=*")):
            result.extend(self._live(folder))
        return result

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Run SQL over the tables that have rows; each is a view of its name, with the columns `date` and `underlying`.

        Raises duckdb.Error for bad SQL, also where it names a table without rows.
        """
        import duckdb

        with duckdb.connect() as connection:
            connection.execute("SET threads = 1")
            for table in HistoryTable:
                if table.value not in sql:
                    continue
                files = self.files(table)
                if files:
                    names = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
                    connection.execute(
                        f"CREATE VIEW {table.value} AS SELECT * FROM read_parquet([{names}], union_by_name = true, "
                        "hive_partitioning = true, hive_types = {'date': DATE, 'underlying': VARCHAR})"
                    )
            return connection.sql(sql, params=parameters or None).to_arrow_table()

    def has_rows(self, table: HistoryTable) -> bool:
        """Whether a table has any rows."""
        return any((self.path / table.value).glob("date=*/underlying=*/*.parquet"))

    def compact(self, table: HistoryTable, *, before: date | None = None, min_files: int = 2) -> int:
        """Merge the files of each partition (of days before a date) that has at least `min_files`. Returns how many files went away."""
        removed = 0
        for folder in sorted((self.path / table.value).glob("date=*/underlying=*")):
            if before is not None and date.fromisoformat(folder.parent.name.removeprefix("date=")) >= before:
                continue
            live = self._live(folder)
            superseded = set(folder.glob("*.parquet")) - set(live)
            if len(live) >= min_files:
                batches = sorted(self._known(folder))
                content = pa.concat_tables(
                    [pq.read_table(file, partitioning=None) for file in live], promote_options="permissive"
                )
                if "ts_ns" in content.column_names:
                    content = content.sort_by("ts_ns")
                content = content.replace_schema_metadata({_BATCHES: json.dumps(batches).encode()})
                number = 1 + max(
                    (int(file.stem.removeprefix(_COMPACTED)) for file in folder.glob(f"{_COMPACTED}*.parquet")),
                    default=0,
                )
                _write(content, folder / f"{_COMPACTED}{number:06d}.parquet")
                superseded |= set(live)
            for file in superseded:
                file.unlink()
                removed += 1
        return removed

    def _partition(self, table: HistoryTable, day: date, underlying: str) -> Path:
        return self.path / table.value / f"date={day.isoformat()}" / f"underlying={underlying}"

    def _compacted(self, folder: Path) -> list[Path]:
        return sorted(folder.glob(f"{_COMPACTED}*.parquet"))

    def _held(self, file: Path) -> frozenset[str]:
        """The batches inside a compacted file, which never changes once it is there."""
        if file not in self._batches_of:
            metadata = pq.read_schema(file).metadata or {}
            self._batches_of[file] = frozenset(json.loads(metadata[_BATCHES]))
        return self._batches_of[file]

    def _known(self, folder: Path) -> set[str]:
        known = {file.stem for file in folder.glob("*.parquet") if not file.name.startswith(_COMPACTED)}
        for file in self._compacted(folder):
            known |= self._held(file)
        return known

    def _live(self, folder: Path) -> list[Path]:
        """Files to read: the newest compacted file and the batches that it does not hold."""
        compacted = self._compacted(folder)
        # A newer compaction has merged the older ones; they may linger after a crash.
        newest = compacted[-1:]
        held = frozenset().union(*(self._held(file) for file in newest))
        singles = sorted(file for file in folder.glob("*.parquet") if not file.name.startswith(_COMPACTED))
        return newest + [file for file in singles if file.stem not in held]


def _write(content: pa.Table, target: Path) -> None:
    """Write a file that is either there whole or not at all, also after a power cut."""
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            pq.write_table(content, stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
