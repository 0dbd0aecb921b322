"""Compares the books with the venue's, repairs what a rule allows, and journals the outcome. The rules: `reconciliation.py`."""

from __future__ import annotations

from gammaray.desk import commands, events
from gammaray.desk.desk import Desk
from gammaray.desk.events import Difference, DifferenceKind
from gammaray.desk.intake import Intake, SessionSettings
from gammaray.desk.picture import positions
from gammaray.desk.reconciliation import (
    ReconciliationReport,
    presume_moves,
    presumed_differences,
    price_differences,
    quantity_gaps,
    unexplained,
)
from gammaray.desk.writer import Writer
from gammaray.types.account import VenueOrder, VenuePosition
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import Clock, to_datetime
from gammaray.types.instruments import is_occ, parse_occ
from gammaray.venues.protocol import TradingVenue


class Reconciler:
    """Reads the venue and writes events. Raises VenueError when the venue cannot be read."""

    def __init__(
        self, writer: Writer, intake: Intake, venue: TradingVenue, clock: Clock, settings: SessionSettings
    ) -> None:
        self._writer = writer
        self._intake = intake
        self._venue = venue
        self._clock = clock
        self._settings = settings

    @property
    def _desk(self) -> Desk:
        return self._writer.desk

    def reconcile(self, cause: str) -> ReconciliationReport:
        """One comparison. A gap must survive `reconcile_attempts` readings, as the venue moves while it is read."""
        began_ns = self._clock.now_ns()
        found = self._missing_orders()
        for _ in range(self._settings.reconcile_attempts):
            self._intake.drain()
            self._intake.chase()
            self._intake.backfill()
            held = self._venue.positions()
            cash = self._venue.account().cash
            ours = {symbol: view.signed_qty for symbol, view in positions(self._desk).items()}
            gaps = quantity_gaps(ours, held)
            if not gaps and cash == self._cash:
                break
        found += self._explain(gaps, cash)
        if all(difference.resolved for difference in found):
            found += self._settle_orders()
            found += self._prices(held)
        else:
            found += self._open_quantities()
        found += self._external()
        found += self._uncovered()
        report = ReconciliationReport(began_ns, cause, tuple(found))
        self._writer.run(events.Reconciled(began_ns, cause, report.differences))
        return report

    @property
    def _cash(self) -> int:
        return int(self._desk.store.book.account[0]["cash"])

    # ---- orders

    def _missing_orders(self) -> list[Difference]:
        """Orders that work here but are not open there: the look-up says whether they are done, or lost."""
        self._intake.drain()
        self._intake.chase()
        listed: dict[str, list[VenueOrder]] = {}
        for order in self._venue.orders(status="open"):
            listed.setdefault(order.client_order_id, []).append(order)
        found = [
            Difference(
                DifferenceKind.DUPLICATE_ORDER,
                client_order_id,
                "1",
                ", ".join(copy.venue_order_id for copy in copies),
                False,
                "reduce; cancel by hand",
            )
            for client_order_id, copies in listed.items()
            if len(copies) > 1 and client_order_id in self._desk.books.by_client_id
        ]
        absent = [
            (record, self._desk.order_state(record))
            for record in self._desk.books.working.values()
            if not record.unknown and record.client_order_id not in listed
        ]
        for record, _ in absent:
            self._writer.perform([commands.LookUp(record.client_order_id)])
        self._intake.backfill_if_due()
        for record, before in absent:
            after = self._desk.order_state(record)
            if after.is_terminal:
                kind, theirs = DifferenceKind.ORDER_STATE, after.name
            elif self._venue.order_by_client_id(record.client_order_id) is None:
                kind, theirs = DifferenceKind.MISSING_ORDER, "absent"
            else:
                continue
            rule = "the venue's word is taken" if after.is_terminal else "reduce; the venue has lost it"
            found.append(Difference(kind, record.client_order_id, before.name, theirs, after.is_terminal, rule))
        return found

    def _quantity_gaps(self) -> list[tuple[str, int, int]]:
        """(our id, ours, theirs) of orders of which the venue says that more is filled."""
        orders = self._desk.store.book.orders
        return [
            (record.client_order_id, int(orders[record.row]["filled_qty"]), record.venue_filled_qty)
            for record in self._desk.books.unconfirmed.values()
            if record.venue_filled_qty > int(orders[record.row]["filled_qty"])
        ]

    def _settle_orders(self) -> list[Difference]:
        """Positions and cash agree, so the fills are booked, only not to these orders: the venue's count is taken over."""
        found = []
        for client_order_id, ours, theirs in self._quantity_gaps():
            self._writer.run(events.OrderSettled(self._clock.now_ns(), client_order_id, theirs))
            found.append(
                Difference(
                    DifferenceKind.ORDER_QUANTITY,
                    client_order_id,
                    str(ours),
                    str(theirs),
                    True,
                    "the venue's count is taken over",
                )
            )
        return found

    def _open_quantities(self) -> list[Difference]:
        return [
            Difference(DifferenceKind.ORDER_QUANTITY, client_order_id, str(ours), str(theirs), False, "fills missing")
            for client_order_id, ours, theirs in self._quantity_gaps()
        ]

    def _external(self) -> list[Difference]:
        """Orders and fills that are not ours, reported once."""
        memory = self._desk.books.memory
        fresh = [one for one in memory.external_orders if one not in memory.external_reported]
        found = []
        if fresh:
            today = to_datetime(self._clock.now_ns()).astimezone(NEW_YORK).date()
            listed = {order.venue_order_id: order for order in self._venue.orders(status="all")}
            for venue_order_id in fresh:
                symbols = listed[venue_order_id].legs if venue_order_id in listed else ()
                expiring = any(is_occ(symbol) and parse_occ(symbol).expiration == today for symbol in symbols)
                kind = DifferenceKind.LIQUIDATED if expiring else DifferenceKind.EXTERNAL_ORDER
                status = memory.external_orders[venue_order_id]
                found.append(Difference(kind, venue_order_id, "none", status, True, "recorded, fills booked"))
        count = memory.external_fills - memory.external_fills_reported
        if count > 0:
            found.append(
                Difference(DifferenceKind.EXTERNAL_FILL, "fills", "0", str(count), True, "booked from the activities")
            )
        return found

    # ---- positions and cash

    def _explain(self, gaps: dict[str, tuple[int, int]], cash: int) -> list[Difference]:
        """Presume expiries, exercises and assignments that account for the gaps exactly; report what they do not."""
        if not gaps and cash == self._cash:
            return []
        moves = presume_moves(gaps, cash - self._cash, self._clock.now_ns())
        if not moves:
            return unexplained(gaps, self._cash, cash)
        self._writer.run(*(events.ActivityPresumed(self._clock.now_ns(), move) for move in moves))
        return presumed_differences(moves, gaps)

    def _prices(self, held: list[VenuePosition]) -> list[Difference]:
        averages = {symbol: view.avg_px_open for symbol, view in positions(self._desk).items()}
        return price_differences(averages, held)

    def _uncovered(self) -> list[Difference]:
        """Short options that neither longs nor shares cover."""
        desk = self._desk
        desk.books.refresh()
        book = desk.store.book
        found = []
        for row, name in enumerate(desk.store.underlying_names):
            calls = puts = 0
            group = int(book.exposures[row]["first_group"])
            while group >= 0:
                calls += int(book.groups[group]["short_calls"])
                puts += int(book.groups[group]["short_puts"])
                group = int(book.groups[group]["next"])
            share = int(book.exposures[row]["share"])
            shares = int(book.positions[share]["qty"]) if share >= 0 else 0
            if calls > max(0, shares) or (puts and desk.books.limits.defined_risk_only):
                ours = f"short calls on {calls} shares, short puts on {puts}, {shares} shares"
                found.append(
                    Difference(DifferenceKind.UNCOVERED_SHORT, name, ours, "covered", False, "reduce; close the shorts")
                )
        return found
