"""Alpaca's JSON to our values and back. Exact: money goes through decimals, never through floats.

Every reader raises ValueError naming the field for what it cannot read. Nothing is folded: a status or an event keeps its own meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from alpaca.trading.enums import OrderClass, OrderSide, PositionIntent, TimeInForce
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    OptionLegRequest,
)
from alpaca.trading.requests import (
    OrderRequest as AlpacaOrderRequest,
)

from gammaray.types.account import (
    Activity,
    ActivityKind,
    Execution,
    OrderUpdate,
    UpdateKind,
    VenueAccount,
    VenueOrder,
    VenuePosition,
)
from gammaray.types.clock import parse_ns
from gammaray.types.instruments import ExerciseStyle, OptionContract, Right
from gammaray.types.money import MICROS, to_micros
from gammaray.types.orders import OrderLeg, OrderRequest, Side

ORDER_STATUSES = frozenset(
    {
        "new",
        "partially_filled",
        "filled",
        "done_for_day",
        "canceled",
        "expired",
        "replaced",
        "pending_cancel",
        "pending_replace",
        "accepted",
        "pending_new",
        "accepted_for_bidding",
        "stopped",
        "rejected",
        "suspended",
        "calculated",
        "held",
        "pending_review",
    }
)
INFORMATIVE_EVENTS = frozenset(
    {
        "accepted",
        "pending_new",
        "done_for_day",
        "stopped",
        "suspended",
        "calculated",
        "restated",
        "held",
        "pending_review",
    }
)
"""Events of the trading stream that say nothing about fills or about the order's end: they make no update."""


def time_ns(value: str) -> int:
    """UTC nanoseconds of Alpaca's RFC 3339 text."""
    return parse_ns(value.replace("Z", "+00:00"))


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name}: expected text, was {value!r}")
    return value


def _micros(body: Mapping[str, Any], name: str) -> int:
    return _money(body.get(name), name)


def _money(value: Any, name: str) -> int:
    # Alpaca may give averages with more than six decimals: they are rounded half-even to the micro-dollar.
    if isinstance(value, str):
        try:
            return round(Decimal(value) * MICROS)
        except (ArithmeticError, ValueError):
            raise ValueError(f"{name}: not an amount: {value!r}") from None
    return to_micros(value, name)


