"""What each strategy holds: positions under the ids that its signals carry, kept apart from the account's netted positions."""

from __future__ import annotations

from dataclasses import dataclass, field

from gammaray.desk.view import StrategyPosition


@dataclass(slots=True)
class Holding:
    """A position id: quantities by symbol (no zeros), money paid so far, and what its orders may still change."""

    position_id: str
    strategy: str
    underlying: str
    opened_ns: int
    net_open: int = 0
    signed_qty: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class StrategyResult:
    """Cash that a strategy's fills and expiries have moved, and its executions."""

    net_cash: int = 0
    executions: int = 0


@dataclass(slots=True)
class StrategyBook:
    """Holdings by position id, in order of opening, and each strategy's cash."""

    holdings: dict[str, Holding] = field(default_factory=dict)
    results: dict[str, StrategyResult] = field(default_factory=dict)

    def fill(
        self, position_id: str, strategy: str, underlying: str, symbol: str, qty: int, amount: int, ts_ns: int
    ) -> None:
        """A fill of one of the strategy's orders; `amount` is what was paid (positive) for it."""
        holding = self.holdings.get(position_id)
        if holding is None:
            holding = self.holdings[position_id] = Holding(position_id, strategy, underlying, ts_ns)
        self._change(holding, symbol, qty)
        holding.net_open += amount
        result = self.results.setdefault(strategy, StrategyResult())
        result.net_cash -= amount
        result.executions += 1
        self._drop_if_flat(holding)

    def expire(self, symbol: str, qty: int, underlying: str, shares: int, price: int) -> None:
        """An expiry, exercise or assignment took `qty` (signed change) of a contract and brought `shares` at `price` (micro-dollars).

        The holdings that have the contract are reduced in order of opening, the shares follow them.
        """
        rest = qty
        for holding in list(self.holdings.values()):
            held = holding.signed_qty.get(symbol, 0)
            if rest == 0 or held * rest >= 0:
                continue
            part = -held if abs(held) <= abs(rest) else rest
            moved = shares * part // qty
            self._change(holding, symbol, part)
            if moved:
                self._change(holding, underlying, moved)
                holding.net_open += moved * price
                self.results.setdefault(holding.strategy, StrategyResult()).net_cash -= moved * price
            rest -= part
            self._drop_if_flat(holding)

    def _change(self, holding: Holding, symbol: str, qty: int) -> None:
        after = holding.signed_qty.get(symbol, 0) + qty
        if after:
            holding.signed_qty[symbol] = after
        else:
            holding.signed_qty.pop(symbol, None)

    def _drop_if_flat(self, holding: Holding) -> None:
        if not holding.signed_qty:
            self.holdings.pop(holding.position_id, None)

    def views(self) -> tuple[StrategyPosition, ...]:
        """Frozen copies of the open holdings."""
        return tuple(
            StrategyPosition(
                position_id=holding.position_id,
                strategy=holding.strategy,
                underlying=holding.underlying,
                opened_ns=holding.opened_ns,
                signed_qty=dict(holding.signed_qty),
                net_open=holding.net_open,
            )
            for holding in self.holdings.values()
        )
