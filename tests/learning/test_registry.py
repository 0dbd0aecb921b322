"""The registry on MLflow and SQLite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gammaray.learning.registry import CHALLENGER, CHAMPION, MlflowRegistry
from gammaray.models.card import ModelCard
from gammaray.operations.errors import BadInput

CARD = ModelCard("lstm", "lstm", ("a",), "v1", 20, 1, 2, 3, 4, "0.1", "lock", {"loss": 0.5})


def artifacts(tmp_path: Path, content: str) -> Path:
    folder = tmp_path / f"work-{content}"
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_text(content)
    (folder / "model.pt").write_text(content)
    return folder


def test_register_list_alias_lineage(registry: MlflowRegistry, tmp_path: Path) -> None:
    assert registry.models() == []
    assert registry.versions("lstm") == []
    assert registry.alias("lstm", CHAMPION) is None
    first = registry.register("lstm", artifacts(tmp_path, "one"), CARD)
    second = registry.register("lstm", artifacts(tmp_path, "two"), replace(CARD, parent=first), job_id="job-1")
    assert (first, second) == ("1", "2")
    assert registry.models() == ["lstm"]
    registry.set_alias("lstm", CHAMPION, first)
    registry.set_alias("lstm", CHALLENGER, second)
    assert [(v.version, v.aliases, v.job_id) for v in registry.versions("lstm")] == [
        ("1", (CHAMPION,), None),
        ("2", (CHALLENGER,), "job-1"),
    ]
    challenger = registry.alias("lstm", CHALLENGER)
    assert challenger is not None
    assert challenger.onnx_path.read_text() == "two"
    assert challenger.weights_path.read_text() == "two"
    assert challenger.card.parent == "1"
    registry.set_alias("lstm", CHAMPION, second)
    registry.clear_alias("lstm", CHALLENGER)
    registry.clear_alias("lstm", CHALLENGER)
    assert registry.get("lstm", "2").aliases == (CHAMPION,)
    assert registry.get("lstm", "1").aliases == ()


def test_artefacts_do_not_depend_on_the_work_folder(registry: MlflowRegistry, tmp_path: Path) -> None:
    folder = artifacts(tmp_path, "one")
    version = registry.register("lstm", folder, CARD)
    (folder / "model.onnx").write_text("changed later")
    assert registry.get("lstm", version).onnx_path.read_text() == "one"


def test_a_job_registers_once(registry: MlflowRegistry, tmp_path: Path) -> None:
    folder = artifacts(tmp_path, "one")
    assert registry.register("lstm", folder, CARD, job_id="j") == "1"
    assert registry.register("lstm", folder, CARD, job_id="j") == "1"
    assert len(registry.versions("lstm")) == 1


def test_another_process_sees_the_same(registry: MlflowRegistry, tmp_path: Path) -> None:
    registry.register("lstm", artifacts(tmp_path, "one"), CARD)
    registry.set_alias("lstm", CHAMPION, "1")
    again = MlflowRegistry(registry.directory)
    champion = again.alias("lstm", CHAMPION)
    assert champion is not None
    assert champion.card == CARD


def test_refusals_name_the_field(registry: MlflowRegistry, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"artifact_dir: has no model\.onnx"):
        registry.register("lstm", tmp_path, CARD)
    with pytest.raises(BadInput, match=r"card\.model: expected 'other', was 'lstm'"):
        registry.register("other", artifacts(tmp_path, "one"), CARD)
    registry.register("lstm", artifacts(tmp_path, "one"), CARD)
    with pytest.raises(BadInput, match="version: model 'lstm' has no version '9'"):
        registry.set_alias("lstm", CHAMPION, "9")
