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


def launch(configuration: ActorConfiguration) -> dict[str, ActorHandle]:
    """Create every actor; returns at once, their constructors run in their own processes.

    Retries are off: a call whose actor died may or may not have run, and the caller decides (`actors.calls`).
    """
    return {
        name: actor_class.options(
            name=name,
            namespace=configuration.namespace,
            lifetime="detached",
            max_restarts=-1,
            max_task_retries=0,
            num_cpus=0,
        ).remote(configuration)
        for name, actor_class in _classes().items()
    }


def end(handles: Mapping[str, ActorHandle]) -> None:
    """End the actors for good. Call after the desk has been closed."""
    for handle in handles.values():
        ray.kill(handle, no_restart=True)
