"""Time frames of bars, and longer bars made of shorter ones."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS
from gammaray.venues.protocol import Bar
from gammaray.venues.simulated.wire.errors import syntax_error

_FORM = re.compile(r"^([1-9]\d?)(Min|T|Hour|H|Day|D|Week|W|Month|M)$")
_UNITS = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
_LIMITS = {"Min": range(1, 60), "Hour": range(1, 24), "Day": (1,), "Week": (1,), "Month": (1, 2, 3, 4, 6, 12)}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A number of minutes, hours, days, weeks or months."""

    count: int
    unit: str


def parse_timeframe(text: str) -> Timeframe:
    """`5Min`, `1Hour`, `1Day`, `1Week`, `3Month`, or with the short units T, H, D, W, M. Raises ExchangeReject (422)."""
    match = _FORM.match(text)
    if match is None:
        raise syntax_error("invalid timeframe")
    unit = _UNITS.get(match[2], match[2])
    if int(match[1]) not in _LIMITS[unit]:
        raise syntax_error("invalid timeframe")
    return Timeframe(int(match[1]), unit)


def base_step(timeframe: Timeframe) -> str:
    """Which of the exchange's bars a time frame is made of."""
    return "1Min" if timeframe.unit in {"Min", "Hour"} else "1Day"


def aggregate(bars: Sequence[Bar], timeframe: Timeframe) -> list[Bar]:
    """Bars of a time frame from the base bars in it; each is stamped with its first base bar's bucket."""
    result: list[Bar] = []
    previous: Hashable = None
    for bar in bars:
        bucket, edge_ns = _bucket(bar.ts_ns, timeframe)
        if bucket != previous:
            result.append(replace(bar, ts_ns=edge_ns))
            previous = bucket
            continue
        last = result[-1]
        result[-1] = Bar(
            ts_ns=last.ts_ns,
            open=last.open,
            high=max(last.high, bar.high),
            low=min(last.low, bar.low),
            close=bar.close,
            volume=last.volume + bar.volume,
        )
    return result


def _bucket(ts_ns: int, timeframe: Timeframe) -> tuple[Hashable, int]:
    if timeframe.unit in {"Min", "Hour"}:
        width = timeframe.count * (60 if timeframe.unit == "Min" else 3600) * NANOS
        edge = ts_ns - ts_ns % width
        return edge, edge
    day = datetime.fromtimestamp(ts_ns // NANOS, NEW_YORK).date()
    if timeframe.unit == "Day":
        return day, ts_ns
    if timeframe.unit == "Week":
        return day.isocalendar()[:2], ts_ns
    return (day.year, (day.month - 1) // timeframe.count), ts_ns
