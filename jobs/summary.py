"""summary.json: what a run did, for people and tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.messages import DeskReport, LearningReport
from gammaray.types.clock import format_ns
from gammaray.types.money import format_micros


@dataclass(slots=True)
class RunRecord:
    """What the run's driver saw itself. Times are UTC nanoseconds of the market."""

    market_from_ns: int = 0
    market_to_ns: int = 0
    steps: int = 0
    sessions: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def restarted(self, part: str) -> None:
        """Count a restart."""
        self.restarts[part] = self.restarts.get(part, 0) + 1


def build_summary(
    record: RunRecord,
    desk: DeskReport | None,
    learning: LearningReport | None,
    closing: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> dict[str, Any]:
    """The summary's keys. `closing` is what the desk said when it was closed: reconciliation differences and the journal's digest.

    Money is decimal text in dollars. A run whose desk could not be closed has `reconciliation_differences` that say so.
    """
    totals = dict(desk.totals) if desk is not None else {}
    return {
        "market_from": format_ns(record.market_from_ns) if record.market_from_ns else None,
        "market_to": format_ns(record.market_to_ns) if record.market_to_ns else None,
        "sessions": record.sessions,
        "steps": record.steps,
        "quotes": desk.market.quotes if desk else 0,
        "chains": record.steps * len(desk.market.spots) if desk else 0,
        "orders_by_state": totals.get("orders_by_state", {}),
        "denials_by_rule": totals.get("denials_by_rule", {}),
        "fills": totals.get("executions", 0),
        "multi_leg_fills": totals.get("multi_leg_fills", 0),
        "positions_opened": closing.get("positions_opened", 0),
        "positions_closed": closing.get("positions_closed", 0),
        "activities": closing.get("activities", {}),
        "equity": _money(totals, "equity"),
        "cash": _money(totals, "cash"),
        "realized_pnl": _money(totals, "realized_pnl"),
        "unrealized_pnl": _money(totals, "unrealized_pnl"),
        "fees": _money(totals, "fees"),
        "reconciliation_differences": list(closing.get("differences", ["the desk was not closed"])),
        "reconciliations": closing.get("reconciliations", 0),
        "journal_sha256": closing.get("journal_sha256"),
        "journal_entries": closing.get("journal_entries", 0),
        "predictions": learning.predictions if learning else 0,
        "drift_events": _plain(learning.drift_events) if learning else [],
        "retraining_jobs": _plain(learning.retraining_jobs) if learning else [],
        "promotions": _plain(learning.promotions) if learning else [],
        "rejections": _plain(learning.rejections) if learning else [],
        "rollbacks": _plain(learning.rollbacks) if learning else [],
        "restarts": record.restarts,
        "errors": record.errors,
        "seconds": {name: round(value, 2) for name, value in record.seconds.items()},
        "manifest": dict(manifest),
    }


def _money(totals: Mapping[str, Any], name: str) -> str | None:
    return format_micros(totals[name]) if name in totals else None


def _plain(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(event) for event in events]
