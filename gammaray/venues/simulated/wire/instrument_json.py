"""Option contracts, assets, calendar and clock as Alpaca's JSON (wire.md 2.7, 2.8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import NANOS
from gammaray.types.money import format_micros
from gammaray.venues.simulated.api import ListedContract

Sessions = Sequence[tuple[date, int, int]]
"""(day, open_ns, close_ns), in order."""


def contract_json(
    listed: ListedContract, underlying_id: str, previous_day: str | None, deliverables: bool = False
) -> dict[str, Any]:
    """An option contract. Open interest and close price are strings, as of the previous session."""
    contract = listed.contract
    strike = format_micros(contract.strike_micros)
    right = "Call" if contract.is_call else "Put"
    row: dict[str, Any] = {
        "id": listed.contract_id,
        "symbol": contract.symbol,
        "name": f"{contract.underlying} {contract.expiration:%b %d %Y} {strike} {right}",
        "status": listed.status,
        "tradable": listed.status == "active",
        "expiration_date": contract.expiration.isoformat(),
        "root_symbol": contract.root,
        "underlying_symbol": contract.underlying,
        "underlying_asset_id": underlying_id,
        "type": right.lower(),
        "style": contract.exercise_style.value,
        "strike_price": strike,
        "multiplier": str(contract.multiplier),
        "size": str(contract.multiplier),
        "ppind": True,
        "open_interest": str(listed.open_interest),
        "open_interest_date": previous_day,
    }
    if listed.close_cents is not None and previous_day is not None:
        row["close_price"] = format_micros(listed.close_cents * 10_000)
        row["close_price_date"] = previous_day
    if deliverables:
        row["deliverables"] = [
            {
                "type": "equity",
                "asset_id": underlying_id,
                "symbol": contract.underlying,
                "amount": str(contract.multiplier),
                "allocation_percentage": "100",
                "settlement_type": "T+1",
                "settlement_method": "CCC",
                "delayed_settlement": False,
            }
        ]
    return row


def asset_json(symbol: str, asset_id: str) -> dict[str, Any]:
    """An underlying as an asset."""
    return {
        "id": asset_id,
        "class": "us_equity",
        "exchange": "ARCA",
        "symbol": symbol,
        "name": symbol,
        "status": "active",
        "tradable": True,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
        "borrow_status": "easy_to_borrow",
        "fractionable": False,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "attributes": ["has_options"],
    }


def _new_york(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // NANOS, NEW_YORK)


def clock_json(now_ns: int, sessions: Sessions) -> dict[str, Any]:
    """The clock; `sessions` must reach past the next open and the next close."""
    next_open = next(open_ns for _, open_ns, _ in sessions if open_ns > now_ns)
    next_close = next(close_ns for _, _, close_ns in sessions if close_ns > now_ns)
    moment = _new_york(now_ns)
    offset = moment.isoformat()[-6:]
    return {
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ns % NANOS:09d}{offset}",
        "is_open": any(open_ns <= now_ns < close_ns for _, open_ns, close_ns in sessions),
        "next_open": _new_york(next_open).isoformat(),
        "next_close": _new_york(next_close).isoformat(),
    }


def calendar_json(sessions: Sessions, settlement: dict[date, date]) -> list[dict[str, Any]]:
    """Trading days; `settlement` maps a day to the session on which its trades settle (T+1)."""
    rows = []
    for day, open_ns, close_ns in sessions:
        opened, closed = _new_york(open_ns), _new_york(close_ns)
        rows.append(
            {
                "date": day.isoformat(),
                "open": f"{opened:%H:%M}",
                "close": f"{closed:%H:%M}",
                "session_open": "0400",
                "session_close": "2000" if closed.hour >= 16 else "1700",
                "settlement_date": settlement.get(day, day).isoformat(),
            }
        )
    return rows
