"""What a scenario gives the exchange: the market at each of its steps. A frame depends on the seed and the step alone, never on what we trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gammaray.types.calendar import TradingCalendar
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.instruments import InstrumentTable

IntArray = NDArray[np.int64]


class Phase(IntEnum):
    """Where in its session a step lies. CLOSE carries the closing print: after it the session is over."""

    OPEN = 0
    TRADING = 1
    CLOSE = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """The market makers' quotes and the flow of one step.

    rows: listed contracts, then the underlyings; bid, ask (cents), bid_size, ask_size align with it, size 0 is no quote on that side.
    last, low, high: last price and range (cents) of each underlying since the step before, shape (underlyings,); at the close the official price.
    flow_row, flow_side (+1 buys, -1 sells), flow_qty: orders of others that take liquidity in this step, in order of arrival.
    """

    ts_ns: int
    day: date
    phase: Phase
    rows: NDArray[np.int32]
    bid: IntArray
    ask: IntArray
    bid_size: IntArray
    ask_size: IntArray
    last: IntArray
    low: IntArray
    high: IntArray
    flow_row: NDArray[np.int32]
    flow_side: NDArray[np.int8]
    flow_qty: IntArray


@dataclass(frozen=True, slots=True)
class DailyBar:
    """The official bar of one session of an underlying, known from `known_ns` (the close) on."""

    day: date
    known_ns: int
    bar: Bar


class Scenario(Protocol):
    """A market from a start to an end. Calls are pure but for the table, which grows when a later session lists contracts."""

    name: str
    calendar: TradingCalendar
    table: InstrumentTable
    step_times: tuple[int, ...]

    def frame(self, step: int) -> Frame:
        """The market at a step (an index into step_times)."""
        ...

    def list_for(self, step: int) -> None:
        """List in the table what trades in the session of a step, and of every session before it."""
        ...

    def listed_rows(self, step: int) -> NDArray[np.int32]:
        """Contracts listed in the session of a step."""
        ...

    def open_interest(self, row: int) -> int:
        """Open interest of a contract as the clearing house last reported it."""
        ...

    def official_close(self, underlying: str, day: date) -> int:
        """The closing price in cents that decides over expiring options. Raises ValueError for a day without a session here."""
        ...

    def daily_bars(self, underlying: str) -> Sequence[DailyBar]:
        """Daily bars, oldest first, those before the scenario's start included."""
        ...

    def minute_bars(self, underlying: str, day: date) -> Sequence[Bar]:
        """One-minute bars of a session, oldest first; empty where there is none."""
        ...

    def fingerprint(self) -> str:
        """Name and parameters, so that a saved state is not restored over another market."""
        ...
