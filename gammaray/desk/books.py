"""Everything a desk keeps, and the few moves that orders and ledger share."""

from __future__ import annotations

from collections.abc import Callable

from gammaray.desk import commands, events
from gammaray.desk.commands import Command
from gammaray.desk.core.exposure import revalue
from gammaray.desk.core.ledger import change_position
from gammaray.desk.core.orders import step
from gammaray.desk.limits import RiskLimits
from gammaray.desk.records import Memory, OrderRecord
from gammaray.desk.states import OrderEvent, terminal_states, transition_table
from gammaray.desk.store import Store
from gammaray.desk.strategy_book import StrategyBook
from gammaray.desk.witnesses import FillWitnesses, PresumedMoves
from gammaray.types.orders import OrderState
from gammaray.types.signals import Signal, TradingState

_TABLE = transition_table()
_TERMINAL = terminal_states()
_CERTAIN_ENDS = (OrderState.FILLED, OrderState.REJECTED, OrderState.DENIED)

TRADING_STATES = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
"""In order of strictness; the arrays hold the index."""


class Books:
    """The durable state (arrays, memory, records, witnesses) with its indexes, and the figures that follow the market."""

    def __init__(self) -> None:
        self.store = Store()
        self.memory = Memory()
        self.records: list[OrderRecord] = []
        self.strategies = StrategyBook()
        self.fills = FillWitnesses()
        self.moves = PresumedMoves()
        self.quote_symbols: Callable[[list[str]], None] = lambda symbols: None
        """Called with symbols that have got rows, so that they are quoted before anything is judged by them."""
        self._index()

    def _index(self) -> None:
        """Build what follows from the durable state."""
        self.by_client_id = {record.client_order_id: record for record in self.records}
        self.working = {record.row: record for record in self.records if not self.order_state(record).is_terminal}
        # Orders whose end the venue has not stated by REST yet: what the stream lost of them is still to be asked for.
        self.unconfirmed = {record.row: record for record in self.records if not record.confirmed}
        self.seen_activities = set(self.memory.activities)
        self._stale = True
        self._quoted = 0
        self.limit_row = self.limits.in_force(0, 0)

    @classmethod
    def restored(
        cls,
        store: Store,
        memory: Memory,
        records: list[OrderRecord],
        strategies: StrategyBook,
        fills: FillWitnesses,
        moves: PresumedMoves,
    ) -> Books:
        """The books of these durable parts (see `gammaray.desk.state`)."""
        books = cls()
        books.store, books.memory, books.records = store, memory, records
        books.strategies, books.fills, books.moves = strategies, fills, moves
        books._index()
        return books

    # ---- figures

    @property
    def limits(self) -> RiskLimits:
        """The limits in force."""
        return self.memory.limits

    def touch(self) -> None:
        """Positions, quotes or limits changed: what depends on them is recomputed when next asked for."""
        self._stale = True

    def refresh(self) -> None:
        """Bring values, greeks, margin and the limits in force up to date."""
        if not self._stale:
            return
        store = self.store
        if len(store.symbols) > self._quoted:
            fresh, self._quoted = store.symbols[self._quoted :], len(store.symbols)
            self.quote_symbols(fresh)
        equity = int(revalue(store.book, len(store.symbols), len(store.underlying_names)))
        self.limit_row = self.limits.in_force(equity, int(store.book.account[0]["start_of_day_equity"]))
        self._stale = False

    def multiplier(self, symbol: str) -> int:
        """Shares of one unit of an instrument."""
        return int(self.store.book.instruments[self.store.row(symbol)]["multiplier"])

    def move(self, symbol: str, qty: int, price: int) -> None:
        """Change a position by a signed quantity at a price, cash left as it is."""
        row = self.store.row(symbol)
        self.store.reserve_lots()
        if qty:
            change_position(self.store.book, row, qty, price)
        self.touch()

    # ---- orders

    def order_state(self, record: OrderRecord) -> OrderState:
        """State of an order."""
        return OrderState(int(self.store.book.orders[record.row]["state"]))

    def new_record(self, client_order_id: str, signal: Signal, ts_ns: int, qty: int, limit: int | None) -> OrderRecord:
        """A new order in the pool, INITIALIZED, without legs."""
        row = self.store.new_order()
        record = OrderRecord(client_order_id, row, signal, signal.legs, qty, limit)
        order = self.store.book.orders[row]
        order["qty"] = qty
        order["intended_ns"] = ts_ns
        order["updated_ns"] = ts_ns
        self.records.append(record)
        self.unconfirmed[row] = record
        self.by_client_id[client_order_id] = record
        return record

    def step(self, record: OrderRecord, event: OrderEvent, ts_ns: int) -> list[Command]:
        """One step of the table; an illegal pair changes nothing and is to be recorded."""
        before = self.order_state(record)
        state = step(self.store.book, _TABLE, _TERMINAL, record.row, int(event), ts_ns)
        if state < 0:
            return wrong(ts_ns, "illegal_transition", f"{event.name} in state {before.name}", record.client_order_id)
        if OrderState(state).is_terminal:
            self.working.pop(record.row, None)
            if state in _CERTAIN_ENDS:
                self.confirm(record)
        elif record.row not in self.working:
            record.confirmed = False
            self.unconfirmed[record.row] = record
            late = bool(self.working) and record.row < next(reversed(self.working))
            self.working[record.row] = record
            if late:
                self.working = dict(sorted(self.working.items()))
        return []

    def confirm(self, record: OrderRecord) -> None:
        """The order's end is certain, with all that was filled of it."""
        record.confirmed = True
        self.unconfirmed.pop(record.row, None)


def wrong(ts_ns: int, what: str, detail: str, client_order_id: str = "") -> list[Command]:
    """The command to journal an anomaly."""
    return [commands.Record(events.Anomaly(ts_ns, what, detail, client_order_id))]
