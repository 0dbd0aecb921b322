"""The catalogue of multi-leg option strategies, as data.

A template names its legs by slots: strike slot 0 is the lowest strike, expiry slot 0 the nearest expiry. `deltas` says where the
slots lie when a chain is searched: the absolute delta of the put (slots below the money) or call (above) at that strike; 0.5 is
at the money.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise

from gammaray.strategies.legs import Leg
from gammaray.types.instruments import OptionContract, Right


class Outlook(StrEnum):
    """What somebody expects of the underlying."""

    BULLISH = "bullish"
    BEARISH = "bearish"
    NEUTRAL = "neutral"
    VOLATILE = "volatile"


@dataclass(frozen=True, slots=True)
class TemplateLeg:
    """`ratio` is signed; `strike` and `expiry` are slots. A leg without a right is 100 shares times the ratio."""

    ratio: int
    right: Right | None
    strike: int = 0
    expiry: int = 0


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a strike slot lies: at the strike whose contract of that right has this absolute delta."""

    right: Right
    delta: float


@dataclass(frozen=True, slots=True)
class Template:
    """A named strategy."""

    name: str
    family: str
    legs: tuple[TemplateLeg, ...]
    anchors: tuple[Anchor, ...]
    outlooks: frozenset[Outlook]

    def __post_init__(self) -> None:
        slots = {leg.strike for leg in self.legs if leg.right is not None}
        if slots != set(range(len(self.anchors))):
            raise ValueError(
                f"anchors: expected one per strike slot {sorted(slots)}, was {len(self.anchors)} ({self.name})"
            )

    @property
    def expiries(self) -> int:
        """How many expiries it spans."""
        return 1 + max(leg.expiry for leg in self.legs)

    def instantiate(self, underlying: str, strikes: Sequence[float], expirations: Sequence[date]) -> tuple[Leg, ...]:
        """Legs with these strikes (dollars) and expirations.

        Raises ValueError when their number is wrong or they do not increase.
        """
        _require_increasing(self.name, "strikes", strikes, len(self.anchors))
        _require_increasing(self.name, "expirations", [day.toordinal() for day in expirations], self.expiries)
        return tuple(
            Leg(None, 100 * leg.ratio)
            if leg.right is None
            else Leg(
                OptionContract(underlying, expirations[leg.expiry], round(1000 * strikes[leg.strike]), leg.right),
                leg.ratio,
            )
            for leg in self.legs
        )


def _require_increasing(template: str, name: str, values: Sequence[float], count: int) -> None:
    if len(values) != count:
        raise ValueError(f"{name}: {template} takes {count}, was {len(values)}")
    if any(after <= before for before, after in pairwise(values)):
        raise ValueError(f"{name}: must increase, was {list(values)} ({template})")


_C, _P = Right.CALL, Right.PUT
_BULLISH, _BEARISH = frozenset({Outlook.BULLISH}), frozenset({Outlook.BEARISH})
_NEUTRAL, _VOLATILE = frozenset({Outlook.NEUTRAL}), frozenset({Outlook.VOLATILE})
_AT = Anchor(_C, 0.5)


def _call(ratio: int, strike: int = 0, expiry: int = 0) -> TemplateLeg:
    return TemplateLeg(ratio, _C, strike, expiry)


def _put(ratio: int, strike: int = 0, expiry: int = 0) -> TemplateLeg:
    return TemplateLeg(ratio, _P, strike, expiry)


def _shares(ratio: int) -> TemplateLeg:
    return TemplateLeg(ratio, None)


def _anchors(*places: tuple[Right, float]) -> tuple[Anchor, ...]:
    return tuple(Anchor(right, delta) for right, delta in places)


