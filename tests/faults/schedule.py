"""One seeded life of a desk: trading, faults, kills, expiries; then calm, and the books must agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np

from gammaray.desk.codec import decode
from gammaray.desk.desk import Desk
from gammaray.desk.limits import RiskLimits
from gammaray.desk.picture import positions
from gammaray.desk.session import DeskSession
from gammaray.storage.journal import Journal, JournalError
from gammaray.storage.memory_journal import MemoryDisk, MemoryJournal
from gammaray.types.account import ActivityKind
from gammaray.types.clock import VirtualClock
from gammaray.types.instruments import is_occ, parse_occ
from gammaray.types.orders import OrderLeg, OrderState, PositionIntent, Side
from gammaray.types.signals import Purpose, Signal, TradingState
from gammaray.venues.protocol import VenueError
from tests.faults.exchange import Exchange
from tests.faults.link import CALM, Link, ProcessKilled, Weather
from tests.faults.market import UNDERLYING, Market

FIRST_DAY = date(2026, 3, 2)
DAYS = 3
STEPS = 14
CASH = 1_000_000_000_000
LIMITS = RiskLimits(
    max_orders_per_minute=600, max_delta_underlying=4.0, max_delta_total=6.0, max_leverage=8.0, max_daily_loss=0.5,
    halt_daily_loss=0.6, max_vega_underlying=0.5, max_vega_total=0.5, max_gamma_underlying=5.0, max_gamma_total=5.0,
)  # fmt: skip


class Broken(AssertionError):
    """An invariant does not hold; the message names it."""


class DyingJournal(MemoryJournal):
    """A journal whose process may be killed at a commit, before or after the disk has it, or whose disk may be full."""

    def __init__(self, disk: MemoryDisk, rng: np.random.Generator, killed: float) -> None:
        super().__init__(disk)
        self.killed = killed
        self._rng = rng

    def commit(self) -> None:
        draw = self._rng.random()
        if draw < self.killed:
            self._batch.clear()
            raise ProcessKilled
        if draw < 1.5 * self.killed:
            self._batch.clear()
            raise JournalError("journal: database or disk is full")
        super().commit()
        if draw > 1 - self.killed:
            raise ProcessKilled


@dataclass
class Life:
    """What happened in one schedule."""

    seed: int
    orders: int = 0
    filled: int = 0
    kills: int = 0
    assigned: int = 0
    denied: int = 0
    anomalies: int = 0
    counts: dict[str, int] = field(default_factory=dict)


class Schedule:
    """Plays one seed. `run` raises Broken when an invariant fails."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.life = Life(seed)
        self.clock = VirtualClock(_at(FIRST_DAY, 14, 30))
        self.market = Market(self.rng, FIRST_DAY)
        self.exchange = Exchange(
            self.clock.now_ns(),
            CASH,
            late_rows=bool(self.rng.random() < 0.5),
            ids_in_rows=bool(self.rng.random() < 0.7),
        )
        self.exchange.prices = self.market.prices()
        self.weather = Weather(killed=float(self.rng.choice([0.0, 0.005, 0.02])))
        self.link = Link(self.exchange, self.rng, CALM)
        self.disk = MemoryDisk()
        self._calm = True
        self.session = self._start()

    # ---- the desk's process

    def _journal(self) -> Journal:
        return DyingJournal(self.disk, self.rng, 0.0 if self._calm else self.weather.killed / 2)

    def _start(self) -> DeskSession:
        """Start the desk, again and again if it is killed while starting."""
        while True:
            session = DeskSession(self._journal(), self.link, LIMITS, self.clock, "T1", order_prefix="t")
            try:
                session.start()
                session.on_market([self.market.snapshot(self.clock.now_ns())])
            except (ProcessKilled, JournalError):
                self.life.kills += 1
                self.link.disconnect()
            except VenueError:
                pass
            else:
                return session

    def _guard(self, act: object, *args: object, **kwargs: object) -> None:
        """Do something with the desk; when that kills it, start it again."""
        try:
            act(*args, **kwargs)  # type: ignore[operator]
        except (ProcessKilled, JournalError):
            self.life.kills += 1
            self.link.disconnect()
            self.session = self._start()
        except VenueError:
            pass

    # ---- playing

    def run(self) -> Life:
        """Play the whole life and check it."""
        self._calm = False
        self.link.weather = self.weather
        for day in range(DAYS):
            if day:
                self._open_day(day)
            for _ in range(STEPS):
                self._step()
            self._close_day()
        self._settle(DAYS)
        self._check()
        return self.life

    def _now(self, ns: int) -> None:
        self.clock.advance_to(ns)
        self.exchange.now_ns = ns

    def _open_day(self, day: int) -> None:
        today = date.fromordinal(FIRST_DAY.toordinal() + day)
        self._now(_at(today, 14, 30))
        self.market.list_contracts(today)
        self.exchange.prices.update(self.market.prices())
        self._guard(self.session.reconcile, "open")

    def _step(self) -> None:
        jump = 1800 if self.rng.random() < 0.05 else int(self.rng.integers(1, 300))
        self._now(self.clock.now_ns() + jump * 10**9)
        self.market.move()
        self.exchange.prices.update(self.market.prices())
        self._exchange_acts()
        self._guard(lambda: self.session.on_market([self.market.snapshot(self.clock.now_ns())]))
        for _ in range(int(self.rng.integers(0, 3))):
            self._guard(self._trade)
        if self.rng.random() < 0.2:
            self._guard(self._cancel)
        if self.rng.random() < 0.15:
            self._guard(self._replace)
        if self.rng.random() < 0.03:
            self._guard(lambda: self.session.set_trading_state(TradingState.REDUCING, "tester", "wait"))
        self._guard(lambda: self.session.pump())
        if self.rng.random() < 0.1:
            self._guard(self.session.reconcile, "interval")
        if self.session.desk.trading_state is not TradingState.ACTIVE:
            self._guard(lambda: self.session.set_trading_state(TradingState.ACTIVE, "tester", "go on"))
        if self.rng.random() < 0.1:
            self.link.arrive()

    def _exchange_acts(self) -> None:
        exchange, rng = self.exchange, self.rng
        for order in exchange.open_orders():
            draw = rng.random()
            left = order.request.qty - order.filled
            if draw < 0.35:
                exchange.fill(order, left)
            elif draw < 0.55 and left > 1:
                exchange.fill(order, int(rng.integers(1, left)))
            elif order.status == "pending_cancel" and draw < 0.9:
                exchange.settle_cancel(order)
        if rng.random() < 0.05:
            exchange.fee(int(rng.integers(1, 500)) * 10_000)
        shorts = [symbol for symbol, qty in exchange.positions.items() if qty < 0 and is_occ(symbol)]
        if shorts and rng.random() < 0.03:
            symbol = shorts[int(rng.integers(len(shorts)))]
            exchange.deliver(symbol, int(rng.integers(1, -exchange.positions[symbol] + 1)), ActivityKind.ASSIGNMENT)
            self.life.assigned += 1

    def _close_day(self) -> None:
        self._now(_at(self.market.today, 21, 0))
        self.exchange.expire_day()
        for symbol in [symbol for symbol, qty in self.exchange.positions.items() if qty and is_occ(symbol)]:
            contract = parse_occ(symbol)
            qty = self.exchange.positions[symbol]
            if contract.expiration > self.market.today or not qty:
                continue
            away = self.market.spot_cents - contract.strike_milli // 10
            if (away if contract.is_call else -away) >= 1:
                self.exchange.deliver(symbol, abs(qty), ActivityKind.EXERCISE if qty > 0 else ActivityKind.ASSIGNMENT)
            else:
                self.exchange.lapse(symbol)
        self._guard(lambda: self.session.end_of_session())

    def _trade(self) -> None:
        signal = self._signal()
        if signal is not None:
            decision = self.session.submit(signal)
            self.life.orders += decision.accepted
            self.life.denied += bool(decision.rule)

    def _signal(self) -> Signal | None:
        rng = self.rng
        draw = rng.random()
        far = [c for c in self.market.table.contracts if c.expiration > self.market.today or rng.random() < 0.5]
        expiration = far[int(rng.integers(len(far)))].expiration
        number = int(rng.integers(1, 1_000_000))
        if draw < 0.55:
            return self._package(expiration, number, condor=draw < 0.3)
        if draw < 0.8:
            return self._closing(number)
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        leg = OrderLeg(UNDERLYING, side)
        qty = int(rng.integers(1, 200))
        return self._make(Purpose.HEDGE, (leg,), qty, self.market.spot_cents * 10_000, f"hedge-{number}")

    def _package(self, expiration: date, number: int, *, condor: bool) -> Signal:
        """A vertical or an iron condor, sold or bought, at its middle."""
        by_key = {(c.expiration, c.strike_milli, c.right.value): c.symbol for c in self.market.table.contracts}
        sold = self.rng.random() < 0.7
        rows = [("P", 95, 1), ("P", 100, -1)]
        if condor:
            rows += [("C", 105, -1), ("C", 110, 1)]
        legs = []
        net = 0
        prices = self.market.prices()
        for right, strike, sign in rows:
            sign = sign if sold else -sign
            symbol = by_key[(expiration, strike * 1000, right)]
            legs.append(OrderLeg(symbol, Side.BUY if sign > 0 else Side.SELL))
            net += sign * prices[symbol]
        return self._make(Purpose.OPEN, tuple(legs), int(self.rng.integers(1, 6)), net, f"p-{number}")

    def _closing(self, number: int) -> Signal | None:
        """Close one strategy position as a package, as far as the account still holds its legs."""
        held = [one for one in self.session.book().strategy_positions if len(one.signed_qty) in (2, 4)]
        if not held:
            return None
        position = held[int(self.rng.integers(len(held)))]
        units = {abs(qty) for qty in position.signed_qty.values()}
        if len(units) != 1 or not all(is_occ(symbol) for symbol in position.signed_qty):
            return None
        prices = self.exchange.prices
        legs = []
        net = 0
        for symbol, qty in position.signed_qty.items():
            side = Side.SELL if qty > 0 else Side.BUY
            intent = PositionIntent.SELL_TO_CLOSE if qty > 0 else PositionIntent.BUY_TO_CLOSE
            legs.append(OrderLeg(symbol, side, 1, intent))
            net += side.sign * prices[symbol]
        return self._make(Purpose.CLOSE, tuple(legs), units.pop(), net, position.position_id)

    def _make(self, purpose: Purpose, legs: tuple[OrderLeg, ...], qty: int, price: int, position_id: str) -> Signal:
        return Signal(
            "tester", UNDERLYING, self.clock.now_ns(), purpose, legs, qty, price, position_id, 0.5, 0, 1, "", "", ""
        )  # fmt: skip

    def _cancel(self) -> None:
        working = list(self.session.desk.books.working.values())
        if working:
            self.session.cancel(working[int(self.rng.integers(len(working)))].client_order_id)

    def _replace(self) -> None:
        """Another limit, and half of the time another quantity, for a working order."""
        desk = self.session.desk
        orders = desk.store.book.orders
        able = [
            record
            for record in desk.books.working.values()
            if desk.order_state(record) in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED) and record.venue_order_id
        ]
        if able:
            record = able[int(self.rng.integers(len(able)))]
            limit = (record.limit_price or 0) - int(self.rng.integers(1, 5)) * 10_000
            filled = int(orders[record.row]["filled_qty"])
            qty = filled + int(self.rng.integers(1, record.qty - filled + 1)) if self.rng.random() < 0.5 else None
            self.session.replace(record.client_order_id, qty=qty, limit_price=limit)

    def _settle(self, day: int) -> None:
        """Calm weather: what was under way arrives, every order ends, late rows appear, the desk catches up."""
        self.link.weather = CALM
        self._calm = True
        if isinstance(self.session.journal, DyingJournal):
            self.session.journal.killed = 0.0
        self.link.arrive()
        self.exchange.expire_day()
        for hours in range(4):
            self._now(_at(date.fromordinal(FIRST_DAY.toordinal() + day), 14 + hours, 0))
            self.session.pump(backfill=True)
            for order in self.exchange.open_orders():
                self.exchange.settle_cancel(order)
        self.report = self.session.reconcile("end")

    # ---- what must hold

    def _check(self) -> None:
        desk, exchange = self.session.desk, self.exchange
        account = desk.store.book.account[0]
        ours = {symbol: view.signed_qty for symbol, view in positions(desk).items()}
        theirs = {symbol: qty for symbol, qty in exchange.positions.items() if qty}
        _must(ours == theirs, f"positions: ours {ours}, theirs {theirs}")
        _must(int(account["cash"]) == exchange.cash, f"cash: ours {account['cash']}, theirs {exchange.cash}")
        _must(self.report.clean, f"last report: {self.report.unresolved}")
        _must(not desk.books.working, f"still working: {[one.client_order_id for one in desk.books.working.values()]}")
        self._check_orders()
        self._check_reservations()
        self._check_shorts()
        self._check_replay()
        self.life.kills = self.life.kills
        self.life.anomalies = desk.books.memory.anomalies
        self.life.filled = sum(order.filled > 0 for order in exchange.orders.values())

    def _check_orders(self) -> None:
        desk = self.session.desk
        reached = {}
        for order in self.exchange.orders.values():
            client_order_id = order.request.client_order_id
            _must(client_order_id not in reached, f"doubled: {client_order_id}")
            reached[client_order_id] = order
            _must(client_order_id in desk.books.by_client_id, f"sent without a journal entry: {client_order_id}")
        ends = {
            "filled": OrderState.FILLED,
            "canceled": OrderState.CANCELED,
            "expired": OrderState.EXPIRED,
            "replaced": OrderState.REPLACED,
        }
        for record in desk.records:
            state = desk.order_state(record)
            filled = int(desk.store.book.orders[record.row]["filled_qty"])
            order = reached.get(record.client_order_id)
            if order is None:
                _must(
                    state in (OrderState.DENIED, OrderState.REJECTED) and filled == 0,
                    f"{record.client_order_id}: {state.name}, {filled} filled, but the exchange never had it",
                )
            else:
                _must(state is ends[order.status], f"{record.client_order_id}: {state.name}, theirs {order.status}")
                _must(filled == order.filled, f"{record.client_order_id}: {filled} filled, theirs {order.filled}")

    def _check_reservations(self) -> None:
        book = self.session.desk.store.book
        for name in ("working_buy", "working_sell", "working_close"):
            _must(not book.positions[name].any(), f"reservations left: {name}")
        for name in book.underlyings.dtype.names or ():
            _must(not book.underlyings[name].any(), f"reservations left: {name}")
        _must(int(book.account[0]["reserved_funds"]) == 0, "reservations left: funds")

    def _check_shorts(self) -> None:
        """Shorts of one expiration and right are covered, unless an assignment or exercise took the cover away."""
        if self.life.assigned:
            return
        sums: dict[tuple[date, str], int] = {}
        for symbol, qty in self.exchange.positions.items():
            if qty and is_occ(symbol):
                contract = parse_occ(symbol)
                key = (contract.expiration, contract.right.value)
                sums[key] = sums.get(key, 0) + qty
        _must(all(total >= 0 for total in sums.values()), f"a short stands alone: {sums}")

    def _check_replay(self) -> None:
        live = self.session.desk.snapshot()
        replayed = Desk()
        for entry in self.disk.entries:
            replayed.handle(decode(entry.kind, entry.payload))
        _must(replayed.snapshot() == live, "a replay gives other bytes")
        _must(Desk.restored(live).snapshot() == live, "a restored snapshot gives other bytes")
        if self.disk.snapshots:
            saved = self.disk.snapshots[-1]
            short = Desk.restored(saved.state)
            for entry in self.disk.entries[saved.sequence :]:
                short.handle(decode(entry.kind, entry.payload))
            _must(short.snapshot() == live, "snapshot and tail give other bytes")


def _must(holds: bool, text: str) -> None:
    if not holds:
        raise Broken(text)


def _at(day: date, hour: int, minute: int) -> int:
    return int(datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC).timestamp()) * 10**9
