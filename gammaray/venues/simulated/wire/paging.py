"""Pages of a list: opaque tokens, `null` (never "") after the last page (wire.md rule 5)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from gammaray.venues.simulated.wire.errors import syntax_error

T = TypeVar("T")


def encode_token(offset: int) -> str:
    """The token of an offset."""
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def decode_token(token: str) -> int:
    """The offset of a token, 0 for none. Raises ExchangeReject (422)."""
    if not token:
        return 0
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode("ascii")
    except (binascii.Error, ValueError):
        raise syntax_error("invalid page_token") from None
    if not text.isdigit() or len(text) > 12:
        raise syntax_error("invalid page_token")
    return int(text)


def page(items: Sequence[T], token: str, limit: int) -> tuple[Sequence[T], str | None]:
    """The items of a page and the token of the next one."""
    first = decode_token(token)
    last = first + limit
    return items[first:last], encode_token(last) if last < len(items) else None
