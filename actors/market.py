"""The market actor: owns a market observer, its feeds and its history."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import ray

from actors import metrics
from actors.configuration import ActorConfiguration
from actors.metrics import Gauges
from actors.process import enter_process
from actors.venue import market_data
from gammaray.features.observer import MarketObserver, MarketTick, SessionClose, Step
from gammaray.operations.errors import BadInput
from gammaray.operations.health import Health
from gammaray.storage.history import History

QUOTE_TIMEOUT_S = 5.0


@ray.remote(concurrency_groups={"health": 1})
class MarketActor:
    """Turns the venue's streams into snapshots, one batch a step."""

    def __init__(self, configuration: ActorConfiguration) -> None:
        self._configuration = configuration
        self._log = enter_process(configuration, "market")
        run = configuration.settings.run
        self._data = market_data(configuration)
        self._observer = MarketObserver(
            self._data,
            configuration.underlyings,
            History(configuration.folder.history),
            last_day=run.last,
            source=f"venue:{run.venue.value}",
        )
        self._gauges = Gauges(metrics.MARKET)
        self._backfills = 0
        newest = {symbol: day.isoformat() for symbol, day in self._observer.newest_records.items()}
        self._log.info("market_started", underlyings=self._observer.underlyings, newest_records=newest)

    def advance(self, step: Step) -> MarketTick:
        """The market at a step. In lock-step it first waits for every quote that the step published, and fetches what did not come."""
        gap = self._data.stream_gap()
        complete = not self._observer.open_session(step)
        # What a session's first step published went to the former subscription; REST gives the whole of it.
        if complete and self._configuration.lock_step:
            complete = self._data.wait_for_quotes(step.ts_ns, step.expected, QUOTE_TIMEOUT_S)
            if not complete:
                self._log.warning("quotes_missing", ts_ns=step.ts_ns)
        self._observer.apply_stream()
        if gap or not complete:
            self._observer.backfill(gap=gap)
            self._backfills += 1
        tick = self._observer.tick(step, backfilled=gap or not complete)
        self._measure(tick)
        return tick

    def close_session(self, tick: MarketTick) -> tuple[SessionClose, ...]:
        """Daily records, features and outcomes of the session that ended with this tick."""
        return self._observer.close_session(tick)

    @ray.method(concurrency_group="health")
    def health(self) -> Health:
        """Alive, and how old the newest step is in market time."""
        last_ns = self._observer.last_ns
        age_s = max(0.0, (self._data.clock_ns() - last_ns) / 1e9) if last_ns else None
        return Health("market", live=True, ready=last_ns > 0, detail=f"{self._observer.quotes} quotes", age_s=age_s)

    def daily_records(self, symbol: str) -> list[dict[str, object]]:
        """Every daily record known so far. Raises BadInput for a symbol that is not an underlying of this run."""
        self._require(symbol)
        return [asdict(record) for record in self._observer.daily_records(symbol)]

    def feature_window(self, symbol: str) -> dict[str, object]:
        """The newest feature vectors: names, version, rows of shape (sessions, features). Raises BadInput before the first is known."""
        self._require(symbol)
        window = self._observer.window(symbol)
        if not window:
            raise BadInput("symbol", f"no features of {symbol} are known yet")
        rows = np.array([each.values for each in window])
        return {"names": window[-1].names, "version": window[-1].version, "rows": rows}

    def status(self) -> dict[str, object]:
        """Counters of feeds and quality, by underlying."""
        return {
            symbol: {
                "contracts": len(self._observer.chain(symbol).table),
                "feed": asdict(self._observer.chain(symbol).feed),
                "surface_failures": self._observer.chain(symbol).surface_failures,
            }
            for symbol in self._observer.underlyings
        }

    def _measure(self, tick: MarketTick) -> None:
        self._gauges.set("gammaray_quotes", tick.quotes_seen)
        self._gauges.set("gammaray_backfills", self._backfills)
        for symbol, snapshot in tick.snapshots.items():
            if np.isfinite(snapshot.surface_rmse):
                self._gauges.set("gammaray_surface_error", snapshot.surface_rmse, underlying=symbol)

    def _require(self, symbol: str) -> None:
        if symbol not in self._observer.underlyings:
            raise BadInput(
                "symbol", f"{symbol} is not an underlying of this run: {', '.join(self._observer.underlyings)}"
            )
