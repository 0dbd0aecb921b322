"""Option chains recorded once a day: options_eod/<folder or file> with one snapshot of the chain a session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from gammaray.types.calendar import Session, TradingCalendar
from gammaray.types.clock import NANOS
from gammaray.venues.simulated.scenario.history import index_history
from gammaray.venues.simulated.scenario.protocol import Phase
from gammaray.venues.simulated.scenario.recording import (
    QuoteRows,
    RecordedFlow,
    RecordedStep,
    Recording,
    UnderlyingQuote,
    daily_bar,
)

_SHOWN_BEFORE_CLOSE_NS = 15 * 60 * NANOS
_SIZE_WHERE_MISSING = 50
_HALF_SPREAD_CENTS = 5
_BARS_BEFORE = 400


def load_daily_recording(path: Path, days: Sequence[date]) -> Recording:
    """The sessions of `days`. Raises ValueError for a file without quotes on them.

    The snapshot is shown a quarter of an hour before the close, so that an order can act on it, and again at the close. The files have no sizes:
    50 contracts a side. The index has no quote: 5 cents on both sides of its level in the snapshot. The official close is the file's,
    or the level of the snapshot where it has none.
    """
    rows = QuoteRows(path, days, _SIZE_WHERE_MISSING)
    days = rows.days()
    last = max(contract.expiration for contract in rows.contracts)
    history = {bar[0]: bar[1:] for bar in index_history() if bar[0] < days[0]} if rows.underlying == "SPX" else {}
    kept = sorted(history)[-_BARS_BEFORE:]
    calendar = TradingCalendar(min([*kept, days[0]]) - timedelta(days=10), last + timedelta(days=10))
    closes = _official_closes(path, rows)
    steps = [step for day in days for step in _session_steps(rows, calendar.session(day))]
    bars = [daily_bar(calendar, day, history[day]) for day in kept if calendar.is_session(day)]
    bars += [daily_bar(calendar, day, (closes[day] / 100,) * 4 + (0.0,)) for day in days]
    return Recording(
        source=path.name,
        underlying=rows.underlying,
        contracts=rows.contracts,
        open_interest=rows.open_interest,
        steps=tuple(steps),
        listed=rows.listed(),
        closes=closes,
        daily_bars=tuple(bars),
        minute_bars={},
        calendar=calendar,
    )


def _official_closes(path: Path, rows: QuoteRows) -> dict[date, int]:
    import pyarrow.parquet as pq

    closes = {day: round(100 * float(rows.underlying_price[rows.day == day][0])) for day in rows.days()}
    if "official_close" in pq.read_schema(next(iter(sorted(path.glob("*.parquet"))), path)).names:
        table = pq.read_table(path, columns=["ts", "official_close"]).to_pandas().drop_duplicates("ts")
        official = {ts.date(): close for ts, close in table.itertuples(index=False, name=None) if np.isfinite(close)}
        closes.update({day: round(100 * official[day]) for day in closes if day in official})
    return closes


def _session_steps(rows: QuoteRows, session: Session) -> list[RecordedStep]:
    here = np.flatnonzero(rows.day == session.day)
    level = round(100 * float(rows.underlying_price[here[0]]))
    low, high = level - _HALF_SPREAD_CENTS, level + _HALF_SPREAD_CENTS
    quote = UnderlyingQuote(low, high, 1, 1, level, low, high)
    shown = session.close_ns - _SHOWN_BEFORE_CLOSE_NS
    return [
        RecordedStep(ts_ns, session.day, phase, rows.number[here], rows.quotes[:, here], quote, RecordedFlow())
        for phase, ts_ns in ((Phase.OPEN, shown), (Phase.CLOSE, session.close_ns))
    ]
