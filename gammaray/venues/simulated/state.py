"""The whole state of an exchange as msgpack bytes, and back. Market data is not in it: the scenario gives it again."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgpack
import numpy as np

from gammaray.venues.simulated.books import RestingOrder
from gammaray.venues.simulated.model import (
    ExchangeActivity,
    ExchangeEvent,
    ExchangeExecution,
    ExchangeOrder,
)
from gammaray.venues.simulated.records import Records

if TYPE_CHECKING:
    from gammaray.venues.simulated.exchange import Exchange

_VERSION = 1


def pack_state(exchange: Exchange) -> bytes:
    """Everything that decides what the exchange does next."""
    records, account = exchange.records, exchange.accounting
    state = {
        "version": _VERSION,
        "scenario": exchange.scenario.fingerprint(),
        "settings": _values(exchange.settings),
        "now_ns": exchange.status.now_ns,
        "is_open": exchange.status.is_open,
        "step": exchange.step,
        "board": exchange.board.state(),
        "shown": exchange.publication.shown.tobytes(),
        "printed": exchange.publication.printed,
        "tape": exchange.tape.state(),
        "ledger": exchange.ledger.state(),
        "fees": exchange.fees.state(),
        "account": [account.last_equity, account.last_maintenance_margin],
        "halts": sorted(exchange.halts),
        "do_not_exercise": sorted(exchange.option_events.do_not_exercise),
        "reserves": exchange.power.unit_reserves,
        "numbers": [records.last_number, records.last_event_id],
        "orders": [_order_values(order) for order in records.parents],
        "activities": [_values(row) for row in records.activities],
        "events": [_event_values(event) for event in records.undrained],
        "resting": [[r.order.order_id, r.row, r.entry, r.cents, r.ahead] for r in exchange.books],
    }
    packed: bytes = msgpack.packb(state)
    return packed


def unpack_state(exchange: Exchange, data: bytes) -> None:
    """Restore a fresh exchange. Raises ValueError for bytes of another version, scenario or settings."""
    state = msgpack.unpackb(data, strict_map_key=False)
    if state.get("version") != _VERSION:
        raise ValueError(f"state: version {state.get('version')} is not {_VERSION}")
    if state["scenario"] != exchange.scenario.fingerprint():
        raise ValueError(f"state: of scenario {state['scenario']}, not {exchange.scenario.fingerprint()}")
    if state["settings"] != _values(exchange.settings):
        raise ValueError("state: was saved under other exchange settings")
    if exchange.step >= 0 or exchange.records.last_number:
        raise ValueError("state: this exchange has been used; restore needs a fresh one")
    exchange.step = state["step"]
    exchange.list_session(max(exchange.step, 0))
    exchange.status.now_ns = state["now_ns"]
    exchange.status.is_open = state["is_open"]
    exchange.board.restore(state["board"])
    shown = np.frombuffer(state["shown"], dtype=np.int64).reshape(4, -1)
    exchange.publication.shown = shown.copy()
    exchange.publication.printed = state["printed"]
    exchange.tape.restore(state["tape"])
    exchange.ledger.restore(state["ledger"]["cash"], state["ledger"]["positions"])
    exchange.fees.restore(state["fees"])
    exchange.accounting.last_equity, exchange.accounting.last_maintenance_margin = state["account"]
    exchange.halts.update(state["halts"])
    exchange.option_events.do_not_exercise = set(state["do_not_exercise"])
    exchange.power.unit_reserves.update(state["reserves"])
    _restore_records(exchange.records, state)
    for order_id, row, entry, cents, ahead in state["resting"]:
        exchange.books.add(RestingOrder(exchange.records.orders[order_id], row, entry, cents, ahead))


def _restore_records(records: Records, state: dict[str, Any]) -> None:
    for values in state["orders"]:
        order = _order(values)
        records.add_order(order)
        if not order.is_open:
            del records.working[order.order_id]
    records.activities.extend(ExchangeActivity(*values) for values in state["activities"])
    records.undrained.extend(_event(values) for values in state["events"])
    records.last_number, records.last_event_id = state["numbers"]


def _values(value: Any) -> list[Any]:
    """The fields of a dataclass in order."""
    return [getattr(value, each.name) for each in fields(value)]


def _order_values(order: ExchangeOrder) -> list[Any]:
    return [
        [_order_values(leg) for leg in order.legs] if each.name == "legs" else getattr(order, each.name)
        for each in fields(order)
    ]


def _order(values: list[Any]) -> ExchangeOrder:
    order = ExchangeOrder(*values)
    order.legs = [_order(leg) for leg in values[-1]]
    return order


def _event_values(event: ExchangeEvent) -> list[Any]:
    return [
        event.event_id,
        event.event,
        event.ts_ns,
        _order_values(event.order),
        [_values(execution) for execution in event.executions],
        event.net_price,
        event.units,
    ]


def _event(values: list[Any]) -> ExchangeEvent:
    event_id, event, ts_ns, order, executions, net_price, units = values
    done = tuple(ExchangeExecution(*execution) for execution in executions)
    return ExchangeEvent(event_id, event, ts_ns, _order(order), done, net_price, units)
