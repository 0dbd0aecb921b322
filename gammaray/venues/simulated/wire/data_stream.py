"""The market-data streams of options, stocks and news: handshake, subscriptions, broadcast (wire.md 4.2)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from gammaray.venues.simulated.model import Published, PublishedTrade
from gammaray.venues.simulated.wire.auth import Credentials
from gammaray.venues.simulated.wire.faults import StreamFault
from gammaray.venues.simulated.wire.feed_connection import FeedConnection, FeedError
from gammaray.venues.simulated.wire.frames import OptionQuoteEncoder, QuoteColumns, timestamp
from gammaray.venues.simulated.wire.outbox import Outbox

AUTH_TIMEOUT_S = 10.0


@dataclass(slots=True)
class StepCount:
    """What one time stamp put on the streams: option quotes per underlying, published and addressed to the option client."""

    ts_ns: int
    options: Counter[str] = field(default_factory=Counter)
    addressed: Counter[str] = field(default_factory=Counter)
    stocks: tuple[str, ...] = ()


class DataStreams:
    """Every connection of every market-data feed."""

    def __init__(
        self, credentials: Credentials, faults: Mapping[str, StreamFault], roots: Mapping[str, str], *, limit: int = 1
    ) -> None:
        """`roots` maps an option root to its underlying; `limit` is the number of connections a feed takes (Alpaca: one)."""
        self._credentials = credentials
        self._faults = faults
        self._roots = roots
        self._limit = limit
        self._encoder = OptionQuoteEncoder()
        self._underlyings: list[str] = []
        self._owner: NDArray[np.int64] = np.empty(0, np.int64)
        self._open: dict[str, list[tuple[WebSocket, FeedConnection]]] = {}
        self._trades = 0

    def connections(self, kind: str) -> list[FeedConnection]:
        """Clients of a kind of feed that subscribed to something."""
        return [c for clients in self._open.values() for _, c in clients if c.kind == kind and c.channels]

    def publish(self, published: Published) -> StepCount:
        """Queue the prints and quotes of one time stamp: options first, the underlyings' quotes last."""
        count = StepCount(published.ts_ns)
        if published.trades and self.connections("options") + self.connections("stocks"):
            for trade in published.trades:
                self._publish_trade(trade)
        options = sum(1 for symbol in published.symbols if is_option(symbol))  # underlyings come last
        if options:
            self._publish_options(published, options, count)
        count.stocks = published.symbols[options:]
        for i in range(options, len(published.symbols)):
            self._publish_stock(published, i)
        return count

    def _publish_options(self, published: Published, number: int, count: StepCount) -> None:
        ids = self._encoder.identify_all(published.symbols[:number])
        owners = self._owners_of(ids)
        count.options.update(self._tally(owners))
        quotes = QuoteColumns(
            ts_ns=published.ts_ns,
            ids=ids,
            bid_cents=published.bid_cents[:number],
            ask_cents=published.ask_cents[:number],
            bid_size=published.bid_size[:number],
            ask_size=published.ask_size[:number],
        )
        everything: list[tuple[bytes, int]] | None = None
        for connection in self.connections("options"):
            mask = connection.wanted_quotes(ids)
            if mask.all():
                everything = everything if everything is not None else self._encoder.encode(quotes)
                frames = everything
            elif mask.any():
                frames = self._encoder.encode(_select(quotes, mask))
            else:
                continue
            count.addressed = count.addressed | self._tally(owners[mask])
            for frame, _ in frames:
                connection.outbox.put(frame)

    def _owners_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """For encoder ids: an index into `_underlyings`."""
        # Ids are handed out in order, also to symbols that a client subscribed to before they were quoted.
        fresh = self._encoder.symbols(len(self._owner), int(ids.max()) + 1)
        if fresh:
            roots = [symbol[:-15] for symbol in fresh]
            owners = [self._roots.get(root, root) for root in roots]
            self._underlyings += sorted(set(owners) - set(self._underlyings))
            added = [self._underlyings.index(owner) for owner in owners]
            self._owner = np.concatenate([self._owner, np.array(added, np.int64)])
        return self._owner[ids]

    def _tally(self, owners: NDArray[np.int64]) -> Counter[str]:
        return Counter({self._underlyings[i]: int(n) for i, n in enumerate(np.bincount(owners)) if n})

    def _publish_stock(self, published: Published, i: int) -> None:
        symbol = published.symbols[i]
        message = {
            "T": "q",
            "S": symbol,
            "bx": "V",
            "bp": int(published.bid_cents[i]) / 100,
            "bs": int(published.bid_size[i]),
            "ax": "V",
            "ap": int(published.ask_cents[i]) / 100,
            "as": int(published.ask_size[i]),
            "c": ["R"],
            "z": "C",
            "t": timestamp(published.ts_ns),
        }
        self._send("stocks", "quotes", symbol, message)

    def _publish_trade(self, trade: PublishedTrade) -> None:
        message: dict[str, Any] = {
            "T": "t",
            "S": trade.symbol,
            "p": trade.price_cents / 100,
            "s": trade.qty,
            "t": timestamp(trade.ts_ns),
        }
        if is_option(trade.symbol):
            self._send("options", "trades", trade.symbol, message | {"x": "C", "c": "I"})
        else:
            self._trades += 1
            self._send("stocks", "trades", trade.symbol, message | {"i": self._trades, "x": "V", "c": ["@"], "z": "C"})

    def publish_status(self, symbol: str, halted: bool, ts_ns: int) -> None:
        """Announce a halt or a resumption on the stock feed."""
        code, text = ("H", "Trading Halt") if halted else ("T", "Trading Resumption")
        message = {"T": "s", "S": symbol, "sc": code, "sm": text, "rc": "", "rm": "", "z": "C", "t": timestamp(ts_ns)}
        self._send("stocks", "statuses", symbol, message)

    def _send(self, kind: str, channel: str, symbol: str, message: dict[str, Any]) -> None:
        for connection in self.connections(kind):
            if connection.wants(channel, symbol):
                connection.send([message])

    async def drained(self) -> None:
        """Wait until everything queued was handed to the sockets."""
        for clients in tuple(self._open.values()):
            for _, connection in tuple(clients):
                await connection.outbox.drained()

    async def disconnect(self, kind: str) -> None:
        """Close every connection of a kind."""
        for clients in tuple(self._open.values()):
            for websocket, connection in tuple(clients):
                if connection.kind == kind:
                    await websocket.close(1012)

    async def serve(self, websocket: WebSocket, kind: str, feed: str) -> None:
        """One connection, from handshake to close."""
        fault = self._faults[kind]
        if fault.refuse > 0:
            fault.refuse -= 1
            await websocket.send_denial_response(Response("too many requests", 429))
            return
        await websocket.accept()
        outbox = Outbox(websocket, fault)
        binary = "msgpack" in websocket.headers.get("content-type", "")
        connection = FeedConnection(kind, binary, outbox)
        sender = asyncio.create_task(outbox.run())
        clients = self._open.setdefault(feed, [])
        try:
            connection.send([{"T": "success", "msg": "connected"}], control=True)
            await self._authenticate(websocket, connection, len(clients))
            clients.append((websocket, connection))
            connection.send([{"T": "success", "msg": "authenticated"}], control=True)
            await self._converse(websocket, connection)
        except FeedError as error:
            connection.send([error.message()], control=True)
            await outbox.drained()
            await websocket.close(1008)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            clients[:] = [pair for pair in clients if pair[1] is not connection]
            sender.cancel()

    async def _authenticate(self, websocket: WebSocket, connection: FeedConnection, others: int) -> None:
        accepted = self._credentials.accept_headers(websocket.headers)
        while not accepted:
            try:
                message = await asyncio.wait_for(websocket.receive(), AUTH_TIMEOUT_S)
            except TimeoutError:
                raise FeedError(404) from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            request = connection.decode(message)
            if request.get("action") != "auth":
                raise FeedError(401)
            accepted = self._credentials.accept(request.get("key"), request.get("secret"))
            if not accepted:
                raise FeedError(402)
        if connection.kind == "options" and not connection.binary:
            raise FeedError(412)
        if others >= self._limit:
            raise FeedError(406)

    async def _converse(self, websocket: WebSocket, connection: FeedConnection) -> None:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                request = connection.decode(message)
                action = request.get("action")
                if action == "subscribe":
                    connection.subscribe(request, self._encoder)
                elif action == "unsubscribe":
                    connection.unsubscribe(request, self._encoder)
                else:
                    raise FeedError(403 if action == "auth" else 400)
            except FeedError as error:
                connection.send([error.message()], control=True)
            else:
                connection.send([connection.describe()], control=True)


def is_option(symbol: str) -> bool:
    """Whether a published symbol is an option's (long enough for an OCC symbol; no ticker is)."""
    return len(symbol) > 15


def _select(quotes: QuoteColumns, mask: NDArray[np.bool_]) -> QuoteColumns:
    return QuoteColumns(
        quotes.ts_ns,
        quotes.ids[mask],
        quotes.bid_cents[mask],
        quotes.ask_cents[mask],
        quotes.bid_size[mask],
        quotes.ask_size[mask],
    )
