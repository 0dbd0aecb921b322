"""One pass from a venue's quotes to snapshots, daily records and features, for a group of underlyings. Live runs and back-tests share it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from gammaray.features.baseline import ewma_volatility, intraday_volatility
from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.engine import FeatureEngine, FeatureVector
from gammaray.features.store import FeatureStore
from gammaray.features.targets import TARGETS, outcome
from gammaray.market.chain import ChainState
from gammaray.market.columns import Quotes
from gammaray.market.daily import DailyRecord, DailyRecordBuilder, with_official_prices
from gammaray.market.snapshot import ChainSnapshot
from gammaray.storage.history import History
from gammaray.storage.history_daily import append_daily_records, append_snapshot, read_daily_records
from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import NANOS, to_datetime
from gammaray.venues.protocol import MarketDataVenue

LISTING_HORIZON = timedelta(days=200)
CALENDAR_HORIZON = timedelta(days=800)
"""How far the calendar reaches: an observer that lives longer than that has to be made anew."""
LOOK_BACK = 20
"""Sessions in the window that the models read."""
BASELINE_DAYS = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: its number, market time and session.

    expected: option quotes by underlying that the venue says it sent us. last_event_id: its newest trading event. Both only in lock-step.
    """

    number: int
    ts_ns: int
    session_open: bool
    session_open_ns: int
    session_close_ns: int
    is_close: bool
    expected: Mapping[str, int]
    last_event_id: int


@dataclass(frozen=True, slots=True)
class MarketTick:
    """The market at a step.

    backfilled: whether the stream fell short and was replaced by REST. baseline_volatility: annual, without any model; NaN where too
    little is known. quotes_seen: since the observer was made.
    """

    step: Step
    snapshots: Mapping[str, ChainSnapshot]
    quotes_seen: int
    backfilled: bool
    baseline_volatility: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SessionClose:
    """What one underlying's finished session teaches.

    window: the last feature vectors, oldest first, shape (LOOK_BACK, features), ending with this session's; no rows while too few are known.
    outcomes: targets that became known at this close, for predictions made at the previous one, in the order of `TARGETS`.
    target_ns: the next session's close, which predictions made now are about.
    """

    underlying: str
    ts_ns: int
    previous_ts_ns: int
    feature_names: tuple[str, ...]
    feature_version: str
    window: NDArray[np.float64]
    outcomes: NDArray[np.float64]
    target_ns: int


class _Underlying:
    """What is kept of one underlying."""

    def __init__(self, symbol: str, calendar: TradingCalendar, records: Sequence[DailyRecord]) -> None:
        self.chain = ChainState(symbol, calendar=calendar)
        self.builder = DailyRecordBuilder(symbol)
        self.engine = FeatureEngine(symbol, MODEL_FEATURES)
        self.window: list[FeatureVector] = []
        self.last_record: DailyRecord | None = None
        self.closes: list[float] = []
        self.spots: list[float] = []
        for record in records:
            self.learn(record)

    def learn(self, record: DailyRecord) -> FeatureVector:
        """Take in the next session's record."""
        vector = self.engine.update(record)
        self.window = [*self.window[-(LOOK_BACK - 1) :], vector]
        self.last_record = record
        return vector

    def baseline(self, step: Step) -> float:
        """Volatility without a model: from daily closes where there are enough, else from the running session."""
        daily = ewma_volatility(self.closes)
        if math.isfinite(daily):
            return daily
        return intraday_volatility(self.spots, (step.ts_ns - step.session_open_ns) / NANOS)

    def close(self, record: DailyRecord, target_ns: int) -> tuple[FeatureVector, SessionClose]:
        """Take in a finished session."""
        previous = self.last_record
        outcomes = outcome(previous, record).as_array() if previous is not None else np.full(len(TARGETS), np.nan)
        vector = self.learn(record)
        rows = np.array([each.values for each in self.window])
        complete = len(rows) == LOOK_BACK and bool(np.isfinite(rows).all())
        return vector, SessionClose(
            underlying=record.underlying,
            ts_ns=record.ts_ns,
            previous_ts_ns=previous.ts_ns if previous is not None else 0,
            feature_names=vector.names,
            feature_version=vector.version,
            window=rows if complete else np.empty((0, len(vector.names))),
            outcomes=outcomes,
            target_ns=target_ns,
        )


def market_day(ts_ns: int) -> date:
    """The date in New York."""
    return to_datetime(ts_ns).astimezone(NEW_YORK).date()


