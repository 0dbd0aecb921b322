"""Quote streams in threads of their own, drained as columns with little Python per quote."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgpack
from alpaca.data.enums import DataFeed, OptionsFeed
from alpaca.data.live.option import OptionDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream
from websockets.exceptions import ConnectionClosed, WebSocketException

from gammaray.venues.alpaca.config import AlpacaSettings
from gammaray.venues.alpaca.stream_thread import StreamThread

log = logging.getLogger(__name__)

Row = tuple[str, int, float, float, float, float]
"""symbol, ts_ns, bid, ask, bid_size, ask_size."""

RESUBSCRIBE_AFTER_S = 1.0
KEPT_STAMPS = 64
MAX_ROWS = 2_000_000


class QuoteStream:
    """One connection: the quotes of a set of symbols, kept until they are drained."""

    def __init__(self, kind: str, settings: AlpacaSettings, quiet_is_normal: Callable[[], bool]) -> None:
        """kind: "options" or "stocks". quiet_is_normal: asked before a mute stream is renewed (the market may be closed)."""
        self.kind = kind
        self.quiet_is_normal = quiet_is_normal
        self._changed = threading.Condition()
        self._rows: list[Row] = []
        self.wanted: frozenset[str] = frozenset()
        """Symbols subscribed to, confirmed or not."""
        self._acknowledged: frozenset[str] = frozenset()
        self._counts: Counter[int] = Counter()
        self._latest: dict[str, int] = {}
        self._connections = 0
        self._gap = False
        self.errors: list[str] = []
        """Errors that the venue sent on the stream (symbol limit and the like), newest last."""
        make = {"options": _option_stream, "stocks": _stock_stream}[kind]
        self._thread = StreamThread(f"{kind} quotes", lambda: make(self, settings))

    def subscribe(self, symbols: Iterable[str], timeout_s: float) -> bool:
        """Make this the set of symbols; whether the venue confirmed it in time."""
        wanted = frozenset(symbols)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            gone, self.wanted = self.wanted - wanted, wanted
        if not self._thread.is_running:
            if not wanted:
                return True
            # Subscribed before it runs: alpaca-py spins while it has nothing to subscribe to.
            self._thread.start(lambda stream: stream.subscribe_quotes(_unused, *sorted(wanted)))
        else:
            self._change(gone, wanted)
        while (left := deadline - time.monotonic()) > 0:
            with self._changed:
                if self._changed.wait_for(lambda: self._acknowledged == wanted, min(left, RESUBSCRIBE_AFTER_S)):
                    return True
            # A change made while alpaca-py connects is lost. Adding can be repeated; for taking away, start afresh.
            if self._acknowledged - wanted:
                self._thread.reconnect()
            else:
                self._change(frozenset(), wanted)
        return False

    def _change(self, gone: frozenset[str], wanted: frozenset[str]) -> None:
        stream = self._thread.stream
        try:
            if gone:
                stream.unsubscribe_quotes(*sorted(gone))
            if wanted:
                stream.subscribe_quotes(_unused, *sorted(wanted))
        except (WebSocketException, OSError, AttributeError) as error:
            # The connection went away meanwhile; the next one subscribes to the whole set.
            log.info("%s stream: subscription not sent: %s", self.kind, error)

    def stop(self) -> None:
        """Close the connection."""
        self._thread.stop()

    def drain(self) -> list[Row]:
        """The quotes since the last call, in order of arrival."""
        with self._changed:
            rows, self._rows = self._rows, []
        return rows

    def take_gap(self) -> bool:
        """Whether the stream was interrupted since the last call."""
        with self._changed:
            gap, self._gap = self._gap, False
        return gap

    def wait_for_count(self, ts_ns: int, count: int, deadline: float) -> bool:
        """Wait until `count` quotes stamped `ts_ns` have come; deadline by time.monotonic()."""
        with self._changed:
            return self._changed.wait_for(lambda: self._counts[ts_ns] >= count, max(deadline - time.monotonic(), 0))

    def wait_for_stamp(self, symbol: str, ts_ns: int, deadline: float) -> bool:
        """Wait until a quote of a symbol stamped `ts_ns` or later has come."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._latest.get(symbol, 0) >= ts_ns, max(deadline - time.monotonic(), 0)
            )

    def connecting(self) -> None:
        """A connection attempt begins; any but the first follows an interruption."""
        with self._changed:
            self._gap = self._gap or self._connections > 0
            self._connections += 1
            self._acknowledged = frozenset()

    def receive(self, frame: bytes) -> bool:
        """One frame; whether it held quotes. What cannot be read is logged and counts as a gap."""
        try:
            messages = msgpack.unpackb(frame, timestamp=2)  # time stamps as integer nanoseconds
            rows = [(m["S"], m["t"], m["bp"], m["ap"], m["bs"], m["as"]) for m in messages if m["T"] == "q"]
            if len(rows) != len(messages):
                for message in messages:
                    self._control(message)
        except (KeyError, TypeError, ValueError, msgpack.UnpackException) as error:
            log.error("%s stream: frame not understood: %r", self.kind, error)
            with self._changed:
                self._gap = True
            return False
        if not rows:
            return False
        stamps = Counter([row[1] for row in rows]) if rows[0][1] != rows[-1][1] else {rows[0][1]: len(rows)}
        with self._changed:
            self._rows += rows
            if len(self._rows) > MAX_ROWS:
                # Nobody drains: old quotes are worth nothing, and what is missing must be fetched.
                self._rows = rows
                self._gap = True
            if self.kind == "stocks":
                self._latest.update((row[0], row[1]) for row in rows)
            self._counts.update(stamps)
            while len(self._counts) > KEPT_STAMPS:
                del self._counts[min(self._counts)]
            self._changed.notify_all()
        return True

    def _control(self, message: Mapping[str, Any]) -> None:
        if message["T"] == "subscription":
            with self._changed:
                self._acknowledged = frozenset(message.get("quotes") or ())
                self._changed.notify_all()
        elif message["T"] == "error":
            text = f"{message.get('code')} {message.get('msg')}"
            log.error("%s stream: %s", self.kind, text)
            self.errors.append(text)


