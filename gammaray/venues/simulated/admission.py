"""Whether an order may enter: syntax, contract, permission, intent, coverage and buying power, with Alpaca's codes and words (wire.md 2.10, 2.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from gammaray.types.clock import NANOS
from gammaray.types.instruments import OptionContract, is_occ
from gammaray.types.money import CENT, format_micros
from gammaray.venues.simulated.account import Account
from gammaray.venues.simulated.buying_power import BuyingPower
from gammaray.venues.simulated.instruments import CASH_SETTLED, InstrumentTable
from gammaray.venues.simulated.ledger import Ledger
from gammaray.venues.simulated.margin import Holding, option_margin, uncovered_legs
from gammaray.venues.simulated.market_status import MarketStatus
from gammaray.venues.simulated.model import ExchangeOrder, ExchangeReject, ExchangeSettings, Ticket
from gammaray.venues.simulated.packages import PackageLeg
from gammaray.venues.simulated.refusals import business_error, forbidden, syntax_error

_OPENING_CUTOFF_NS = 30 * 60 * NANOS

_OPTION_TIFS = frozenset({"day", "gtc"})
_EQUITY_TIFS = frozenset({"day", "gtc", "ioc", "fok"})
_ORDER_TYPES = frozenset({"market", "limit"})
STOP_TYPES = frozenset({"stop", "stop_limit"})
_SIDES = frozenset({"buy", "sell"})
_INTENTS = frozenset({"buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"})


@dataclass(frozen=True, slots=True)
class AdmittedLeg:
    """One instrument of an admitted order."""

    row: int
    symbol: str
    side: str
    intent: str
    ratio: int

    def package_leg(self) -> PackageLeg:
        """What package matching needs of it."""
        return PackageLeg(self.row, 1 if self.side == "buy" else -1, self.ratio)


@dataclass(frozen=True, slots=True)
class Admission:
    """What may enter. unit_reserve: options buying power (micro-dollars) that each unit holds while the order works."""

    legs: tuple[AdmittedLeg, ...]
    unit_reserve: int


class OrderAdmission:
    """Checks tickets against the account as it is."""

    def __init__(
        self,
        settings: ExchangeSettings,
        table: InstrumentTable,
        ledger: Ledger,
        account: Account,
        power: BuyingPower,
        status: MarketStatus,
    ) -> None:
        self._settings = settings
        self._table = table
        self._ledger = ledger
        self._account = account
        self._power = power
        self._status = status

    def admit(
        self, ticket: Ticket, working: Sequence[ExchangeOrder], *, replacing: ExchangeOrder | None = None
    ) -> Admission:
        """Everything but the uniqueness of the client_order_id. Raises ExchangeReject.

        replacing: the order that this one takes the place of; what it holds counts as free.
        """
        others = [order for order in working if replacing is None or order.order_id != replacing.order_id]
        self._check_syntax(ticket)
        if ticket.order_class == "mleg" or ticket.legs:
            return self._admit_package(ticket, others)
        row = self._table.row_of.get(ticket.symbol)
        if is_occ(ticket.symbol):
            return self._admit_option(ticket, row, others)
        if row is None:
            raise business_error(f'asset "{ticket.symbol}" not found')
        if ticket.symbol in CASH_SETTLED:
            raise business_error(f'asset "{ticket.symbol}" is not tradable')
        return self._admit_equity(ticket, row, others)

    def _check_syntax(self, ticket: Ticket) -> None:
        if len(ticket.client_order_id) > 128:
            raise syntax_error("client_order_id must be no more than 128 characters")
        if ticket.qty <= 0:
            raise syntax_error("qty must be > 0")
        if ticket.order_class not in ("", "simple", "mleg"):
            if is_occ(ticket.symbol):
                raise business_error("complex orders not supported for options trading")
            raise syntax_error(f"invalid order_class {ticket.order_class!r}: simple and mleg orders are supported")
        if ticket.order_type in ("limit", "stop_limit") and ticket.limit_price is None:
            raise syntax_error("limit orders require a limit price")
        if ticket.order_type in ("market", "stop") and ticket.limit_price is not None:
            raise syntax_error(f"{ticket.order_type} orders must not have a limit price")
        if (ticket.order_type in STOP_TYPES) != (ticket.stop_price is not None):
            raise syntax_error("stop orders, and no others, require a stop price")

    def _check_package_syntax(self, ticket: Ticket) -> None:
        legs = ticket.legs
        if not 2 <= len(legs) <= 4:
            raise business_error("mleg orders must have at least 2 legs and at most 4 legs")
        if ticket.order_type not in _ORDER_TYPES:
            raise business_error(f"invalid order_type {ticket.order_type!r} for mleg orders")
        if ticket.time_in_force not in (_OPTION_TIFS if self._settings.option_gtc else {"day"}):
            raise business_error("invalid time in force")
        if ticket.extended_hours:
            raise business_error("extended hours is not supported for mleg orders")
        symbols = [leg.symbol for leg in legs]
        if len(set(symbols)) != len(symbols):
            raise business_error("leg symbols must be unique")
        if any(leg.ratio_qty <= 0 for leg in legs):
            raise syntax_error("ratio_qty must be > 0")
        divisor = gcd(*(leg.ratio_qty for leg in legs))
        if divisor != 1:
            ratios = " ".join(str(leg.ratio_qty) for leg in legs)
            raise business_error(f"leg ratio quantities should be relatively prime: GCD[{ratios}] = {divisor}")
        if ticket.limit_price is not None and ticket.limit_price % CENT:
            raise business_error("invalid limit price")
        if ticket.order_type == "market" and not self._status.is_open:
            raise business_error("options market orders are only allowed during market hours")

    def _admit_package(self, ticket: Ticket, working: Sequence[ExchangeOrder]) -> Admission:
        self._check_package_syntax(ticket)
        contracts: list[OptionContract] = []
        admitted: list[AdmittedLeg] = []
        for i, leg in enumerate(ticket.legs):
            if not is_occ(leg.symbol):
                raise business_error(f"asset not found for {leg.symbol}")
            row, contract = self._tradable(leg.symbol, self._table.row_of.get(leg.symbol))
            self._check_quantity(ticket.qty * leg.ratio_qty)
            side = leg.side or leg.position_intent.partition("_")[0]
            if side not in _SIDES or (leg.position_intent and leg.position_intent not in _INTENTS):
                raise business_error(f"leg.{i} position intent is required")
            contracts.append(contract)
            intent = self._intent(leg.symbol, side, leg.position_intent)
            self._check_closing(leg.symbol, intent, ticket.qty * leg.ratio_qty, working)
            self._check_expiring(row, leg.symbol, intent)
            admitted.append(AdmittedLeg(row, leg.symbol, side, intent, leg.ratio_qty))
        if len({contract.underlying for contract in contracts}) > 1:
            raise business_error("underlying asset mismatch")
        opening = [leg for leg in admitted if leg.intent.endswith("open")]
        if opening:
            self._require_level(3)
        signed = [_signed(c, leg, 1) for c, leg in zip(contracts, admitted, strict=True)]
        self._check_package_coverage(admitted, contracts, ticket.qty, working)
        net = ticket.limit_price
        if net is None:
            net = sum(
                leg.package_leg().sign * leg.ratio * self._account.price_cents(leg.row, is_buy=leg.side == "buy") * CENT
                for leg in admitted
            )
        multiplier = contracts[0].multiplier
        if len(opening) == len(admitted):
            reserve = option_margin(signed).requirement + net * multiplier
        else:
            reserve = self._power.incremental_requirement(signed, ticket.qty) + net * multiplier
        reserve = max(reserve, 0)
        self._power.check(reserve * ticket.qty, working)
        return Admission(tuple(admitted), reserve)

    def _check_package_coverage(
        self,
        legs: Sequence[AdmittedLeg],
        contracts: Sequence[OptionContract],
        qty: int,
        working: Sequence[ExchangeOrder],
    ) -> None:
        """Every short that opens is covered inside the order; a roll (some legs close) may rest on longs already held instead."""
        opening = [_signed(c, leg, 1) for c, leg in zip(contracts, legs, strict=True) if leg.intent.endswith("open")]
        naked = uncovered_legs(opening)
        if len(opening) == len(legs):
            if naked:
                raise forbidden("account not eligible to trade uncovered option contracts")
            return
        traded = [_signed(c, leg, qty) for c, leg in zip(contracts, legs, strict=True)]
        self._power.check_coverage_after(traded, working)

    def _admit_option(self, ticket: Ticket, known: int | None, working: Sequence[ExchangeOrder]) -> Admission:
        if ticket.order_type not in _ORDER_TYPES:
            raise business_error(f"invalid order_type {ticket.order_type!r} for options trading")
        if ticket.time_in_force not in (_OPTION_TIFS if self._settings.option_gtc else {"day"}):
            raise business_error("order_time_in_force provided not supported for options trading")
        if ticket.extended_hours:
            raise business_error("extended hours is not supported for options trading")
        if ticket.side not in _SIDES:
            raise syntax_error(f"invalid side {ticket.side!r}")
        row, contract = self._tradable(ticket.symbol, known)
        self._check_price(ticket, row)
        self._check_quantity(ticket.qty)
        intent = self._intent(ticket.symbol, ticket.side, ticket.position_intent)
        self._check_expiring(row, ticket.symbol, intent)
        if ticket.order_type == "market" and not self._status.is_open:
            raise business_error("options market orders are only allowed during market hours")
        self._check_closing(ticket.symbol, intent, ticket.qty, working)
        self._check_wash_trade(ticket, working, limits_alone=True)
        reserve = self._option_reserve(ticket, row, contract, intent, working)
        return Admission((AdmittedLeg(row, ticket.symbol, ticket.side, intent, 1),), reserve)

    def _option_reserve(
        self, ticket: Ticket, row: int, contract: OptionContract, intent: str, working: Sequence[ExchangeOrder]
    ) -> int:
        """Permission, coverage and buying power by what the order does; returns the reservation of one contract."""
        is_buy = ticket.side == "buy"
        price = ticket.limit_price
        if price is None:
            price = self._account.price_cents(row, is_buy=is_buy) * CENT
        premium = price * contract.multiplier
        if intent == "buy_to_open":
            self._require_level(2)
            self._power.check(premium * ticket.qty, working)
            return premium
        if intent == "sell_to_open":
            self._require_level(1)
            if contract.is_call:
                self._power.check_covered_call(contract, ticket.qty, working)
                return 0
            cost = contract.strike_micros * contract.multiplier
            self._power.check(cost * ticket.qty, working, "for cash-secured put")
            return cost
        unit = (contract, 1 if is_buy else -1)
        if not is_buy:
            self._power.check_coverage_after([(contract, -ticket.qty)], working)
            premium = -premium
        reserve = max(premium + self._power.incremental_requirement([unit], ticket.qty), 0)
        self._power.check(reserve * ticket.qty, working)
        return reserve

    def _admit_equity(self, ticket: Ticket, row: int, working: Sequence[ExchangeOrder]) -> Admission:
        if ticket.order_type not in _ORDER_TYPES | STOP_TYPES:
            raise syntax_error(f"invalid order_type {ticket.order_type!r}")
        if ticket.time_in_force not in _EQUITY_TIFS:
            raise syntax_error(f"invalid time_in_force {ticket.time_in_force!r}")
        if ticket.side not in _SIDES:
            raise syntax_error(f"invalid side {ticket.side!r}")
        if ticket.extended_hours:
            raise business_error("extended hours trading is not offered here")
        self._check_price(ticket, row)
        if ticket.stop_price is not None and (ticket.stop_price <= 0 or ticket.stop_price % CENT):
            raise syntax_error(f"invalid stop_price {format_micros(ticket.stop_price)}")
        is_buy = ticket.side == "buy"
        held = self._ledger.signed_qty(ticket.symbol)
        intent = self._intent(ticket.symbol, ticket.side, "")
        if self._settings.wash_trade_guard:
            self._check_wash_trade(ticket, working)
        if intent.endswith("close"):
            self._check_closing(ticket.symbol, intent, ticket.qty, working)
            if not is_buy:
                self._check_locked_shares(ticket, held, working)
            return Admission((AdmittedLeg(row, ticket.symbol, ticket.side, intent, 1),), 0)
        touch = self._account.price_cents(row, is_buy=is_buy) * CENT
        if not is_buy:
            if not self._settings.shorting or self._settings.multiplier == 1:
                raise forbidden("account is not allowed to short")
            price = max(ticket.limit_price or 0, touch)
        else:
            price = ticket.limit_price or max(ticket.stop_price or 0, touch)
        reserve = -(-price // self._settings.multiplier)
        figures = self._account.figures(self._power.reserved(working))
        if reserve * ticket.qty > figures.options_buying_power:
            raise forbidden(
                "insufficient buying power",
                buying_power=format_micros(figures.buying_power),
                cost_basis=format_micros(price * ticket.qty),
            )
        return Admission((AdmittedLeg(row, ticket.symbol, ticket.side, intent, 1),), reserve)

    def _check_locked_shares(self, ticket: Ticket, held: int, working: Sequence[ExchangeOrder]) -> None:
        """Shares behind short calls are not for sale."""
        locked = self._account.margin().shares_used.get(ticket.symbol, 0)
        selling = sum(o.leaves_qty for o in working if o.symbol == ticket.symbol and o.side == "sell")
        available = max(held - locked - selling, 0)
        if ticket.qty > available:
            raise self._insufficient_qty(ticket.symbol, ticket.qty, available, held, selling + locked, [])

    def _check_wash_trade(
        self, ticket: Ticket, working: Sequence[ExchangeOrder], *, limits_alone: bool = False
    ) -> None:
        """No order of ours may trade with another of ours; with `limits_alone` market orders are left out of it."""
        for order in working:
            if order.symbol != ticket.symbol or order.side == ticket.side:
                continue
            if limits_alone and (order.limit_price is None or ticket.limit_price is None):
                continue
            reason = ""
            if order.limit_price is None:
                reason = "opposite side market/stop order exists"
            elif ticket.limit_price is None:
                reason = "opposite side limit order exists"
            else:
                buy, sell = (ticket, order) if ticket.side == "buy" else (order, ticket)
                if (buy.limit_price or 0) >= (sell.limit_price or 0):
                    reason = "opposite side limit order exists"
            if reason:
                raise forbidden(
                    "potential wash trade detected. use complex orders",
                    reject_reason=reason,
                    existing_order_id=order.order_id,
                )

    def _tradable(self, symbol: str, row: int | None) -> tuple[int, OptionContract]:
        contract = None if row is None else self._table.contracts[row]
        if row is None or contract is None:
            raise business_error(f'contract "{symbol}" not found')
        if self._status.now_ns >= self._table.expiry_ns(row):
            raise business_error(f'contract "{symbol}" is expired')
        if row not in self._status.listed:
            raise business_error(f'contract "{symbol}" is not active')
        return row, contract

    def _check_price(self, ticket: Ticket, row: int) -> None:
        if ticket.limit_price is None:
            return
        if ticket.limit_price <= 0:
            raise syntax_error("limit price must be > 0")
        cents, rest = divmod(ticket.limit_price, CENT)
        if rest or cents % self._table.tick_cents(row, cents):
            raise business_error(
                f"invalid limit_price {format_micros(ticket.limit_price)}. sub-penny increment does not fulfill minimum pricing criteria"
            )

    def _check_quantity(self, qty: int) -> None:
        if qty > self._settings.cap_contracts:
            raise business_error(f"options order qty must be <= {self._settings.cap_contracts}")

    def _intent(self, symbol: str, side: str, specified: str) -> str:
        """The venue nets per contract: against a position an order closes, else it opens."""
        held = self._ledger.signed_qty(symbol)
        if side == "buy":
            inferred = "buy_to_close" if held < 0 else "buy_to_open"
        else:
            inferred = "sell_to_close" if held > 0 else "sell_to_open"
        if specified and specified != inferred:
            raise business_error(f"position intent mismatch, inferred: {inferred}, specified: {specified}")
        return inferred

    def _check_closing(self, symbol: str, intent: str, qty: int, working: Sequence[ExchangeOrder]) -> None:
        """A closing order may not exceed what is held and not yet being closed."""
        if not intent.endswith("close"):
            return
        held = self._ledger.signed_qty(symbol)
        closing: dict[str, int] = {}
        for order in working:
            for leg in order.legs or [order]:
                if leg.symbol == symbol and leg.side == intent.partition("_")[0]:
                    closing[order.order_id] = closing.get(order.order_id, 0) + leg.leaves_qty
        reserved = sum(closing.values())
        available = max(abs(held) - reserved, 0)
        if qty > available:
            raise self._insufficient_qty(symbol, qty, available, held, reserved, list(closing))

    @staticmethod
    def _insufficient_qty(
        symbol: str, qty: int, available: int, held: int, reserved: int, orders: Sequence[str]
    ) -> ExchangeReject:
        return forbidden(
            f"insufficient qty available for order (requested: {qty}, available: {available})",
            available=str(available),
            existing_qty=str(abs(held)),
            held_for_orders=str(reserved),
            symbol=symbol,
            related_orders=",".join(orders),
        )

    def _check_expiring(self, row: int, symbol: str, intent: str) -> None:
        """No opening in the last half hour of a contract's life."""
        if intent.endswith("open") and self._status.now_ns >= self._table.expiry_ns(row) - _OPENING_CUTOFF_NS:
            raise business_error(f'contract "{symbol}" expires soon, unable to open new positions')

    def _require_level(self, level: int) -> None:
        have = self._settings.options_level
        if have >= level:
            return
        if have == 0:
            raise forbidden("account not authorized to trade options")
        if level == 3:
            raise forbidden("account not eligible to trade option spreads or uncovered contracts")
        raise forbidden("account not eligible to trade long option contracts")


def _signed(contract: OptionContract, leg: AdmittedLeg, qty: int) -> Holding:
    """What `qty` units of a leg add to the positions."""
    return contract, leg.ratio * qty * (1 if leg.side == "buy" else -1)
