"""The exchange: one account on one scenario. A facade over listing, books, matching, packages, account, fees and expiry."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.account import Account
from gammaray.venues.simulated.admission import OrderAdmission
from gammaray.venues.simulated.api import ListedContract, Quote
from gammaray.venues.simulated.bars import contract_bars, new_york_day, underlying_bars
from gammaray.venues.simulated.board import Board
from gammaray.venues.simulated.books import Books
from gammaray.venues.simulated.buying_power import BuyingPower
from gammaray.venues.simulated.executions import Executions
from gammaray.venues.simulated.expiry import OptionEvents
from gammaray.venues.simulated.fees import DEFAULT_SCHEDULE, FeeMeter, FeeRates
from gammaray.venues.simulated.instruments import instrument_id
from gammaray.venues.simulated.ledger import Ledger
from gammaray.venues.simulated.market_status import MarketStatus
from gammaray.venues.simulated.model import (
    AccountFigures,
    ExchangeActivity,
    ExchangeEvent,
    ExchangeOrder,
    ExchangePosition,
    ExchangeSettings,
    Published,
    Ticket,
)
from gammaray.venues.simulated.order_entry import OrderEntry
from gammaray.venues.simulated.publication import Publication
from gammaray.venues.simulated.records import Records
from gammaray.venues.simulated.refusals import forbidden, not_found
from gammaray.venues.simulated.scenario.paths import midnight_ns
from gammaray.venues.simulated.scenario.protocol import Phase, Scenario
from gammaray.venues.simulated.session import SessionStep
from gammaray.venues.simulated.state import pack_state, unpack_state
from gammaray.venues.simulated.tape import Tape

_BEFORE_OPEN_NS = 3_600_000_000_000
_DAY_NS = 24 * _BEFORE_OPEN_NS


class Exchange:
    """Implements ExchangeApi (see there for the methods). The clock starts an hour before the scenario's first step.

    fee_schedule: dated rates; None means the default one, charged when the profile is live or the settings ask for fees.
    """

    def __init__(
        self,
        scenario: Scenario,
        settings: ExchangeSettings | None = None,
        *,
        fee_schedule: Sequence[FeeRates] | None = None,
    ) -> None:
        self.settings = settings or ExchangeSettings()
        self.scenario = scenario
        self.account_number = self.settings.account_number
        scenario.list_for(0)
        table = scenario.table
        charged = self.settings.fees or self.settings.profile == "live"
        schedule = DEFAULT_SCHEDULE if fee_schedule is None else tuple(fee_schedule)
        self.table = table
        self.status = MarketStatus(now_ns=scenario.step_times[0] - _BEFORE_OPEN_NS)
        self.board = Board(table)
        self.books = Books()
        self.tape = Tape()
        self.ledger = Ledger(self.settings.cash)
        self.fees = FeeMeter(schedule if charged else ())
        self.records = Records()
        self.accounting = Account(self.settings, table, self.board, self.ledger, self.fees)
        self.power = BuyingPower(table, self.accounting)
        admission = OrderAdmission(self.settings, table, self.ledger, self.accounting, self.power, self.status)
        executions = Executions(table, self.board, self.ledger, self.fees, self.records, self.tape, self.status)
        self.entry = OrderEntry(
            table,
            self.board,
            self.books,
            self.records,
            self.ledger,
            executions,
            admission,
            self.power,
            self.status,
            self.is_halted,
        )
        self.option_events = OptionEvents(table, self.ledger, self.records, self.status, self.visible_ns)
        self.publication = Publication(table, self.board, self.books, self.tape)
        self.halts: set[str] = set()
        self.published_rows: NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self.step = -1
        self._stepper = SessionStep(self)
        self.list_session(0)

    def clock_ns(self) -> int:
        """Exchange time."""
        return self.status.now_ns

    def step_times(self) -> tuple[int, ...]:
        """Times at which the scenario publishes."""
        return self.scenario.step_times

    def advance_to(self, now_ns: int) -> list[Published]:
        """Move to a time through every step on the way. Raises ValueError for a time before the clock."""
        if now_ns < self.status.now_ns:
            raise ValueError(f"now_ns: {now_ns} is before the exchange's clock {self.status.now_ns}")
        published: list[Published] = []
        last = bisect_right(self.scenario.step_times, now_ns) - 1
        while self.step < last:
            self.step += 1
            self.status.now_ns = self.scenario.step_times[self.step]
            frame = self.scenario.frame(self.step)
            if frame.phase is Phase.OPEN:
                self.list_session(self.step)
            published.append(self._stepper.run(frame, self.step))
        self.status.now_ns = now_ns
        return published

    def list_session(self, step: int) -> None:
        rows = self.scenario.listed_rows(step)
        self.board.grow()
        self.publication.grow()
        self.status.listed = frozenset(rows.tolist())
        underlyings = np.arange(len(self.table.underlyings), dtype=np.int32)
        self.published_rows = np.concatenate([np.sort(rows), underlyings])

    def visible_ns(self) -> int:
        """From when a non-trade activity of now shows."""
        now_ns = self.status.now_ns
        if self.settings.profile == "paper" and self.settings.delayed_activities:
            return midnight_ns(new_york_day(now_ns + _DAY_NS))
        return now_ns

    def submit(self, ticket: Ticket) -> ExchangeOrder:
        """Accept an order or raise ExchangeReject."""
        return self.entry.submit(ticket)

    def cancel(self, order_id: str) -> None:
        """Cancel an order or raise ExchangeReject."""
        self.entry.cancel(order_id)

    def replace(
        self,
        order_id: str,
        *,
        qty: int | None,
        limit_price: int | None,
        time_in_force: str | None,
        client_order_id: str | None,
    ) -> ExchangeOrder:
        """Replace an order or raise ExchangeReject."""
        return self.entry.replace(
            order_id,
            qty=qty,
            limit_price=limit_price,
            time_in_force=time_in_force,
            client_order_id=client_order_id,
        )

    def order(self, order_id: str) -> ExchangeOrder:
        """An order or leg; not to be changed by the caller."""
        return self.entry.find(order_id)

    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder:
        """An order by the client's id. Raises ExchangeReject 404."""
        order = self.records.by_client_id.get(client_order_id)
        if order is None:
            raise not_found(f"order not found for {client_order_id}")
        return order

    def orders(self) -> Sequence[ExchangeOrder]:
        """Every parent or simple order, oldest first; not to be changed by the caller."""
        return self.records.parents

    def drain_events(self) -> list[ExchangeEvent]:
        """Trading-stream events since the last call."""
        return self.records.drain_events()

    def last_event_id(self) -> int:
        """Number of the newest event."""
        return self.records.last_event_id

    def positions(self) -> Sequence[ExchangePosition]:
        """Open positions by symbol."""
        return self.ledger.positions()

    def account(self) -> AccountFigures:
        """The account's figures."""
        return self.accounting.figures(self.power.reserved(self.entry.working))

    def activities(self) -> Sequence[ExchangeActivity]:
        """Rows visible now."""
        now_ns = self.status.now_ns
        return [row for row in self.records.activities if row.visible_ns <= now_ns]

    def exercise(self, symbol: str) -> None:
        """Exercise a long position."""
        if self._is_between_close_and_midnight():
            raise forbidden("exercise requests are not accepted after market close until midnight")
        self.option_events.exercise(symbol)
        self.entry.cancel_unbacked(symbol)

    def do_not_exercise(self, symbol: str) -> None:
        """Let a long position lapse today."""
        if self._is_between_close_and_midnight():
            raise forbidden("dne requests are not accepted after 16:00")
        self.option_events.mark_do_not_exercise(symbol, new_york_day(self.status.now_ns))

    def _is_between_close_and_midnight(self) -> bool:
        day = new_york_day(self.status.now_ns)
        calendar = self.scenario.calendar
        return calendar.is_session(day) and self.status.now_ns >= calendar.session(day).close_ns

    def underlyings(self) -> tuple[str, ...]:
        """Underlyings traded here."""
        return self.table.underlyings

    def listed(self, underlying: str) -> Sequence[ListedContract]:
        """Contracts listed now, and those that expired on the current day."""
        if underlying not in self.table.underlyings:
            raise not_found(f"asset not found for {underlying}")
        wanted = self.table.row_of[underlying]
        rows = self.scenario.listed_rows(max(self.step, 0))
        return [self._listed_contract(int(row)) for row in rows if self.table.underlying_row(int(row)) == wanted]

    def contract(self, symbol_or_id: str) -> ListedContract:
        """A contract by symbol or id, expired ones included. Raises ExchangeReject 404."""
        row = self.table.row_of.get(symbol_or_id)
        if row is None:
            row = self.table.row_of_id(symbol_or_id)
        if row is None or self.table.contracts[row] is None:
            raise not_found(f"option contract {symbol_or_id} not found")
        return self._listed_contract(row)

    def _listed_contract(self, row: int) -> ListedContract:
        contract = self.table.contracts[row]
        assert contract is not None
        close = int(self.board.close_cents[row])
        active = row in self.status.listed and self.status.now_ns < self.table.expiry_ns(row)
        return ListedContract(
            contract=contract,
            contract_id=instrument_id(contract.symbol),
            open_interest=self.scenario.open_interest(row),
            close_cents=None if close < 0 else close,
            status="active" if active else "inactive",
        )

    def _row(self, symbol: str) -> int:
        row = self.table.row_of.get(symbol)
        if row is None:
            raise not_found(f"asset not found for {symbol}")
        return row

    def quote(self, symbol: str) -> Quote | None:
        """The latest quote, our own resting orders included; None before the first. Raises ExchangeReject 404 for an unknown symbol."""
        row = self._row(symbol)
        if not self.board.quote_ns[row]:
            return None
        bid, bid_size, ask, ask_size = self.publication.top(row)
        return Quote(symbol, int(self.board.quote_ns[row]), bid, ask, bid_size, ask_size)

    def last_trade_cents(self, symbol: str) -> tuple[int, int] | None:
        """(ts_ns, cents) of the last trade, if any."""
        row = self._row(symbol)
        ts_ns = int(self.board.last_ns[row])
        return (ts_ns, int(self.board.last_cents[row])) if ts_ns else None

    def bars(self, symbol: str, *, start_ns: int, end_ns: int, step: str) -> Sequence[Bar]:
        """Bars; step is "1Day" or "1Min". Raises ValueError for another step."""
        if step not in ("1Day", "1Min"):
            raise ValueError(f'step: expected "1Day" or "1Min", was {step!r}')
        row = self._row(symbol)
        now_ns = self.status.now_ns
        if self.table.contracts[row] is not None:
            return contract_bars(self.tape, row, start_ns=start_ns, end_ns=min(end_ns, now_ns), step=step)
        return underlying_bars(self.scenario, symbol, start_ns=start_ns, end_ns=end_ns, step=step, now_ns=now_ns)

    def sessions(self, first: date, last: date) -> Sequence[tuple[date, int, int]]:
        """(day, open_ns, close_ns) of trading sessions in the scenario's calendar."""
        sessions = self.scenario.calendar.sessions
        return [(s.day, s.open_ns, s.close_ns) for s in sessions if first <= s.day <= last]

    def assign(self, symbol: str, qty: int) -> None:
        """Assign some of our short contracts now."""
        self.option_events.assign(symbol, qty)
        self.entry.cancel_unbacked(symbol)

    def pay_dividend(self, underlying: str, amount: int) -> None:
        """Pay a cash dividend of `amount` micro-dollars a share now. Raises ExchangeReject 404 for what is not an underlying."""
        if underlying not in self.table.underlyings:
            raise not_found(f"asset not found for {underlying}")
        self.option_events.pay_dividend(underlying, amount)

    def halt(self, symbol: str) -> None:
        """Stop trading in an instrument (and, for an underlying, its options). Raises ExchangeReject 404 for an unknown symbol."""
        self._row(symbol)
        self.halts.add(symbol)
        self.board.withdraw(self.halted_rows())

    def resume(self, symbol: str) -> None:
        """End a halt; quotes come back with the next step."""
        self._row(symbol)
        self.halts.discard(symbol)

    def halted(self) -> tuple[str, ...]:
        """Symbols halted."""
        return tuple(sorted(self.halts))

    def is_halted(self, row: int) -> bool:
        """Whether an instrument may not trade now."""
        if not self.halts:
            return False
        symbols = self.table.symbols
        return symbols[row] in self.halts or symbols[self.table.underlying_row(row)] in self.halts

    def halted_rows(self) -> NDArray[np.int64]:
        """Rows under a halt."""
        rows = [row for row in (*range(len(self.table.underlyings)), *self.status.listed) if self.is_halted(row)]
        return np.array(sorted(rows), dtype=np.int64)

    def state(self) -> bytes:
        """The whole state as msgpack."""
        return pack_state(self)

    def restore(self, state: bytes) -> None:
        """Give a state back to a fresh exchange of the same scenario. Raises ValueError when it belongs to another one."""
        unpack_state(self, state)
