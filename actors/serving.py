"""Ray Serve's declarative API: the application's configuration is put there, and changed there. `serve.run` is never called again."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import stamina

from actors import names
from gammaray.operations.errors import ConfigurationError, RetryLater
from gammaray.operations.settings import Settings

_APPLICATIONS = "/api/serve/applications/"


def application_config(settings: Settings, key_hashes: Sequence[str]) -> dict[str, Any]:
    """The body that deploys the application, as `serve_config.yaml` has it."""
    serve = settings.serve
    return {
        "proxy_location": "HeadOnly",
        "http_options": {"host": serve.host, "port": serve.http_port, "request_timeout_s": serve.request_timeout_s},
        "logging_config": {"enable_access_log": False},
        "applications": [
            {
                "name": names.APPLICATION,
                "route_prefix": "/",
                "import_path": "apps.api:build",
                "args": {
                    "namespace": settings.cluster.namespace,
                    "api_key_hashes": list(key_hashes),
                    "request_timeout_s": serve.request_timeout_s,
                    "max_ongoing_requests": serve.max_ongoing_requests,
                },
                "deployments": [{"name": names.DEPLOYMENT, "user_config": {"models": {}}}],
            }
        ],
    }


class ServeController:
    """Talks to Serve's REST API at the dashboard's address."""

    def __init__(self, dashboard_url: str) -> None:
        token = os.environ.get("RAY_AUTH_TOKEN")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=dashboard_url, timeout=60.0, headers=headers)

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Put a whole configuration. Raises ConfigurationError when Serve refuses it, RetryLater when it does not take it in several attempts."""
        for attempt in stamina.retry_context(on=RetryLater, attempts=4, timeout=None, wait_initial=0.5, wait_max=3.0):
            with attempt:
                self._put(config)

    def _put(self, config: Mapping[str, Any]) -> None:
        """The API is declarative: putting a configuration twice is putting it once."""
        try:
            response = self._http.put(_APPLICATIONS, json=config)
        except httpx.TransportError as error:
            raise RetryLater(f"Serve's REST API does not answer: {error}") from error
        if response.status_code >= 500:
            raise RetryLater(f"Serve's REST API: HTTP {response.status_code}: {response.text[-300:]}")
        if response.status_code >= 400:
            raise ConfigurationError(f"Serve refused the configuration: {response.text[:500]}")

    def status(self) -> dict[str, Any]:
        """State of the application: status, message, deployed configuration; empty before it is known."""
        try:
            response = self._http.get(_APPLICATIONS)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise RetryLater(f"Serve's REST API does not answer: {error}") from error
        applications: dict[str, Any] = response.json().get("applications", {})
        application: dict[str, Any] = applications.get(names.APPLICATION) or {}
        return application

    def wait_running(self, timeout_s: float = 60.0) -> None:
        """Wait until the application runs. Raises ConfigurationError with Serve's message when its deployment failed."""
        deadline = time.monotonic() + timeout_s
        state: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                state = self.status()
            except RetryLater:
                state = {}
            if state.get("status") == "RUNNING":
                return
            if state.get("status") in ("DEPLOY_FAILED", "UNHEALTHY") and state.get("message"):
                raise ConfigurationError(f"the Serve application failed: {str(state['message'])[-800:]}")
            time.sleep(0.2)
        raise ConfigurationError(f"the Serve application did not start within {timeout_s:.0f} s: {state.get('status')}")

    def set_models(self, config: Mapping[str, Any], models: Mapping[str, Any], revision: int) -> None:
        """Change the routing of models in place: replicas reconfigure without a restart."""
        application = {**config["applications"][0]}
        user_config = {"models": dict(models), "revision": revision}
        application["deployments"] = [{"name": names.DEPLOYMENT, "user_config": user_config}]
        self.deploy({**config, "applications": [application]})

    def wait_revision(self, api_url: str, revision: int, timeout_s: float) -> None:
        """Wait until the API answers with a revision of the routing. Raises RetryLater when it does not in time."""
        deadline = time.monotonic() + timeout_s
        seen: object = None
        while time.monotonic() < deadline:
            try:
                seen = self._http.get(f"{api_url}/v1/serving").json().get("revision")
            except (httpx.HTTPError, ValueError):
                seen = None
            if seen == revision:
                return
            time.sleep(0.05)
        raise RetryLater(f"the API serves revision {seen} of the models, not {revision}, after {timeout_s:.0f} s")
