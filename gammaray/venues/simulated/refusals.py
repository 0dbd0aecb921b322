"""Refusals with Alpaca's HTTP status and code (shared/alpaca/wire.md 2.10)."""

from __future__ import annotations

from gammaray.venues.simulated.model import ExchangeReject

_SYNTAX = 40010001
_BUSINESS = 42210000
_FORBIDDEN = 40310000
_SHORT_POSITION = 40310001
_NOT_FOUND = 40410000


def syntax_error(message: str) -> ExchangeReject:
    """HTTP 422, field validation."""
    return ExchangeReject(422, _SYNTAX, message)


def business_error(message: str) -> ExchangeReject:
    """HTTP 422, business validation."""
    return ExchangeReject(422, _BUSINESS, message)


def forbidden(message: str, **details: str) -> ExchangeReject:
    """HTTP 403: permission, buying power, quantity."""
    return ExchangeReject(403, _FORBIDDEN, message, **details)


def short_position(message: str) -> ExchangeReject:
    """HTTP 403: a request that only the holder of a long position may make."""
    return ExchangeReject(403, _SHORT_POSITION, message)


def not_found(message: str) -> ExchangeReject:
    """HTTP 404."""
    return ExchangeReject(404, _NOT_FOUND, message)