async def _unused(_message: object) -> None:
    raise AssertionError("quotes are taken by the frame, before alpaca-py would dispatch them")


class _FrameMixin:
    """Takes whole frames where alpaca-py would dispatch message by message; connects, subscribes and reconnects as it does."""

    _listener: QuoteStream
    _ws: Any
    _data_timeout: float | None

    async def _start_ws(self) -> None:
        self._listener.connecting()
        await super()._start_ws()  # type: ignore[misc]

    async def _consume(self) -> bool:
        loop = asyncio.get_running_loop()
        last_data = loop.time()
        self._data_received = False
        while self._should_run:  # type: ignore[attr-defined]
            limit = 5.0 if self._data_timeout is None else min(5.0, last_data + self._data_timeout - loop.time())
            if limit <= 0:
                if await loop.run_in_executor(None, self._listener.quiet_is_normal):
                    last_data = loop.time()
                    continue
                log.warning("%s stream: nothing for %.0f s, reconnecting", self._listener.kind, self._data_timeout)
                await self.close()  # type: ignore[attr-defined]
                return True
            try:
                frame = await asyncio.wait_for(self._ws.recv(), limit)
            except TimeoutError:
                continue
            except ConnectionClosed:
                if self._should_run:  # type: ignore[attr-defined]
                    raise
                return False
            if self._listener.receive(frame):
                self._data_received = True
                last_data = loop.time()
        await self.close()  # type: ignore[attr-defined]
        return False


class _OptionQuotes(_FrameMixin, OptionDataStream):  # type: ignore[misc]
    pass


class _StockQuotes(_FrameMixin, StockDataStream):  # type: ignore[misc]
    pass


def _option_stream(listener: QuoteStream, settings: AlpacaSettings) -> DataStream:
    stream = _OptionQuotes(
        settings.key_id.get_secret_value(),
        settings.secret_key.get_secret_value(),
        raw_data=True,
        feed=OptionsFeed(settings.option_feed),
        url_override=settings.option_stream_url,
        data_timeout=settings.mute_quotes_after_s,
    )
    return _prepared(stream, listener, settings)


def _stock_stream(listener: QuoteStream, settings: AlpacaSettings) -> DataStream:
    stream = _StockQuotes(
        settings.key_id.get_secret_value(),
        settings.secret_key.get_secret_value(),
        raw_data=True,
        feed=DataFeed(settings.stock_feed),
        url_override=settings.stock_stream_url,
        data_timeout=settings.mute_quotes_after_s,
    )
    return _prepared(stream, listener, settings)


def _prepared(
    stream: _OptionQuotes | _StockQuotes, listener: QuoteStream, settings: AlpacaSettings
) -> _OptionQuotes | _StockQuotes:
    stream._listener = listener
    stream._reconnect_min_backoff = settings.reconnect_min_s
    stream._reconnect_max_backoff = settings.reconnect_max_s
    return stream
