"""Orders, events and activities of the account as the exchange numbers and keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gammaray.types.clock import NANOS
from gammaray.venues.simulated.model import (
    ExchangeActivity,
    ExchangeEvent,
    ExchangeExecution,
    ExchangeOrder,
)


def record_id(number: int) -> str:
    """The UUID of the n-th record; ids of later records sort after those of earlier ones."""
    return f"{number:08x}-5a1e-4c0d-9b00-{number:012x}"


def record_number(identifier: str) -> int:
    """The number in a record id."""
    return int(identifier[:8], 16)


def activity_id(ts_ns: int, number: int) -> str:
    """`YYYYMMDDHHMMSSmmm::uuid`: sorts by time, then by number."""
    moment = datetime.fromtimestamp(ts_ns // NANOS, UTC)
    return f"{moment:%Y%m%d%H%M%S}{ts_ns % NANOS // 1_000_000:03d}::{record_id(number)}"


def copy_order(order: ExchangeOrder) -> ExchangeOrder:
    """The order and its legs as they are now."""
    return replace(order, legs=[replace(leg) for leg in order.legs])


class Records:
    """Everything that has a number. Orders are kept for ever: a client_order_id is unique per account for ever."""

    def __init__(self) -> None:
        self.orders: dict[str, ExchangeOrder] = {}
        self.parents: list[ExchangeOrder] = []
        self.by_client_id: dict[str, ExchangeOrder] = {}
        self.activities: list[ExchangeActivity] = []
        self.undrained: list[ExchangeEvent] = []
        self.last_event_id = 0
        self.last_number = 0
        self.working: dict[str, ExchangeOrder] = {}

    def next_number(self) -> int:
        """The number of a new record."""
        self.last_number += 1
        return self.last_number

    def next_id(self) -> str:
        """The id of a new record."""
        return record_id(self.next_number())

    def add_order(self, order: ExchangeOrder) -> None:
        """Keep a parent or simple order and its legs; it works until `settle_status` finds it terminal."""
        self.parents.append(order)
        self.working[order.order_id] = order
        self.by_client_id[order.client_order_id] = order
        for each in (order, *order.legs):
            self.orders[each.order_id] = each

    def emit(
        self,
        event: str,
        ts_ns: int,
        order: ExchangeOrder,
        executions: Sequence[ExchangeExecution] = (),
        net_price: int | None = None,
        units: int = 0,
    ) -> None:
        """Number an event of the trading stream. Orders that have become terminal stop working."""
        self.last_event_id += 1
        if not order.is_open:
            self.working.pop(order.order_id, None)
        self.undrained.append(
            ExchangeEvent(self.last_event_id, event, ts_ns, copy_order(order), tuple(executions), net_price, units)
        )

    def drain_events(self) -> list[ExchangeEvent]:
        """Events since the last call."""
        events, self.undrained = self.undrained, []
        return events

    def add_activity(
        self, activity_type: str, ts_ns: int, *, visible_ns: int, number: int | None = None, **fields: object
    ) -> ExchangeActivity:
        """Append a row; `fields` are those of ExchangeActivity. A FILL row carries the `number` of its execution."""
        row = ExchangeActivity(
            activity_id=activity_id(ts_ns, self.next_number() if number is None else number),
            activity_type=activity_type,
            ts_ns=ts_ns,
            visible_ns=visible_ns,
            **fields,  # type: ignore[arg-type]
        )
        self.activities.append(row)
        return row
