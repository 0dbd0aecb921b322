"""How requests reach the venue: time limits that alpaca-py lacks, retries of safe reads only, and errors by what is known afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import requests
import stamina
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from gammaray.venues.alpaca.config import AlpacaSettings, Environment
from gammaray.venues.protocol import VenueAmbiguous, VenueError, VenueRejected, VenueUnavailable

DUPLICATE_ID = (422, 40010001, "client_order_id must be unique")
RATE_LIMITED = 429


class _TimedAdapter(HTTPAdapter):
    def __init__(self, connect_s: float, read_s: float) -> None:
        super().__init__(pool_maxsize=8)
        self._limits = (connect_s, read_s)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send with the time limits: alpaca-py never gives any."""
        options["timeout"] = self._limits
        return super().send(request, *arguments, **options)


def harden(client: RESTClient, settings: AlpacaSettings) -> None:
    """Give a client time limits and take its blind retries away: alpaca-py would send an order again after a 504 (wire.md rule 8)."""
    adapter = _TimedAdapter(settings.connect_timeout_s, settings.read_timeout_s)
    client._session.mount("http://", adapter)
    client._session.mount("https://", adapter)
    client._retry_codes = []
    # A simulated venue is near: no proxies, and no look at the environment and ~/.netrc on every request (a millisecond).
    client._session.trust_env = settings.environment is not Environment.SIMULATED


def _never_left(error: requests.exceptions.RequestException) -> bool:
    """Whether no connection was made, so that the request cannot have arrived."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause: object = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def as_venue_error(error: Exception, what: str) -> VenueError:
    """What a failed request means: refused, unknown, or certainly not done. Never repeats headers or keys."""
    if isinstance(error, APIError):
        return _api_error(error, what)
    if isinstance(error, requests.exceptions.RequestException):
        if _never_left(error):
            return VenueUnavailable(f"{what}: cannot connect")
        return VenueAmbiguous(f"{what}: no answer ({type(error).__name__})")
    return VenueAmbiguous(f"{what}: unreadable answer ({type(error).__name__})")


def _api_error(error: APIError, what: str) -> VenueError:
    status = int(error.status_code or 0)
    try:
        body = json.loads(str(error))
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    code, message = int(body.get("code") or 0), str(body.get("message") or f"HTTP {status}")
    if status == RATE_LIMITED:
        return VenueUnavailable(f"{what}: rate limited")
    if (status, code, message) == DUPLICATE_ID:
        return VenueAmbiguous(f"{what}: {message}")
    if status >= 500 or status in {0, 408}:
        return VenueAmbiguous(f"{what}: HTTP {status} {message}")
    return VenueRejected(message, code, status)


def send(call: Callable[[], Any], what: str) -> Any:
    """Make a request that changes something, once; returns its JSON. Raises VenueRejected, VenueAmbiguous or VenueUnavailable."""
    try:
        return call()
    except (APIError, requests.exceptions.RequestException, ValueError) as error:
        raise as_venue_error(error, what) from None


def read(call: Callable[[], Any], what: str, settings: AlpacaSettings) -> Any:
    """Make a request that only reads, again with growing pauses while the venue does not answer; returns its JSON.

    Raises VenueRejected for a refusal, VenueUnavailable when the attempts are used up.
    """
    try:
        for attempt in stamina.retry_context(
            on=(VenueAmbiguous, VenueUnavailable),
            attempts=settings.read_attempts,
            timeout=None,
            wait_initial=0.1,
            wait_max=3.0,
            wait_jitter=0.2,
        ):
            with attempt:
                return send(call, what)
    except VenueAmbiguous as error:
        raise VenueUnavailable(str(error)) from None
    raise AssertionError("retry_context ended without an outcome")
