"""Lineage survives the disk and refuses what it does not know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gammaray.models.card import ModelCard, code_version
from gammaray.operations.errors import BadInput

CARD = ModelCard(
    model="lstm",
    architecture="lstm",
    feature_names=("a", "b"),
    feature_version="v1",
    look_back=20,
    data_from_ns=1,
    data_until_ns=2,
    rows=3,
    seed=4,
    code_version="0.1.0",
    lock_file_sha256="abc",
    metrics={"loss": 0.5},
    reference_losses=(0.1, 0.2),
    parent="1",
    job_id="job",
    evidence={"drift": [1]},
)


def test_round_trip(tmp_path: Path) -> None:
    CARD.save(tmp_path)
    assert ModelCard.load(tmp_path) == CARD


def test_unknown_and_missing_fields_are_named() -> None:
    content = json.loads(CARD.to_json())
    with pytest.raises(BadInput, match="colour: is not a field"):
        ModelCard.from_json(json.dumps({**content, "colour": "red"}))
    del content["seed"]
    with pytest.raises(BadInput, match="seed"):
        ModelCard.from_json(json.dumps(content))


def test_code_version_names_the_commit_in_a_checkout() -> None:
    version = code_version()
    checkout = (Path(__file__).resolve().parents[2] / ".git").exists()
    assert ("+g" in version) == checkout
