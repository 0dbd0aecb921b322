"""The trading stream in a thread of its own: raw trade updates in order, gaps noticed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from alpaca.trading.stream import TradingStream
from websockets.exceptions import ConnectionClosed

from gammaray.types.account import OrderUpdate
from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.stream_thread import StreamThread
from gammaray.venues.alpaca.translate import order_update

log = logging.getLogger(__name__)


class _Stream(TradingStream):  # type: ignore[misc]
    """alpaca-py's stream, with its connections and its control messages visible to the listener."""

    def __init__(self, listener: TradeUpdates, settings: AlpacaSettings) -> None:
        super().__init__(
            settings.key_id.get_secret_value(),
            settings.secret_key.get_secret_value(),
            raw_data=True,
            url_override=settings.trading_stream_url,
        )
        self._reconnect_min_backoff = settings.reconnect_min_s
        self._reconnect_max_backoff = settings.reconnect_max_s
        self._listener = listener
        self.subscribe_trade_updates(listener.receive)

    async def _start_ws(self) -> None:
        self._listener.connecting()
        await super()._start_ws()  # type: ignore[no-untyped-call]

    async def _consume(self) -> None:
        try:
            await super()._consume()  # type: ignore[no-untyped-call]
        except ConnectionClosed:
            if self._should_run:
                raise

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        if msg.get("stream") == "listening":
            self._listener.listening(msg.get("data") or {})
        await super()._dispatch(msg)


class TradeUpdates:
    """Updates of the account's orders as they arrive, kept until they are drained."""

    def __init__(self, settings: AlpacaSettings) -> None:
        self._changed = threading.Condition()
        self._updates: deque[OrderUpdate] = deque()
        self._heard: set[str] = set()
        self._last_event_id = 0
        self._listening = False
        self._connections = 0
        self._gap = False
        self.unreadable = 0
        """Messages that could not be read; each is logged and counts as a gap."""
        self._thread = StreamThread("trade updates", lambda: _Stream(self, settings))

    def start(self, timeout_s: float) -> bool:
        """Connect; whether the venue confirmed the subscription in time."""
        self._thread.start()
        with self._changed:
            return self._changed.wait_for(lambda: self._listening, timeout_s)

    def stop(self) -> None:
        """Close the connection."""
        self._thread.stop()

    def reconnect(self) -> None:
        """Drop the connection; the stream comes back by itself."""
        self._thread.reconnect()

    def drain(self) -> list[OrderUpdate]:
        """What came since the last call, in order."""
        with self._changed:
            updates = list(self._updates)
            self._updates.clear()
        return updates

    def put_back(self, updates: Sequence[OrderUpdate]) -> None:
        """Keep drained updates for the next call, before what came since."""
        with self._changed:
            self._updates.extendleft(reversed(updates))

    def take_gap(self) -> bool:
        """Whether something may have been missed since the last call."""
        with self._changed:
            gap, self._gap = self._gap, False
        return gap

    def take_heard(self) -> set[str]:
        """Ids of the orders of which something was heard since the last call (informative events included)."""
        with self._changed:
            heard, self._heard = self._heard, set()
        return heard

    def wait_for_event(self, event_id: int, timeout_s: float) -> bool:
        """Wait until the event with that number, or one after it, has arrived or is known to lie before the connection."""
        with self._changed:
            return self._changed.wait_for(lambda: self._last_event_id >= event_id and self._listening, timeout_s)

    def connecting(self) -> None:
        """A connection attempt begins; any but the first follows an interruption."""
        with self._changed:
            self._gap = self._gap or self._connections > 0
            self._connections += 1
            self._listening = False

    def listening(self, data: Mapping[str, Any]) -> None:
        """The venue confirmed the subscription; a simulated one also says which event was its last."""
        last = str(data.get("last_event_id") or "")
        with self._changed:
            self._listening = "trade_updates" in (data.get("streams") or ())
            if last.isdigit():
                self._last_event_id = max(self._last_event_id, int(last))
            self._changed.notify_all()

    async def receive(self, message: Mapping[str, Any]) -> None:
        """One trade update."""
        data = message.get("data") or {}
        try:
            update = order_update(data)
        except (ValueError, KeyError, TypeError) as error:
            log.error("trade update not understood, books must be reconciled: %s", error)
            with self._changed:
                self.unreadable += 1
                self._gap = True
                self._changed.notify_all()
            return
        event_id = str(data.get("event_id") or "")
        with self._changed:
            self._heard.add(str(data["order"].get("id")))
            if update is not None:
                self._updates.append(update)
            if event_id.isdigit():
                self._last_event_id = max(self._last_event_id, int(event_id))
            self._changed.notify_all()
