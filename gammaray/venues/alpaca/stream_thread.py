"""Runs one of alpaca-py's streams in a daemon thread with an event loop of its own (its `run()` cannot live inside another loop)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 10.0


class _OneLine(logging.Filter):
    """alpaca-py logs a traceback at every attempt to connect; the message says enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop the traceback, keep the message."""
        record.exc_info = None
        return True


for _name in ("alpaca.trading.stream", "alpaca.data.live.websocket"):
    logging.getLogger(_name).addFilter(_OneLine())


class StreamThread:
    """Owns a stream and its thread. `make` is called once, when the thread starts."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self._name = name
        self._make = make
        self._thread: threading.Thread | None = None
        self.stream: Any = None

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, prepare: Callable[[Any], None] | None = None) -> None:
        """Start the thread, after `prepare` was given the new stream; nothing happens when it runs."""
        if self.is_running:
            return
        self.stream = self._make()
        if prepare is not None:
            prepare(self.stream)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.stream.run()
        except Exception:
            log.exception("%s: stream ended", self._name)

    def reconnect(self) -> None:
        """Close the socket from the stream's loop; alpaca-py connects again."""
        loop, socket = getattr(self.stream, "_loop", None), getattr(self.stream, "_ws", None)
        if loop is not None and loop.is_running() and socket is not None:
            asyncio.run_coroutine_threadsafe(socket.close(), loop)

    def stop(self) -> None:
        """Stop the stream and wait for its thread."""
        if self._thread is None or self.stream is None:
            return
        loop = getattr(self.stream, "_loop", None)
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(self._shut_down(), loop)
        self._thread.join(JOIN_TIMEOUT_S)
        if self._thread.is_alive():
            log.warning("%s: stream did not stop within %.0f s", self._name, JOIN_TIMEOUT_S)
        self._thread = None

    async def _shut_down(self) -> None:
        await self.stream.stop_ws()
        # alpaca-py looks at its stop queue only between messages: closing the socket wakes it at once.
        socket = self.stream._ws
        if socket is not None:
            await socket.close()
