"""One exchange behind the wire: inputs are journaled before they are applied, and what comes out goes to the streams.

Everything runs on one event loop, so calls are applied one after the other; replaying the journaled inputs gives the same state.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, cast

import msgpack

from gammaray.venues.simulated.api import ExchangeApi
from gammaray.venues.simulated.journal import ExchangeJournal, Input
from gammaray.venues.simulated.model import ExchangeEvent, ExchangeOrder, ExchangeReject, Published, Ticket, TicketLeg
from gammaray.venues.simulated.wire.account_json import DEFAULT_CONFIGURATION
from gammaray.venues.simulated.wire.auth import Credentials
from gammaray.venues.simulated.wire.data_stream import DataStreams, StepCount
from gammaray.venues.simulated.wire.faults import FaultBoard
from gammaray.venues.simulated.wire.requests import ReplaceFields
from gammaray.venues.simulated.wire.trade_stream import TradeStream

log = logging.getLogger(__name__)

STEPS_PER_SNAPSHOT = 64
INPUTS_PER_SNAPSHOT = 2_000
EQUITY_POINTS = 50_000
DRAIN_TIMEOUT_S = 30.0


class VenueService:
    """The exchange with its journal, faults and streams."""

    def __init__(
        self,
        exchange: ExchangeApi,
        *,
        credentials: Credentials | None = None,
        journal: ExchangeJournal | None = None,
        connections_per_feed: int = 1,
    ) -> None:
        self.exchange = exchange
        self.credentials = credentials or Credentials()
        self.faults = FaultBoard()
        self.configuration: dict[str, Any] = dict(DEFAULT_CONFIGURATION)
        self.equity: list[tuple[int, int]] = []
        """(ns, equity in micro-dollars) after each advance of the clock."""
        self.steps = exchange.step_times()
        self._journal = journal
        self._since_snapshot = 0
        self._steps_since_snapshot = 0
        self.trade_stream = TradeStream(self.credentials, self.faults.streams["trade_updates"], exchange.last_event_id)
        roots = {
            listed.contract.root: underlying
            for underlying in exchange.underlyings()
            for listed in exchange.listed(underlying)
        }
        self.data_streams = DataStreams(self.credentials, self.faults.streams, roots, limit=connections_per_feed)
        self.created_ns = self.steps[0] if self.steps else exchange.clock_ns()
        if journal is not None:
            self._recover(journal)

    def submit(self, ticket: Ticket) -> ExchangeOrder:
        """Accept an order. Raises ExchangeReject."""
        if self.configuration["suspend_trade"]:
            raise ExchangeReject(403, 40310000, "new orders are rejected by user request")
        return cast(ExchangeOrder, self._perform(Input("submit", asdict(ticket))))

    def cancel(self, order_id: str) -> None:
        """Cancel an order. Raises ExchangeReject."""
        self._perform(Input("cancel", {"order_id": order_id}))

    def replace(self, order_id: str, fields: ReplaceFields) -> ExchangeOrder:
        """Replace an order. Raises ExchangeReject."""
        return cast(ExchangeOrder, self._perform(Input("replace", {"order_id": order_id, **asdict(fields)})))

    def exercise(self, symbol: str) -> None:
        """Exercise a long position. Raises ExchangeReject."""
        self._perform(Input("exercise", {"symbol": symbol}))

    def do_not_exercise(self, symbol: str) -> None:
        """Instruct not to exercise at expiry. Raises ExchangeReject."""
        self._perform(Input("do_not_exercise", {"symbol": symbol}))

    def assign(self, symbol: str, qty: int) -> None:
        """Assign a short position early. Raises ExchangeReject."""
        self._perform(Input("assign", {"symbol": symbol, "qty": qty}))

    def halt(self, symbol: str, halted: bool) -> None:
        """Halt or resume trading in an underlying and its options. Raises ExchangeReject."""
        self._perform(Input("halt" if halted else "resume", {"symbol": symbol}))
        self.data_streams.publish_status(symbol, halted, self.exchange.clock_ns())

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change account configurations (already validated)."""
        self._perform(Input("configure", dict(changes)))

    def advance_to(self, now_ns: int) -> list[StepCount]:
        """Move the exchange's time and publish what it publishes. Raises ExchangeReject (422) for a time in the past."""
        if now_ns < self.exchange.clock_ns():
            raise ExchangeReject(422, 40010001, f"to_ns: {now_ns} is before the clock's {self.exchange.clock_ns()}")
        published = cast(list[Published], self._perform(Input("advance_to", {"now_ns": now_ns})))
        return [self.data_streams.publish(quotes) for quotes in published]

    async def drained(self) -> None:
        """Wait until all frames queued so far were handed to the sockets, but not for ever on a client that does not read."""
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self.data_streams.drained()
                await self.trade_stream.drained()
        except TimeoutError:
            log.warning("streams: a client has not read for %.0f s", DRAIN_TIMEOUT_S)

    def next_step_ns(self) -> int | None:
        """When the scenario publishes next; None at its end."""
        i = bisect_right(self.steps, self.exchange.clock_ns())
        return self.steps[i] if i < len(self.steps) else None

    def step_after(self, count: int) -> int | None:
        """The time `count` steps ahead, or of the last step; None at the end."""
        i = bisect_right(self.steps, self.exchange.clock_ns())
        return self.steps[min(i + count, len(self.steps)) - 1] if i < len(self.steps) else None

    def snapshot(self) -> bytes:
        """The whole state; kept in the journal where there is one."""
        state = self._state()
        if self._journal is not None:
            self._journal.save_snapshot(state)
            self._since_snapshot = self._steps_since_snapshot = 0
        return state

    def close(self) -> None:
        """Write a last snapshot and close the journal."""
        if self._journal is not None:
            self.snapshot()
            self._journal.close()
            self._journal = None

    def _perform(self, entry: Input) -> object:
        if self._journal is not None:
            self._journal.append(entry)
            self._since_snapshot += 1
        try:
            result = self._apply(entry)
        finally:
            # Refusals can leave events too (an order accepted and then rejected).
            self._publish(self.exchange.drain_events())
            self._snapshot_when_due()
        return result

    def _publish(self, events: list[ExchangeEvent]) -> None:
        if events:
            self.trade_stream.publish(events)

    def _apply(self, entry: Input) -> object:
        arguments: dict[str, Any] = dict(entry.arguments)
        match entry.operation:
            case "submit":
                legs = [TicketLeg(**leg) for leg in arguments.pop("legs")]
                return self.exchange.submit(Ticket(**arguments, legs=legs))
            case "replace":
                return self.exchange.replace(arguments.pop("order_id"), **arguments)
            case "advance_to":
                self._steps_since_snapshot += 1
                published = self.exchange.advance_to(arguments["now_ns"])
                self.equity.append((self.exchange.clock_ns(), self.exchange.account().equity))
                del self.equity[:-EQUITY_POINTS]
                return published
            case "configure":
                self.configuration |= arguments
                return None
            case "cancel" | "exercise" | "do_not_exercise" | "assign" | "halt" | "resume":
                return getattr(self.exchange, entry.operation)(**arguments)
        raise ValueError(f"operation: unknown {entry.operation!r}")

    def _state(self) -> bytes:
        state: bytes = msgpack.packb(
            {"exchange": self.exchange.state(), "configuration": self.configuration, "equity": self.equity}
        )
        return state

    def _snapshot_when_due(self) -> None:
        if self._journal is None:
            return
        if self._steps_since_snapshot >= STEPS_PER_SNAPSHOT or self._since_snapshot >= INPUTS_PER_SNAPSHOT:
            self.snapshot()

    def _recover(self, journal: ExchangeJournal) -> None:
        recovered = journal.recover()
        if recovered.state is not None:
            state = msgpack.unpackb(recovered.state)
            self.exchange.restore(state["exchange"])
            self.configuration = state["configuration"]
            self.equity = [(ns, equity) for ns, equity in state["equity"]]
        for entry in recovered.inputs:
            with suppress(ExchangeReject):  # it was refused then, too
                self._apply(entry)
        # Alpaca's stream does not replay: clients see a gap and reconcile by REST.
        self.exchange.drain_events()
        self._since_snapshot = len(recovered.inputs)
        if recovered.state is not None or recovered.inputs:
            log.info("journal: %d inputs replayed, clock at %d", len(recovered.inputs), self.exchange.clock_ns())
