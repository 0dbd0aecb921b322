"""The trading stream `/stream`: trade updates as UTF-8 JSON in binary frames (wire.md 4.1)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from gammaray.venues.simulated.model import ExchangeEvent
from gammaray.venues.simulated.wire.auth import Credentials
from gammaray.venues.simulated.wire.faults import StreamFault
from gammaray.venues.simulated.wire.order_json import trade_update_json
from gammaray.venues.simulated.wire.outbox import Outbox

log = logging.getLogger(__name__)

STREAM = "trade_updates"


class TradeStream:
    """Every open connection of the trading stream, and the broadcast to those that listen."""

    def __init__(self, credentials: Credentials, fault: StreamFault, last_event_id: Callable[[], int]) -> None:
        self._credentials = credentials
        self._fault = fault
        self._last_event_id = last_event_id
        self.listeners: set[Outbox] = set()
        """Connections that asked for trade updates."""
        self._open: set[WebSocket] = set()

    def publish(self, events: Sequence[ExchangeEvent]) -> None:
        """Queue events to every listener, each encoded once."""
        if not self.listeners:
            return
        for event in events:
            frame = orjson.dumps(trade_update_json(event))
            for outbox in self.listeners:
                outbox.put(frame)

    async def drained(self) -> None:
        """Wait until everything queued was handed to the sockets."""
        for outbox in tuple(self.listeners):
            await outbox.drained()

    async def disconnect(self) -> None:
        """Close every connection."""
        for websocket in tuple(self._open):
            await websocket.close(1012)

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from handshake to close."""
        if self._fault.refuse > 0:
            self._fault.refuse -= 1
            await websocket.send_denial_response(Response("too many requests", 429))
            return
        await websocket.accept()
        outbox = Outbox(websocket, self._fault)
        sender = asyncio.create_task(outbox.run())
        self._open.add(websocket)
        try:
            await self._converse(websocket, outbox)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._open.discard(websocket)
            self.listeners.discard(outbox)
            sender.cancel()

    async def _converse(self, websocket: WebSocket, outbox: Outbox) -> None:
        authorized = False
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                request = json.loads(message.get("text") or message.get("bytes") or b"")
                action = request["action"]
            except (ValueError, KeyError, TypeError, RecursionError):
                _send(outbox, {"action": "error", "data": {"error_message": "invalid message"}})
                await outbox.drained()
                await websocket.close(1003)
                return
            if action in {"authenticate", "auth"}:
                data = request.get("data") if action == "authenticate" else request
                data = data if isinstance(data, dict) else {}
                authorized = self._credentials.accept(
                    data.get("key_id") or data.get("key"), data.get("secret_key") or data.get("secret")
                )
                _answer_authorization(outbox, authorized, "authenticate")
            elif action == "listen" and not authorized:
                _answer_authorization(outbox, False, "listen")
            elif action == "listen":
                self._listen(request, outbox)
            else:
                _send(outbox, {"action": "error", "data": {"error_message": "unknown action"}})

    def _listen(self, request: dict[str, Any], outbox: Outbox) -> None:
        data = request.get("data")
        wanted = data.get("streams") if isinstance(data, dict) else None
        listening = isinstance(wanted, list) and STREAM in wanted
        # The number of the newest event lets a client that starts now know what it will never be sent.
        answer: dict[str, Any] = {"streams": [STREAM] if listening else [], "last_event_id": str(self._last_event_id())}
        _send(outbox, {"stream": "listening", "data": answer})
        if listening:
            self.listeners.add(outbox)
        else:
            self.listeners.discard(outbox)


def _send(outbox: Outbox, content: dict[str, Any]) -> None:
    outbox.put(orjson.dumps(content), control=True)


def _answer_authorization(outbox: Outbox, authorized: bool, action: str) -> None:
    status = "authorized" if authorized else "unauthorized"
    _send(outbox, {"stream": "authorization", "data": {"status": status, "action": action}})
