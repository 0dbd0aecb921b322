"""The supervisor actor: asks every part how it is, and counts restarts."""

from __future__ import annotations

from dataclasses import asdict

import ray

from actors import names
from actors.calls import find
from actors.configuration import ActorConfiguration
from actors.process import enter_process
from gammaray.operations.errors import RetryLater
from gammaray.operations.health import Health, summarize

WATCHED = (names.MARKET, names.DESK, names.RISK, names.DRIFT)
PING_TIMEOUT_S = 2.0


@ray.remote(max_concurrency=4)
class SupervisorActor:
    """Gives `/v1/health` its answer."""

    def __init__(self, configuration: ActorConfiguration) -> None:
        self._configuration = configuration
        self._log = enter_process(configuration, "supervisor")
        self._restarts: dict[str, int] = {}

    def restarted(self, part: str) -> int:
        """Count a restart that somebody saw; returns how many the part has had."""
        self._restarts[part] = self._restarts.get(part, 0) + 1
        self._log.warning("restarted", part=part, restarts=self._restarts[part])
        return self._restarts[part]

    def health(self) -> dict[str, object]:
        """Live and ready over all parts, and each part's state with the unhealthy first."""
        live, ready, parts = summarize([self._ask(name) for name in WATCHED])
        return {"live": live, "ready": ready, "parts": [asdict(part) for part in parts]}

    def _ask(self, name: str) -> Health:
        restarts = self._restarts.get(name, 0)
        try:
            answer: Health = ray.get(find(name, self._configuration.namespace).health.remote(), timeout=PING_TIMEOUT_S)
        except (RetryLater, ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            return Health(name, live=False, ready=False, detail=type(error).__name__, restarts=restarts)
        return Health(answer.part, answer.live, answer.ready, answer.detail, answer.age_s, restarts)
