"""The wire between a desk and the exchange, with everything that goes wrong on one. Draws from one seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gammaray.types.account import Activity, OrderUpdate, VenueAccount, VenueOrder, VenuePosition
from gammaray.types.orders import OrderRequest
from gammaray.venues.protocol import VenueAmbiguous, VenueError, VenueRejected, VenueUnavailable
from tests.faults.exchange import TERMINAL, Exchange


class ProcessKilled(BaseException):
    """kill -9 of the desk's process at this point."""


@dataclass
class Weather:
    """Probabilities of what goes wrong, each a call or message."""

    refused: float = 0.05
    lost_request: float = 0.04
    late_request: float = 0.04
    lost_answer: float = 0.08
    rejected: float = 0.03
    killed: float = 0.01
    query_fails: float = 0.05
    update_lost: float = 0.10
    update_late: float = 0.15
    update_twice: float = 0.10
    shuffled: float = 0.20
    gap_silent: float = 0.30


CALM = Weather(*([0.0] * 12))


class Link:
    """A TradingVenue over a bad line. It outlives the desk's process: late requests arrive even after a kill."""

    def __init__(self, exchange: Exchange, rng: np.random.Generator, weather: Weather) -> None:
        self.exchange = exchange
        self.weather = weather
        self._rng = rng
        self._sent = 0
        self._held: list[OrderUpdate] = []
        self._late: list[Callable[[], object]] = []
        self._gap = False

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._rng.random() < probability

    def _maybe_killed(self) -> None:
        if self._happens(self.weather.killed):
            raise ProcessKilled

    def arrive(self) -> None:
        """Requests that were on their way reach the exchange."""
        for request in self._late:
            try:
                request()
            except VenueRejected:
                continue
        self._late.clear()

    def disconnect(self) -> None:
        """A new process subscribes afresh: what the stream still held is gone."""
        self._held.clear()
        self._sent = len(self.exchange.events)
        self._gap = True

    def _request(self, act: Callable[[], VenueOrder | None]) -> VenueOrder | None:
        """One request with a side effect."""
        weather = self.weather
        self._maybe_killed()
        if self._happens(weather.refused):
            raise VenueUnavailable("connection refused")
        if self._happens(weather.lost_request):
            raise VenueAmbiguous("timeout: the request was lost")
        if self._happens(weather.late_request):
            self._late.append(act)
            raise VenueAmbiguous("timeout: the request is still on its way")
        if self._happens(weather.rejected):
            raise VenueRejected("insufficient options buying power", 40310000, 403)
        answer = act()
        self._maybe_killed()
        if self._happens(weather.lost_answer):
            raise VenueAmbiguous("504 after the exchange acted")
        return answer

    def _query(self) -> None:
        self._maybe_killed()
        if self._happens(self.weather.query_fails):
            raise VenueUnavailable("connection refused")

    def submit(self, request: OrderRequest) -> VenueOrder:
        answer = self._request(lambda: self.exchange.show(self.exchange.submit(request)))
        assert answer is not None
        return answer

    def cancel(self, venue_order_id: str) -> None:
        def act() -> None:
            self.exchange.cancel(venue_order_id)

        self._request(act)

    def replace(
        self, venue_order_id: str, *, client_order_id: str, qty: int | None, limit_price: int | None
    ) -> VenueOrder:
        answer = self._request(
            lambda: self.exchange.show(self.exchange.replace(venue_order_id, client_order_id, qty, limit_price))
        )
        assert answer is not None
        return answer

    def order_by_client_id(self, client_order_id: str) -> VenueOrder | None:
        self._query()
        order = self.exchange.by_client_id(client_order_id)
        return None if order is None else self.exchange.show(order)

    def orders(self, *, status: str = "all", after_ns: int = 0) -> list[VenueOrder]:
        self._query()
        orders = [order for order in self.exchange.orders.values() if order.submitted_ns > after_ns]
        if status != "all":
            orders = [order for order in orders if (order.status in TERMINAL) == (status == "closed")]
        return [self.exchange.show(order) for order in orders]

    def positions(self) -> list[VenuePosition]:
        self._query()
        return self.exchange.visible_positions()

    def account(self) -> VenueAccount:
        self._query()
        return self.exchange.visible_account()

    def activities(self, *, after_id: str = "") -> list[Activity]:
        self._query()
        return self.exchange.visible_rows(after_id)

    def clock_ns(self) -> int:
        return self.exchange.now_ns

    def drain_updates(self) -> list[OrderUpdate]:
        weather = self.weather
        fresh = self.exchange.events[self._sent :]
        self._sent = len(self.exchange.events)
        arrived, self._held = self._held, []
        for update in fresh:
            if self._happens(weather.update_lost):
                # Sometimes the client notices the interruption, sometimes nobody does.
                self._gap = self._gap or not self._happens(weather.gap_silent)
            elif self._happens(weather.update_late):
                self._held.append(update)
            else:
                arrived.append(update)
                if self._happens(weather.update_twice):
                    (arrived if self._happens(0.5) else self._held).append(update)
        if self._happens(weather.shuffled):
            arrived = [arrived[k] for k in self._rng.permutation(len(arrived))]
        return arrived

    def stream_gap(self) -> bool:
        gap, self._gap = self._gap, False
        return gap


__all__ = ["CALM", "Link", "ProcessKilled", "VenueError", "Weather"]
