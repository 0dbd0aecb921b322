"""Booking of fills: ledger, fees, order, FILL activity and trading-stream event of each execution, in one place."""

from __future__ import annotations

from collections.abc import Sequence

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import to_datetime
from gammaray.types.money import CENT
from gammaray.venues.simulated.board import Board
from gammaray.venues.simulated.fees import FeeMeter
from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.ledger import Ledger
from gammaray.venues.simulated.market_status import MarketStatus
from gammaray.venues.simulated.model import ExchangeExecution, ExchangeOrder
from gammaray.venues.simulated.packages import PackageLeg, PackageMatch, net_cents
from gammaray.venues.simulated.records import Records, record_number
from gammaray.venues.simulated.tape import Tape


class Executions:
    """Turns decided matches into bookings."""

    def __init__(
        self,
        table: InstrumentTable,
        board: Board,
        ledger: Ledger,
        fees: FeeMeter,
        records: Records,
        tape: Tape,
        status: MarketStatus,
    ) -> None:
        self._table = table
        self._board = board
        self._ledger = ledger
        self._fees = fees
        self._records = records
        self._tape = tape
        self._status = status

    def fill(self, order: ExchangeOrder, row: int, cents: int, qty: int) -> None:
        """Book a fill of a simple order."""
        execution = self._execute(order, row, cents, qty)
        self._count(order, qty, cents * CENT)
        self._record(order, execution)
        event = "fill" if order.status == "filled" else "partial_fill"
        self._records.emit(event, self._status.now_ns, order, [execution])

    def fill_package(self, order: ExchangeOrder, legs: Sequence[PackageLeg], match: PackageMatch) -> None:
        """Book a fill of a package: every leg, one event."""
        executions = []
        for leg_order, leg, cents in zip(order.legs, legs, match.prices, strict=True):
            qty = match.units * leg.ratio
            executions.append(self._execute(leg_order, leg.row, cents, qty))
            self._count(leg_order, qty, cents * CENT)
        net = net_cents(legs, match.prices) * CENT
        self._count(order, match.units, net)
        for leg_order, execution in zip(order.legs, executions, strict=True):
            self._record(leg_order, execution)
        event = "fill" if order.status == "filled" else "partial_fill"
        self._records.emit(event, self._status.now_ns, order, executions, net_price=net, units=match.units)

    def _execute(self, order: ExchangeOrder, row: int, cents: int, qty: int) -> ExchangeExecution:
        is_buy = order.side == "buy"
        multiplier = self._table.multiplier(row)
        now_ns = self._status.now_ns
        position = self._ledger.trade(order.symbol, qty if is_buy else -qty, cents, multiplier)
        self._fees.accrue(
            to_datetime(now_ns).astimezone(NEW_YORK).date(),
            is_option=self._table.contracts[row] is not None,
            is_buy=is_buy,
            qty=qty,
            price=cents * CENT,
            multiplier=multiplier,
        )
        self._board.print_trade(row, cents, now_ns)
        self._tape.add(row, now_ns, cents, qty)
        return ExchangeExecution(
            self._records.next_id(), order.order_id, order.symbol, order.side, qty, cents * CENT, now_ns, position
        )

    def _count(self, order: ExchangeOrder, qty: int, price: int) -> None:
        order.filled_qty += qty
        order.notional_filled += qty * price
        order.updated_ns = self._status.now_ns
        if order.leaves_qty == 0:
            order.status = "filled"
            order.filled_ns = self._status.now_ns
        else:
            order.status = "partially_filled"

    def _record(self, order: ExchangeOrder, execution: ExchangeExecution) -> None:
        self._records.add_activity(
            "FILL",
            execution.ts_ns,
            visible_ns=execution.ts_ns,
            number=record_number(execution.execution_id),
            symbol=execution.symbol,
            qty=execution.qty,
            price=execution.price,
            side=execution.side,
            order_id=order.order_id,
            leaves_qty=order.leaves_qty,
            cum_qty=order.filled_qty,
            fill_type="fill" if order.leaves_qty == 0 else "partial_fill",
            execution_id=execution.execution_id,
        )
