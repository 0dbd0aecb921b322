"""Option contracts and their OCC symbols; equities are plain ticker strings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

_OCC = re.compile(r"^(?P<root>[A-Z][A-Z0-9]{0,5}) *(?P<ymd>\d{6})(?P<right>[CP])(?P<strike>\d{8})$")
_TICKER = re.compile(r"^[A-Z][A-Z0-9.]{0,9}$")


class Right(StrEnum):
    """Call or put."""

    CALL = "C"
    PUT = "P"


class ExerciseStyle(StrEnum):
    """When the holder may exercise."""

    AMERICAN = "american"
    EUROPEAN = "european"


@dataclass(frozen=True, slots=True, order=True)
class OptionContract:
    """A listed option. `strike_milli` is the strike in thousandths of a dollar, as in the OCC symbol."""

    underlying: str
    expiration: date
    strike_milli: int
    right: Right
    root: str = ""
    multiplier: int = 100
    exercise_style: ExerciseStyle = ExerciseStyle.AMERICAN

    def __post_init__(self) -> None:
        if not _TICKER.match(self.underlying):
            raise ValueError(f"underlying: not a ticker: {self.underlying!r}")
        if not 0 < self.strike_milli < 100_000_000:
            raise ValueError(f"strike_milli: expected 1 to 99,999,999, was {self.strike_milli}")
        if self.multiplier <= 0:
            raise ValueError(f"multiplier: must be positive, was {self.multiplier}")
        if not self.root:
            object.__setattr__(self, "root", self.underlying)

    @property
    def symbol(self) -> str:
        """The OCC symbol with an unpadded root, as Alpaca writes it: AAPL261218C00250000."""
        return f"{self.root}{self.expiration:%y%m%d}{self.right.value}{self.strike_milli:08d}"

    @property
    def strike(self) -> float:
        """Strike in dollars."""
        return self.strike_milli / 1000

    @property
    def strike_micros(self) -> int:
        """Strike in micro-dollars."""
        return self.strike_milli * 1000

    @property
    def is_call(self) -> bool:
        """Whether the contract is a call."""
        return self.right is Right.CALL


def parse_occ(symbol: str, *, multiplier: int = 100) -> OptionContract:
    """The contract of an OCC symbol, with the root padded or not. The underlying is the root.

    Raises ValueError naming the symbol when it is malformed or its date does not exist.
    """
    match = _OCC.match(symbol)
    if match is None:
        raise ValueError(f"symbol: not an OCC option symbol: {symbol!r}")
    ymd = match["ymd"]
    try:
        expiration = date(2000 + int(ymd[:2]), int(ymd[2:4]), int(ymd[4:]))
    except ValueError:
        raise ValueError(f"symbol: no such expiration date in {symbol!r}") from None
    return OptionContract(match["root"], expiration, int(match["strike"]), Right(match["right"]), multiplier=multiplier)


def is_occ(symbol: str) -> bool:
    """Whether the text has the form of an OCC option symbol."""
    return _OCC.match(symbol) is not None