_TEMPLATES = (
    Template("long call", "single", (_call(1),), (_AT,), _BULLISH),
    Template("long put", "single", (_put(1),), (Anchor(_P, 0.5),), _BEARISH),
    Template("short put", "single", (_put(-1),), _anchors((_P, 0.25)), _BULLISH),
    Template("short call", "single", (_call(-1),), _anchors((_C, 0.25)), _BEARISH),
    Template("bull call spread", "vertical", (_call(1, 0), _call(-1, 1)), _anchors((_C, 0.5), (_C, 0.25)), _BULLISH),
    Template("bear call spread", "vertical", (_call(-1, 0), _call(1, 1)), _anchors((_C, 0.3), (_C, 0.12)), _BEARISH),
    Template("bull put spread", "vertical", (_put(1, 0), _put(-1, 1)), _anchors((_P, 0.12), (_P, 0.3)), _BULLISH),
    Template("bear put spread", "vertical", (_put(-1, 0), _put(1, 1)), _anchors((_P, 0.25), (_P, 0.5)), _BEARISH),
    Template("long straddle", "straddle", (_call(1), _put(1)), (_AT,), _VOLATILE),
    Template("short straddle", "straddle", (_call(-1), _put(-1)), (_AT,), _NEUTRAL),
    Template("long strangle", "strangle", (_put(1, 0), _call(1, 1)), _anchors((_P, 0.25), (_C, 0.25)), _VOLATILE),
    Template("short strangle", "strangle", (_put(-1, 0), _call(-1, 1)), _anchors((_P, 0.16), (_C, 0.16)), _NEUTRAL),
    Template(
        "long call butterfly",
        "butterfly",
        (_call(1, 0), _call(-2, 1), _call(1, 2)),
        _anchors((_P, 0.25), (_C, 0.5), (_C, 0.25)),
        _NEUTRAL,
    ),
    Template(
        "long put butterfly",
        "butterfly",
        (_put(1, 0), _put(-2, 1), _put(1, 2)),
        _anchors((_P, 0.25), (_C, 0.5), (_C, 0.25)),
        _NEUTRAL,
    ),
    Template(
        "iron butterfly",
        "iron",
        (_put(1, 0), _put(-1, 1), _call(-1, 1), _call(1, 2)),
        _anchors((_P, 0.2), (_C, 0.5), (_C, 0.2)),
        _NEUTRAL,
    ),
    Template(
        "reverse iron butterfly",
        "iron",
        (_put(-1, 0), _put(1, 1), _call(1, 1), _call(-1, 2)),
        _anchors((_P, 0.2), (_C, 0.5), (_C, 0.2)),
        _VOLATILE,
    ),
    Template(
        "iron condor",
        "iron",
        (_put(1, 0), _put(-1, 1), _call(-1, 2), _call(1, 3)),
        _anchors((_P, 0.08), (_P, 0.2), (_C, 0.2), (_C, 0.08)),
        _NEUTRAL,
    ),
    Template(
        "reverse iron condor",
        "iron",
        (_put(-1, 0), _put(1, 1), _call(1, 2), _call(-1, 3)),
        _anchors((_P, 0.15), (_P, 0.35), (_C, 0.35), (_C, 0.15)),
        _VOLATILE,
    ),
    Template(
        "long call condor",
        "condor",
        (_call(1, 0), _call(-1, 1), _call(-1, 2), _call(1, 3)),
        _anchors((_P, 0.15), (_P, 0.35), (_C, 0.35), (_C, 0.15)),
        _NEUTRAL,
    ),
    Template(
        "long put condor",
        "condor",
        (_put(1, 0), _put(-1, 1), _put(-1, 2), _put(1, 3)),
        _anchors((_P, 0.15), (_P, 0.35), (_C, 0.35), (_C, 0.15)),
        _NEUTRAL,
    ),
    Template("call calendar", "calendar", (_call(-1, 0, 0), _call(1, 0, 1)), (_AT,), _NEUTRAL),
    Template("put calendar", "calendar", (_put(-1, 0, 0), _put(1, 0, 1)), (_AT,), _NEUTRAL),
    Template("call diagonal", "calendar", (_call(1, 0, 1), _call(-1, 1, 0)), _anchors((_C, 0.6), (_C, 0.3)), _BULLISH),
    Template("put diagonal", "calendar", (_put(-1, 0, 0), _put(1, 1, 1)), _anchors((_P, 0.3), (_P, 0.6)), _BEARISH),
    Template("call ratio spread", "ratio", (_call(1, 0), _call(-2, 1)), _anchors((_C, 0.5), (_C, 0.2)), _NEUTRAL),
    Template("put ratio spread", "ratio", (_put(-2, 0), _put(1, 1)), _anchors((_P, 0.2), (_P, 0.5)), _NEUTRAL),
    Template(
        "call backspread",
        "ratio",
        (_call(-1, 0), _call(2, 1)),
        _anchors((_C, 0.5), (_C, 0.25)),
        frozenset({Outlook.BULLISH, Outlook.VOLATILE}),
    ),
    Template(
        "put backspread",
        "ratio",
        (_put(2, 0), _put(-1, 1)),
        _anchors((_P, 0.25), (_P, 0.5)),
        frozenset({Outlook.BEARISH, Outlook.VOLATILE}),
    ),
    Template(
        "covered call",
        "stock",
        (_shares(1), _call(-1)),
        _anchors((_C, 0.25)),
        frozenset({Outlook.BULLISH, Outlook.NEUTRAL}),
    ),
    Template("protective put", "stock", (_shares(1), _put(1)), _anchors((_P, 0.25)), _BULLISH),
    Template("collar", "stock", (_shares(1), _put(1, 0), _call(-1, 1)), _anchors((_P, 0.25), (_C, 0.25)), _BULLISH),
)

CATALOGUE: Mapping[str, Template] = {template.name: template for template in _TEMPLATES}
"""Every template by name."""
