"""What the positions amount to, and what the working orders reserve of it."""

from __future__ import annotations

from gammaray.desk.core.layout import SHARE, Book
from gammaray.desk.core.ledger import open_cost
from gammaray.desk.core.margin import refresh_requirements
from gammaray.pricing.jit import kernel


@kernel
def revalue(book: Book, instruments: int, underlyings: int) -> int:
    """Recompute the market part: values, greeks by underlying and total, requirements. Returns the equity in micro-dollars.

    A position without a mark counts with the price it was opened at, and in `unmarked`.
    """
    total = book.valuation[0]
    long_value = 0
    short_value = 0
    share_value = 0
    share_requirement = 0
    unrealized = 0
    unmarked = 0
    for u in range(underlyings):
        book.exposures[u]["delta"] = 0
        book.exposures[u]["gamma"] = 0
        book.exposures[u]["vega"] = 0
    for i in range(instruments):
        qty = book.positions[i]["qty"]
        if qty == 0:
            continue
        instrument = book.instruments[i]
        quote = book.quotes[i]
        cost = open_cost(book, i) * instrument["multiplier"]
        if quote["quality"] < 0:
            value = cost
            unmarked += 1
        else:
            value = qty * quote["mark"] * instrument["multiplier"]
        unrealized += value - cost
        if qty > 0:
            long_value += value
        else:
            short_value += value
        if instrument["kind"] == SHARE:
            share_value += value
            share_requirement += abs(value) // 2
        exposure = book.exposures[instrument["underlying"]]
        exposure["delta"] += qty * quote["delta"]
        exposure["gamma"] += qty * quote["gamma"]
        exposure["vega"] += qty * quote["vega"]
    delta = 0
    gamma = 0
    vega = 0
    gross = 0
    for u in range(underlyings):
        delta += book.exposures[u]["delta"]
        gamma += book.exposures[u]["gamma"]
        vega += book.exposures[u]["vega"]
        gross += abs(book.exposures[u]["delta"])
    total["long_value"] = long_value
    total["short_value"] = short_value
    total["share_value"] = share_value
    total["share_requirement"] = share_requirement
    total["option_requirement"] = refresh_requirements(book, underlyings)
    total["unrealized"] = unrealized
    total["delta"] = delta
    total["gamma"] = gamma
    total["vega"] = vega
    total["gross_delta"] = gross
    total["unmarked"] = unmarked
    total["equity"] = book.account[0]["cash"] + long_value + short_value
    return total["equity"]  # type: ignore[no-any-return]


@kernel
def available_funds(book: Book) -> int:
    """What new orders may still use: cash and half of the shares, less the options' requirement and what working orders reserve.

    Equals Alpaca's options buying power (equity less initial margin): long options are paid for, so they neither add nor need. The
    requirement is at least what closing the options would cost.
    """
    value = book.valuation[0]
    options = value["long_value"] + value["short_value"] - value["share_value"]
    return (  # type: ignore[no-any-return]
        book.account[0]["cash"]
        + value["share_value"]
        - value["share_requirement"]
        - max(value["option_requirement"], -options)
        - book.account[0]["reserved_funds"]
    )


@kernel
def hold(book: Book, order: int, sign: int) -> None:
    """Add (sign 1) or take away (sign -1) what an order reserves for the part that is not filled yet."""
    row = book.orders[order]
    qty = row["qty"]
    leaves = max(0, qty - row["filled_qty"])
    for k in range(row["legs"]):
        position = book.positions[row["leg_instrument"][k]]
        ratio = row["leg_ratio"][k]
        open_qty = sign * max(0, abs(ratio) * qty - row["leg_filled"][k])
        if ratio > 0:
            position["working_buy"] += open_qty
        else:
            position["working_sell"] += open_qty
        if row["leg_closes"][k] == 1:
            position["working_close"] += open_qty
    reserved = row["reserved"]
    book.account[0]["reserved_funds"] += sign * (reserved[0] * leaves // qty)
    account = book.account[0]
    underlying = book.underlyings[row["underlying"]]
    underlying["loss"] += sign * (reserved[1] * leaves // qty)
    delta = sign * (reserved[2] * leaves // qty)
    gamma = sign * (reserved[3] * leaves // qty)
    vega = sign * (reserved[4] * leaves // qty)
    account["delta_gross"] += sign * abs(delta)
    if reserved[2] > 0:
        underlying["delta_up"] += delta
        account["delta_up"] += delta
    else:
        underlying["delta_down"] += delta
        account["delta_down"] += delta
    if reserved[3] > 0:
        underlying["gamma_up"] += gamma
        account["gamma_up"] += gamma
    else:
        underlying["gamma_down"] += gamma
        account["gamma_down"] += gamma
    if reserved[4] > 0:
        underlying["vega_up"] += vega
        account["vega_up"] += vega
    else:
        underlying["vega_down"] += vega
        account["vega_down"] += vega
