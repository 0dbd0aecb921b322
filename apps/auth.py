"""API keys: the application holds only their sha256; a request brings `Authorization: Bearer KEY` or `X-API-Key: KEY`."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from fastapi import Request

from apps.problems import Problem


def new_key() -> str:
    """A fresh random key."""
    return f"gr_{secrets.token_urlsafe(24)}"


def key_hash(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def presented_key(request: Request) -> str | None:
    """The key of a request, if it brings one."""
    header = request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    return request.headers.get("x-api-key")


def require_key(request: Request, hashes: frozenset[str]) -> None:
    """Raise Problem 401 unless the request brings a known key."""
    key = presented_key(request)
    if key is None:
        raise Problem(401, "A key is needed", "send Authorization: Bearer KEY (the run prints its key)", "unauthorized")
    presented = key_hash(key)
    if not any(hmac.compare_digest(presented, known) for known in hashes):
        raise Problem(401, "Unknown key", "the key is not one of this application's", "unauthorized")
