"""Who may talk to the venue: one key pair, in any of the ways that Alpaca's clients send it (wire.md 1.3)."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_KEY_ID = "PKSIMULATED"
DEFAULT_SECRET_KEY = "simulated"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The key pair of the one account. The secret is in no repr."""

    key_id: str = DEFAULT_KEY_ID
    secret_key: str = field(default=DEFAULT_SECRET_KEY, repr=False)

    def accept(self, key_id: object, secret_key: object) -> bool:
        """Whether these are the account's."""
        if not isinstance(key_id, str) or not isinstance(secret_key, str):
            return False
        right_key = hmac.compare_digest(key_id.encode(), self.key_id.encode())
        return hmac.compare_digest(secret_key.encode(), self.secret_key.encode()) and right_key

    def accept_headers(self, headers: Mapping[str, str]) -> bool:
        """Key headers, `Bearer <secret>` or `Basic base64(key:secret)`."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return hmac.compare_digest(value.encode(), self.secret_key.encode())
        if scheme.lower() == "basic":
            try:
                key_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return self.accept(key_id, secret)
        return self.accept(headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))
