"""A scenario written by hand, so that every price in a test is known; and orders in short form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from gammaray.types.calendar import TradingCalendar
from gammaray.types.instruments import OptionContract, Right, parse_occ
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.exchange import Exchange
from gammaray.venues.simulated.instruments import InstrumentTable
from gammaray.venues.simulated.model import ExchangeSettings, Ticket, TicketLeg
from gammaray.venues.simulated.scenario.protocol import DailyBar, Frame, Phase

MINUTE_NS = 60_000_000_000
CENT = 10_000
MONDAY = date(2017, 10, 2)
FRIDAY = date(2017, 10, 6)

CALENDAR = TradingCalendar(date(2017, 9, 1), date(2018, 6, 30))


@dataclass
class Step:
    """quotes: symbol → (bid, ask) or (bid, ask, bid size, ask size), cents; sizes 100 where absent. flow: (symbol, +1 buys or -1 sells, quantity).

    minute: after the open; None for the close. range: (low, high) of SPY in cents.
    """

    minute: int | None
    quotes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    flow: Sequence[tuple[str, int, int]] = ()
    day: date = MONDAY
    range: tuple[int, int] | None = None


class ScriptedScenario:
    """SPY and the contracts of the first step's quotes (and `more`), quoted as written. The close is SPY's middle, rounded down."""

    name = "scripted"

    def __init__(self, steps: Sequence[Step], more: Sequence[str] = ()) -> None:
        self.calendar = CALENDAR
        self.table = InstrumentTable(["SPY"])
        self._steps = list(steps)
        symbols = {s for step in steps for s in step.quotes if s != "SPY"} | set(more)
        self._contracts = sorted((parse_occ(s) for s in symbols), key=lambda c: c.symbol)
        for contract in self._contracts:
            self.table.list_contract(contract, CALENDAR.session(contract.expiration).close_ns)
        self.step_times = tuple(self._time(step) for step in steps)

    def _time(self, step: Step) -> int:
        session = CALENDAR.session(step.day)
        return session.close_ns if step.minute is None else session.open_ns + step.minute * MINUTE_NS

    def fingerprint(self) -> str:
        return f"scripted/{len(self._steps)}/{self.step_times[0]}"

    def list_for(self, step: int) -> None:
        return None

    def listed_rows(self, step: int) -> NDArray[np.int32]:
        day = self._steps[step].day
        rows = [self.table.row_of[c.symbol] for c in self._contracts if c.expiration >= day]
        return np.array(rows, dtype=np.int32)

    def open_interest(self, row: int) -> int:
        return 1000 + row

    def official_close(self, underlying: str, day: date) -> int:
        last = [step for step in self._steps if step.day == day and "SPY" in step.quotes][-1]
        return sum(last.quotes["SPY"][:2]) // 2

    def daily_bars(self, underlying: str) -> Sequence[DailyBar]:
        return ()

    def minute_bars(self, underlying: str, day: date) -> Sequence[Bar]:
        return ()

    def frame(self, index: int) -> Frame:
        step = self._steps[index]
        options = [s for s in sorted(step.quotes) if s != "SPY"]
        spy = step.quotes["SPY"]
        rows = [self.table.row_of[s] for s in [*options, "SPY"]]
        quotes = [(*step.quotes[s], 100, 100)[:4] for s in [*options, "SPY"]]
        bid, ask, bid_size, ask_size = np.array(quotes, dtype=np.int64).reshape(-1, 4).T
        phase = Phase.CLOSE if step.minute is None else Phase.OPEN if step.minute == 0 else Phase.TRADING
        low, high = step.range or (spy[0], spy[1])
        return Frame(
            ts_ns=self.step_times[index],
            day=step.day,
            phase=phase,
            rows=np.array(rows, dtype=np.int32),
            bid=bid,
            ask=ask,
            bid_size=bid_size,
            ask_size=ask_size,
            last=np.array([sum(spy[:2]) // 2]),
            low=np.array([low]),
            high=np.array([high]),
            flow_row=np.array([self.table.row_of[s] for s, _, _ in step.flow], dtype=np.int32),
            flow_side=np.array([side for _, side, _ in step.flow], dtype=np.int8),
            flow_qty=np.array([qty for _, _, qty in step.flow], dtype=np.int64),
        )


class Market:
    """An exchange on a script, driven step by step."""

    def __init__(
        self, steps: Sequence[Step], more: Sequence[str], settings: ExchangeSettings, restore: bytes | None
    ) -> None:
        self.exchange = Exchange(ScriptedScenario(steps, more), settings)
        if restore is not None:
            self.exchange.restore(restore)
        self._next = 0

    def step(self, count: int = 1) -> None:
        """Run the next steps of the script."""
        for _ in range(count):
            self.exchange.advance_to(self.exchange.step_times()[self._next])
            self._next += 1

    def events(self) -> list[str]:
        """Names of the events since the last call."""
        return [event.event for event in self.exchange.drain_events()]

    def held(self) -> dict[str, int]:
        """Signed positions."""
        return {p.symbol: p.signed_qty for p in self.exchange.positions()}

    @property
    def cash(self) -> int:
        """Cash in micro-dollars."""
        return self.exchange.account().cash


@pytest.fixture
def market() -> Callable[..., Market]:
    """market(steps, more=(), restore=None, **settings): the first step is run already, unless run=0."""

    def make(
        steps: Sequence[Step],
        *,
        more: Sequence[str] = (),
        run: int = 1,
        restore: bytes | None = None,
        **settings: object,
    ) -> Market:
        chosen = {"cash": 100_000_000_000, "fees": False} | settings
        made = Market(steps, more, ExchangeSettings(**chosen), restore)  # type: ignore[arg-type]
        made.step(run)
        return made

    return make


def occ(right: str, strike: float, expiration: date = FRIDAY) -> str:
    return OptionContract("SPY", expiration, round(strike * 1000), Right(right)).symbol


@pytest.fixture(name="occ")
def occ_fixture() -> Callable[..., str]:
    """occ("C", 250): the symbol of a SPY option that expires on Friday 6 October 2017, or on another date."""
    return occ


@pytest.fixture
def step() -> type[Step]:
    """A step of a script."""
    return Step


@pytest.fixture
def order() -> Callable[..., Ticket]:
    """order("buy", symbol, 2, 105): two at a limit of 105 cents; without a price a market order. Keywords are fields of Ticket."""

    def make(side: str, symbol: str, qty: int, cents: int | None = None, **fields: object) -> Ticket:
        base: dict[str, object] = {
            "symbol": symbol,
            "qty": qty,
            "side": side,
            "order_type": "market" if cents is None else "limit",
            "time_in_force": "day",
            "limit_price": None if cents is None else cents * CENT,
        }
        return Ticket(**(base | fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def package() -> Callable[..., Ticket]:
    """package(qty, net cents or None, ("buy", symbol, ratio), …)"""

    def make(qty: int, cents: int | None, *legs: tuple[str, str, int], **fields: object) -> Ticket:
        base: dict[str, object] = {
            "symbol": "",
            "qty": qty,
            "side": "",
            "order_type": "market" if cents is None else "limit",
            "time_in_force": "day",
            "limit_price": None if cents is None else cents * CENT,
            "order_class": "mleg",
            "legs": [TicketLeg(symbol, ratio, side) for side, symbol, ratio in legs],
        }
        return Ticket(**(base | fields))  # type: ignore[arg-type]

    return make
