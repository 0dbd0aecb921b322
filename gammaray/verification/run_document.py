"""A run's summary as a page for people: `python -m gammaray.verification.run_document RUN_DIR [RUN_DIR …] > docs/default-run.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_FIGURES = (
    ("market", "market_from"),
    ("until", "market_to"),
    ("sessions", "sessions"),
    ("steps", "steps"),
    ("quotes", "quotes"),
    ("fills", "fills"),
    ("orders of several legs filled", "multi_leg_fills"),
    ("positions opened", "positions_opened"),
    ("positions closed", "positions_closed"),
    ("equity at the end ($)", "equity"),
    ("realised ($)", "realized_pnl"),
    ("unrealised ($)", "unrealized_pnl"),
    ("fees ($)", "fees"),
    ("predictions", "predictions"),
    ("reconciliations", "reconciliations"),
    ("differences", "reconciliation_differences"),
    ("restarts", "restarts"),
    ("errors", "errors"),
    ("journal_sha256", "journal_sha256"),
)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
    if isinstance(value, list):
        return "none" if not value else str(len(value))
    return str(value)


def run_document(summaries: Sequence[Mapping[str, Any]]) -> str:
    """The page; figures of several runs stand side by side, the events are those of the first."""
    first = summaries[0]
    lines = [
        "# What a run gives",
        "",
        "Written by `python -m gammaray.verification.run_document` from the `summary.json` of these runs:",
        "",
        *(f"- `gammaray {' '.join(summary['manifest']['command'][1:])}`" for summary in summaries),
        "",
        "| figure | " + " | ".join(f"run {i + 1}" for i in range(len(summaries))) + " |",
        "|---|" + "---|" * len(summaries),
    ]
    for label, key in _FIGURES:
        lines.append(f"| {label} | " + " | ".join(_text(summary[key]) for summary in summaries) + " |")
    for label, key in (
        ("orders by state", "orders_by_state"),
        ("denials by rule", "denials_by_rule"),
        ("activities", "activities"),
    ):
        lines.append(f"| {label} | " + " | ".join(_text(summary[key]) for summary in summaries) + " |")
    for stage in ("start", "first_order", "trade", "total"):
        values = (summary["seconds"].get(stage, "–") for summary in summaries)
        lines.append(f"| seconds: {stage.replace('_', ' ')} | " + " | ".join(str(value) for value in values) + " |")
    lines += ["", "## What the first run noticed, and did about it", ""]
    events = [
        *(
            (event["market_time"], "drift", f"{event['model']}: {event['detector']}", event["evidence"])
            for event in first["drift_events"]
        ),
        *(
            (job["market_time"], "retraining", f"{job['model']}: {job['status']}", job["metrics"])
            for job in first["retraining_jobs"]
        ),
        *(
            (e["market_time"], "promotion", f"{e['model']}: version {e['version']}", e["evidence"])
            for e in first["promotions"]
        ),
        *(
            (e["market_time"], "rejection", f"{e['model']}: version {e['version']}", e["evidence"])
            for e in first["rejections"]
        ),
        *(
            (e["market_time"], "rollback", f"{e['model']}: version {e['version']}", e["evidence"])
            for e in first["rollbacks"]
        ),
    ]
    lines += ["| market time | what | of | evidence |", "|---|---|---|---|"]
    for when, what, of, evidence in sorted(events, key=lambda event: event[0]):
        lines.append(f"| {when} | {what} | {of} | {_evidence(evidence)} |")
    return "\n".join(lines) + "\n"


def _evidence(evidence: Mapping[str, Any]) -> str:
    parts = []
    for name, value in evidence.items():
        if isinstance(value, float):
            parts.append(f"{name} {value:.4g}")
        elif isinstance(value, (int, str)) and not isinstance(value, bool):
            parts.append(f"{name} {value}")
        elif name == "strongest" and value:
            parts.append(
                "strongest "
                + ", ".join(f"{each['feature']} ({each['of']}, p {each['p_value']:.1g})" for each in value[:3])
            )
    return "; ".join(parts)


if __name__ == "__main__":
    print(run_document([json.loads((Path(folder) / "summary.json").read_text()) for folder in sys.argv[1:]]), end="")
