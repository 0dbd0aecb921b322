"""Signals become decisions: events that pass an order with its reservations, or deny it with rule, limit and value."""

from __future__ import annotations

from gammaray.desk import events
from gammaray.desk.books import TRADING_STATES, Books
from gammaray.desk.core.exposure import hold
from gammaray.desk.core.gate import MINUTE_NS, REDUCES, rate_level
from gammaray.desk.events import Reservation
from gammaray.desk.gate import Gate, effect_of
from gammaray.desk.limits import Rule
from gammaray.desk.records import OrderRecord, intent_key
from gammaray.types.money import format_dollars
from gammaray.types.orders import OrderRequest
from gammaray.types.signals import Signal, TradingState


class Decisions:
    """Reads the books and the quotes; changes nothing but the row numbers of symbols that appear for the first time."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._gate = Gate()
        self.open_sessions: dict[str, bool] = {}
        """Whether the market of an underlying is open; set with its quotes."""

    def next_id(self) -> str:
        """The id of the next order: deterministic, and never used before in this journal."""
        return f"{self._books.memory.order_prefix}-{self._books.store.orders + 1:06d}"

    def decide(self, signal: Signal, now_ns: int) -> events.OrderIntended | events.OrderDenied:
        """Check a signal. Raises ValueError, naming the field, for one that is no order at all."""
        books = self._books
        client_order_id = self.next_id()

        def denied(rule: Rule, limit: int, value: int, subject: str = "") -> events.OrderDenied:
            return events.OrderDenied(now_ns, client_order_id, signal, rule.value, limit, value, subject)

        request = signal.to_order(client_order_id)
        fresh, bad = books.store.admit([leg.symbol for leg in signal.legs])
        if bad:
            return denied(Rule.UNKNOWN_SYMBOL, 0, 0, bad)
        if fresh:
            books.touch()
        if not self.open_sessions.get(signal.underlying, False):
            return denied(Rule.SESSION_CLOSED, 0, 0, signal.underlying)
        twin = self._twin(signal)
        if twin is not None:
            return denied(Rule.DUPLICATE_INTENT, 0, 1, twin.client_order_id)
        crossing = self._would_trade_with(request)
        if crossing is not None:
            return denied(Rule.SELF_TRADE, 0, crossing.limit_price or 0, crossing.client_order_id)
        books.refresh()
        gate = self._gate
        if gate.check(
            books.store, books.limit_row, signal.legs, signal.qty, signal.limit_price, signal.purpose, now_ns
        ):
            return denied(*gate.denial(books.store))
        return events.OrderIntended(
            now_ns,
            client_order_id,
            signal,
            tuple(effect_of(leg, signal.purpose) == REDUCES for leg in signal.legs),
            Reservation(*gate.reserved()),
            self._rate_after(now_ns),
        )

    def decide_replace(
        self, record: OrderRecord, whole_qty: int, limit_price: int | None, now_ns: int
    ) -> events.ReplaceIntended | tuple[Rule, int, int, str]:
        """Check a replacement as if the old order were gone. Returns the event, or rule, limit, value and subject of a denial."""
        books = self._books
        book = books.store.book
        books.refresh()
        qty = whole_qty - int(book.orders[record.row]["filled_qty"])
        hold(book, record.row, -1)
        gate = self._gate
        code = gate.check(books.store, books.limit_row, record.legs, qty, limit_price, record.signal.purpose, now_ns)
        hold(book, record.row, 1)
        if code:
            return gate.denial(books.store)
        return events.ReplaceIntended(
            now_ns,
            record.client_order_id,
            self.next_id(),
            qty,
            whole_qty,
            limit_price,
            Reservation(*gate.reserved()),
            self._rate_after(now_ns),
        )

    def _rate_after(self, now_ns: int) -> int:
        """The order rate's leaky bucket with one more order in it."""
        account = self._books.store.book.account[0]
        level = int(rate_level(int(account["rate_level_ns"]), int(account["rate_ts_ns"]), now_ns))
        return level + MINUTE_NS // self._books.limits.max_orders_per_minute

    def _twin(self, signal: Signal) -> OrderRecord | None:
        """A working order with the same intent."""
        key = ""
        for record in self._books.working.values():
            if record.signal.position_id == signal.position_id:
                key = key or intent_key(signal)
                if intent_key(record.signal) == key:
                    return record
        return None

    def _would_trade_with(self, request: OrderRequest) -> OrderRecord | None:
        """A simple working order of ours on the other side that this simple order would meet."""
        if request.is_package:
            return None
        books = self._books
        leg = request.legs[0]
        row = books.store.row(leg.symbol)
        if books.store.book.positions[row]["working_sell" if leg.side.sign > 0 else "working_buy"] == 0:
            return None
        for record in books.working.values():
            other = record.legs[0]
            if record.is_package or other.symbol != leg.symbol or other.side is leg.side:
                continue
            mine, theirs = request.limit_price, record.limit_price
            if mine is None or theirs is None or (mine - theirs) * leg.side.sign >= 0:
                return record
        return None

    def breach(self, now_ns: int) -> events.TradingStateChanged | None:
        """The stricter trading state that the day's loss calls for, if it does."""
        books = self._books
        books.refresh()
        account, valuation = books.store.book.account[0], books.store.book.valuation[0]
        start = int(account["start_of_day_equity"])
        if start <= 0 or valuation["unmarked"]:
            return None
        loss = start - int(valuation["equity"])
        for state, fraction in (
            (TradingState.HALTED, books.limits.halt_daily_loss),
            (TradingState.REDUCING, books.limits.max_daily_loss),
        ):
            limit = start * round(fraction * 1_000_000) // 1_000_000
            if loss >= limit and TRADING_STATES.index(state) > int(account["trading_state"]):
                reason = f"loss of the day {format_dollars(loss)} reaches {format_dollars(limit)}"
                return events.TradingStateChanged(now_ns, state, "rule:daily_loss", reason)
        return None
