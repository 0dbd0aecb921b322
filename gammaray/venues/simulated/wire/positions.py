"""What REST says about positions beyond the exchange's own record: marks and the quantity that is free to close."""

from __future__ import annotations

from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.model import ExchangePosition
from gammaray.venues.simulated.wire.account_json import PositionMark
from gammaray.venues.simulated.wire.sessions import previous_session

CENT_MICROS = 10_000
DAY_NS = 86_400_000_000_000


def mark_of(exchange: ExchangeApi, symbol: str) -> PositionMark:
    """Mid of the latest quote (a missing bid counts as nil), and the previous session's close (the mid where there was none)."""
    quote = exchange.quote(symbol)
    current = 0 if quote is None else (quote.bid_cents + quote.ask_cents) * CENT_MICROS // 2
    if is_occ(symbol):
        close_cents = exchange.contract(symbol).close_cents
    else:
        close_cents = _previous_close_cents(exchange, symbol)
    return PositionMark(current, current if close_cents is None else close_cents * CENT_MICROS)


def _previous_close_cents(exchange: ExchangeApi, symbol: str) -> int | None:
    previous = previous_session(exchange, exchange.clock_ns())
    if previous is None:
        return None
    bars = exchange.bars(symbol, start_ns=previous[1] - DAY_NS // 2, end_ns=previous[2], step="1Day")
    return round(bars[-1].close * 100) if bars else None


def available_qty(exchange: ExchangeApi, position: ExchangePosition) -> int:
    """Signed quantity not held by open orders that would close it."""
    held = 0
    closing = "sell" if position.signed_qty > 0 else "buy"
    for order in exchange.orders():
        if not order.is_open:
            continue
        for part in order.legs or [order]:
            if part.symbol == position.symbol and part.side == closing and not part.position_intent.endswith("open"):
                held += part.leaves_qty
    free = max(abs(position.signed_qty) - held, 0)
    return free if position.signed_qty > 0 else -free
