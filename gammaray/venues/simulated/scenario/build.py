"""A scenario by name."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from gammaray.venues.simulated.scenario.protocol import Scenario

SCENARIOS = ("history", "synthetic", "recorded")


def build_scenario(
    name: str,
    *,
    seed: int,
    first: date | None = None,
    last: date | None = None,
    data: Path | None = None,
    steps_per_session: int = 13,
) -> Scenario:
    """The scenario `name` between two dates (its own defaults where None).

    data: folder in the layout of shared/data, for `recorded` alone. Raises ValueError, naming the argument, for an unknown name, dates without
    sessions, or data that is missing or not wanted.
    """
    if seed < 0:
        raise ValueError(f"seed: must not be negative, was {seed}")
    if (data is not None) != (name == "recorded"):
        raise ValueError(f"data: expected with scenario recorded and only there, scenario was {name!r}")
    if name == "history":
        from gammaray.operations.settings import HISTORY_FIRST, HISTORY_LAST
        from gammaray.venues.simulated.scenario.history import history_scenario

        return history_scenario(
            seed=seed, first=first or HISTORY_FIRST, last=last or HISTORY_LAST, steps_per_session=steps_per_session
        )
    if name == "synthetic":
        from gammaray.venues.simulated.scenario.synthetic import SYNTHETIC_FIRST, SYNTHETIC_LAST, synthetic_scenario

        return synthetic_scenario(
            seed=seed, first=first or SYNTHETIC_FIRST, last=last or SYNTHETIC_LAST, steps_per_session=steps_per_session
        )
    if data is not None:
        from gammaray.venues.simulated.scenario.recorded import recorded_scenario

        return recorded_scenario(data, first=first, last=last)
    raise ValueError(f"name: expected one of {', '.join(SCENARIOS)}, was {name!r}")
