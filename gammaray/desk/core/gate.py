"""The pre-trade gate: one pass over the legs of an order against limits, quotes, positions and what other orders reserve.

The order comes as integers in `request` (see the constants), the answer leaves in `out`: the rule that denies (0 for none), its
limit, the value that broke it, the instrument concerned, and what the order reserves when it passes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gammaray.desk.core.exposure import available_funds
from gammaray.desk.core.layout import SHARE, Book
from gammaray.desk.core.margin import package_requirement, underlying_requirement
from gammaray.pricing.jit import kernel

# request: fixed part, then (instrument, signed ratio, effect) a leg. LIMIT_PRICE is the signed net of a unit, negative for a simple sale.
NOW_NS, PURPOSE, QTY, HAS_LIMIT, LIMIT_PRICE, LEGS, FIRST_LEG = 0, 1, 2, 3, 4, 5, 6
LEG_WIDTH = 3
REQUEST_SIZE = FIRST_LEG + 4 * LEG_WIDTH

RULE, LIMIT_OUT, VALUE_OUT, SUBJECT, RESERVED = 0, 1, 2, 3, 4
OUT_SIZE = RESERVED + 5

OPEN, CLOSE, HEDGE = 0, 1, 2
# What a leg is to do to the position: whatever it does, only reduce it, only build it up.
ANY_EFFECT, REDUCES, BUILDS = 0, 1, 2
ACTIVE, REDUCING, HALTED = 0, 1, 2

# Codes of the rules; `gammaray.desk.limits.Rule` names them in this order.
(
    PASS,
    TRADING_STATE,
    ORDER_RATE,
    ORDER_SIZE,
    STALE_QUOTE,
    BAD_QUOTE,
    WIDE_QUOTE,
    MARKET_ORDER,
    PRICE_COLLAR,
    POSITION_QTY,
    CLOSE_QTY,
    POSITION_INTENT,
    DAILY_LOSS,
    UNCOVERED_SHORT,
    POSITION_LOSS,
    UNDERLYING_LOSS,
    FUNDS,
    LEVERAGE,
    DELTA_UNDERLYING,
    DELTA_TOTAL,
    GAMMA_UNDERLYING,
    GAMMA_TOTAL,
    VEGA_UNDERLYING,
    VEGA_TOTAL,
) = range(24)

PPM = 1_000_000
MINUTE_NS = 60_000_000_000

MISSING_BID, MISSING_ASK, CROSSED, STALE, NEGATIVE = 1, 2, 4, 16, 32


@kernel
def _deny(out: NDArray[np.int64], rule: int, limit: int, value: int, subject: int) -> int:
    out[RULE] = rule
    out[LIMIT_OUT] = limit
    out[VALUE_OUT] = value
    out[SUBJECT] = subject
    return rule


@kernel
def check_order(book: Book, limits: NDArray[np.void], request: NDArray[np.int64], out: NDArray[np.int64]) -> int:
    """Check one order. Returns the code of the rule that denies it, 0 when it passes; fills `out`.

    Nothing in the book changes. Closing orders are held to the rules on data, size, price and quantity; the limits on risk bind
    them only where they would raise it.
    """
    limit = limits[0]
    account = book.account[0]
    valuation = book.valuation[0]
    now = request[NOW_NS]
    purpose = request[PURPOSE]
    units = request[QTY]
    count = request[LEGS]
    closing = purpose == CLOSE
    state = account["trading_state"]
    if state == HALTED or (state == REDUCING and purpose == OPEN):
        return _deny(out, TRADING_STATE, 0, state, -1)
    level = rate_level(account["rate_level_ns"], account["rate_ts_ns"], now)
    spacing = MINUTE_NS // limit["orders_per_minute"]
    if level + spacing > MINUTE_NS:
        return _deny(out, ORDER_RATE, limit["orders_per_minute"], level // spacing + 1, -1)

    legs = np.zeros((4, 2), dtype=np.int64)
    natural = 0
    middle = 0
    gross_middle = 0
    touch = 0
    delta = 0
    gamma = 0
    vega = 0
    underlying = -1
    for k in range(count):
        i = request[FIRST_LEG + LEG_WIDTH * k]
        ratio = request[FIRST_LEG + LEG_WIDTH * k + 1]
        effect = request[FIRST_LEG + LEG_WIDTH * k + 2]
        qty = ratio * units
        legs[k, 0] = i
        legs[k, 1] = qty
        instrument = book.instruments[i]
        position = book.positions[i]
        quote = book.quotes[i]
        underlying = instrument["underlying"]
        share = instrument["kind"] == SHARE

        size = limit["order_shares"] if share else limit["order_contracts"]
        if abs(qty) > size:
            return _deny(out, ORDER_SIZE, size, abs(qty), i)
        if quote["quality"] < 0 or now - quote["ts_ns"] > limit["quote_age_ns"]:
            age = now - quote["ts_ns"] if quote["quality"] >= 0 else -1
            return _deny(out, STALE_QUOTE, limit["quote_age_ns"], age, i)
        # Getting out must be possible when only the far side is missing or the quote merely odd; getting in needs a good quote.
        bad = quote["quality"]
        if closing:
            bad &= CROSSED | STALE | NEGATIVE | (MISSING_ASK if qty > 0 else MISSING_BID)
        if bad != 0:
            return _deny(out, BAD_QUOTE, 0, bad, i)
        bid = quote["bid"]
        ask = quote["ask"]
        natural += ratio * (ask if qty > 0 else bid)
        middle += ratio * (bid + ask) // 2
        gross_middle += abs(ratio) * ((bid + ask) // 2)
        touch += abs(ratio) * (ask - bid)

        most = limit["shares_per_symbol"] if share else limit["contracts_per_symbol"]
        working = position["working_buy"] if qty > 0 else -position["working_sell"]
        after = position["qty"] + working + qty
        if effect == REDUCES:
            free = abs(position["qty"]) - position["working_close"]
            if position["qty"] * qty >= 0 or abs(qty) > free:
                return _deny(out, CLOSE_QTY, max(0, free), abs(qty), i)
        # The venue nets a contract: an order on the other side closes, and may not go through zero.
        elif position["qty"] * qty < 0:
            free = abs(position["qty"]) - (position["working_buy"] if qty > 0 else position["working_sell"])
            if effect == BUILDS or abs(qty) > free:
                return _deny(out, POSITION_INTENT, max(0, free), abs(qty), i)
        if effect != REDUCES and abs(after) > most:
            return _deny(out, POSITION_QTY, most, abs(after), i)
        delta += qty * quote["delta"]
        gamma += qty * quote["gamma"]
        vega += qty * quote["vega"]

    allowed = limit["collar_floor"] * count + gross_middle * limit["collar_ppm"] // PPM
    if request[HAS_LIMIT] == 0:
        if limit["market_orders"] == 0:
            return _deny(out, MARKET_ORDER, 0, 1, -1)
        price = natural
        widest = limit["collar_floor"] * count + gross_middle * limit["spread_ppm"] // PPM
        if touch > widest:
            return _deny(out, WIDE_QUOTE, widest, touch, -1)
    else:
        price = request[LIMIT_PRICE]
        if price > middle + allowed and price > natural:
            return _deny(out, PRICE_COLLAR, max(middle + allowed, natural), price, -1)

    if not closing:
        loss_today = account["start_of_day_equity"] - valuation["equity"]
        if purpose == OPEN and account["start_of_day_equity"] > 0 and loss_today >= limit["daily_loss"]:
            return _deny(out, DAILY_LOSS, limit["daily_loss"], loss_today, -1)

    # Funds: cash paid plus the rise of the requirement, in the view in which longs that may be sold do not cover.
    multiplier = book.instruments[legs[0, 0]]["multiplier"]
    paid = price * units * multiplier
    then_need, then_calls, then_puts, reduced = underlying_requirement(book, underlying, True, legs, count)
    if reduced:
        same = legs.copy()
        same[:, 1] = 0
        now_need, now_calls, now_puts, _ = underlying_requirement(book, underlying, True, same, count)
    else:
        now_need, now_calls, now_puts, _ = underlying_requirement(book, underlying, False, legs, 0)
    if then_calls > now_calls:
        return _deny(out, UNCOVERED_SHORT, now_calls, then_calls, -1)
    if limit["defined_risk"] == 1 and then_puts > now_puts:
        return _deny(out, UNCOVERED_SHORT, now_puts, then_puts, -1)
    funds = paid + then_need - now_need
    shares = book.instruments[legs[0, 0]]["kind"] == SHARE
    if shares:
        mark = book.quotes[legs[0, 0]]["mark"]
        held = book.positions[legs[0, 0]]["qty"] * mark
        then = held + legs[0, 1] * mark
        funds -= (then - abs(then) // 2) - (held - abs(held) // 2)
    loss = 0
    if purpose == OPEN:
        loss = abs(paid) if shares else max(0, package_requirement(book, legs, count) + paid)
        if loss > limit["position_loss"]:
            return _deny(out, POSITION_LOSS, limit["position_loss"], loss, -1)
        committed = book.exposures[underlying]["requirement"] + book.underlyings[underlying]["loss"] + loss
        if committed > limit["underlying_loss"]:
            return _deny(out, UNDERLYING_LOSS, limit["underlying_loss"], committed, -1)
    available = available_funds(book)
    if funds > 0 and funds > available:
        return _deny(out, FUNDS, available, funds, -1)

    if not closing:
        rule = _check_greeks(book, limits, out, underlying, delta, gamma, vega, purpose == HEDGE)
        if rule != PASS:
            return rule

    out[RULE] = PASS
    out[LIMIT_OUT] = 0
    out[VALUE_OUT] = 0
    out[SUBJECT] = -1
    out[RESERVED] = max(0, funds)
    out[RESERVED + 1] = loss
    out[RESERVED + 2] = delta
    out[RESERVED + 3] = gamma
    out[RESERVED + 4] = vega
    return PASS


@kernel
def rate_level(level_ns: int, since_ns: int, now_ns: int) -> int:
    """The leaky bucket of the order rate: nanoseconds of quota still in use."""
    return max(0, level_ns - max(0, now_ns - since_ns))


@kernel
def _check_greeks(
    book: Book,
    limits: NDArray[np.void],
    out: NDArray[np.int64],
    underlying: int,
    delta: int,
    gamma: int,
    vega: int,
    hedging: bool,
) -> int:
    """Greeks by underlying and total after the order and after the working orders that push the same way.

    A hedge may leave a limit broken as long as it brings the figure down.
    """
    limit = limits[0]
    account = book.account[0]
    valuation = book.valuation[0]
    exposure = book.exposures[underlying]
    reserved = book.underlyings[underlying]

    held = exposure["delta"]
    after = held + (reserved["delta_up"] if delta > 0 else reserved["delta_down"]) + delta
    if abs(after) > limit["delta_underlying"] and abs(after) > abs(held):
        return _deny(out, DELTA_UNDERLYING, limit["delta_underlying"], after, -1)
    total = valuation["delta"] + (account["delta_up"] if delta > 0 else account["delta_down"]) + delta
    if abs(total) > limit["delta_total"] and abs(total) > abs(valuation["delta"]) and not hedging:
        return _deny(out, DELTA_TOTAL, limit["delta_total"], total, -1)
    rise = abs(held + delta) - abs(held)
    gross = valuation["gross_delta"] + account["delta_gross"] + rise
    if gross > limit["gross_delta"] and rise > 0:
        return _deny(out, LEVERAGE, limit["gross_delta"], gross, -1)

    held = exposure["gamma"]
    after = held + (reserved["gamma_up"] if gamma > 0 else reserved["gamma_down"]) + gamma
    if abs(after) > limit["gamma_underlying"] and abs(after) > abs(held):
        return _deny(out, GAMMA_UNDERLYING, limit["gamma_underlying"], after, -1)
    total = valuation["gamma"] + (account["gamma_up"] if gamma > 0 else account["gamma_down"]) + gamma
    if abs(total) > limit["gamma_total"] and abs(total) > abs(valuation["gamma"]):
        return _deny(out, GAMMA_TOTAL, limit["gamma_total"], total, -1)

    held = exposure["vega"]
    after = held + (reserved["vega_up"] if vega > 0 else reserved["vega_down"]) + vega
    if abs(after) > limit["vega_underlying"] and abs(after) > abs(held):
        return _deny(out, VEGA_UNDERLYING, limit["vega_underlying"], after, -1)
    total = valuation["vega"] + (account["vega_up"] if vega > 0 else account["vega_down"]) + vega
    if abs(total) > limit["vega_total"] and abs(total) > abs(valuation["vega"]):
        return _deny(out, VEGA_TOTAL, limit["vega_total"], total, -1)
    return PASS
