"""Where model versions live: files in the run's folder, versions and aliases in MLflow on SQLite."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gammaray.models.card import ModelCard
from gammaray.operations.errors import BadInput

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
ONNX_FILE, WEIGHTS_FILE = "model.onnx", "model.pt"


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """One version of a model. directory: holds card.json and the artefacts."""

    model: str
    version: str
    directory: Path
    aliases: tuple[str, ...]
    job_id: str | None
    created_ms: int

    @property
    def onnx_path(self) -> Path:
        """The exported file that serves."""
        return self.directory / ONNX_FILE

    @property
    def weights_path(self) -> Path:
        """The torch file that training goes on from."""
        return self.directory / WEIGHTS_FILE

    @property
    def card(self) -> ModelCard:
        """Lineage."""
        return ModelCard.load(self.directory)


class ModelRegistry(Protocol):
    """Versions of models with aliases."""

    def register(self, model: str, artifact_dir: Path, card: ModelCard, job_id: str | None = None) -> str:
        """Copy the artefacts in and return the new version; the same `job_id` again returns the version it made before."""
        ...

    def models(self) -> list[str]:
        """Names in alphabetical order."""
        ...

    def versions(self, model: str) -> list[RegisteredVersion]:
        """Every version, oldest first; empty for an unknown model."""
        ...

    def get(self, model: str, version: str) -> RegisteredVersion:
        """One version. Raises BadInput when it does not exist."""
        ...

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        ...

    def clear_alias(self, model: str, alias: str) -> None:
        """Remove an alias; nothing happens when it is not set."""
        ...

    def alias(self, model: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias points at."""
        ...


class MlflowRegistry:
    """`ModelRegistry` on mlflow-skinny with SQLite. An alias look-up takes milliseconds: keep it off the hot path."""

    def __init__(self, directory: Path) -> None:
        """directory: holds registry.sqlite and the artefacts; made when absent."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self._client = _client(f"sqlite:///{self.directory / 'registry.sqlite'}")

    def register(self, model: str, artifact_dir: Path, card: ModelCard, job_id: str | None = None) -> str:
        """Copy `artifact_dir` and the card in and return the new version, a decimal number.

        With a `job_id` that has registered before, returns that version and changes nothing: a retried job leaves one version.
        Raises BadInput when a file is missing or the name does not fit.
        """
        if card.model != model:
            raise BadInput("card.model", f"expected {model!r}, was {card.model!r}")
        for name in (ONNX_FILE, WEIGHTS_FILE):
            if not (artifact_dir / name).is_file():
                raise BadInput("artifact_dir", f"has no {name}: {artifact_dir}")
        if job_id is not None:
            for known in self.versions(model):
                if known.job_id == job_id:
                    return known.version
        stored = self._store(model, artifact_dir, card)
        self._ensure(model)
        tags = {} if job_id is None else {"job_id": job_id}
        made = self._client.create_model_version(model, source=str(stored), tags=tags)
        return str(made.version)

    def models(self) -> list[str]:
        """Names in alphabetical order."""
        names: list[str] = []
        token: str | None = None
        while True:
            page = self._client.search_registered_models(max_results=200, page_token=token)
            names += [entry.name for entry in page]
            token = page.token
            if not token:
                return sorted(names)

    def versions(self, model: str) -> list[RegisteredVersion]:
        """Every version, oldest first; empty for an unknown model."""
        aliases = self._aliases(model)
        found: list[RegisteredVersion] = []
        token: str | None = None
        while True:
            page = self._client.search_model_versions(f"name='{_quoted(model)}'", max_results=200, page_token=token)
            found += [self._read(entry, aliases) for entry in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda entry: int(entry.version))

    def get(self, model: str, version: str) -> RegisteredVersion:
        """One version. Raises BadInput when it does not exist."""
        from mlflow.exceptions import MlflowException

        try:
            entry = self._client.get_model_version(model, version)
        except MlflowException:
            raise BadInput("version", f"model {model!r} has no version {version!r}") from None
        return self._read(entry, self._aliases(model))

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version. Raises BadInput when the version does not exist."""
        self.get(model, version)
        self._client.set_registered_model_alias(model, alias, version)

    def clear_alias(self, model: str, alias: str) -> None:
        """Remove an alias; nothing happens when it is not set."""
        if self.alias(model, alias) is not None:
            self._client.delete_registered_model_alias(model, alias)

    def alias(self, model: str, alias: str) -> RegisteredVersion | None:
        """The version that an alias points at."""
        from mlflow.exceptions import MlflowException

        try:
            entry = self._client.get_model_version_by_alias(model, alias)
        except MlflowException:
            return None
        return self._read(entry, self._aliases(model))

    def _ensure(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise BadInput("model", str(error)) from None

    def _store(self, model: str, artifact_dir: Path, card: ModelCard) -> Path:
        """Copy to a folder named by content, complete or not at all."""
        parent = self.directory / "artifacts" / model
        parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(card.to_json().encode())
        for name in (ONNX_FILE, WEIGHTS_FILE):
            digest.update((artifact_dir / name).read_bytes())
        target = parent / digest.hexdigest()[:16]
        if target.exists():
            return target
        staging = Path(tempfile.mkdtemp(dir=parent, prefix=".staging-"))
        try:
            shutil.copytree(artifact_dir, staging, dirs_exist_ok=True)
            card.save(staging)
            os.chmod(staging, 0o755)
            os.replace(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return target

    def _aliases(self, model: str) -> dict[str, tuple[str, ...]]:
        from mlflow.exceptions import MlflowException

        try:
            entry = self._client.get_registered_model(model)
        except MlflowException:
            return {}
        by_version: dict[str, list[str]] = {}
        for alias, version in entry.aliases.items():
            by_version.setdefault(str(version), []).append(alias)
        return {version: tuple(sorted(names)) for version, names in by_version.items()}

    def _read(self, entry: ModelVersion, aliases: dict[str, tuple[str, ...]]) -> RegisteredVersion:
        version = str(entry.version)
        return RegisteredVersion(
            entry.name,
            version,
            Path(str(entry.source)),
            aliases.get(version, ()),
            entry.tags.get("job_id"),
            int(entry.creation_timestamp or 0),
        )


def _quoted(name: str) -> str:
    if "'" in name:
        raise BadInput("model", f"must not contain a quote, was {name!r}")
    return name


def _client(uri: str) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)
