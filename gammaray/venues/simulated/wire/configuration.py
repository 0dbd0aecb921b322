"""Account configurations: which settings can be changed, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gammaray.venues.simulated.wire.errors import syntax_error

_FLAGS = ("fractional_trading", "no_shorting", "suspend_trade", "ptp_no_exception_entry", "disable_overnight_trading")
_CHOICES = {"max_margin_multiplier": ("1", "2", "4"), "trade_confirm_email": ("all", "none")}
_OBSOLETE = ("dtbp_check", "pdt_check")
"""Sent by alpaca-py, no longer part of the account: ignored."""


def read_configuration(body: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a PATCH body; null keeps a setting. Raises ExchangeReject (422) naming the field."""
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name in _OBSOLETE:
            continue
        if name in _FLAGS:
            if not isinstance(value, bool):
                raise syntax_error(f"invalid {name}: expected true or false")
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise syntax_error(f"invalid {name}: expected one of {', '.join(_CHOICES[name])}")
        elif name == "max_options_trading_level":
            if isinstance(value, bool) or value not in (0, 1, 2, 3):
                raise syntax_error(f"invalid {name}: expected 0 to 3")
            value = int(value)
        else:
            raise syntax_error(f"unknown field {name}"[:100])
        changes[name] = value
    return changes
