"""The order states as text: the table and the diagram of docs/orders.md, made from `gammaray.desk.states`.

`python -m gammaray.desk.state_table docs/orders.md` writes them between the markers of that file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gammaray.desk.limits import Rule
from gammaray.desk.states import EVENT_MEANING, STATUS_EVENTS, TRANSITIONS, UPDATE_EVENTS, OrderEvent
from gammaray.types.orders import OrderState

BEGIN, END = "<!-- generated: {} -->", "<!-- end: {} -->"


def transition_markdown() -> str:
    """The (state, event) → state table; an empty cell is an error that is journaled."""
    head = ["event", *(state.name for state in OrderState)]
    lines = [_row(head), _row(["---"] * len(head))]
    for event in OrderEvent:
        targets = [TRANSITIONS.get((state, event)) for state in OrderState]
        lines.append(_row([event.name, *("" if target is None else target.name for target in targets)]))
    return "\n".join(lines)


def diagram() -> str:
    """The transitions that change the state, as a Mermaid diagram."""
    arrows: dict[tuple[OrderState, OrderState], list[str]] = {}
    for (state, event), target in TRANSITIONS.items():
        if state is not target:
            arrows.setdefault((state, target), []).append(event.name)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> INITIALIZED"]
    lines += [f"    {state.name} --> {target.name}: {', '.join(names)}" for (state, target), names in arrows.items()]
    return "\n".join([*lines, "```"])


def vocabulary_markdown() -> str:
    """What each event means, and which of the venue's words cause it."""
    lines = [_row(["event", "meaning", "REST status", "stream event"]), _row(["---"] * 4)]
    for event in OrderEvent:
        statuses = [status for status, meaning in STATUS_EVENTS.items() if meaning is event]
        updates = [kind.value for kind, meaning in UPDATE_EVENTS.items() if meaning is event]
        if event in (OrderEvent.FILL_PART, OrderEvent.FILL_ALL):
            updates = [kind.value for kind, meaning in UPDATE_EVENTS.items() if meaning is None]
        lines.append(_row([event.name, EVENT_MEANING[event], ", ".join(statuses), ", ".join(updates)]))
    return "\n".join(lines)


def rules_markdown() -> str:
    """The names of the gate's rules, in the order in which the first one that denies is reported."""
    return ", ".join(f"`{rule.value}`" for rule in Rule)


SECTIONS = {
    "vocabulary": vocabulary_markdown,
    "transitions": transition_markdown,
    "diagram": diagram,
    "rules": rules_markdown,
}


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def refreshed(text: str) -> str:
    """A document with its generated sections made anew. Raises ValueError for a marker that is missing."""
    for name, make in SECTIONS.items():
        begin, end = BEGIN.format(name), END.format(name)
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"{name}: the document lacks {begin} … {end}")
        text = f"{head}{begin}\n{make()}\n{end}{tail}"
    return text


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(refreshed(path.read_text()))
