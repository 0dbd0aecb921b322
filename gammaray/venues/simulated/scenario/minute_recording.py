"""Option quotes recorded by the minute: options_intraday/<name>_quotes_1min.parquet with the underlying's quotes and trades beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from gammaray.types.calendar import Session, TradingCalendar
from gammaray.types.clock import NANOS
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.scenario.protocol import DailyBar, Phase
from gammaray.venues.simulated.scenario.recording import (
    IntArray,
    QuoteRows,
    RecordedFlow,
    RecordedStep,
    Recording,
    UnderlyingQuote,
    daily_bar,
)

_MINUTE_NS = 60 * NANOS
_BARS_BEFORE = 400
_SIZE_WHERE_MISSING = 1


def load_minute_recording(data: Path, path: Path, days: Sequence[date]) -> Recording:
    """The sessions of `days` in a file of minute quotes. Raises ValueError for a file without quotes on them."""
    rows = QuoteRows(path, days, _SIZE_WHERE_MISSING)
    days = rows.days()
    last = max(contract.expiration for contract in rows.contracts)
    bars_before = _daily_rows(data, rows.underlying)
    first = min(min((day for day, _ in bars_before), default=days[0]), days[0])
    calendar = TradingCalendar(first - timedelta(days=10), last + timedelta(days=10))
    stock = _read_underlying(path, rows.underlying)
    steps: list[RecordedStep] = []
    closes: dict[date, int] = {}
    for day in days:
        session = calendar.session(day)
        steps.extend(_session_steps(rows, session, stock))
        closes[day] = stock.close(session)
    known = {day: prices for day, prices in bars_before if calendar.is_session(day) and day <= days[-1]}
    for day in days:
        known.setdefault(day, stock.day_prices(calendar.session(day)))
    daily: list[DailyBar] = [daily_bar(calendar, day, known[day]) for day in sorted(known)][-_BARS_BEFORE:]
    return Recording(
        source=path.name,
        underlying=rows.underlying,
        contracts=rows.contracts,
        open_interest=rows.open_interest,
        steps=tuple(steps),
        listed=rows.listed(),
        closes=closes,
        daily_bars=tuple(daily),
        minute_bars={day: tuple(stock.session_bars(calendar.session(day))) for day in days},
        calendar=calendar,
    )


@dataclass(frozen=True, slots=True)
class _Stock:
    """Quotes (rows bid, ask, bid size, ask size in cents and shares, by time) and one-minute trade bars of the underlying,
    and trades of its options by time: (expiration, strike in thousandths, right) with price and quantity."""

    quote_ts: IntArray
    quotes: IntArray
    bars: tuple[Bar, ...]
    trades: dict[int, list[tuple[tuple[date, int, str], float, int]]]

    def session_bars(self, session: Session) -> list[Bar]:
        return [bar for bar in self.bars if session.open_ns <= bar.ts_ns < session.close_ns]

    def day_prices(self, session: Session) -> tuple[float, float, float, float, float]:
        bars = self.session_bars(session)
        if not bars:
            raise ValueError(f"data: no trades of the underlying on {session.day}")
        return (
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            bars[-1].close,
            sum(bar.volume for bar in bars),
        )

    def close(self, session: Session) -> int:
        """The last trade of the session in cents."""
        return round(100 * self.day_prices(session)[3])

    def at(self, ts_ns: int, previous_ns: int) -> UnderlyingQuote:
        """The last quote, and the range of the trade bars that ended in (previous_ns, ts_ns]."""
        i = max(int(np.searchsorted(self.quote_ts, ts_ns, side="right")) - 1, 0)
        bid, ask, bid_size, ask_size = (int(value) for value in self.quotes[:, i])
        passed = [bar for bar in self.bars if previous_ns <= bar.ts_ns < ts_ns]
        low = min((round(100 * bar.low) for bar in passed), default=bid)
        high = max((round(100 * bar.high) for bar in passed), default=ask)
        last = round(100 * passed[-1].close) if passed else (bid + ask) // 2
        return UnderlyingQuote(bid, ask, bid_size, ask_size, last, low, high)


def _session_steps(rows: QuoteRows, session: Session, stock: _Stock) -> list[RecordedStep]:
    """One step a recorded minute after the open; the first opens the session, the one at the close ends it."""
    number_of = {(c.expiration, c.strike_milli, c.right.value): i for i, c in enumerate(rows.contracts)}
    inside = (rows.ts > session.open_ns) & (rows.ts <= session.close_ns)
    times = sorted({*np.unique(rows.ts[inside]).tolist(), session.close_ns})
    mid = np.zeros(len(rows.contracts))
    steps: list[RecordedStep] = []
    previous = session.open_ns
    for i, ts_ns in enumerate(times):
        here = np.flatnonzero(rows.ts == ts_ns)
        traded = [(number_of[key], price, qty) for key, price, qty in stock.trades.get(ts_ns, ()) if key in number_of]
        contract = np.array([number for number, _, _ in traded], dtype=np.int64)
        buys = np.array([price for _, price, _ in traded]) >= mid[contract]
        phase = Phase.CLOSE if ts_ns == session.close_ns else Phase.OPEN if i == 0 else Phase.TRADING
        flow = RecordedFlow(
            contract, np.where(buys, 1, -1).astype(np.int8), np.array([qty for _, _, qty in traded], dtype=np.int64)
        )
        steps.append(
            RecordedStep(
                ts_ns=ts_ns,
                day=session.day,
                phase=phase,
                contract=rows.number[here],
                quotes=rows.quotes[:, here],
                underlying=stock.at(ts_ns, previous),
                flow=RecordedFlow() if phase is Phase.CLOSE else flow,
            )
        )
        mid[rows.number[here]] = rows.quotes[:2, here].sum(axis=0) / 200
        previous = ts_ns
    return steps


def _read_underlying(path: Path, underlying: str) -> _Stock:
    """The files beside a quote file: <name>_underlying_quotes_1min, <underlying>_*_underlying_trades_1min, <name>_trades_1min."""
    import pyarrow.parquet as pq

    name = path.name.removesuffix("_quotes_1min.parquet")
    quote_path = path.with_name(f"{name}_underlying_quotes_1min.parquet")
    bar_paths = sorted(path.parent.glob(f"{underlying}_*_underlying_trades_1min.parquet"))
    if not quote_path.is_file() or not bar_paths:
        raise ValueError(f"data: {path.name} has no quotes and trades of its underlying beside it")
    quotes = pq.read_table(quote_path).to_pandas()
    prices = np.rint(quotes[["bid", "ask"]].to_numpy(dtype=np.float64).T * 100)
    sizes = quotes[["bid_size", "ask_size"]].to_numpy(dtype=np.float64).T
    bars = [
        Bar(ts.value - _MINUTE_NS, float(o), float(h), float(lo), float(c), float(v))
        for bar_path in bar_paths
        for ts, o, h, lo, c, v in pq.read_table(bar_path)
        .to_pandas()[["ts", "open", "high", "low", "close", "volume"]]
        .itertuples(index=False, name=None)
    ]
    trades: dict[int, list[tuple[tuple[date, int, str], float, int]]] = {}
    trade_path = path.with_name(f"{name}_trades_1min.parquet")
    if trade_path.is_file():
        columns = ["ts", "expiration", "strike", "right", "close", "volume"]
        table = pq.read_table(trade_path, columns=columns).to_pandas()
        for ts, expiration, strike, right, price, volume in table.itertuples(index=False, name=None):
            key = (expiration, round(strike * 1000), str(right))
            trades.setdefault(ts.value, []).append((key, float(price), int(volume)))
    return _Stock(
        quotes["ts"].dt.tz_convert(None).to_numpy().astype("datetime64[ns]").astype(np.int64),
        np.concatenate([prices, sizes]).astype(np.int64),
        tuple(sorted(bars, key=lambda bar: bar.ts_ns)),
        trades,
    )


def _daily_rows(data: Path, underlying: str) -> list[tuple[date, tuple[float, ...]]]:
    """(day, (open, high, low, close, volume)) from equity/lean_daily_raw.parquet, oldest first; empty where the folder has none."""
    import pyarrow.parquet as pq

    path = data / "equity" / "lean_daily_raw.parquet"
    if not path.is_file():
        return []
    columns = ["ts", "open", "high", "low", "close", "volume"]
    table = pq.read_table(path, columns=columns, filters=[("symbol", "==", underlying)]).to_pandas()
    rows = sorted(table.itertuples(index=False, name=None))
    return [(row[0].date(), tuple(float(value) for value in row[1:])) for row in rows]
