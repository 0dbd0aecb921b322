"""The account's figures from ledger, marks, margin, reservations and fees (shared/alpaca/wire.md 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from gammaray.types.money import CENT
from gammaray.venues.simulated.board import Board
from gammaray.venues.simulated.fees import FeeMeter
from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.ledger import Ledger
from gammaray.venues.simulated.margin import Holding, OptionMargin, option_margin
from gammaray.venues.simulated.model import AccountFigures, ExchangeSettings

_MAINTENANCE_PER_CENT = 30


@dataclass(frozen=True, slots=True)
class Valuation:
    """Market values and margin of the positions, in micro-dollars. option_value is the net one; stock_* are of shares alone."""

    long_value: int
    short_value: int
    option_value: int
    stock_value: int
    margin: OptionMargin
    naked_requirement: int


class Account:
    """Figures of one account; nothing here changes it but `roll_day`."""

    def __init__(
        self, settings: ExchangeSettings, table: InstrumentTable, board: Board, ledger: Ledger, fees: FeeMeter
    ) -> None:
        self._settings = settings
        self._table = table
        self._board = board
        self._ledger = ledger
        self._fees = fees
        self.last_equity = settings.cash
        self.last_maintenance_margin = 0

    def holdings(self) -> list[Holding]:
        """Option positions."""
        held = []
        for position in self._ledger.positions():
            contract = self._table.contracts[self._table.row_of[position.symbol]]
            if contract is not None:
                held.append((contract, position.signed_qty))
        return held

    def shares(self) -> dict[str, int]:
        """Signed shares by underlying."""
        return {symbol: qty for symbol in self._table.underlyings if (qty := self._ledger.signed_qty(symbol))}

    def margin(self) -> OptionMargin:
        """The option margin of the positions."""
        return option_margin(self.holdings(), self.shares())

    def value(self) -> Valuation:
        """Mark everything to the middle of the last known quotes."""
        long_value = short_value = option_value = stock_value = 0
        for position in self._ledger.positions():
            row = self._table.row_of[position.symbol]
            value = position.signed_qty * self._board.mark_micros(row) * position.multiplier
            if value > 0:
                long_value += value
            else:
                short_value += value
            if self._table.contracts[row] is None:
                stock_value += abs(value)
            else:
                option_value += value
        margin = self.margin()
        naked = sum(self._naked_requirement(holding) for holding in margin.uncovered)
        return Valuation(long_value, short_value, option_value, stock_value, margin, naked)

    def _naked_requirement(self, holding: Holding) -> int:
        """A short call that assignment or exercise left alone: premium plus the larger of 20 % of the underlying less what the call is out of
        the money, and 10 % of the underlying (Cboe's strategy-based margin)."""
        contract, qty = holding
        spot = self._board.mark_micros(self._table.row_of[contract.underlying])
        premium = self._board.mark_micros(self._table.row_of[contract.symbol])
        out_of_the_money = max(contract.strike_micros - spot, 0)
        return qty * contract.multiplier * (premium + max(spot // 5 - out_of_the_money, spot // 10))

    def figures(self, reserved: int) -> AccountFigures:
        """All figures. `reserved`: what open orders hold of the options buying power.

        initial_margin of options is the spread requirement plus the net option value, so that a long option counts in full and
        equity − initial_margin is what a new position may use; shares count half (Regulation T), or in full in a cash account.
        """
        value = self.value()
        cash = self._ledger.cash
        equity = cash + value.long_value + value.short_value
        # Wide marks can value a spread beyond its greatest loss; that makes no room for more.
        options = max(value.margin.requirement + value.naked_requirement + value.option_value, 0)
        stock_initial = value.stock_value // self._settings.multiplier
        initial = options + stock_initial
        maintenance = options + value.stock_value * _MAINTENANCE_PER_CENT // 100
        available = equity - initial - reserved
        return AccountFigures(
            cash=cash,
            long_market_value=value.long_value,
            short_market_value=value.short_value,
            equity=equity,
            last_equity=self.last_equity,
            initial_margin=initial,
            maintenance_margin=maintenance,
            buying_power=self._settings.multiplier * max(available, 0),
            regt_buying_power=self._settings.multiplier * max(available, 0),
            options_buying_power=max(available, 0),
            non_marginable_buying_power=max(min(cash, available), 0),
            accrued_fees=self._fees.accrued,
            multiplier=self._settings.multiplier,
            options_trading_level=self._settings.options_level,
            last_maintenance_margin=self.last_maintenance_margin,
            reserved=reserved,
        )

    def roll_day(self) -> None:
        """Remember the figures at the close."""
        figures = self.figures(0)
        self.last_equity = figures.equity
        self.last_maintenance_margin = figures.maintenance_margin

    def price_cents(self, row: int, *, is_buy: bool) -> int:
        """What a market order is expected to pay or get: the touch, or the mark without a quote."""
        cents, size = self._board.best(row, is_buy=is_buy)
        return cents if size else self._board.mark_micros(row) // CENT
