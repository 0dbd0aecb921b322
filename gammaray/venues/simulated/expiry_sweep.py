"""The sweep of the last half hour before a contract's end: what the account could not take delivery of is closed by the venue.

Alpaca sells out in-the-money long options without the cash or shares behind them (shared/alpaca/wire.md 2.11). Here the rule looks at all
positions of an underlying that expire that day together, so that a spread which nets out is left alone: when the shares that exercise and
assignment would bring need more initial margin than the account has, the in-the-money positions are closed at the market, shorts first.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from gammaray.types.clock import NANOS
from gammaray.types.instruments import OptionContract
from gammaray.types.money import CENT
from gammaray.venues.simulated.instruments import CASH_SETTLED
from gammaray.venues.simulated.margin import intrinsic_micros, option_margin

if TYPE_CHECKING:
    from gammaray.venues.simulated.exchange import Exchange

_SWEEP_NS = 30 * 60 * NANOS


def sweep_expiring(x: Exchange, day: date) -> None:
    """Close what cannot be delivered; nothing before the last half hour of the session or after its close."""
    close_ns = x.scenario.calendar.session(day).close_ns
    if not close_ns - _SWEEP_NS <= x.status.now_ns < close_ns:
        return
    for underlying in x.table.underlyings:
        if underlying in CASH_SETTLED:
            continue
        expiring = _in_the_money(x, underlying, close_ns)
        if expiring and _shortfall(x, underlying, expiring) > 0:
            for contract, _ in sorted(expiring, key=lambda holding: (holding[1] > 0, holding[0].symbol)):
                if not x.is_halted(x.table.row_of[contract.symbol]):
                    x.entry.close_by_venue(contract.symbol)


def _in_the_money(x: Exchange, underlying: str, close_ns: int) -> list[tuple[OptionContract, int]]:
    """Positions of an underlying that stop trading at this close and would be exercised or assigned as things stand."""
    spot = x.board.mark_micros(x.table.row_of[underlying])
    return [
        (contract, qty)
        for contract, qty in x.accounting.holdings()
        if contract.underlying == underlying
        and x.table.expiry_ns(x.table.row_of[contract.symbol]) <= close_ns
        and intrinsic_micros(contract, spot) >= CENT
        and not (qty > 0 and contract.symbol in x.option_events.do_not_exercise)
    ]


def _shortfall(x: Exchange, underlying: str, expiring: list[tuple[OptionContract, int]]) -> int:
    """Initial margin that the delivery needs beyond what is available (micro-dollars); not positive when the account can take it."""
    spot = x.board.mark_micros(x.table.row_of[underlying])
    held = x.ledger.signed_qty(underlying)
    delivered = sum(qty * contract.multiplier * (1 if contract.is_call else -1) for contract, qty in expiring)
    more_shares = max(abs(held + delivered) - abs(held), 0)
    gone = {contract.symbol for contract, _ in expiring}
    holdings = x.accounting.holdings()
    shares = {**x.accounting.shares(), underlying: held + delivered}
    rest = option_margin([holding for holding in holdings if holding[0].symbol not in gone], shares)
    freed = x.accounting.margin().requirement - rest.requirement
    figures = x.accounting.figures(0)
    available = figures.equity - figures.initial_margin + freed
    return more_shares * spot // x.settings.multiplier - available
