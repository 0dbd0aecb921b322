"""What an actor is told at its creation. It goes through Ray's pickling, so it holds no secret: those come from the environment."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gammaray.operations.errors import ConfigurationError
from gammaray.operations.run_folder import RunFolder
from gammaray.operations.settings import Settings


@dataclass(frozen=True, slots=True)
class ActorConfiguration:
    """Settings and places of one run.

    venue_url: origin of the simulated exchange, empty for Alpaca's own. lock_step: whether actors wait for everything a step published.
    """

    run_id: str
    settings: Settings
    folder: RunFolder
    venue_url: str
    underlyings: tuple[str, ...]
    api_url: str
    dashboard_url: str
    key_hashes: tuple[str, ...]

    @classmethod
    def of_run(cls, folder: RunFolder) -> ActorConfiguration:
        """The configuration of the system that runs in a folder. Raises ConfigurationError when none does."""
        if not folder.endpoints.is_file():
            raise ConfigurationError(f"run folder {folder.path}: no endpoints.json; is a run working there?")
        endpoints = json.loads(folder.endpoints.read_text())
        manifest = json.loads((folder.path / "manifest.json").read_text())
        return cls(
            run_id=manifest["run_id"],
            settings=Settings(**manifest["settings"]),
            folder=folder,
            venue_url=endpoints["venue_url"],
            underlyings=tuple(endpoints["underlyings"]),
            api_url=endpoints["api_url"],
            dashboard_url=endpoints["dashboard_url"],
            key_hashes=tuple(endpoints["key_hashes"]),
        )

    @property
    def lock_step(self) -> bool:
        """Whether the exchange's clock waits for this system."""
        return bool(self.venue_url) and not self.settings.run.free_running

    @property
    def namespace(self) -> str:
        """Ray namespace of the actors."""
        return self.settings.cluster.namespace
