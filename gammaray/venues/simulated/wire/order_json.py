"""Orders and trade updates as Alpaca's JSON (wire.md 2.4, 4.1). Absent things are null, absent enumerations "" on packages."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from gammaray.types.clock import format_ns
from gammaray.types.instruments import is_occ
from gammaray.types.money import MICROS, format_micros
from gammaray.venues.simulated.model import ExchangeEvent, ExchangeOrder
from gammaray.venues.simulated.wire.identifiers import asset_id

NIL_UUID = "00000000-0000-0000-0000-000000000000"


def _time(ns: int | None) -> str | None:
    return None if ns is None else format_ns(ns)


def _price(micros: int | None) -> str | None:
    return None if micros is None else format_micros(micros)


def average_price(notional: int, qty: int) -> str | None:
    """Average of executions worth `notional` (micro-dollars × units), to the micro-dollar; None without a fill."""
    if qty == 0:
        return None
    micros = (Decimal(notional) / qty).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    return format_micros(int(micros))


def _common(order: ExchangeOrder) -> dict[str, Any]:
    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "created_at": format_ns(order.created_ns),
        "updated_at": format_ns(order.updated_ns),
        "submitted_at": format_ns(order.submitted_ns),
        "filled_at": _time(order.filled_ns),
        "expired_at": _time(order.expired_ns),
        "canceled_at": _time(order.canceled_ns),
        "failed_at": _time(order.failed_ns),
        "replaced_at": _time(order.replaced_ns),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "notional": None,
        "qty": str(order.qty),
        "filled_qty": str(order.filled_qty),
        "filled_avg_price": average_price(order.notional_filled, order.filled_qty),
        "time_in_force": order.time_in_force,
        "stop_price": _price(order.stop_price),
        "status": order.status,
        "extended_hours": order.extended_hours,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
    }


def _asset_class(symbol: str) -> str:
    return "us_option" if is_occ(symbol) else "us_equity"


def order_json(order: ExchangeOrder) -> dict[str, Any]:
    """An order; a package with its legs nested, its own symbol, side, class and asset id empty."""
    body = _common(order)
    if order.legs:
        body |= {
            "asset_id": "",
            "symbol": "",
            "asset_class": "",
            "order_class": "mleg",
            "order_type": order.order_type,
            "type": order.order_type,
            "side": "",
            "limit_price": _price(order.limit_price),
            "legs": [leg_json(leg, order) for leg in order.legs],
        }
        return body
    asset_class = _asset_class(order.symbol)
    body |= {
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": asset_class,
        # Alpaca writes "" for simple equity orders and "simple" for options.
        "order_class": "simple" if asset_class == "us_option" else "",
        "order_type": order.order_type,
        "type": order.order_type,
        "side": order.side,
        "position_intent": order.position_intent or None,
        "limit_price": _price(order.limit_price),
        "legs": None,
    }
    return body


def leg_json(leg: ExchangeOrder, parent: ExchangeOrder) -> dict[str, Any]:
    """A leg of a package: no price and no type of its own."""
    return _common(leg) | {
        "asset_id": asset_id(leg.symbol),
        "symbol": leg.symbol,
        "asset_class": _asset_class(leg.symbol),
        "order_class": "mleg",
        "order_type": "",
        "type": "",
        "side": leg.side,
        "position_intent": leg.position_intent or None,
        "time_in_force": leg.time_in_force or parent.time_in_force,
        "limit_price": None,
        "legs": None,
        "ratio_qty": str(leg.ratio_qty if leg.ratio_qty is not None else leg.qty // max(parent.qty, 1)),
    }


def trade_update_json(event: ExchangeEvent) -> dict[str, Any]:
    """A message of the trading stream. `event_id` is the running number of the event as text."""
    order = order_json(event.order)
    at = format_ns(event.ts_ns)
    data: dict[str, Any] = {
        "at": at,
        "event_id": str(event.event_id),
        "event": event.event,
        "timestamp": at,
        "order": order,
    }
    if event.order.legs:
        # On the stream a package carries a nil id and a side (wire.md 4.1).
        order["asset_id"] = NIL_UUID
        order["side"] = "buy"
        if event.executions:
            data["price"] = _price(event.net_price)
            data["qty"] = str(event.units)
            data["position_qtys"] = {e.symbol: str(e.position_qty) for e in event.executions}
            data["legs"] = [
                {
                    "execution_id": e.execution_id,
                    "order_id": e.order_id,
                    "symbol": e.symbol,
                    "qty": str(e.qty),
                    "price": format_micros(e.price),
                    "timestamp": format_ns(e.ts_ns),
                }
                for e in event.executions
            ]
    elif event.executions:
        (execution,) = event.executions
        data |= {
            "execution_id": execution.execution_id,
            "price": format_micros(execution.price),
            "qty": str(execution.qty),
            "position_qty": str(execution.position_qty),
        }
    return {"stream": "trade_updates", "data": data}


def ratio_text(numerator: int, denominator: int) -> str:
    """A ratio as Alpaca writes percentages: sixteen decimals, trimmed; "0" for a zero denominator."""
    if denominator == 0:
        return "0"
    text = f"{Decimal(numerator) / Decimal(denominator):.16f}"
    return text.rstrip("0").rstrip(".") or "0"


def dollars(micros: int) -> float:
    """A JSON number of dollars, for the answers that are numbers on Alpaca's wire (market data, portfolio history)."""
    return micros / MICROS
