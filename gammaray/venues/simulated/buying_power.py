"""Buying power and coverage: what an order may use, what open orders hold, and which short contracts would stand alone."""

from __future__ import annotations

from collections.abc import Sequence

from gammaray.types.instruments import OptionContract
from gammaray.types.money import format_micros
from gammaray.venues.simulated.account import Account
from gammaray.venues.simulated.instruments import InstrumentTable, instrument_id
from gammaray.venues.simulated.margin import Holding, option_margin
from gammaray.venues.simulated.model import ExchangeOrder
from gammaray.venues.simulated.refusals import forbidden


class BuyingPower:
    """unit_reserves: options buying power (micro-dollars) that each unit of a working order holds, by order id."""

    def __init__(self, table: InstrumentTable, account: Account) -> None:
        self._table = table
        self._account = account
        self.unit_reserves: dict[str, int] = {}

    def reserved(self, working: Sequence[ExchangeOrder]) -> int:
        """Options buying power that working orders hold."""
        return sum(self.unit_reserves.get(order.order_id, 0) * order.leaves_qty for order in working)

    def check(self, required: int, working: Sequence[ExchangeOrder], purpose: str = "") -> None:
        """Refuse what needs more than is available (micro-dollars). Raises ExchangeReject."""
        available = self._account.figures(self.reserved(working)).options_buying_power
        if required <= available:
            return
        words = f"insufficient options buying power{' ' + purpose if purpose else ''}"
        raise forbidden(
            f"{words} (required: {format_micros(required)}, available: {format_micros(available)})",
            cost_basis=format_micros(required),
            options_buying_power=format_micros(available),
        )

    def incremental_requirement(self, unit: Sequence[Holding], qty: int) -> int:
        """Change of the requirement per unit, rounded up, when `qty` units are added to the positions."""
        holdings, shares = self._account.holdings(), self._account.shares()
        before = option_margin(holdings, shares).requirement
        after = option_margin([*holdings, *((c, q * qty) for c, q in unit)], shares).requirement
        return -(-(after - before) // qty)

    def check_coverage_after(self, traded: Sequence[Holding], working: Sequence[ExchangeOrder]) -> None:
        """Refuse what would leave more short calls alone than stand alone now, should everything that works fill too. Raises ExchangeReject."""
        holdings = [*self._account.holdings(), *self._pending(working)]
        shares = self._account.shares()
        before = option_margin(holdings, shares)
        after = option_margin([*holdings, *traded], shares)
        if sum(qty for _, qty in after.uncovered) > sum(qty for _, qty in before.uncovered):
            raise forbidden("account not eligible to trade uncovered option contracts")

    def _pending(self, working: Sequence[ExchangeOrder]) -> list[Holding]:
        """What working orders would add: packages whole, of single orders only the sales (a purchase may never fill)."""
        pending: list[Holding] = []
        for order in working:
            for leg in order.legs or [order]:
                contract = self._table.contracts[self._table.row_of[leg.symbol]]
                if contract is not None and (order.legs or leg.side == "sell"):
                    pending.append((contract, leg.leaves_qty if leg.side == "buy" else -leg.leaves_qty))
        return pending

    def check_covered_call(self, contract: OptionContract, qty: int, working: Sequence[ExchangeOrder]) -> None:
        """Refuse calls that free shares do not cover. Raises ExchangeReject."""
        held = self._account.shares().get(contract.underlying, 0)
        used = self._account.margin().shares_used.get(contract.underlying, 0)
        for order in working:
            other = self._table.contracts[self._table.row_of[order.symbol]] if order.symbol else None
            if order.position_intent == "sell_to_open" and other is not None and other.is_call:
                used += order.leaves_qty * other.multiplier if other.underlying == contract.underlying else 0
            if order.symbol == contract.underlying and order.side == "sell":
                used += order.leaves_qty
        free, required = max(held - used, 0), qty * contract.multiplier
        if free < required:
            raise forbidden(
                f"insufficient underlying qty available for covered call (required: {required}, available: {free})",
                available_qty=str(free),
                required_qty=str(required),
                symbol=contract.symbol,
                underlying_asset_id=instrument_id(contract.underlying),
            )
