"""The scenario `recorded`: the exchange quotes what was recorded. Our orders take the recorded quotes and their sizes, and rest behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.scenario.daily_recording import load_daily_recording
from gammaray.venues.simulated.scenario.minute_recording import load_minute_recording
from gammaray.venues.simulated.scenario.protocol import DailyBar, Frame
from gammaray.venues.simulated.scenario.recording import Recording

_SUFFIX = "_quotes_1min.parquet"


class RecordedScenario:
    """Replays a recording. Nothing is drawn: two runs differ only by what we trade."""

    name = "recorded"

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.calendar = recording.calendar
        self.table = InstrumentTable([recording.underlying])
        self.step_times: tuple[int, ...] = tuple(step.ts_ns for step in recording.steps)
        self._row_of = np.full(len(recording.contracts), -1, dtype=np.int32)
        self._listed_until: date | None = None

    def fingerprint(self) -> str:
        """Source and range."""
        steps = self._recording.steps
        return f"recorded/{self._recording.source}/{steps[0].ts_ns}/{steps[-1].ts_ns}/{len(steps)}"

    def list_for(self, step: int) -> None:
        """List what is quoted on the day of a step, and on every day before it."""
        until = self._recording.steps[step].day
        if self._listed_until is not None and until <= self._listed_until:
            return
        for day in sorted(self._recording.listed):
            if day > until or (self._listed_until is not None and day <= self._listed_until):
                continue
            for number in self._recording.listed[day].tolist():
                if self._row_of[number] < 0:
                    contract = self._recording.contracts[number]
                    expiry = self.calendar.on_or_before(contract.expiration)
                    self._row_of[number] = self.table.list_contract(contract, expiry.close_ns)
        self._listed_until = until

    def listed_rows(self, step: int) -> NDArray[np.int32]:
        """Contracts quoted on the day of a step."""
        self.list_for(step)
        rows: NDArray[np.int32] = self._row_of[self._recording.listed[self._recording.steps[step].day]]
        return rows

    def open_interest(self, row: int) -> int:
        """As recorded last."""
        (number,) = np.flatnonzero(self._row_of == row)
        return int(self._recording.open_interest[number])

    def official_close(self, underlying: str, day: date) -> int:
        """The recorded close in cents."""
        if day not in self._recording.closes:
            raise ValueError(f"day: no recorded session of {underlying} on {day}")
        return self._recording.closes[day]

    def daily_bars(self, underlying: str) -> Sequence[DailyBar]:
        """Daily bars, those before the recording where the folder has them."""
        return self._recording.daily_bars

    def minute_bars(self, underlying: str, day: date) -> Sequence[Bar]:
        """Recorded one-minute bars."""
        return self._recording.minute_bars.get(day, ())

    def frame(self, step: int) -> Frame:
        """What was quoted anew at a step; other contracts keep the quote they had."""
        self.list_for(step)
        recorded = self._recording.steps[step]
        stock = recorded.underlying
        columns = np.concatenate(
            [recorded.quotes, [[stock.bid], [stock.ask], [stock.bid_size], [stock.ask_size]]], axis=1
        ).astype(np.int64)
        return Frame(
            ts_ns=recorded.ts_ns,
            day=recorded.day,
            phase=recorded.phase,
            rows=np.concatenate([self._row_of[recorded.contract], np.zeros(1, dtype=np.int32)]),
            bid=columns[0],
            ask=columns[1],
            bid_size=columns[2],
            ask_size=columns[3],
            last=np.array([stock.last]),
            low=np.array([stock.low]),
            high=np.array([stock.high]),
            flow_row=self._row_of[recorded.flow.contract],
            flow_side=recorded.flow.side,
            flow_qty=recorded.flow.qty,
        )


def recorded_scenario(data: Path, *, first: date | None = None, last: date | None = None) -> RecordedScenario:
    """The first recording under `data` with quotes between two dates: minute quotes of options_intraday before daily chains of options_eod.

    Raises ValueError, naming `data`, when there is none.
    """
    for path in recorded_files(data):
        days = [day for day in recorded_days(path) if (first is None or day >= first) and (last is None or day <= last)]
        if not days:
            continue
        if path.name.endswith(_SUFFIX):
            return RecordedScenario(load_minute_recording(data, path, days))
        return RecordedScenario(load_daily_recording(path, days))
    between = f" between {first or 'any date'} and {last or 'any date'}" if first or last else ""
    raise ValueError(
        f"data: no recorded option quotes{between} under {data} (options_intraday/*{_SUFFIX} or options_eod/SPX*)"
    )


def recorded_files(data: Path) -> list[Path]:
    """Option quote files (or folders of them) that this scenario can replay, minute quotes first."""
    minute = [p for p in sorted(data.glob(f"options_intraday/*{_SUFFIX}")) if "_underlying_" not in p.name]
    return minute + sorted(data.glob("options_eod/SPX*"))


def recorded_days(path: Path) -> list[date]:
    """The days on which a file or folder of files has quotes."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    stamps = pc.unique(pc.floor_temporal(pq.read_table(path, columns=["ts"]).column("ts"), unit="day"))
    return sorted(stamp.date() for stamp in stamps.to_pylist())
