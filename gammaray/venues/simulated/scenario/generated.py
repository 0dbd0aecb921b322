"""A scenario whose underlyings follow given paths and whose option quotes come from the level surface."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from gammaray.market.level_surface import LevelSurface, SurfaceShape
from gammaray.types.calendar import Session, TradingCalendar
from gammaray.types.clock import NANOS
from gammaray.types.instruments import OptionContract, Right
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.instruments import PENNY_UNDERLYINGS, InstrumentTable
from gammaray.venues.simulated.listing import ListingRules
from gammaray.venues.simulated.scenario.paths import (
    MINUTE_NS,
    DayPath,
    UnderlyingPath,
    check_aligned,
    minute_bars,
    session_bar,
)
from gammaray.venues.simulated.scenario.protocol import DailyBar, Frame, Phase
from gammaray.venues.simulated.scenario.quoting import ChainQuotes, QuotingStyle, quote_chain

_YEAR_NS = 365 * 86_400 * NANOS
_REGULAR_MINUTES = 390

# Streams of random numbers: every draw of a step has its own generator, so a frame depends on nothing but the seed and the step.
_SESSION_STREAM, _STEP_STREAM, _LISTING_STREAM = 1, 2, 3


@dataclass(frozen=True, slots=True)
class _Step:
    """Where a step lies: the session's index and the minute in it."""

    session: int
    minute: int
    phase: Phase


