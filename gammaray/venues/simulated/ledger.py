"""Cash and positions of the account: an exact fold over executions and account activities."""

from __future__ import annotations

from gammaray.types.money import CENT
from gammaray.venues.simulated.model import ExchangePosition


class Ledger:
    """Integers only: cash in micro-dollars, quantities in contracts or shares."""

    def __init__(self, cash: int) -> None:
        self.cash = cash
        self._positions: dict[str, ExchangePosition] = {}

    def signed_qty(self, symbol: str) -> int:
        """The position; 0 for none."""
        position = self._positions.get(symbol)
        return 0 if position is None else position.signed_qty

    def position(self, symbol: str) -> ExchangePosition | None:
        """The open position in a symbol, if any."""
        return self._positions.get(symbol)

    def positions(self) -> list[ExchangePosition]:
        """Open positions by symbol."""
        return [self._positions[symbol] for symbol in sorted(self._positions)]

    def trade(self, symbol: str, signed_qty: int, price_cents: int, multiplier: int) -> int:
        """Apply an execution; returns the signed position after it."""
        self.cash -= signed_qty * price_cents * CENT * multiplier
        return self.move(symbol, signed_qty, price_cents * CENT, multiplier)

    def move(self, symbol: str, signed_qty: int, price: int, multiplier: int) -> int:
        """Change a position at a price (micro-dollars) without touching cash; returns the signed position after it.

        The cost of what stays open is kept at the average of what was opened; what is closed leaves in proportion.
        """
        position = self._positions.setdefault(symbol, ExchangePosition(symbol, 0, 0, multiplier))
        before = position.signed_qty
        after = before + signed_qty
        if before * signed_qty >= 0:
            position.cost_micros += signed_qty * price * multiplier
        elif before * after > 0:
            position.cost_micros = position.cost_micros * after // before
        else:
            position.cost_micros = after * price * multiplier
        position.signed_qty = after
        if after == 0:
            del self._positions[symbol]
        return after

    def remove(self, symbol: str, signed_qty: int) -> int:
        """Take away contracts that expired or were exercised (signed, of the position's own sign); returns what is left.

        Raises ValueError when the position does not hold as many.
        """
        position = self._positions.get(symbol)
        held = 0 if position is None else position.signed_qty
        if position is None or held * signed_qty <= 0 or abs(signed_qty) > abs(held):
            raise ValueError(f"signed_qty: {signed_qty} is not in the position of {held} {symbol}")
        return self.move(symbol, -signed_qty, 0, position.multiplier)

    def state(self) -> dict[str, object]:
        """Cash and positions as plain values."""
        rows = [[p.symbol, p.signed_qty, p.cost_micros, p.multiplier] for p in self.positions()]
        return {"cash": self.cash, "positions": rows}

    def restore(self, cash: int, rows: list[list[object]]) -> None:
        """Give `state` back."""
        self.cash = cash
        positions = [ExchangePosition(str(s), int(str(q)), int(str(c)), int(str(m))) for s, q, c, m in rows]
        self._positions = {position.symbol: position for position in positions}
