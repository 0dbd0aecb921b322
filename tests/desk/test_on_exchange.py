"""The session on the simulated exchange in process: weeks of condors, hedges, expiries and assignments, the books equal at every step."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from gammaray.desk.limits import RiskLimits
from gammaray.desk.session import DeskSession
from gammaray.market.chain import ChainState
from gammaray.market.snapshot import ChainSnapshot
from gammaray.storage.memory_journal import MemoryDisk, MemoryJournal
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import VirtualClock, to_datetime
from gammaray.types.money import price_to_micros
from gammaray.types.orders import OrderLeg, OrderState, PositionIntent, Side
from gammaray.types.signals import Purpose, Signal
from gammaray.venues.simulated.exchange import Exchange
from gammaray.venues.simulated.in_process import InProcessVenue
from gammaray.venues.simulated.model import ExchangeSettings
from gammaray.venues.simulated.scenario.build import build_scenario

LIMITS = RiskLimits(
    max_delta_underlying=10.0, max_delta_total=10.0, max_leverage=10.0, max_gamma_underlying=10.0, max_gamma_total=10.0,
    max_vega_underlying=1.0, max_vega_total=1.0, max_underlying_size=1.0, max_quote_age_s=7 * 3600.0,
)  # fmt: skip


class Run:
    """A fortnight of a trader without ideas."""

    def __init__(self, seed: int, settings: ExchangeSettings) -> None:
        scenario = build_scenario(
            "synthetic", seed=seed, first=date(2024, 1, 8), last=date(2024, 1, 19), steps_per_session=4
        )
        self.exchange = Exchange(scenario, settings)
        self.venue = InProcessVenue(self.exchange)
        self.underlying = self.exchange.underlyings()[0]
        self.rng = np.random.default_rng(seed)
        self.clock = VirtualClock(self.venue.clock_ns())
        self.disk = MemoryDisk()
        self.chain = ChainState(self.underlying)
        self.session = self._session()
        self.session.start()
        self.number = 0

    def _session(self) -> DeskSession:
        return DeskSession(
            MemoryJournal(self.disk), self.venue, LIMITS, self.clock, self.exchange.account_number, order_prefix="t"
        )

    def snapshot(self, *, is_open: bool) -> ChainSnapshot:
        """What the market room makes of the exchange's quotes."""
        now_ns = self.clock.now_ns()
        today = to_datetime(now_ns).astimezone(NEW_YORK).date()
        contracts = self.venue.contracts(self.underlying, first=today, last=date(2024, 3, 1))
        self.chain.list_contracts(contracts)
        self.chain.apply(self.venue.chain_quotes(self.underlying))
        return self.chain.snapshot(now_ns, is_open)

    def step(self, now_ns: int) -> None:
        """One step of the scenario: news, market, trades, and the books compared."""
        self.venue.advance_to(now_ns)
        self.clock.advance_to(now_ns)
        closing = now_ns in {close for _, _, close in self.exchange.sessions(date(2024, 1, 8), date(2024, 1, 19))}
        self.session.pump()
        snapshot = self.snapshot(is_open=not closing)
        self.session.on_market([snapshot])
        if closing:
            self.session.end_of_session()
        else:
            for _ in range(3):
                self._trade(snapshot)
                self.session.pump()
        report = self.session.reconcile()
        assert report.clean, report
        account, totals = self.venue.account(), self.session.totals()
        assert totals["cash"] == account.cash
        assert {p.symbol: p.signed_qty for p in self.venue.positions()} == {
            what: view.signed_qty for what, view in self.session.book().positions.items()
        }

    def _trade(self, snapshot: ChainSnapshot) -> None:
        draw = self.rng.random()
        self.number += 1
        if draw < 0.5:
            signal = self._condor(snapshot)
        elif draw < 0.8:
            signal = self._close(snapshot)
        else:
            side = Side.BUY if self.rng.random() < 0.5 else Side.SELL
            signal = self._signal(
                Purpose.HEDGE,
                (OrderLeg(self.underlying, side),),
                int(self.rng.integers(1, 50)),
                None,
                f"h{self.number}",
            )
        if signal is not None:
            self.session.submit(signal)

    def _condor(self, snapshot: ChainSnapshot) -> Signal | None:
        table = snapshot.table
        near = sorted(set(table.expiration.tolist()))[: int(self.rng.integers(1, 4))][-1]
        rows = np.flatnonzero((table.expiration == near) & snapshot.good() & (snapshot.bid >= 0.05))
        puts = [row for row in rows if not table.is_call[row] and table.strike[row] < snapshot.spot]
        calls = [row for row in rows if table.is_call[row] and table.strike[row] > snapshot.spot]
        if len(puts) < 4 or len(calls) < 4:
            return None
        chosen = [(puts[-4], Side.BUY), (puts[-2], Side.SELL), (calls[1], Side.SELL), (calls[3], Side.BUY)]
        held = self.session.book().positions
        if any(
            side.sign * held[table.symbols[row]].signed_qty < 0 for row, side in chosen if table.symbols[row] in held
        ):
            return None
        net = sum(side.sign * (snapshot.ask if side is Side.BUY else snapshot.bid)[row] for row, side in chosen)
        legs = tuple(OrderLeg(table.symbols[row], side) for row, side in chosen)
        return self._signal(Purpose.OPEN, legs, int(self.rng.integers(1, 6)), price_to_micros(net), f"c{self.number}")

    def _close(self, snapshot: ChainSnapshot) -> Signal | None:
        index = snapshot.table.index
        for position in self.session.book().strategy_positions:
            sizes = {abs(qty) for qty in position.signed_qty.values()}
            if len(sizes) != 1 or not all(symbol in index for symbol in position.signed_qty):
                continue
            legs, net = [], 0.0
            for symbol, qty in position.signed_qty.items():
                side = Side.SELL if qty > 0 else Side.BUY
                intent = PositionIntent.SELL_TO_CLOSE if qty > 0 else PositionIntent.BUY_TO_CLOSE
                quote = (snapshot.ask if side is Side.BUY else snapshot.bid)[index[symbol]]
                legs.append(OrderLeg(symbol, side, 1, intent))
                net += side.sign * quote
            if np.isfinite(net) and 2 <= len(legs) <= 4:
                price = price_to_micros(net)
                return self._signal(Purpose.CLOSE, tuple(legs), sizes.pop(), price, position.position_id)
        return None

    def _signal(
        self, purpose: Purpose, legs: tuple[OrderLeg, ...], qty: int, price: int | None, position_id: str
    ) -> Signal:
        return Signal(
            "tester", self.underlying, self.clock.now_ns(), purpose, legs, qty, price, position_id, 0.5, 0, 1, "", "", ""
        )  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "settings"),
    [
        (1, ExchangeSettings()),
        (2, ExchangeSettings(profile="live")),
        (3, ExchangeSettings(delayed_activities=True, fees=False)),
    ],
)
def test_the_books_are_equal_at_every_step(seed: int, settings: ExchangeSettings) -> None:
    run = Run(seed, settings)
    for now_ns in run.exchange.step_times():
        run.step(now_ns)
    totals = run.session.totals()
    assert totals["multi_leg_fills"] > 5
    assert (totals["fees"] > 0) is settings.fees
    assert totals["available_funds"] == run.venue.account().options_buying_power
    states = {run.session.desk.order_state(record) for record in run.session.desk.records}
    assert OrderState.REJECTED not in states, [r.reason for r in run.session.desk.records]
    kinds = {entry.kind for entry in run.disk.entries}
    assert "ActivityReceived" in kinds
    assert totals["anomalies"] == 0
    assert totals["external_orders"] == 0


def test_two_runs_of_one_seed_give_one_journal_and_a_killed_one_the_same_books() -> None:
    plain, again, killed = (Run(4, ExchangeSettings()) for _ in range(3))
    for number, now_ns in enumerate(plain.exchange.step_times()[:25]):
        for run in (plain, again, killed):
            run.step(now_ns)
        if number % 5 == 2:
            killed.session = killed._session()
            killed.session.start()
    assert plain.session.journal.digest() == again.session.journal.digest()
    for name in ("cash", "realized_pnl", "executions", "orders_by_state", "fees"):
        assert killed.session.totals()[name] == plain.session.totals()[name], name
