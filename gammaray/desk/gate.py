"""From a signal to a decision: the intent with its reservations, or the denial with rule, limit and value."""

from __future__ import annotations

import struct

import numpy as np

from gammaray.desk.core import gate as core
from gammaray.desk.core.layout import MAX_LEGS
from gammaray.desk.limits import CORE_RULES, Rule
from gammaray.desk.store import Store
from gammaray.types.orders import OrderLeg, PositionIntent, Side
from gammaray.types.signals import Purpose

PURPOSES = (Purpose.OPEN, Purpose.CLOSE, Purpose.HEDGE)
_PURPOSE_CODE = {purpose: code for code, purpose in enumerate(PURPOSES)}
_CLOSING = (PositionIntent.BUY_TO_CLOSE, PositionIntent.SELL_TO_CLOSE)
_PACKERS = [struct.Struct(f"={core.FIRST_LEG + core.LEG_WIDTH * n}q") for n in range(MAX_LEGS + 1)]


class Gate:
    """The compiled check with its buffers. `verdict` returns None for a pass; `out` then holds what to reserve."""

    def __init__(self) -> None:
        self._buffer = bytearray(8 * core.REQUEST_SIZE)
        self._request = np.frombuffer(self._buffer, dtype=np.int64)
        self.out = np.zeros(core.OUT_SIZE, dtype=np.int64)

    def check(
        self,
        store: Store,
        limits: np.ndarray,  # type: ignore[type-arg]
        legs: tuple[OrderLeg, ...],
        qty: int,
        limit_price: int | None,
        purpose: Purpose,
        now_ns: int,
    ) -> int:
        """Code of the rule that denies, 0 when the order passes. Every symbol must have a row, every valuation be fresh."""
        count = len(legs)
        rows = store.rows
        numbers = [now_ns, _PURPOSE_CODE[purpose], qty, 0, 0, count]
        for leg in legs:
            ratio = leg.ratio_qty if leg.side is Side.BUY else -leg.ratio_qty
            numbers += (rows[leg.symbol], ratio, effect_of(leg, purpose))
        if limit_price is not None:
            numbers[core.HAS_LIMIT] = 1
            # A package's limit is a signed net already; a simple sale becomes one.
            numbers[core.LIMIT_PRICE] = limit_price if count > 1 or numbers[core.FIRST_LEG + 1] > 0 else -limit_price
        _PACKERS[count].pack_into(self._buffer, 0, *numbers)
        return core.check_order(store.book, limits, self._request, self.out)  # type: ignore[no-any-return]

    def denial(self, store: Store) -> tuple[Rule, int, int, str]:
        """Rule, limit, value and symbol of the denial that `check` found."""
        rule, limit, value, subject = (int(number) for number in self.out[: core.RESERVED])
        return CORE_RULES[rule - 1], limit, value, store.symbols[subject] if subject >= 0 else ""

    def reserved(self) -> tuple[int, int, int, int, int]:
        """Funds, loss, delta, gamma, vega that the order which passed reserves."""
        funds, loss, delta, gamma, vega = (int(number) for number in self.out[core.RESERVED :])
        return funds, loss, delta, gamma, vega


def effect_of(leg: OrderLeg, purpose: Purpose) -> int:
    """What a leg is to do to the position: by its intent, or, where it has none, by the purpose of the order."""
    if leg.intent is None:
        return core.REDUCES if purpose is Purpose.CLOSE else core.ANY_EFFECT
    return core.REDUCES if leg.intent in _CLOSING else core.BUILDS