class GeneratedScenario:
    """Quotes and flow around paths.

    steps_per_session: intervals in a session of 390 minutes (a half day has fewer); there is a step at the open, at the end of each interval and at
    the close. calendar: must cover the paths and the expirations listed in them. Raises ValueError, naming the argument, for paths that do not
    share their sessions and for a count of steps outside 1 to 390.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[UnderlyingPath],
        *,
        calendar: TradingCalendar,
        seed: int,
        steps_per_session: int = 13,
        rules: ListingRules | None = None,
        style: QuotingStyle | None = None,
        flow_rate: float = 40.0,
    ) -> None:
        check_aligned(paths)
        if not 1 <= steps_per_session <= _REGULAR_MINUTES:
            raise ValueError(f"steps_per_session: expected 1 to {_REGULAR_MINUTES}, was {steps_per_session}")
        self.name = name
        self.calendar = calendar
        self.table = InstrumentTable([path.symbol for path in paths])
        self._paths = tuple(paths)
        self._seed = seed
        self._steps_per_session = steps_per_session
        self._rules = rules or ListingRules()
        self._style = style or QuotingStyle()
        self._flow_rate = flow_rate
        self._sessions: tuple[Session, ...] = tuple(calendar.session(day.day) for day in paths[0].days)
        self._steps = tuple(self._plan_steps())
        self.step_times: tuple[int, ...] = tuple(
            self._sessions[step.session].open_ns + step.minute * MINUTE_NS for step in self._steps
        )
        self._listed: list[NDArray[np.int32]] = []
        self._chains: dict[tuple[str, date], dict[int, list[int]]] = {}
        self._bars = {path.symbol: path.before + tuple(session_bar(d, calendar) for d in path.days) for path in paths}
        self._interest: dict[int, int] = {}
        self._minutes: tuple[tuple[str, date] | None, Sequence[Bar]] = (None, ())
        self._noise: tuple[int, NDArray[np.float64]] = (-1, np.empty(0))

    def _plan_steps(self) -> list[_Step]:
        steps: list[_Step] = []
        for i, day in enumerate(self._paths[0].days):
            minutes = len(day.price) - 1
            marks = {round(j * _REGULAR_MINUTES / self._steps_per_session) for j in range(self._steps_per_session + 1)}
            for minute in sorted({m for m in marks if m < minutes} | {minutes}):
                phase = Phase.OPEN if minute == 0 else Phase.CLOSE if minute == minutes else Phase.TRADING
                steps.append(_Step(i, minute, phase))
        return steps

    def fingerprint(self) -> str:
        """Name and parameters."""
        first, last = self._sessions[0].day, self._sessions[-1].day
        symbols = ",".join(self.table.underlyings)
        return f"{self.name}/{symbols}/{first}/{last}/seed={self._seed}/steps={self._steps_per_session}"

    def list_for(self, step: int) -> None:
        """List what trades in the session of a step, and of every session before it."""
        for i in range(len(self._listed), self._steps[step].session + 1):
            self._list_session(i)

    def _list_session(self, i: int) -> None:
        """Strikes follow the spot at the last close (at the first session, its open), so a list holds no news of the day itself."""
        day = self._sessions[i].day
        expirations = self._rules.expirations(day, self.calendar)
        rows: list[int] = []
        for path in self._paths:
            spot = float(path.days[i - 1].price[-1] if i else path.days[0].price[0])
            wanted = self._rules.strikes(spot)
            for expiration in expirations:
                chain = self._chains.setdefault((path.symbol, expiration), {})
                expiry_ns = self.calendar.session(expiration).close_ns
                for strike in wanted:
                    if strike not in chain:
                        pair = [OptionContract(path.symbol, expiration, strike, right) for right in Right]
                        chain[strike] = [self.table.list_contract(contract, expiry_ns) for contract in pair]
                rows.extend(row for strike in sorted(chain) for row in chain[strike])
        self._listed.append(np.array(rows, dtype=np.int32))

    def listed_rows(self, step: int) -> NDArray[np.int32]:
        """Contracts listed in the session of a step."""
        self.list_for(step)
        return self._listed[self._steps[step].session]

    def open_interest(self, row: int) -> int:
        """A lognormal figure fixed at listing, larger at round strikes."""
        contract = self.table.contracts[row]
        if contract is None:
            raise ValueError(f"row: {row} is an underlying")
        known = self._interest.get(row)
        if known is not None:
            return known
        draw = np.random.default_rng([self._seed, _LISTING_STREAM, row]).standard_normal()
        round_strike = 3.0 if contract.strike_milli % 5000 == 0 else 1.0
        self._interest[row] = int(1500 * round_strike * np.exp(1.2 * float(draw)))
        return self._interest[row]

    def official_close(self, underlying: str, day: date) -> int:
        """The closing price in cents."""
        return round(100 * float(self._day(underlying, day).price[-1]))

    def daily_bars(self, underlying: str) -> Sequence[DailyBar]:
        """Daily bars, those before the start included."""
        return self._bars[underlying]

    def minute_bars(self, underlying: str, day: date) -> Sequence[Bar]:
        """One-minute bars of a session."""
        if not any(session.day == day for session in self._sessions):
            return []
        if self._minutes[0] != (underlying, day):
            bars = minute_bars(self._day(underlying, day), self.calendar.session(day).open_ns)
            self._minutes = ((underlying, day), bars)
        return self._minutes[1]

    def _day(self, underlying: str, day: date) -> DayPath:
        path = self._paths[self.table.row_of[underlying]]
        days = [session.day for session in self._sessions]
        i = bisect_left(days, day)
        if i == len(days) or days[i] != day:
            raise ValueError(f"day: no session on {day} in scenario {self.name}")
        return path.days[i]

    def _session_noise(self, session: int, n: int) -> NDArray[np.float64]:
        if self._noise[0] != session:
            rng = np.random.default_rng([self._seed, _SESSION_STREAM, session])
            self._noise = (session, rng.standard_normal(n))
        return self._noise[1]

    def frame(self, step: int) -> Frame:
        """The market at a step."""
        place = self._steps[step]
        rows = self.listed_rows(step)
        ts_ns = self.step_times[step]
        columns = self.table.columns
        rng = np.random.default_rng([self._seed, _STEP_STREAM, step])
        noise = self._session_noise(place.session, len(rows))
        parts: list[ChainQuotes] = []
        weights: list[NDArray[np.float64]] = []
        share = columns.underlying_row[rows]
        for i, path in enumerate(self._paths):
            mine = share == i
            chain = rows[mine]
            day = path.days[place.session]
            quotes = quote_chain(
                spot=round(float(day.price[place.minute]), 2),
                surface=LevelSurface(float(day.level[place.minute]), SurfaceShape(rho=day.rho, mean=day.mean)),
                strike=columns.strike[chain],
                tau=(columns.expiry_ns[chain] - ts_ns) / _YEAR_NS,
                is_call=columns.is_call[chain],
                session_noise=noise[mine],
                rng=rng,
                style=self._style,
                coarse_ticks=path.symbol not in PENNY_UNDERLYINGS,
            )
            parts.append(quotes)
            weights.append(quotes.weight)
        stock = np.array([self._underlying_quote(path, place, rng) for path in self._paths], dtype=np.int64)
        flow_row, flow_side, flow_qty = self._flow(rows, np.concatenate(weights), place, rng)
        return Frame(
            ts_ns=ts_ns,
            day=self._sessions[place.session].day,
            phase=place.phase,
            rows=np.concatenate([rows, np.arange(len(self._paths), dtype=np.int32)]),
            bid=np.concatenate([*(part.bid for part in parts), stock[:, 0]]),
            ask=np.concatenate([*(part.ask for part in parts), stock[:, 1]]),
            bid_size=np.concatenate([*(part.bid_size for part in parts), stock[:, 2]]),
            ask_size=np.concatenate([*(part.ask_size for part in parts), stock[:, 3]]),
            last=stock[:, 6],
            low=stock[:, 4],
            high=stock[:, 5],
            flow_row=flow_row,
            flow_side=flow_side,
            flow_qty=flow_qty,
        )

    def _underlying_quote(self, path: UnderlyingPath, place: _Step, rng: np.random.Generator) -> tuple[int, ...]:
        """Bid, ask, sizes, low and high since the step before, and the last price, which lies between bid and ask."""
        day = path.days[place.session]
        cents = round(100 * float(day.price[place.minute]))
        width = 1 if day.level[place.minute] < 0.25 else 2
        up = int(rng.integers(0, width + 1))
        sizes = np.floor(900 * np.exp(0.7 * rng.standard_normal(2)) * min(1.0, 0.12 / day.level[place.minute])) + 100
        previous = place.minute if place.minute == 0 else self._previous_minute(place)
        passed = day.price[previous : place.minute + 1]
        low, high = round(100 * float(passed.min())), round(100 * float(passed.max()))
        return cents - width + up, cents + up, int(sizes[0]), int(sizes[1]), low, high, cents

    def _previous_minute(self, place: _Step) -> int:
        interval = _REGULAR_MINUTES / self._steps_per_session
        return max(0, round((math.ceil(place.minute / interval) - 1) * interval))

    def _flow(
        self, rows: NDArray[np.int32], weight: NDArray[np.float64], place: _Step, rng: np.random.Generator
    ) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
        """Orders of noise and informed traders. One in ten is informed: it buys what the next minutes make dearer."""
        if place.phase is Phase.CLOSE:
            return np.empty(0, np.int32), np.empty(0, np.int8), np.empty(0, np.int64)
        count = int(rng.poisson(self._flow_rate * len(self._paths)))
        share = weight / weight.sum()
        chosen = rng.choice(len(rows), size=count, p=share)
        row = rows[chosen]
        columns = self.table.columns
        side = np.where(rng.random(count) < 0.5, 1, -1)
        rises = np.array(
            [
                day.price[min(place.minute + 30, len(day.price) - 1)] > day.price[place.minute]
                for day in (path.days[place.session] for path in self._paths)
            ]
        )
        gains = columns.is_call[row] == rises[columns.underlying_row[row]]
        informed = rng.random(count) < 0.1
        side = np.where(informed, np.where(gains, 1, -1), side)
        qty = rng.geometric(0.12, size=count)
        return row.astype(np.int32), side.astype(np.int8), qty.astype(np.int64)
