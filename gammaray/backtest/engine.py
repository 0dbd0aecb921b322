"""The back-test: exchange, observer, desk and strategies of a live run, in one process and without a wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gammaray.desk.limits import RiskLimits
from gammaray.desk.session import DeskSession
from gammaray.features.observer import MarketObserver, SessionClose, Step, market_day
from gammaray.storage.history import History
from gammaray.storage.journal import Journal
from gammaray.strategies.protocol import Strategy
from gammaray.strategies.trader import Trader, TraderSettings, market_view
from gammaray.types.calendar import TradingCalendar
from gammaray.types.clock import VirtualClock
from gammaray.types.signals import Forecast
from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.in_process import InProcessVenue


class ForecastSource(Protocol):
    """Forecasts after a session's close, from what was known then."""

    def forecast(self, closes: Sequence[SessionClose]) -> dict[str, Forecast]:
        """By underlying; underlyings without one trade on the volatility baseline."""
        ...


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The account after a step: micro-dollars, and the book's dollar delta."""

    ts_ns: int
    equity: int
    cash: int
    positions: int
    dollar_delta: int


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What a back-test gives. totals: as `DeskSession.totals`. differences: books that did not agree with the exchange's, at any close."""

    equity: tuple[EquityPoint, ...]
    totals: Mapping[str, Any]
    sessions: int
    quotes: int
    differences: tuple[str, ...]
    journal_sha256: str


def steps_of(exchange: ExchangeApi) -> Iterator[Step]:
    """The decisions of an exchange's scenario, in order."""
    times = exchange.step_times()
    if not times:
        return
    calendar = TradingCalendar(market_day(times[0]), market_day(times[-1]))
    for number, ts_ns in enumerate(times, start=1):
        session = calendar.on_or_before(market_day(ts_ns))
        yield Step(
            number=number,
            ts_ns=ts_ns,
            session_open=session.open_ns <= ts_ns < session.close_ns,
            session_open_ns=session.open_ns,
            session_close_ns=session.close_ns,
            is_close=ts_ns == session.close_ns,
            expected={},
            last_event_id=0,
        )


def run_backtest(
    exchange: ExchangeApi,
    strategies: Sequence[Strategy],
    journal: Journal,
    history: History,
    limits: RiskLimits,
    *,
    forecasts: ForecastSource | None = None,
    trader: TraderSettings | None = None,
    progress: Callable[[float, EquityPoint], None] = lambda done, point: None,
) -> BacktestResult:
    """Run the exchange's whole scenario. The clock is the exchange's; nothing of a later step can be seen at an earlier one, since the
    exchange has not published it yet.
    """
    venue = InProcessVenue(exchange)
    clock = VirtualClock(exchange.clock_ns())
    times = exchange.step_times()
    observer = MarketObserver(venue, exchange.underlyings(), history, last_day=market_day(times[-1]), source="backtest")
    session = DeskSession(journal, venue, limits, clock, exchange.account_number)
    session.start()
    desk = Trader(session, strategies, trader)
    known: dict[str, Forecast] = {}
    curve: list[EquityPoint] = []
    differences: list[str] = []
    sessions = 0
    for step in steps_of(exchange):
        venue.advance_to(step.ts_ns)
        clock.advance_to(step.ts_ns)
        session.pump()
        if observer.open_session(step):
            observer.backfill(gap=False)
        observer.apply_stream()
        tick = observer.tick(step)
        session.on_market(tick.snapshots)
        if step.session_open:
            desk.trade(market_view(step.ts_ns, step.session_close_ns, tick.snapshots, known, tick.baseline_volatility))
        if step.is_close:
            sessions += 1
            report = session.reconcile("session closed")
            session.end_of_session()
            differences += [
                f"{each.kind} {each.subject}: ours {each.ours}, venue {each.theirs}" for each in report.unresolved
            ]
            closes = observer.close_session(tick)
            if forecasts is not None:
                known |= forecasts.forecast(closes)
        curve.append(_point(session, step.ts_ns))
        progress(step.number / len(times), curve[-1])
    session.close()
    return BacktestResult(
        tuple(curve), session.totals(), sessions, observer.quotes, tuple(differences), journal.digest()
    )


def _point(session: DeskSession, ts_ns: int) -> EquityPoint:
    totals = session.totals()
    return EquityPoint(ts_ns, totals["equity"], totals["cash"], totals["open_positions"], totals["dollar_delta"])
