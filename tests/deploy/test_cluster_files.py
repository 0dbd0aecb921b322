"""cluster.yaml and serve_config.yaml pass Ray's own validators, and a strict check that they hold no unknown key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.serving import application_config
from gammaray.operations.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def unknown_keys(value: Any, schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> list[str]:
    """Paths in `value` that a pydantic JSON schema does not know. Ray's own model accepts and ignores them."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]]
    found: list[str] = []
    options = [option for option in schema.get("anyOf", []) + schema.get("allOf", []) if option.get("type") != "null"]
    if options:
        return min((unknown_keys(value, option, definitions, path) for option in options), key=len)
    if isinstance(value, dict) and "properties" in schema:
        for key, item in value.items():
            if key in schema["properties"]:
                found += unknown_keys(item, schema["properties"][key], definitions, f"{path}.{key}")
            elif schema.get("additionalProperties", False) in (False, None):
                found.append(f"{path}.{key}")
    elif isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            found += unknown_keys(item, schema["items"], definitions, f"{path}[{i}]")
    return found


def serve_unknown_keys(config: dict[str, Any]) -> list[str]:
    from ray.serve.schema import ServeDeploySchema

    schema = ServeDeploySchema.model_json_schema()
    return unknown_keys(config, schema, schema.get("$defs", {}))


@pytest.mark.parametrize("source", ["file", "code"])
def test_serve_configuration(source: str) -> None:
    from ray.serve.schema import ServeDeploySchema

    config = (
        yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        if source == "file"
        else application_config(Settings(), ["00"])
    )
    ServeDeploySchema.model_validate(config)
    assert serve_unknown_keys(config) == []


def test_the_strict_check_finds_a_misspelt_key() -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["applications"][0]["deployments"][0]["num_replica"] = 2
    assert serve_unknown_keys(config) == [".applications[0].deployments[0].num_replica"]


def test_cluster_file_validates_as_ray_up_does_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    validate_config(prepare_config(config))
    config["head_node_typ"] = "x"
    with pytest.raises(Exception, match="head_node_typ"):
        validate_config(prepare_config(config))


def test_secrets_are_not_in_the_files() -> None:
    for name in ("cluster.yaml", "serve_config.yaml"):
        text = (ROOT / name).read_text()
        assert "gr_" not in text
        assert "APCA" not in text
