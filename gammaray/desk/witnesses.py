"""Counting things that two channels report, so that each is applied once whichever reports it first, or alone.

A fill comes on the stream and as an account activity, and the two need not carry a common number (a package's leg orders are not
known to us). Of equal fills - same symbol, quantity, price - the stream shows some and the activities show all; what has happened
is the larger of the two counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How often each channel has reported a thing, and for how many of these nobody knows the order."""

    first: int = 0
    second: int = 0
    unattributed: int = 0


@dataclass(slots=True)
class Witnesses:
    """Counts by key. `first` is the channel that knows more (stream, presumption), `second` the activities."""

    tallies: dict[str, Tally] = field(default_factory=dict)

    def first(self, key: str) -> bool:
        """The first channel reports; whether this is new."""
        tally = self.tallies.setdefault(key, Tally())
        tally.first += 1
        return tally.first > tally.second

    def second(self, key: str) -> bool:
        """The second channel reports; whether this is new."""
        tally = self.tallies.setdefault(key, Tally())
        tally.second += 1
        return tally.second > tally.first

    def orphan(self, key: str) -> None:
        """What was applied last under this key belongs to no known order so far."""
        self.tallies[key].unattributed += 1

    def claim(self, key: str) -> bool:
        """An order is known now; whether something waited for it."""
        tally = self.tallies[key]
        if tally.unattributed == 0:
            return False
        tally.unattributed -= 1
        return True