class MarketObserver:
    """Owns the chains of a group of underlyings. What it learned of past sessions is in the history: made anew, it reads it back."""

    def __init__(
        self, data: MarketDataVenue, underlyings: Sequence[str], history: History, *, last_day: date, source: str
    ) -> None:
        """last_day: of the run; the calendar reaches beyond it. source: provenance of daily records."""
        self._data = data
        self._history = history
        self._store = FeatureStore(history)
        self._source = source
        self._started_ns = data.clock_ns()
        today = market_day(self._started_ns)
        self.calendar = TradingCalendar(today - timedelta(days=10), max(today, last_day) + CALENDAR_HORIZON)
        self._state = {
            symbol: _Underlying(symbol, self.calendar, read_daily_records(history, symbol, until_ns=self._started_ns))
            for symbol in underlyings
        }
        self._listed_for = 0
        self.last_ns = 0
        self.quotes = 0

    @property
    def underlyings(self) -> tuple[str, ...]:
        """What is observed."""
        return tuple(self._state)

    @property
    def newest_records(self) -> dict[str, date]:
        """Day of the newest daily record, by underlying."""
        return {symbol: state.last_record.day for symbol, state in self._state.items() if state.last_record}

    def open_session(self, step: Step) -> bool:
        """List the session's contracts and subscribe to them, once a session. Returns whether it did: then REST has given every quote."""
        if step.session_open_ns == self._listed_for:
            return False
        today = market_day(step.ts_ns)
        symbols: list[str] = []
        for underlying, state in self._state.items():
            contracts = self._data.contracts(underlying, first=today, last=today + LISTING_HORIZON)
            state.chain.list_contracts(contracts)
            symbols += [contract.symbol for contract in contracts]
        self._data.subscribe(self.underlyings, symbols)
        for underlying, state in self._state.items():
            bars = self._data.daily_bars(underlying, first=today - BASELINE_DAYS, last=today - timedelta(days=1))
            state.closes, state.spots = [bar.close for bar in bars], []
        self._listed_for = step.session_open_ns
        return True

    def apply_stream(self) -> None:
        """Take in what the stream has brought."""
        self._apply(self._data.drain_quotes())

    def backfill(self, *, gap: bool) -> None:
        """Take in every latest quote by REST."""
        for underlying, state in self._state.items():
            if gap:
                state.chain.note_gap()
            self._apply(self._data.chain_quotes(underlying))

    def tick(self, step: Step, *, backfilled: bool = False) -> MarketTick:
        """The market at a step, from everything taken in so far."""
        in_session = step.session_open or step.is_close
        snapshots = {symbol: state.chain.snapshot(step.ts_ns, in_session) for symbol, state in self._state.items()}
        if in_session:
            for symbol, snapshot in snapshots.items():
                if math.isfinite(snapshot.spot):
                    self._state[symbol].builder.add(snapshot)
                    self._state[symbol].spots.append(snapshot.spot)
        self.last_ns = step.ts_ns
        baseline = {symbol: state.baseline(step) for symbol, state in self._state.items()}
        return MarketTick(step, snapshots, self.quotes, backfilled, baseline)

    def close_session(self, tick: MarketTick) -> tuple[SessionClose, ...]:
        """Daily records, features and outcomes of the session that ended with this tick, written to the history. Idempotent."""
        day = market_day(tick.step.ts_ns)
        closes = []
        for symbol, state in self._state.items():
            if state.builder.samples == 0 or (state.last_record is not None and state.last_record.day >= day):
                continue
            record = self._daily_record(symbol, state, tick, day)
            vector, close = state.close(record, self.calendar.after(day).close_ns)
            append_daily_records(self._history, [record])
            self._store.write(vector)
            append_snapshot(self._history, tick.snapshots[symbol])
            closes.append(close)
        return tuple(closes)

    def daily_records(self, symbol: str) -> list[DailyRecord]:
        """Every daily record known so far. Raises KeyError for an underlying that is not observed."""
        self._state[symbol]
        return read_daily_records(self._history, symbol, until_ns=max(self.last_ns, self._started_ns))

    def window(self, symbol: str) -> tuple[FeatureVector, ...]:
        """The newest feature vectors, oldest first. Raises KeyError for an underlying that is not observed."""
        return tuple(self._state[symbol].window)

    def chain(self, symbol: str) -> ChainState:
        """The live chain of an underlying. Raises KeyError for one that is not observed."""
        return self._state[symbol].chain

    def _apply(self, batch: Quotes) -> None:
        for state in self._state.values():
            self.quotes += state.chain.apply(batch)

    def _daily_record(self, symbol: str, state: _Underlying, tick: MarketTick, day: date) -> DailyRecord:
        record = state.builder.finish(day, tick.step.ts_ns, source=self._source)
        bars = self._data.daily_bars(symbol, first=day, last=day)
        if not bars:
            return record
        bar = bars[-1]
        return with_official_prices(record, bar.open, bar.high, bar.low, bar.close)
