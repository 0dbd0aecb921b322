"""docs/orders.md says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gammaray.desk.events import DifferenceKind
from gammaray.desk.limits import Rule
from gammaray.desk.state_table import refreshed, transition_markdown

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "orders.md"


def test_the_document_is_current() -> None:
    text = DOCUMENT.read_text()
    assert refreshed(text) == text, "run: python -m gammaray.desk.state_table docs/orders.md"


def test_it_names_every_rule_and_every_class_of_difference() -> None:
    text = DOCUMENT.read_text()
    for name in [*(rule.value for rule in Rule), *(kind.value for kind in DifferenceKind)]:
        assert name in text


def test_a_cell_is_the_target_state() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in transition_markdown().splitlines()]
    column = rows[0].index("CANCELED")
    by_event = {row[0]: row[column] for row in rows[2:]}
    assert (by_event["FILL_ALL"], by_event["CANCEL"], by_event["REJECT"]) == ("FILLED", "CANCELED", "")


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        refreshed("# Orders")
