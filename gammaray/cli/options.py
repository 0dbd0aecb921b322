"""Reading of options that several commands have."""

from __future__ import annotations

from datetime import date

from gammaray.operations.errors import ConfigurationError


def parse_day(value: str | None, option: str) -> date | None:
    """A date like 2018-02-05, None when nothing was typed. Raises ConfigurationError naming the option."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ConfigurationError(f"{option}: expected a date like 2018-02-05, was {value!r}") from None
