"""A desk with money and a market in front of it, for tests."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from gammaray.desk import events
from gammaray.desk.desk import Desk
from gammaray.desk.limits import RiskLimits
from gammaray.desk.marks import Marks
from gammaray.types.account import Activity, ActivityKind, Execution, OrderUpdate, UpdateKind
from gammaray.types.orders import OrderLeg, PositionIntent, Side
from gammaray.types.signals import Purpose, Signal
from tests.faults.market import UNDERLYING, Market

TODAY = date(2026, 3, 2)
NOW = int(datetime(2026, 3, 2, 15, 0, tzinfo=UTC).timestamp()) * 10**9
DOLLAR = 1_000_000
WIDE = RiskLimits(
    max_delta_underlying=50.0,
    max_delta_total=50.0,
    max_leverage=50.0,
    max_gamma_underlying=50.0,
    max_gamma_total=50.0,
    max_vega_underlying=50.0,
    max_vega_total=50.0,
)
"""Limits that let greeks pass, so that other rules can be seen."""


def symbol(right: str, strike: int, *, near: bool = False) -> str:
    """OCC symbol in the test market: the near expiration is today's, the far one a week away."""
    day = TODAY if near else date(2026, 3, 9)
    return f"{UNDERLYING}{day:%y%m%d}{right}{strike * 1000:08d}"


def open_desk(limits: RiskLimits = WIDE, cash: int = 100_000 * DOLLAR) -> tuple[Desk, Marks, Market]:
    """A desk with cash, the day started, and quotes: spot 102.50, options two cents each side of their middle."""
    desk = Desk()
    desk.handle(events.DeskOpened(NOW, "T1", "t", cash, (), ""))
    desk.handle(events.LimitsSet(NOW, limits, "tester"))
    marks = Marks(desk)
    market = Market(np.random.default_rng(1), TODAY)
    marks.update(market.snapshot(NOW))
    desk.handle(events.DayStarted(NOW, TODAY.isoformat(), cash))
    return desk, marks, market


def leg(what: str, side: str, ratio: int = 1, intent: str | None = None) -> OrderLeg:
    """A leg; `intent` as Alpaca writes it."""
    return OrderLeg(what, Side(side), ratio, None if intent is None else PositionIntent(intent))


def signal(
    *legs: OrderLeg,
    qty: int = 1,
    price: float | None = None,
    purpose: Purpose = Purpose.OPEN,
    position_id: str = "p1",
    strategy: str = "tester",
) -> Signal:
    """A signal; `price` in dollars."""
    limit = None if price is None else round(price * DOLLAR)
    return Signal(strategy, UNDERLYING, NOW, purpose, legs, qty, limit, position_id, 0.5, 0, 7, "", "", "why")


def put_spread(qty: int = 1, price: float = -0.60, **more: str) -> Signal:
    """Sell the 100 put, buy the 95 put: at most 5 dollars a share to lose, less the credit."""
    return signal(leg(symbol("P", 100), "sell"), leg(symbol("P", 95), "buy"), qty=qty, price=price, **more)  # type: ignore[arg-type]


def send(desk: Desk, wanted: Signal, now_ns: int = NOW) -> events.OrderIntended | events.OrderDenied:
    """Decide on a signal and handle the outcome."""
    event = desk.decide(wanted, now_ns)
    desk.handle(event)
    return event


def fill(desk: Desk, client_order_id: str, number: int, **fills: tuple[int, float]) -> list[object]:
    """A stream update with executions: symbol=(signed contracts, dollars)."""
    executions = tuple(
        Execution(f"x{number}-{k}", what, qty, round(price * DOLLAR))
        for k, (what, (qty, price)) in enumerate(fills.items())
    )
    update = OrderUpdate(UpdateKind.PARTIAL_FILL, client_order_id, f"v-{client_order_id}", NOW, executions)
    return list(desk.handle(events.UpdateReceived(NOW, update)))


def activity(kind: ActivityKind, number: int, **fields: object) -> events.ActivityReceived:
    """An activity row with the id of its number."""
    return events.ActivityReceived(NOW, Activity(f"20260302{number:09d}::a", kind, NOW, **fields))  # type: ignore[arg-type]
