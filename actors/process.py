"""What every actor does when its process starts."""

from __future__ import annotations

import os
from typing import Any

from actors.configuration import ActorConfiguration
from gammaray.operations.logs import configure_logs, get_logger


def enter_process(configuration: ActorConfiguration, name: str) -> Any:
    """Send the process's logs to the run's folder with the run and actor bound; returns the actor's logger."""
    configure_logs(
        configuration.folder.logs / f"{name}.log", run_id=configuration.run_id, actor=name, pid=str(os.getpid())
    )
    return get_logger(f"actors.{name}")
