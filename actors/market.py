"""The market actor: owns the chains of a group of underlyings, their feeds, daily records and features."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import date, timedelta

import numpy as np
import ray

from actors.configuration import ActorConfiguration
from actors.messages import MarketTick, SessionClose, Step
from actors.process import enter_process
from actors.venue import market_data
from gammaray.features.baseline import ewma_volatility, intraday_volatility
from gammaray.features.daily import MODEL_FEATURES
from gammaray.features.engine import FeatureEngine, FeatureVector
from gammaray.features.store import FeatureStore
from gammaray.features.targets import outcome
from gammaray.market.chain import ChainState
from gammaray.market.columns import Quotes
from gammaray.market.daily import DailyRecord, DailyRecordBuilder, with_official_prices
from gammaray.operations.errors import BadInput
from gammaray.operations.health import Health
from gammaray.storage.history import History
from gammaray.storage.history_daily import append_daily_records, append_snapshot, read_daily_records
from gammaray.types.calendar import NEW_YORK, TradingCalendar
from gammaray.types.clock import NANOS, to_datetime

LISTING_HORIZON = timedelta(days=200)
LOOK_BACK = 20
"""Sessions in the window that the models read."""
QUOTE_TIMEOUT_S = 5.0
BASELINE_DAYS = timedelta(days=90)


class _Underlying:
    """What is kept of one underlying."""

    def __init__(self, symbol: str, calendar: TradingCalendar, history: History, until_ns: int) -> None:
        self.chain = ChainState(symbol, calendar=calendar)
        self.builder = DailyRecordBuilder(symbol)
        self.engine = FeatureEngine(symbol, MODEL_FEATURES)
        self.window: list[FeatureVector] = []
        self.last_record: DailyRecord | None = None
        self.closes: list[float] = []
        self.spots: list[float] = []
        for record in read_daily_records(history, symbol, until_ns=until_ns):
            self._learn(record)

    def _learn(self, record: DailyRecord) -> FeatureVector:
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
        outcomes = outcome(previous, record).as_array() if previous is not None else np.full(2, np.nan)
        vector = self._learn(record)
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


@ray.remote(concurrency_groups={"health": 1})
class MarketActor:
    """Turns the venue's streams into snapshots, one batch a step."""

    def __init__(self, configuration: ActorConfiguration) -> None:
        self._configuration = configuration
        self._log = enter_process(configuration, "market")
        self._data = market_data(configuration)
        self._history = History(configuration.folder.history)
        self._store = FeatureStore(self._history)
        now_ns = self._started_ns = self._data.clock_ns()
        today = to_datetime(now_ns).astimezone(NEW_YORK).date()
        self._calendar = TradingCalendar(
            today - timedelta(days=10), max(today, configuration.settings.run.last_day) + LISTING_HORIZON
        )
        self._state = {
            symbol: _Underlying(symbol, self._calendar, self._history, now_ns) for symbol in configuration.underlyings
        }
        self._listed_for = 0
        self._last_ns = 0
        self._quotes = 0
        newest = {
            symbol: state.last_record.day.isoformat() for symbol, state in self._state.items() if state.last_record
        }
        self._log.info("market_started", underlyings=sorted(self._state), newest_records=newest)

    def advance(self, step: Step) -> MarketTick:
        """The market at a step. In lock-step it first waits for every quote that the step published, and fetches what did not come."""
        if step.session_open_ns != self._listed_for:
            self._list_contracts(step)
        backfilled = self._receive(step)
        open_now = step.session_open or step.is_close
        snapshots = {symbol: state.chain.snapshot(step.ts_ns, open_now) for symbol, state in self._state.items()}
        if open_now:
            for symbol, snapshot in snapshots.items():
                if np.isfinite(snapshot.spot):
                    self._state[symbol].builder.add(snapshot)
                self._state[symbol].spots.append(snapshot.spot)
        self._last_ns = step.ts_ns
        baseline = {symbol: state.baseline(step) for symbol, state in self._state.items()}
        return MarketTick(step, snapshots, self._quotes, backfilled, baseline)

    def close_session(self, tick: MarketTick) -> tuple[SessionClose, ...]:
        """Daily records, features and outcomes of the session that ended with this tick; written to the history. Idempotent."""
        day = to_datetime(tick.step.ts_ns).astimezone(NEW_YORK).date()
        closes = []
        for symbol, state in self._state.items():
            if state.last_record is not None and state.last_record.day >= day:
                continue
            record = self._daily_record(symbol, state, tick, day)
            if record is None:
                continue
            vector, close = state.close(record, self._calendar.after(day).close_ns)
            append_daily_records(self._history, [record])
            self._store.write(vector)
            append_snapshot(self._history, tick.snapshots[symbol])
            closes.append(close)
        return tuple(closes)

    @ray.method(concurrency_group="health")
    def health(self) -> Health:
        """Alive, and how old the newest step is."""
        age_s = max(0.0, (self._data.clock_ns() - self._last_ns) / 1e9) if self._last_ns else None
        return Health("market", live=True, ready=self._last_ns > 0, detail=f"{self._quotes} quotes", age_s=age_s)

    def daily_records(self, symbol: str) -> list[dict[str, object]]:
        """Every daily record known so far. Raises BadInput for a symbol that is not an underlying of this run."""
        self._require(symbol)
        records = read_daily_records(self._history, symbol, until_ns=max(self._last_ns, self._started_ns))
        return [asdict(record) for record in records]

    def feature_window(self, symbol: str) -> dict[str, object]:
        """The newest feature vectors: names, version, rows of shape (sessions, features). Raises BadInput before the first is known."""
        window = self._require(symbol).window
        if not window:
            raise BadInput("symbol", f"no features of {symbol} are known yet")
        return {
            "names": window[-1].names,
            "version": window[-1].version,
            "rows": np.array([each.values for each in window]),
        }

    def _require(self, symbol: str) -> _Underlying:
        if symbol not in self._state:
            raise BadInput("symbol", f"{symbol} is not an underlying of this run: {', '.join(self._state)}")
        return self._state[symbol]

    def status(self) -> dict[str, object]:
        """Counters of feeds and quality, by underlying."""
        return {
            symbol: {
                "contracts": len(state.chain.table),
                "feed": {name: getattr(state.chain.feed, name) for name in state.chain.feed.__slots__},
                "surface_failures": state.chain.surface_failures,
            }
            for symbol, state in self._state.items()
        }

    def _list_contracts(self, step: Step) -> None:
        today = to_datetime(step.ts_ns).astimezone(NEW_YORK).date()
        symbols: list[str] = []
        for underlying, state in self._state.items():
            contracts = self._data.contracts(underlying, first=today, last=today + LISTING_HORIZON)
            state.chain.list_contracts(contracts)
            symbols += [contract.symbol for contract in contracts]
        self._data.subscribe(tuple(self._state), symbols)
        for underlying in self._state:
            self._apply(self._data.chain_quotes(underlying))
            bars = self._data.daily_bars(underlying, first=today - BASELINE_DAYS, last=today - timedelta(days=1))
            state = self._state[underlying]
            state.closes, state.spots = [bar.close for bar in bars], []
        self._listed_for = step.session_open_ns

    def _receive(self, step: Step) -> tuple[str, ...]:
        gap = self._data.stream_gap()
        complete = True
        # The first step was published before anybody had subscribed; listing the contracts has fetched it.
        if self._configuration.lock_step and self._last_ns:
            complete = self._data.wait_for_quotes(step.ts_ns, step.expected, QUOTE_TIMEOUT_S)
        self._apply(self._data.drain_quotes())
        if complete and not gap:
            return ()
        for underlying, state in self._state.items():
            state.chain.note_gap()
            self._apply(self._data.chain_quotes(underlying))
        self._log.warning("quotes_backfilled", ts_ns=step.ts_ns, gap=gap, complete=complete)
        return tuple(self._state)

    def _apply(self, batch: Quotes) -> None:
        for state in self._state.values():
            self._quotes += state.chain.apply(batch)

    def _daily_record(self, symbol: str, state: _Underlying, tick: MarketTick, day: date) -> DailyRecord | None:
        if state.builder.samples == 0:
            return None
        record = state.builder.finish(
            day, tick.step.ts_ns, source=f"venue:{self._configuration.settings.run.venue.value}"
        )
        bars = self._data.daily_bars(symbol, first=day, last=day)
        if not bars:
            return record
        bar = bars[-1]
        return with_official_prices(record, bar.open, bar.high, bar.low, bar.close)
