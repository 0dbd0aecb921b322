"""Creates the actors of a run: detached, named, restarted by Ray for ever; and ends them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.actor import ActorHandle

from actors import names
from actors.configuration import ActorConfiguration


def _classes() -> Mapping[str, Any]:
    from actors.desk import DeskActor
    from actors.drift import DriftActor
    from actors.market import MarketActor
    from actors.risk import RiskActor
    from actors.supervisor import SupervisorActor

    return {
        names.MARKET: MarketActor,
        names.DESK: DeskActor,
        names.RISK: RiskActor,
        names.DRIFT: DriftActor,
        names.SUPERVISOR: SupervisorActor,
    }


def create(name: str, configuration: ActorConfiguration) -> ActorHandle:
    """Create one actor under its name; returns at once. Raises ValueError when the name is taken.

    Retries are off: a call whose actor died may or may not have run, and the caller decides (`actors.calls`).
    """
    handle: ActorHandle = (
        _classes()[name]
        .options(
            name=name,
            namespace=configuration.namespace,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            num_cpus=0,
        )
        .remote(configuration)
    )
    return handle


def launch(configuration: ActorConfiguration) -> None:
    """Create every actor; returns at once, their constructors run in their own processes."""
    for name in names.ALL:
        create(name, configuration)


def end(namespace: str) -> None:
    """End the actors for good. Call after the desk has been closed."""
    for name in names.ALL:
        try:
            ray.kill(ray.get_actor(name, namespace=namespace), no_restart=True)
        except ValueError:
            continue  # it never came up
