"""The definitions as a table for the documentation: `python -m gammaray.features.description`."""

from __future__ import annotations

from collections.abc import Sequence

from gammaray.features.daily import DAILY_FEATURES
from gammaray.features.definition import Feature


def markdown_table(features: Sequence[Feature] = DAILY_FEATURES) -> str:
    """One row per feature: name, version, inputs, sessions in the window, units, description."""
    lines = ["| name | version | inputs | sessions | units | meaning |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{item.name}` | {item.version} | {', '.join(item.inputs)} | {item.window} | {item.units} | {item.doc} |"
        for item in features
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown_table())
