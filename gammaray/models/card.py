"""The model card: where a version came from, so that it can be made again and judged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from gammaray.operations.errors import BadInput
from gammaray.version import __version__

CARD_FILE = "card.json"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Lineage of one model version.

    data_from_ns, data_until_ns: time of the first row and last moment whose outcomes were used. parent: version it was continued from.
    reference_losses: losses on windows it had not seen, in time order, against which its live errors are judged.
    """

    model: str
    architecture: str
    feature_names: tuple[str, ...]
    feature_version: str
    look_back: int
    data_from_ns: int
    data_until_ns: int
    rows: int
    seed: int
    code_version: str
    lock_file_sha256: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    reference_losses: tuple[float, ...] = ()
    parent: str | None = None
    job_id: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read `to_json`. Raises BadInput naming an unknown or missing field."""
        content = json.loads(text)
        known = {f.name for f in fields(cls)}
        for name in content:
            if name not in known:
                raise BadInput(name, "is not a field of a model card")
        for name in ("feature_names", "reference_losses"):
            content[name] = tuple(content.get(name, ()))
        try:
            return cls(**content)
        except TypeError as error:
            raise BadInput("card", str(error)) from None

    def save(self, directory: Path) -> None:
        """Write `card.json` beside the model's files."""
        (directory / CARD_FILE).write_text(self.to_json())

    @classmethod
    def load(cls, directory: Path) -> ModelCard:
        """Read `card.json`."""
        return cls.from_json((directory / CARD_FILE).read_text())


@cache
def code_version() -> str:
    """Package version and, in a checkout, the commit: 0.1.0+g1a2b3c4, with .dirty when files differ from it."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return __version__
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty=.dirty", "--abbrev=8", "--exclude=*"],
            cwd=root, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+g{out.stdout.strip()}"
