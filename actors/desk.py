"""The desk actor: one account. Strategies decide on every tick; the desk session gates, journals and sends."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import ray

from actors import metrics
from actors.configuration import ActorConfiguration
from actors.desk_answers import (
    activity_counts,
    decision_answer,
    order_answers,
    portfolio_answer,
    signal_answer,
    signal_from_order,
)
from actors.forecasting import Forecaster
from actors.messages import DeskReport, ForecastReport, MarketSummary
from actors.metrics import Gauges
from actors.process import enter_process
from actors.venue import trading
from gammaray.desk.reconciliation import ReconciliationReport
from gammaray.desk.session import DeskSession
from gammaray.desk.view import BookView
from gammaray.features.observer import MarketTick, SessionClose
from gammaray.market.snapshot import ChainSnapshot
from gammaray.operations.errors import BadInput, RetryLater
from gammaray.operations.health import Health
from gammaray.operations.settings import RiskSettings
from gammaray.storage.sqlite_journal import SqliteJournal
from gammaray.strategies.protocol import MarketView
from gammaray.strategies.selection import risk_limits, strategies, trader_settings
from gammaray.strategies.trader import Trader, market_view
from gammaray.types.clock import Clock, VirtualClock, WallClock
from gammaray.types.money import to_dollars
from gammaray.types.signals import Forecast, Signal, TradingState

EVENT_TIMEOUT_S = 5.0


@ray.remote(concurrency_groups={"control": 1, "read": 2, "health": 1})
class DeskActor:
    """Owns a desk session. One lock guards it; the control lane waits for a step at most, never for a queue of them."""

    def __init__(self, configuration: ActorConfiguration) -> None:
        self._configuration = configuration
        self._log = enter_process(configuration, "desk")
        self._lock = threading.RLock()
        self._venue = trading(configuration)
        simulated = bool(configuration.venue_url)
        self._clock: Clock = VirtualClock(self._venue.clock_ns()) if simulated else WallClock()
        account = self._venue.account().account_number
        self._journal = SqliteJournal(configuration.folder.journal)
        self._session = DeskSession(
            self._journal, self._venue, risk_limits(configuration.settings.risk), self._clock, account
        )
        run = configuration.settings.run
        self._trader = Trader(
            self._session,
            strategies(configuration.settings),
            trader_settings(run),
            self._settle,
        )
        self._forecaster: Forecaster | None = None
        self._forecasts: dict[str, Forecast] = {}
        self._tick: MarketTick | None = None
        self._gauges = Gauges(metrics.DESK)
        self._incidents: list[str] = []
        self._differences: list[str] = []
        self._reconciliations = 0
        self._reconciled(self._session.start())
        self._log.info("desk_started", account=account, entries=self._session.totals()["journal_entries"])

    # ---- steps

    def on_step(self, tick: MarketTick) -> DeskReport:
        """One step: the venue's news, the new market, decisions, orders, and their outcome. Repeating a step decides again on the book as
        it is, so nothing is sent twice."""
        with self._lock:
            step = tick.step
            self._advance(step.ts_ns)
            self._await_event(step.last_event_id)
            self._session.pump()
            self._tick = tick
            self._session.on_market(tick.snapshots)
            if step.session_open:
                self._decide(tick)
            return self._report(tick)

    def on_close(self, closes: tuple[SessionClose, ...]) -> ForecastReport:
        """After a session: the books are compared with the venue's, the day is closed in them, and the models are asked about tomorrow."""
        with self._lock:
            self._reconciled(self._session.reconcile("session closed"))
            self._session.end_of_session()
        models = self._configuration.settings.learning.models if self._models_serve(closes) else ()
        if not models:
            return ForecastReport(max((close.ts_ns for close in closes), default=0), (), ())
        if self._forecaster is None:
            key = self._configuration.folder.api_key.read_text()
            self._forecaster = Forecaster(self._configuration.api_url, key, models)
        report = self._forecaster.ask(closes)
        with self._lock:
            self._forecasts |= {forecast.underlying: forecast for forecast in report.forecasts}
        return report

    def close(self) -> tuple[DeskReport | None, dict[str, Any]]:
        """Cancel what works, compare the books with the venue's, close the journal. Returns the last report and what the summary needs."""
        with self._lock:
            self._session.cancel_all("end of run")
            self._session.pump(backfill=True)
            self._reconciled(self._session.reconcile("end of run"))
            self._session.close()
            report = self._report(self._tick) if self._tick is not None else None
            return report, {
                **activity_counts(self._session.desk, self._journal),
                "differences": self._differences,
                "reconciliations": self._reconciliations,
                "journal_sha256": self._journal.digest(),
                "journal_entries": self._session.totals()["journal_entries"],
            }

    def checkpoint(self) -> None:
        """Save a snapshot of the desk, so that the next start replays little."""
        with self._lock:
            self._session.pump()
            self._session.close()

    # ---- asked over HTTP

    @ray.method(concurrency_group="read")
    def check_order(self, order: dict[str, Any]) -> dict[str, Any]:
        """What the gate would say to an order."""
        with self._lock:
            signal = signal_from_order(order, self._clock.now_ns())
            return decision_answer(self._session.check(signal))

    @ray.method(concurrency_group="read")
    def submit_order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order through the gate."""
        with self._lock:
            signal = signal_from_order(order, self._clock.now_ns())
            try:
                decision = self._session.submit(signal)
            except ValueError as error:
                raise BadInput("order", str(error)) from None
            self._session.pump()
            return decision_answer(decision)

    @ray.method(concurrency_group="read")
    def orders(self, limit: int) -> list[dict[str, Any]]:
        """Our orders, newest first."""
        with self._lock:
            return order_answers(self._session.desk, limit)

    @ray.method(concurrency_group="read")
    def portfolio(self) -> dict[str, Any]:
        """Positions, cash and P&L."""
        with self._lock:
            return portfolio_answer(self._session.book(), self._session.totals())

    @ray.method(concurrency_group="read")
    def signals(self, underlyings: list[str]) -> list[dict[str, Any]]:
        """What the strategies want now; nothing is sent."""
        with self._lock:
            if self._tick is None:
                raise RetryLater("no market has been seen yet")
            wanted = self._trader.wanted(self._view(self._tick))
        return [signal_answer(signal) for signal in wanted if not underlyings or signal.underlying in underlyings]

    @ray.method(concurrency_group="read")
    def wanted_signals(self) -> list[Signal]:
        """What the strategies want now, as values."""
        with self._lock:
            return [] if self._tick is None else self._trader.wanted(self._view(self._tick))

    @ray.method(concurrency_group="read")
    def market(self, underlying: str) -> tuple[ChainSnapshot, Forecast | None]:
        """The newest snapshot of an underlying, and the forecast that its strategies trade on. Raises BadInput for an unknown one."""
        with self._lock:
            if self._tick is None:
                raise RetryLater("no market has been seen yet")
            view = self._view(self._tick)
        if underlying not in view.snapshots:
            raise BadInput("underlying", f"{underlying} is not an underlying of this run: {', '.join(view.snapshots)}")
        return view.snapshots[underlying], view.forecasts.get(underlying)

    @ray.method(concurrency_group="read")
    def check_signal(self, signal: Signal) -> dict[str, Any]:
        """What the gate would say to a signal."""
        with self._lock:
            return decision_answer(self._session.check(signal))

    @ray.method(concurrency_group="read")
    def submit_signal(self, signal: Signal) -> dict[str, Any]:
        """Send a signal through the gate."""
        with self._lock:
            decision = self._session.submit(signal)
            self._session.pump()
            return decision_answer(decision)

    @ray.method(concurrency_group="control")
    def set_risk(self, risk: RiskSettings, by: str) -> None:
        """Limits from changed settings, in force for the next order."""
        with self._lock:
            self._session.set_limits(risk_limits(risk), by)
            self._log.info("limits_changed", by=by, **risk.model_dump())

    @ray.method(concurrency_group="control")
    def set_trading_state(self, state: str, by: str, reason: str) -> dict[str, str]:
        """ACTIVE, REDUCING or HALTED. A rule may only tighten; a person may do anything."""
        with self._lock:
            self._session.set_trading_state(TradingState(state), by, reason)
            self._incidents.append(f"trading state {state}: {reason}")
            return {"trading_state": state}

    @ray.method(concurrency_group="health")
    def health(self) -> Health:
        """Alive, and whether the books agree."""
        ready = not self._differences
        return Health("desk", live=True, ready=ready, detail="; ".join(self._differences[:3]))

    # ---- inside

    def _advance(self, ts_ns: int) -> None:
        if isinstance(self._clock, VirtualClock):
            self._clock.advance_to(max(ts_ns, self._clock.now_ns()))

    def _await_event(self, event_id: int) -> None:
        """In lock-step, wait until the stream has brought the event that the exchange says was its last."""
        if self._configuration.lock_step and event_id and not self._venue.wait_for_event(event_id, EVENT_TIMEOUT_S):
            self._log.warning("stream_fell_short", event_id=event_id)
            self._session.pump(backfill=True)

    def _decide(self, tick: MarketTick) -> None:
        for signal, decision in self._trader.trade(self._view(tick)):
            log = self._log.info if decision.accepted else self._log.warning
            log(
                "order" if decision.accepted else "denied",
                client_order_id=decision.client_order_id,
                strategy=signal.strategy,
                purpose=signal.purpose.value,
                explanation=signal.explanation,
                rule=decision.rule,
                reason=decision.reason,
            )

    def _settle(self) -> None:
        """Take over what an order caused at once; in lock-step everything that the exchange has published by now."""
        if self._configuration.lock_step:
            self._await_event(self._venue_event_id())
        self._session.pump()

    def _venue_event_id(self) -> int:
        from gammaray.venues.simulated.admin_client import AdminClient

        with AdminClient(self._configuration.venue_url) as admin:
            return admin.barrier()[1]

    def _view(self, tick: MarketTick) -> MarketView:
        step = tick.step
        return market_view(step.ts_ns, step.session_close_ns, tick.snapshots, self._forecasts, tick.baseline_volatility)

    def _models_serve(self, closes: tuple[SessionClose, ...]) -> bool:
        return self._configuration.settings.learning.enabled and any(len(close.window) for close in closes)

    def _reconciled(self, report: ReconciliationReport) -> None:
        self._reconciliations += 1
        self._differences = [
            f"{each.kind} {each.subject}: ours {each.ours}, venue {each.theirs}" for each in report.unresolved
        ]
        for difference in report.differences:
            self._log.warning(
                "reconciliation", cause=report.cause, **{k: str(v) for k, v in asdict(difference).items()}
            )

    def _report(self, tick: MarketTick) -> DeskReport:
        incidents, self._incidents = tuple(self._incidents), []
        book, totals = self._session.book(), self._session.totals()
        self._measure(book, totals)
        return DeskReport(
            step=tick.step,
            book=book,
            totals=totals,
            market=MarketSummary(
                spots={symbol: snapshot.spot for symbol, snapshot in tick.snapshots.items()},
                contracts=sum(len(snapshot.table) for snapshot in tick.snapshots.values()),
                quotes=tick.quotes_seen,
                surface_rmse=float(np.mean([snapshot.surface_rmse for snapshot in tick.snapshots.values()])),
            ),
            incidents=incidents,
        )

    def _measure(self, book: BookView, totals: Mapping[str, Any]) -> None:
        self._gauges.set("gammaray_equity_dollars", to_dollars(book.equity))
        self._gauges.set("gammaray_trading_state", list(TradingState).index(book.trading_state))
        self._gauges.set("gammaray_reconciliation_differences", len(self._differences))
        for state, count in totals["orders_by_state"].items():
            self._gauges.set("gammaray_orders", count, state=state)
        for rule, count in totals["denials_by_rule"].items():
            self._gauges.set("gammaray_denials", count, rule=rule)
