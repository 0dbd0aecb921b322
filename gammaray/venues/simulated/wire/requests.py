"""What clients send, read strictly: JSON bodies with exact decimals, query parameters with any spelling of booleans.

Numbers arrive as JSON numbers from alpaca-py and as strings from other clients (wire.md rule 3); both are read as decimals, never floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from starlette.requests import Request

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import from_datetime, parse_ns
from gammaray.types.instruments import is_occ
from gammaray.types.money import to_micros
from gammaray.venues.simulated.model import ExchangeReject, Ticket, TicketLeg
from gammaray.venues.simulated.wire.errors import BUSINESS, syntax_error

MAX_BODY_BYTES = 1 << 20
MAX_QUANTITY = 10**9
MAX_PRICE_MICROS = 10**12
MAX_EXPONENT = 30

_SIDES = {"buy", "sell"}
_TYPES = {"market", "limit", "stop", "stop_limit", "trailing_stop"}
_TIMES_IN_FORCE = {"day", "gtc", "opg", "cls", "ioc", "fok"}
_CLASSES = {"", "simple", "mleg", "bracket", "oco", "oto"}
_INTENTS = {"", "buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"}


@dataclass(frozen=True, slots=True)
class ReplaceFields:
    """The body of PATCH /v2/orders/{id}; None: keep."""

    qty: int | None
    limit_price: int | None
    time_in_force: str | None
    client_order_id: str | None


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries. Raises ExchangeReject: 413 as soon as it gets too large, 400 for anything else."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ExchangeReject(413, 41310000, "request body too large")
        parts.append(part)
    return read_object(b"".join(parts))


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a request body, numbers as int or Decimal; an empty body or `null` is an empty object.

    Raises ExchangeReject (400) for anything else.
    """
    if not body.strip():
        return {}
    try:
        content = json.loads(body, parse_float=Decimal, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise ExchangeReject(400, 40010000, "request body format is invalid") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ExchangeReject(400, 40010000, "request body must be a JSON object")
    return content


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        raise syntax_error(f"invalid {name}: expected a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise syntax_error(f"invalid {name}: {str(value)[:40]!r} is not a number") from None
    if not number.is_finite():
        raise syntax_error(f"invalid {name}: must be finite")
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise syntax_error(f"invalid {name}: out of range")
    return number


def quantity(value: Any, name: str = "qty") -> int:
    """A whole, positive quantity written `2`, `2.0` or `"2"`. Raises ExchangeReject (422)."""
    number = _decimal(value, name)
    if number <= 0:
        raise syntax_error(f"{name} must be > 0")
    if number > MAX_QUANTITY:
        raise syntax_error(f"{name} must be <= {MAX_QUANTITY}")
    if number != number.to_integral_value():
        raise ExchangeReject(422, BUSINESS, f"{name} must be integer")
    return int(number)


def price(value: Any, name: str) -> int | None:
    """A price in micro-dollars, None where absent. Raises ExchangeReject (422)."""
    if value is None or value == "":
        return None
    number = _decimal(value, name)
    if abs(number) * 1_000_000 > MAX_PRICE_MICROS:
        raise syntax_error(f"invalid {name}: out of range")
    try:
        return to_micros(number, name)
    except ValueError:
        raise ExchangeReject(
            422,
            BUSINESS,
            f"invalid {name} {number}. sub-penny increment does not fulfill minimum pricing criteria",
        ) from None


def _text(body: Mapping[str, Any], name: str, default: str = "") -> str:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise syntax_error(f"invalid {name}: expected a string")
    return value


def _choice(body: Mapping[str, Any], name: str, allowed: set[str], default: str | None = None) -> str:
    value = _text(body, name, default if default is not None else "")
    if value not in allowed:
        raise syntax_error(f"invalid {name}" if value else f"{name} is required")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise syntax_error(f"invalid {name}: expected true or false")
    return value


def _legs(body: Mapping[str, Any]) -> list[TicketLeg]:
    raw = body.get("legs")
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise syntax_error("invalid legs: expected a list")
    legs = []
    for i, leg in enumerate(raw):
        if not isinstance(leg, dict):
            raise syntax_error(f"invalid leg.{i}: expected an object")
        legs.append(
            TicketLeg(
                symbol=_text(leg, "symbol"),
                ratio_qty=quantity(leg.get("ratio_qty"), f"leg.{i} ratio_qty"),
                side=_choice(leg, "side", _SIDES | {""}, ""),
                position_intent=_choice(leg, "position_intent", _INTENTS, ""),
            )
        )
    return legs


def read_ticket(body: Mapping[str, Any]) -> Ticket:
    """The order of a POST /v2/orders body.

    Raises ExchangeReject (422) naming the field for what no order can say; what an order may say but the account may not do
    is for the exchange to refuse.
    """
    order_class = _choice(body, "order_class", _CLASSES, "")
    order_type = _choice(body, "type", _TYPES)
    package = order_class == "mleg"
    symbol = "" if package else _text(body, "symbol")
    if not package and not symbol:
        raise syntax_error("symbol is required")
    option = package or is_occ(symbol)
    if order_class in {"bracket", "oco", "oto"}:
        what = "options trading" if option else "this venue"
        raise ExchangeReject(422, BUSINESS, f"complex orders not supported for {what}")
    if order_type == "trailing_stop":
        what = "options trading" if option else "this venue"
        raise ExchangeReject(422, BUSINESS, f"invalid order type for {what}: trailing_stop")
    if body.get("notional") is not None:
        raise ExchangeReject(
            422, BUSINESS, f"notional orders are not supported for {'options' if option else 'this venue'}"
        )
    if body.get("qty") is None:
        raise syntax_error("qty or notional is required")
    client_order_id = _text(body, "client_order_id")
    if len(client_order_id) > 128:
        raise syntax_error("client_order_id must be no more than 128 characters")
    ticket = Ticket(
        symbol=symbol,
        qty=quantity(body["qty"]),
        side=_choice(body, "side", _SIDES | {""}, "") if package else _choice(body, "side", _SIDES),
        order_type=order_type,
        time_in_force=_choice(body, "time_in_force", _TIMES_IN_FORCE),
        limit_price=price(body.get("limit_price"), "limit_price"),
        stop_price=price(body.get("stop_price"), "stop_price"),
        client_order_id=client_order_id,
        order_class=order_class,
        position_intent="" if package else _choice(body, "position_intent", _INTENTS, ""),
        extended_hours=_flag(body, "extended_hours"),
        legs=_legs(body) if package else [],
    )
    _check_prices(ticket, package)
    return ticket


def _check_prices(ticket: Ticket, package: bool) -> None:
    if ticket.order_type in {"limit", "stop_limit"}:
        if ticket.limit_price is None:
            raise syntax_error("limit orders require a limit price")
        if ticket.limit_price <= 0 and not package:
            raise syntax_error("limit price must be > 0")
    elif ticket.limit_price is not None:
        raise syntax_error(f"{ticket.order_type} orders must not have a limit price")
    if ticket.order_type in {"stop", "stop_limit"}:
        if ticket.stop_price is None:
            raise syntax_error("stop orders require a stop price")
        if ticket.stop_price <= 0:
            raise syntax_error("stop price must be > 0")
    elif ticket.stop_price is not None:
        raise syntax_error(f"{ticket.order_type} orders must not have a stop price")


def read_replace(body: Mapping[str, Any]) -> ReplaceFields:
    """The fields of a PATCH /v2/orders/{id} body. Raises ExchangeReject (422)."""
    if body.get("stop_price") is not None or body.get("trail") is not None:
        raise ExchangeReject(422, BUSINESS, "only qty, time_in_force, limit_price and client_order_id can be replaced")
    client_order_id = _text(body, "client_order_id") or None
    if client_order_id is not None and len(client_order_id) > 128:
        raise syntax_error("client_order_id must be no more than 128 characters")
    return ReplaceFields(
        qty=None if body.get("qty") is None else quantity(body["qty"]),
        limit_price=price(body.get("limit_price"), "limit_price"),
        time_in_force=_choice(body, "time_in_force", _TIMES_IN_FORCE | {""}, "") or None,
        client_order_id=client_order_id,
    )


class Query:
    """Query parameters with typed access; each reader raises ExchangeReject (422) naming the parameter."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters

    def text(self, name: str, default: str = "") -> str:
        """The value, or the default where absent."""
        return self._parameters.get(name) or default

    def choice(self, name: str, allowed: frozenset[str] | set[str], default: str) -> str:
        """One of a few words."""
        value = self.text(name, default)
        if value not in allowed:
            raise syntax_error(f"invalid {name}: expected one of {', '.join(sorted(allowed))}")
        return value

    def flag(self, name: str) -> bool:
        """`true`, `True`, `1` are true; absent is false."""
        value = self.text(name, "false").lower()
        if value not in {"true", "false", "1", "0"}:
            raise syntax_error(f"invalid {name}: expected true or false")
        return value in {"true", "1"}

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number in a range."""
        value = self.text(name)
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or not low <= int(value[:12]) <= high:
            raise syntax_error(f"invalid {name}: expected a whole number from {low} to {high}")
        return int(value)

    def words(self, name: str) -> tuple[str, ...]:
        """A comma-separated list; empty where absent."""
        return tuple(word for word in self.text(name).split(",") if word)

    def day(self, name: str) -> date | None:
        """A date written YYYY-MM-DD (a full time is cut)."""
        value = self.text(name)
        if not value:
            return None
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            raise syntax_error(f"invalid {name}: expected YYYY-MM-DD") from None

    def time(self, name: str, *, end_of_day: bool = False) -> int | None:
        """UTC nanoseconds of an RFC 3339 time, or of a plain date in New York (its start, or its last nanosecond)."""
        value = self.text(name).replace(" ", "+")
        if not value:
            return None
        try:
            if len(value) == 10:
                midnight = datetime.fromisoformat(value).replace(tzinfo=NEW_YORK)
                return from_datetime(midnight) + (86_400_000_000_000 - 1 if end_of_day else 0)
            return parse_ns(value.replace("Z", "+00:00"))
        except (ValueError, OverflowError):
            raise syntax_error(f"invalid {name}: expected an RFC 3339 time or a date") from None

    def decimal(self, name: str) -> Decimal | None:
        """A decimal number."""
        value = self.text(name)
        return _decimal(value, name) if value else None
