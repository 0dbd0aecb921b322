"""Regulatory and clearing fees by dated schedule: accrued with each trade, charged at the end of the day, each kind rounded up to the cent.

Sources of the rates: Section 31 of the Exchange Act: the SEC's fee-rate advisories since 2016. The others until April 2019: a broker's
pass-through table of 2018 (ORF 0.0427, OCC 0.05, TAF 0.000119 a share) and FINRA's schedule of that time (0.002 an option contract, cap 5.95);
after it: the rates that Alpaca published last (shared/alpaca/wire.md 2.11), of 2025. The years between have some of their rates from the later table.
Amounts inside are nano-dollars: a rate has up to seven decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from gammaray.types.money import CENT

_NANOS_PER_CENT = CENT * 1000


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Rates in nano-dollars from a date on. orf, occ: per contract, both sides; occ_cap: per trade. taf_option: per contract sold.

    taf_share: per share sold; taf_cap: per trade. cat: per share, an option counting as its multiplier, both sides. sec: per million dollars sold.
    """

    since: date
    orf: int = 26_850_000
    occ: int = 20_000_000
    occ_cap: int = 55_000_000_000
    taf_option: int = 2_790_000
    taf_share: int = 166_000
    taf_cap: int = 8_300_000_000
    cat: int = 0
    sec: int = 0


def _until_2019(since: date, sec: int) -> FeeRates:
    return FeeRates(
        since,
        orf=42_700_000,
        occ=50_000_000,
        taf_option=2_000_000,
        taf_share=119_000,
        taf_cap=5_950_000_000,
        sec=sec,
    )


_CAT = 26_500

DEFAULT_SCHEDULE: tuple[FeeRates, ...] = (
    _until_2019(date(2016, 2, 16), 21_800_000_000),
    _until_2019(date(2017, 7, 4), 23_100_000_000),
    _until_2019(date(2018, 5, 22), 13_000_000_000),
    FeeRates(date(2019, 4, 16), sec=20_700_000_000),
    FeeRates(date(2020, 2, 18), sec=22_100_000_000),
    FeeRates(date(2021, 2, 25), sec=5_100_000_000),
    FeeRates(date(2022, 5, 14), sec=22_900_000_000),
    FeeRates(date(2023, 2, 27), sec=8_000_000_000),
    FeeRates(date(2024, 5, 22), sec=27_800_000_000),
    FeeRates(date(2024, 10, 1), cat=_CAT, sec=27_800_000_000),
    FeeRates(date(2025, 5, 14), cat=_CAT),
)
"""Before the first date its rates apply."""


class FeeMeter:
    """Fees of one account. schedule: rates by date, oldest first; an empty one charges nothing."""

    KINDS = ("ORF", "OCC", "TAF", "CAT", "REG")

    def __init__(self, schedule: Sequence[FeeRates]) -> None:
        self._schedule = tuple(schedule)
        self._accrued: dict[str, int] = {}

    def rates(self, day: date) -> FeeRates:
        """The rates of a day. Raises ValueError for an empty schedule."""
        if not self._schedule:
            raise ValueError("schedule: has no rates")
        known = [rates for rates in self._schedule if rates.since <= day]
        return known[-1] if known else self._schedule[0]

    def accrue(self, day: date, *, is_option: bool, is_buy: bool, qty: int, price: int, multiplier: int) -> None:
        """Add the fees of one execution at `price` (micro-dollars per share)."""
        if not self._schedule:
            return
        rates = self.rates(day)
        charges = {"CAT": rates.cat * qty * multiplier}
        if is_option:
            charges["ORF"] = rates.orf * qty
            charges["OCC"] = min(rates.occ * qty, rates.occ_cap)
        if not is_buy:
            charges["TAF"] = rates.taf_option * qty if is_option else min(rates.taf_share * qty, rates.taf_cap)
            # nano-dollars per million dollars × micro-dollars = 1e-12 nano-dollars
            charges["REG"] = rates.sec * (qty * price * multiplier) // 1_000_000_000_000
        for kind, nanos in charges.items():
            if nanos:
                self._accrued[kind] = self._accrued.get(kind, 0) + nanos

    @property
    def accrued(self) -> int:
        """What the day's end will charge as of now, in micro-dollars."""
        return sum(_round_up(nanos) for nanos in self._accrued.values())

    def charge(self) -> list[tuple[str, int]]:
        """(kind, micro-dollars) of the day, and start the next one."""
        charges = [(kind, _round_up(self._accrued[kind])) for kind in self.KINDS if self._accrued.get(kind)]
        self._accrued = {}
        return charges

    def state(self) -> dict[str, int]:
        """What has been accrued, by kind."""
        return dict(self._accrued)

    def restore(self, accrued: Mapping[str, int]) -> None:
        """Give `state` back."""
        self._accrued = dict(accrued)


def _round_up(nanos: int) -> int:
    """Nano-dollars to micro-dollars, up to the cent."""
    return -(-nanos // _NANOS_PER_CENT) * CENT
