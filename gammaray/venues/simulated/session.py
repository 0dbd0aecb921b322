"""One step of the exchange: quotes, resting orders, flow, packages, and at the close expiry, fees and the account's day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gammaray.types.instruments import ExerciseStyle
from gammaray.types.money import CENT
from gammaray.venues.simulated.books import InstrumentBook
from gammaray.venues.simulated.expiry_sweep import sweep_expiring
from gammaray.venues.simulated.margin import intrinsic_micros
from gammaray.venues.simulated.matching import match_flow, match_range, match_requote
from gammaray.venues.simulated.model import Published
from gammaray.venues.simulated.scenario.protocol import Frame, Phase

if TYPE_CHECKING:
    from gammaray.venues.simulated.exchange import Exchange

_ATTRACTED_STREAM, _PACKAGE_STREAM, _ASSIGNMENT_STREAM = 21, 22, 23
_ROUND_LOT = 100
_NO_TIME_VALUE = 5 * CENT
_ATTRACTION_AT_TOUCH = 0.15
_ATTRACTION_INSIDE = 0.6
_ATTRACTED_MEAN_QTY = 6.0


class SessionStep:
    """Runs the steps of an exchange in the order that its documentation states."""

    def __init__(self, exchange: Exchange) -> None:
        self._x = exchange

    def run(self, frame: Frame, step: int) -> Published:
        """Everything of one step; returns what is published."""
        x = self._x
        if frame.phase is Phase.OPEN:
            x.status.is_open = True
        x.board.requote(frame)
        if x.halts:
            x.board.withdraw(x.halted_rows())
        self._print_underlyings(frame)
        if frame.phase is Phase.OPEN:
            self._open()
        self._match_resting(frame)
        self._trigger_stops(frame)
        self._flow(frame)
        self._attracted_flow(step)
        self._match_packages(step)
        sweep_expiring(x, frame.day)
        if frame.phase is Phase.CLOSE:
            self._close(frame, step)
        return x.publication.publish(x.published_rows, frame.ts_ns)

    def _print_underlyings(self, frame: Frame) -> None:
        """The last trade of each underlying: a round lot stands for all that traded since the step before."""
        x = self._x
        for row, cents in enumerate(frame.last.tolist()):
            if not x.is_halted(row):
                x.board.print_trade(row, cents, frame.ts_ns)
                x.tape.add(row, frame.ts_ns, cents, _ROUND_LOT)

    def _open(self) -> None:
        for order in self._x.entry.working:
            if order.status == "accepted":
                self._x.entry.route(order)

    def _trigger_stops(self, frame: Frame) -> None:
        x = self._x
        for order in x.entry.waiting_stops():
            row = x.table.row_of[order.symbol]
            if not x.is_halted(row):
                x.entry.trigger_stop(order, low=int(frame.low[row]), high=int(frame.high[row]))

    def _match_resting(self, frame: Frame) -> None:
        x = self._x
        underlyings = len(x.table.underlyings)
        for row in x.books.rows():
            if x.is_halted(row):
                continue
            book = x.books.get(row)
            if book is not None and row < underlyings:
                x.entry.book(match_range(book, low=int(frame.low[row]), high=int(frame.high[row])))
                book = x.books.get(row)
            if book is not None:
                x.entry.book(match_requote(x.board, book))

    def _flow(self, frame: Frame) -> None:
        """Orders of others: at once where nothing of ours rests, through the book where something does."""
        x = self._x
        if not len(frame.flow_row):
            return
        rows, buys = frame.flow_row, frame.flow_side > 0
        price = np.where(buys, x.board.ask[rows], x.board.bid[rows])
        size = np.where(
            buys,
            x.board.ask_size[rows] - x.board.ask_taken[rows],
            x.board.bid_size[rows] - x.board.bid_taken[rows],
        )
        ours = np.isin(rows, x.books.rows()) if len(x.books) else np.zeros(len(rows), dtype=np.bool_)
        plain = ~ours & (size > 0)
        qty = np.minimum(frame.flow_qty, size)
        np.add.at(x.board.ask_taken, rows[plain & buys], qty[plain & buys])
        np.add.at(x.board.bid_taken, rows[plain & ~buys], qty[plain & ~buys])
        x.board.last_cents[rows[plain]] = price[plain]
        x.board.last_ns[rows[plain]] = frame.ts_ns
        x.tape.extend(rows[plain].tolist(), frame.ts_ns, price[plain].tolist(), qty[plain].tolist())
        for i in np.flatnonzero(ours):
            self._flow_order(int(rows[i]), is_buy=bool(buys[i]), qty=int(frame.flow_qty[i]))

    def _flow_order(self, row: int, *, is_buy: bool, qty: int) -> None:
        x = self._x
        if x.is_halted(row):
            return
        book = x.books.get(row) or InstrumentBook()
        matches, cents, by_makers = match_flow(x.board, book, row, is_buy=is_buy, qty=qty)
        x.entry.book(matches)
        if by_makers:
            x.board.print_trade(row, cents, x.status.now_ns)
            x.tape.add(row, x.status.now_ns, cents, by_makers)

    def _attracted_flow(self, step: int) -> None:
        """An option order that improves the market, or joins it, is seen: an order of others may come for it, the surer the better its price."""
        x = self._x
        rows = [row for row in x.books.rows() if row >= len(x.table.underlyings)]
        if not rows:
            return
        rng = np.random.default_rng([x.settings.seed, _ATTRACTED_STREAM, step])
        for row in rows:
            for is_buy in (True, False):
                draw, qty = float(rng.random()), int(rng.geometric(1.0 / _ATTRACTED_MEAN_QTY))
                if draw < self._attraction(row, is_buy=is_buy):
                    self._flow_order(row, is_buy=not is_buy, qty=qty)

    def _attraction(self, row: int, *, is_buy: bool) -> float:
        """Probability in a step that someone comes for our best order on a side."""
        x = self._x
        book = x.books.get(row)
        side = [] if book is None else [r for r in book.side(is_buy=is_buy) if r.cents is not None]
        touch, size = x.board.best(row, is_buy=not is_buy)
        opposite, opposite_size = x.board.best(row, is_buy=is_buy)
        if not side or not size or not opposite_size or opposite == touch:
            return 0.0
        reach = ((side[0].cents or 0) - touch) / (opposite - touch)
        return 0.0 if reach < 0 else _ATTRACTION_AT_TOUCH + _ATTRACTION_INSIDE * min(reach, 1.0) ** 2

    def _match_packages(self, step: int) -> None:
        x = self._x
        packages = [order for order in x.entry.working if order.legs]
        if not packages:
            return
        rng = np.random.default_rng([x.settings.seed, _PACKAGE_STREAM, step])
        for order in packages:
            x.entry.match_package(order, rng)

    def _close(self, frame: Frame, step: int) -> None:
        x = self._x
        x.status.is_open = False
        x.entry.expire_day_orders()
        rows = x.published_rows[: -len(x.table.underlyings)]
        x.board.close_cents[rows] = (x.board.bid[rows] + x.board.ask[rows]) // 2
        for symbol in x.table.underlyings:
            x.board.close_cents[x.table.row_of[symbol]] = x.scenario.official_close(symbol, frame.day)
        self._assign_early(frame, step)
        x.option_events.settle_expiries(lambda symbol: x.scenario.official_close(symbol, frame.day))
        for kind, amount in x.fees.charge():
            x.ledger.cash -= amount
            x.records.add_activity(
                "FEE",
                x.status.now_ns,
                visible_ns=x.visible_ns(),
                net_amount=-amount,
                sub_type=kind,
                description=f"{kind} fee for proceeds on {frame.day}",
            )
        x.accounting.roll_day()
        expired = [row for row in rows.tolist() if x.table.expiry_ns(row) <= frame.ts_ns]
        x.board.withdraw(np.array(expired, dtype=np.int64))

    def _assign_early(self, frame: Frame, step: int) -> None:
        """Holders exercise by chance what has next to no time value: some of our short contracts that live on are assigned."""
        x = self._x
        rate = x.settings.early_assignment
        if not rate:
            return
        rng = np.random.default_rng([x.settings.seed, _ASSIGNMENT_STREAM, step])
        for contract, qty in x.accounting.holdings():
            row = x.table.row_of[contract.symbol]
            if qty > 0 or contract.exercise_style is ExerciseStyle.EUROPEAN or x.table.expiry_ns(row) <= frame.ts_ns:
                continue
            gain = intrinsic_micros(contract, x.scenario.official_close(contract.underlying, frame.day) * CENT)
            assigned = int(rng.binomial(-qty, rate))
            if gain and assigned and x.board.mark_micros(row) - gain <= _NO_TIME_VALUE:
                x.assign(contract.symbol, assigned)
