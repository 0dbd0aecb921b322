"""One client of a market-data stream: what it subscribed to, and its encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
import orjson
from numpy.typing import NDArray

from gammaray.types.clock import format_ns
from gammaray.types.instruments import is_occ
from gammaray.venues.simulated.wire.frames import OptionQuoteEncoder
from gammaray.venues.simulated.wire.outbox import Outbox

CHANNELS: dict[str, tuple[str, ...]] = {
    "options": ("trades", "quotes"),
    "stocks": ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds"),
    "news": ("news",),
}
MAX_SYMBOLS = 20_000

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    410: "invalid subscribe action for this feed",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
}


class FeedError(Exception):
    """A request that the feed answers with one of its error codes."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{code} {ERRORS[code]}")
        self.code = code

    def message(self) -> dict[str, Any]:
        """The error as the feed writes it."""
        return {"T": "error", "code": self.code, "msg": ERRORS[self.code]}


def _to_json(value: object) -> object:
    if isinstance(value, msgpack.Timestamp):
        return format_ns(value.seconds * 1_000_000_000 + value.nanoseconds)
    raise TypeError(type(value).__name__)


@dataclass(slots=True, eq=False)
class FeedConnection:
    """A client of one feed; `kind` is options, stocks or news."""

    kind: str
    binary: bool
    outbox: Outbox
    channels: dict[str, set[str]] = field(default_factory=dict)
    _wanted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    def send(self, messages: list[dict[str, Any]], *, control: bool = False) -> None:
        """Queue a frame: an array of messages, msgpack or JSON as the client asked at the handshake."""
        if self.binary:
            self.outbox.put(msgpack.packb(messages), control=control)
        else:
            self.outbox.put(orjson.dumps(messages, default=_to_json).decode(), control=control)

    def decode(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A request of the client. Raises FeedError 400 for anything but a map."""
        raw = message.get("bytes")
        try:
            content = msgpack.unpackb(raw) if raw is not None and self.binary else orjson.loads(raw or message["text"])
        except (ValueError, KeyError, TypeError, msgpack.UnpackException):
            raise FeedError(400) from None
        if not isinstance(content, dict):
            raise FeedError(400)
        return content

    def subscribe(self, request: Mapping[str, Any], encoder: OptionQuoteEncoder) -> None:
        """Add to the subscription. Raises FeedError when a channel or a symbol cannot be subscribed to; then nothing changes."""
        additions = self._symbols(request)
        if self.kind == "options" and "*" in additions.get("quotes", ()):
            raise FeedError(413)
        merged = {name: self.channels.get(name, set()) | additions.get(name, set()) for name in CHANNELS[self.kind]}
        if sum(map(len, merged.values())) > MAX_SYMBOLS:
            raise FeedError(405)
        self.channels = merged
        self._index(encoder)

    def unsubscribe(self, request: Mapping[str, Any], encoder: OptionQuoteEncoder) -> None:
        """Take away from the subscription."""
        for name, symbols in self._symbols(request).items():
            self.channels[name] = self.channels.get(name, set()) - symbols
        self._index(encoder)

    def _symbols(self, request: Mapping[str, Any]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name, symbols in request.items():
            if name == "action":
                continue
            if name not in CHANNELS[self.kind]:
                raise FeedError(410)
            if not isinstance(symbols, (list, tuple)) or not all(isinstance(s, str) and s.isascii() for s in symbols):
                raise FeedError(400)
            found[name] = set(symbols)
        return found

    def _index(self, encoder: OptionQuoteEncoder) -> None:
        if self.kind != "options":
            return
        ids = [encoder.identify(symbol) for symbol in self.channels.get("quotes", ()) if is_occ(symbol)]
        self._wanted = np.zeros(max(ids, default=-1) + 1, np.bool_)
        self._wanted[ids] = True

    def wants(self, channel: str, symbol: str) -> bool:
        """Whether messages of a symbol go to this client."""
        symbols = self.channels.get(channel, ())
        return symbol in symbols or "*" in symbols

    def wanted_quotes(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """For option quotes with these encoder ids: which are subscribed to."""
        known = ids < len(self._wanted)
        mask = np.zeros(len(ids), np.bool_)
        mask[known] = self._wanted[ids[known]]
        return mask

    def describe(self) -> dict[str, Any]:
        """The subscription as the feed acknowledges it: the full list of every channel."""
        answer: dict[str, Any] = {"T": "subscription"}
        for name in CHANNELS[self.kind]:
            answer[name] = sorted(self.channels.get(name, ()))
        if self.kind == "stocks":
            answer["corrections"] = answer["trades"]
            answer["cancelErrors"] = answer["trades"]
        return answer
