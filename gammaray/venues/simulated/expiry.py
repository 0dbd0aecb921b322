"""What happens to option positions without an order: expiry, exercise, assignment. Positions and cash change at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from gammaray.types.instruments import ExerciseStyle, OptionContract
from gammaray.types.money import CENT, format_micros
from gammaray.venues.simulated.instruments import CASH_SETTLED, InstrumentTable
from gammaray.venues.simulated.ledger import Ledger
from gammaray.venues.simulated.margin import intrinsic_micros
from gammaray.venues.simulated.market_status import MarketStatus
from gammaray.venues.simulated.records import Records
from gammaray.venues.simulated.refusals import forbidden, not_found, short_position


class OptionEvents:
    """Moves positions and writes the activities. `visible` gives the time from which a non-trade row of now is shown."""

    def __init__(
        self,
        table: InstrumentTable,
        ledger: Ledger,
        records: Records,
        status: MarketStatus,
        visible: Callable[[], int],
    ) -> None:
        self._table = table
        self._ledger = ledger
        self._records = records
        self._status = status
        self._visible = visible
        self.do_not_exercise: set[str] = set()

    def settle_expiries(self, official_close: Callable[[str], int]) -> None:
        """After a close: every contract that has stopped trading is exercised, assigned, or gone.

        official_close: closing price of an underlying in cents. In the money by at least a cent means exercise, but for long positions whose
        holder asked not to.
        """
        for position in self._ledger.positions():
            row = self._table.row_of[position.symbol]
            contract = self._table.contracts[row]
            if contract is None or self._table.expiry_ns(row) > self._status.now_ns:
                continue
            gain = intrinsic_micros(contract, official_close(contract.underlying) * CENT)
            if gain < CENT or (position.signed_qty > 0 and position.symbol in self.do_not_exercise):
                self._expire(contract, position.signed_qty)
            else:
                self._deliver(contract, position.signed_qty, gain)
        self.do_not_exercise.clear()

    def exercise(self, symbol: str) -> None:
        """Exercise the whole long position now (American style). Raises ExchangeReject."""
        contract, held = self._held(symbol)
        if contract.exercise_style is ExerciseStyle.EUROPEAN:
            raise forbidden("european options cannot be exercised before expiration")
        if held < 0:
            raise short_position("unable to exercise a short position")
        if symbol in self.do_not_exercise:
            raise forbidden("position is marked do-not-exercise")
        need = contract.strike_micros * contract.multiplier * held
        if contract.is_call and self._ledger.cash < need:
            raise forbidden(
                f"insufficient cash to exercise (required: {format_micros(need)}, available: {format_micros(self._ledger.cash)})"
            )
        shares = self._ledger.signed_qty(contract.underlying)
        if not contract.is_call and shares < held * contract.multiplier:
            raise forbidden(
                f"insufficient underlying qty to exercise (required: {held * contract.multiplier}, available: {max(shares, 0)})"
            )
        self._deliver(contract, held, 0)

    def mark_do_not_exercise(self, symbol: str, day: date) -> None:
        """Let a long position that expires today lapse even when it ends in the money. Raises ExchangeReject."""
        contract, held = self._held(symbol)
        if held < 0:
            raise short_position("do-not-exercise applies to long positions only")
        if contract.expiration != day:
            raise forbidden("do-not-exercise requests are accepted on the expiration day only")
        self.do_not_exercise.add(symbol)

    def assign(self, symbol: str, qty: int) -> None:
        """Assign `qty` contracts of a short position now. Raises ExchangeReject when not that many are short."""
        contract, held = self._held(symbol)
        if qty <= 0 or held > -qty or contract.exercise_style is ExerciseStyle.EUROPEAN:
            raise forbidden(f"cannot assign {qty} of a position of {held} {symbol}")
        self._deliver(contract, -qty, 0)

    def pay_dividend(self, underlying: str, amount: int) -> None:
        """Credit (or, to a short position, debit) `amount` micro-dollars a share. Raises ExchangeReject for an amount that is not positive."""
        if amount <= 0:
            raise forbidden(f"dividend must be > 0, was {format_micros(amount)}")
        shares = self._ledger.signed_qty(underlying)
        if shares:
            self._ledger.cash += shares * amount
            self._add("DIV", "", underlying, 0, amount, shares * amount, f"Cash dividend on {shares} shares")

    def _held(self, symbol: str) -> tuple[OptionContract, int]:
        contract = self._contract(symbol)
        held = self._ledger.signed_qty(symbol)
        if contract is None or not held:
            raise not_found("position does not exist")
        return contract, held

    def _contract(self, symbol: str) -> OptionContract | None:
        row = self._table.row_of.get(symbol)
        return None if row is None else self._table.contracts[row]

    def _expire(self, contract: OptionContract, held: int) -> None:
        self._ledger.remove(contract.symbol, held)
        self._add("OPEXP", self._records.next_id(), contract.symbol, -held, None, 0, "Option Expiry")

    def _deliver(self, contract: OptionContract, held: int, gain: int) -> None:
        """Exercise (held > 0) or assignment (held < 0): the option goes, shares change hands at the strike; an index option pays its `gain`."""
        group = self._records.next_id()
        self._ledger.remove(contract.symbol, held)
        if held > 0:
            self._add("OPEXC", group, contract.symbol, -held, None, 0, "Option Exercise")
        else:
            self._add("OPASN", group, contract.symbol, -held, None, 0, "Option Assignment")
        if contract.underlying in CASH_SETTLED:
            paid = held * gain * contract.multiplier
            self._ledger.cash += paid
            self._add("OPCSH", group, "", 0, None, paid, f"Option Cash Settlement {contract.symbol}")
            return
        shares = held * contract.multiplier * (1 if contract.is_call else -1)
        amount = -shares * contract.strike_micros
        self._ledger.cash += amount
        self._ledger.move(contract.underlying, shares, contract.strike_micros, 1)
        self._add("OPTRD", group, contract.underlying, shares, contract.strike_micros, amount, "Option Trade")

    def _add(
        self, kind: str, group: str, symbol: str, qty: int, price: int | None, net_amount: int, description: str
    ) -> None:
        self._records.add_activity(
            kind,
            self._status.now_ns,
            visible_ns=self._visible(),
            symbol=symbol,
            qty=qty,
            price=price,
            net_amount=net_amount,
            group_id=group,
            description=description,
        )
