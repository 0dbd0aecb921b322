"""Ordered sending to one WebSocket, through the armed faults of its stream."""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.websockets import WebSocket, WebSocketDisconnect

from gammaray.venues.simulated.wire.faults import StreamFault

MAX_QUEUED_BYTES = 64 << 20
SLOW_CLIENT = 1008


class Outbox:
    """Frames to one client, sent in order by `run`. A client that lets too much pile up gets nothing more and is closed."""

    def __init__(self, websocket: WebSocket, fault: StreamFault) -> None:
        self._websocket = websocket
        self._fault = fault
        self._frames: deque[bytes | str] = deque()
        self._held: list[bytes | str] = []
        self._queued = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing: asyncio.Task[None] | None = None
        self.closed = False

    def put(self, frame: bytes | str, *, control: bool = False) -> None:
        """Queue a frame. Control frames (answers to the client) are not subject to faults."""
        if self.closed:
            return
        frames = [frame] if control else self._fault.pass_through(frame, self._held)
        for item in frames:
            self._frames.append(item)
            self._queued += len(item)
        if self._queued > MAX_QUEUED_BYTES:
            self._give_up()
            self._closing = asyncio.create_task(self._websocket.close(SLOW_CLIENT))
        elif self._frames:
            self._idle.clear()
            self._wake.set()

    async def run(self) -> None:
        """Send until the client is gone or too slow."""
        try:
            while not self.closed:
                while self._frames:
                    frame = self._frames.popleft()
                    self._queued -= len(frame)
                    if isinstance(frame, bytes):
                        await self._websocket.send_bytes(frame)
                    else:
                        await self._websocket.send_text(frame)
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client closed while a frame was on its way
        finally:
            self._give_up()

    def _give_up(self) -> None:
        self.closed = True
        self._frames.clear()
        self._idle.set()

    async def drained(self) -> None:
        """Wait until everything queued so far was handed to the socket."""
        await self._idle.wait()
