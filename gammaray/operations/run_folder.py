"""The folder a run leaves: manifest, settings, journal, history, models, logs, summary."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gammaray.operations.errors import ConfigurationError
from gammaray.operations.settings import Settings
from gammaray.version import __version__

_SHOWN_PACKAGES = ("ray", "torch", "numpy", "numba", "alpaca-py", "onnxruntime", "pyarrow", "duckdb", "mlflow-skinny")
MIN_FREE_MB = 500


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths inside one run's folder."""

    path: Path

    @property
    def journal(self) -> Path:
        """The desk's journal (SQLite)."""
        return self.path / "journal.sqlite"

    @property
    def venue_journal(self) -> Path:
        """The simulated exchange's journal (SQLite)."""
        return self.path / "venue.sqlite"

    @property
    def history(self) -> Path:
        """Parquet history."""
        return self.path / "history"

    @property
    def models(self) -> Path:
        """The registry and its artefacts."""
        return self.path / "models"

    @property
    def learning(self) -> Path:
        """Prediction log, state of the learning loop, specifications and results of retraining jobs."""
        return self.path / "learning"

    @property
    def logs(self) -> Path:
        """JSON logs, one file an actor."""
        return self.path / "logs"

    @property
    def summary(self) -> Path:
        """The result, for people and tools."""
        return self.path / "summary.json"

    @property
    def endpoints(self) -> Path:
        """Where other processes find the running system; gone when it has ended."""
        return self.path / "endpoints.json"

    @property
    def api_key(self) -> Path:
        """The API key of this run (mode 0600)."""
        return self.path / "api_key"


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def lock_file_hash() -> str:
    """sha256 of requirements.lock where the checkout has one, else "unlocked"."""
    lock = Path(__file__).resolve().parents[2] / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else "unlocked"


def _package_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def manifest(settings: Settings, run_id: str, started: str) -> dict[str, Any]:
    """What is needed to do the run again."""
    return {
        "run_id": run_id,
        "started": started,
        "gammaray": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _package_version(name) for name in _SHOWN_PACKAGES},
        "lock_file_sha256": lock_file_hash(),
        "command": sys.argv,
        "seed": settings.run.seed,
        "settings": settings.model_dump(mode="json"),
    }


def create_run_folder(path: Path, settings: Settings, run_id: str, started: str) -> RunFolder:
    """Make the folder and write its manifest.

    Raises ConfigurationError when the folder holds another run, cannot be written, or the disk is nearly full.
    """
    folder = RunFolder(path.resolve())
    if folder.summary.exists() or folder.journal.exists():
        raise ConfigurationError(f"run folder {path}: holds a run already; choose another --run-dir")
    try:
        for part in (folder.path, folder.logs, folder.models, folder.learning, folder.history):
            part.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"run folder {path}: {error.strerror}") from None
    free_mb = shutil.disk_usage(folder.path).free // 2**20
    if free_mb < MIN_FREE_MB:
        raise ConfigurationError(f"run folder {path}: {free_mb} MB of disk are free, {MIN_FREE_MB} are needed")
    write_atomically(folder.path / "manifest.json", json.dumps(manifest(settings, run_id, started), indent=2))
    return folder
