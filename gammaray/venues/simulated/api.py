"""What the wire, the in-process venue and the fault simulation ask of the exchange. Sans-IO: time moves only by `advance_to`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from gammaray.types.instruments import OptionContract
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.model import (
    AccountFigures,
    ExchangeActivity,
    ExchangeEvent,
    ExchangeOrder,
    ExchangePosition,
    Published,
    Ticket,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """The latest quote of one instrument; prices in integer cents."""

    symbol: str
    ts_ns: int
    bid_cents: int
    ask_cents: int
    bid_size: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class ListedContract:
    """A contract with what `/v2/options/contracts` shows. ids are deterministic UUIDs."""

    contract: OptionContract
    contract_id: str
    open_interest: int
    close_cents: int | None
    status: str


class ExchangeApi(Protocol):
    """One account on one exchange. Refusals raise ExchangeReject. Same seed and same calls: same bytes."""

    account_number: str

    def clock_ns(self) -> int:
        """Exchange time."""
        ...

    def step_times(self) -> tuple[int, ...]:
        """Times (ns) at which the scenario has something to publish, from its start to its end, opens and closes of sessions included."""
        ...

    def advance_to(self, now_ns: int) -> list[Published]:
        """Move to a time through every step on the way: scenario, flow, matching, marks, expiry, fees. Returns what was published."""
        ...

    def drain_events(self) -> list[ExchangeEvent]:
        """Trading-stream events since the last call, in order."""
        ...

    def last_event_id(self) -> int:
        """Number of the newest trading-stream event."""
        ...

    def submit(self, ticket: Ticket) -> ExchangeOrder: ...
    def cancel(self, order_id: str) -> None: ...
    def replace(
        self,
        order_id: str,
        *,
        qty: int | None,
        limit_price: int | None,
        time_in_force: str | None,
        client_order_id: str | None,
    ) -> ExchangeOrder: ...
    def order(self, order_id: str) -> ExchangeOrder: ...
    def order_by_client_id(self, client_order_id: str) -> ExchangeOrder: ...
    def orders(self) -> Sequence[ExchangeOrder]:
        """Every parent or simple order, oldest first."""
        ...

    def positions(self) -> Sequence[ExchangePosition]: ...
    def account(self) -> AccountFigures: ...
    def activities(self) -> Sequence[ExchangeActivity]:
        """Rows visible now, oldest first."""
        ...

    def underlyings(self) -> tuple[str, ...]: ...
    def listed(self, underlying: str) -> Sequence[ListedContract]:
        """Contracts listed now, and those that expired on the current day."""
        ...

    def contract(self, symbol_or_id: str) -> ListedContract: ...
    def quote(self, symbol: str) -> Quote | None: ...
    def last_trade_cents(self, symbol: str) -> tuple[int, int] | None:
        """(ts_ns, cents) of the last trade, if any."""
        ...

    def bars(self, symbol: str, *, start_ns: int, end_ns: int, step: str) -> Sequence[Bar]:
        """Bars of an underlying or contract; step is "1Day" or "1Min"; daily bars reach back before the scenario where the data does."""
        ...

    def sessions(self, first: date, last: date) -> Sequence[tuple[date, int, int]]:
        """(day, open_ns, close_ns) of trading sessions."""
        ...

    def exercise(self, symbol: str) -> None: ...
    def do_not_exercise(self, symbol: str) -> None: ...
    def assign(self, symbol: str, qty: int) -> None:
        """Assign `qty` of our short contracts now (American style). Refused when not that many are short."""
        ...

    def halt(self, symbol: str) -> None:
        """Stop trading in an underlying and its options, or in one contract: orders rest, nothing matches, quotes are withdrawn."""
        ...

    def resume(self, symbol: str) -> None: ...
    def halted(self) -> tuple[str, ...]: ...
    def state(self) -> bytes:
        """The whole state, for the journal of the exchange; `restore` on a fresh exchange of the same scenario gives it back."""
        ...

    def restore(self, state: bytes) -> None: ...