def _whole(value: Any, name: str) -> int:
    number = Decimal(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
    if number is None or not number.is_finite() or number != number.to_integral_value():
        raise ValueError(f"{name}: expected a whole number, was {value!r}")
    return int(number)


def order_request(request: OrderRequest) -> AlpacaOrderRequest:
    """Our order as alpaca-py's request model. Prices are multiples of a micro-dollar, which a double's text form keeps exactly."""
    common: dict[str, Any] = {
        "qty": request.qty,
        "time_in_force": TimeInForce(request.time_in_force.value),
        "client_order_id": request.client_order_id,
    }
    if request.is_package:
        common |= {"order_class": OrderClass.MLEG, "legs": [_leg_request(leg) for leg in request.legs]}
    else:
        (leg,) = request.legs
        common |= {"symbol": leg.symbol, "side": OrderSide(leg.side.value)}
        if leg.intent is not None:
            common["position_intent"] = PositionIntent(leg.intent.value)
    if request.limit_price is None:
        return MarketOrderRequest(**common)
    return LimitOrderRequest(**common, limit_price=request.limit_price / MICROS)


def _leg_request(leg: OrderLeg) -> OptionLegRequest:
    intent = None if leg.intent is None else PositionIntent(leg.intent.value)
    return OptionLegRequest(
        symbol=leg.symbol, ratio_qty=leg.ratio_qty, side=OrderSide(leg.side.value), position_intent=intent
    )


def venue_order(body: Mapping[str, Any]) -> VenueOrder:
    """An order from REST."""
    status = _text(body, "status")
    if status not in ORDER_STATUSES:
        raise ValueError(f"status: unknown to Alpaca's wire: {status!r}")
    legs = body.get("legs") or []
    limit = body.get("limit_price")
    average = body.get("filled_avg_price")
    return VenueOrder(
        client_order_id=_text(body, "client_order_id"),
        venue_order_id=_text(body, "id"),
        status=status,
        qty=_whole(body.get("qty"), "qty"),
        filled_qty=_whole(body.get("filled_qty"), "filled_qty"),
        filled_avg_price=None if average is None else str(average),
        legs=tuple(_text(leg, "symbol") for leg in legs) or (_text(body, "symbol"),),
        limit_price=None if limit is None else _money(limit, "limit_price"),
        submitted_ns=time_ns(_text(body, "submitted_at")),
        updated_ns=time_ns(_text(body, "updated_at")),
    )


def venue_position(body: Mapping[str, Any]) -> VenuePosition:
    """A position from REST; the quantity's sign follows `side` where the text has none."""
    qty = _whole(body.get("qty"), "qty")
    signed = -abs(qty) if body.get("side") == "short" else qty
    return VenuePosition(
        symbol=_text(body, "symbol"),
        signed_qty=signed,
        avg_entry_price=_micros(body, "avg_entry_price"),
        current_price=0 if body.get("current_price") is None else _micros(body, "current_price"),
    )


def venue_account(body: Mapping[str, Any]) -> VenueAccount:
    """The account from REST."""
    return VenueAccount(
        account_number=_text(body, "account_number"),
        cash=_micros(body, "cash"),
        equity=_micros(body, "equity"),
        long_market_value=_micros(body, "long_market_value"),
        short_market_value=_micros(body, "short_market_value"),
        buying_power=_micros(body, "buying_power"),
        options_buying_power=_micros(body, "options_buying_power"),
        initial_margin=_micros(body, "initial_margin"),
        maintenance_margin=_micros(body, "maintenance_margin"),
        options_trading_level=_whole(body.get("options_trading_level"), "options_trading_level"),
    )


_KINDS = {
    "OPXRC": ActivityKind.EXERCISE,  # spelled so on one page of Alpaca's documentation (wire.md 2.9)
    "DIVNRA": ActivityKind.DIVIDEND,
    "DIVCGL": ActivityKind.DIVIDEND,
    "DIVCGS": ActivityKind.DIVIDEND,
    "CFEE": ActivityKind.FEE,
    "PTC": ActivityKind.FEE,
}
"""Alpaca's other words for what we know; everything else that moves cash is CASH."""


def activity(body: Mapping[str, Any]) -> Activity:
    """A row of account activities. Types without a kind of ours become CASH and keep their name in `sub_kind`."""
    word = _text(body, "activity_type")
    if word == "FILL":
        qty = _whole(body.get("qty"), "qty")
        return Activity(
            activity_id=_text(body, "id"),
            kind=ActivityKind.FILL,
            ts_ns=time_ns(_text(body, "transaction_time")),
            symbol=_text(body, "symbol"),
            signed_qty=qty if body.get("side") == "buy" else -qty,
            price=_micros(body, "price"),
            order_id=_text(body, "order_id"),
            execution_id=_text(body, "id").rpartition("::")[2],
            sub_kind=_text(body, "type"),
        )
    kind = _KINDS.get(word) or (ActivityKind(word) if word in set(ActivityKind) else ActivityKind.CASH)
    return Activity(
        activity_id=_text(body, "id"),
        kind=kind,
        ts_ns=_activity_time(body),
        symbol=str(body.get("symbol") or ""),
        signed_qty=_whole(body["qty"], "qty") if body.get("qty") else 0,
        price=_micros(body, "price") if body.get("price") else 0,
        net_amount=_micros(body, "net_amount") if body.get("net_amount") else 0,
        group_id=str(body.get("group_id") or ""),
        sub_kind=str(body.get("activity_sub_type") or ("" if kind.value == word else word)),
    )


def _activity_time(body: Mapping[str, Any]) -> int:
    """The time in the id (YYYYMMDDHHMMSSmmm, UTC): non-trade rows carry only a date beside it."""
    digits = _text(body, "id")[:17]
    if not digits.isdigit() or len(digits) != 17:
        return time_ns(_text(body, "created_at"))
    y, mo, d, h, mi, s, ms = (
        digits[:4],
        digits[4:6],
        digits[6:8],
        digits[8:10],
        digits[10:12],
        digits[12:14],
        digits[14:],
    )
    return parse_ns(f"{y}-{mo}-{d}T{h}:{mi}:{s}.{ms}+00:00")


def order_update(data: Mapping[str, Any]) -> OrderUpdate | None:
    """A trade update of the stream; None for events that only inform. Raises ValueError for an event that nobody knows."""
    word = _text(data, "event")
    if word in INFORMATIVE_EVENTS:
        return None
    try:
        kind = UpdateKind(word)
    except ValueError:
        raise ValueError(f"event: unknown to Alpaca's wire: {word!r}") from None
    order = data["order"]
    event_id = str(data.get("event_id") or "")
    return OrderUpdate(
        kind=kind,
        client_order_id=_text(order, "client_order_id"),
        venue_order_id=_text(order, "id"),
        ts_ns=time_ns(_text(data, "timestamp")),
        executions=_executions(data, order) if kind in {UpdateKind.FILL, UpdateKind.PARTIAL_FILL} else (),
        event_id=int(event_id) if event_id.isdigit() else 0,
        reason=str(data.get("reason") or order.get("reject_reason") or ""),
        replaced_by=str(order.get("replaced_by") or ""),
    )


def _executions(data: Mapping[str, Any], order: Mapping[str, Any]) -> tuple[Execution, ...]:
    if data.get("legs"):
        sides = {leg["id"]: _text(leg, "side") for leg in order.get("legs") or ()}
        return tuple(_execution(leg, _text(leg, "symbol"), sides.get(leg.get("order_id"), "")) for leg in data["legs"])
    return (_execution(data, _text(order, "symbol"), _text(order, "side")),)


def _execution(body: Mapping[str, Any], symbol: str, side: str) -> Execution:
    sign = Side(side).sign
    return Execution(
        execution_id=_text(body, "execution_id"),
        symbol=symbol,
        signed_qty=sign * abs(_whole(body.get("qty"), "qty")),
        price=_micros(body, "price"),
    )


def option_contract(body: Mapping[str, Any]) -> OptionContract:
    """A listed contract. Raises ValueError for a strike finer than a thousandth of a dollar."""
    milli = Decimal(str(body.get("strike_price"))) * 1000
    if milli != milli.to_integral_value():
        raise ValueError(f"strike_price: finer than a thousandth of a dollar: {body.get('strike_price')!r}")
    right = {"call": Right.CALL, "put": Right.PUT}.get(_text(body, "type"))
    if right is None:
        raise ValueError(f"type: expected call or put, was {body.get('type')!r}")
    return OptionContract(
        underlying=_text(body, "underlying_symbol"),
        expiration=date.fromisoformat(_text(body, "expiration_date")),
        strike_milli=int(milli),
        right=right,
        root=_text(body, "root_symbol"),
        multiplier=_whole(body.get("multiplier") or body.get("size"), "multiplier"),
        exercise_style=ExerciseStyle(_text(body, "style")),
    )
