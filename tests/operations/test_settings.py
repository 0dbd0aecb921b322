from pathlib import Path

import pytest

from gammaray.operations.errors import ConfigurationError
from gammaray.operations.settings import ScenarioKind, load_settings


def test_file_then_environment_then_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("run: {seed: 5, steps_per_session: 7}\nrisk: {max_leverage: 1.5}\n")
    monkeypatch.setenv("GAMMARAY_RUN__SEED", "6")
    settings = load_settings(file, {"run": {"scenario": "synthetic"}})
    assert (settings.run.seed, settings.run.steps_per_session, settings.risk.max_leverage) == (6, 7, 1.5)
    assert settings.run.scenario is ScenarioKind.SYNTHETIC


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("run: {sede: 5}", "run.sede"),
        ("risk: {max_leverage: -1}", "risk.max_leverage"),
        ("runs: {}", "runs"),
        ("- 1", "expected a mapping"),
        ("run: [", "not YAML"),
        ("run: {first_day: 2018-02-01, last_day: 2018-01-01}", "first_day 2018-02-01 is after"),
        ("run: {scenario: replay}", "data_dir"),
    ],
)
def test_bad_files_name_the_field(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=named):
        load_settings(file)


def test_a_dotted_change_is_validated_and_leaves_the_old_settings() -> None:
    settings = load_settings()
    assert settings.changed("risk.max_position_size", 0.05).risk.max_position_size == 0.05
    assert settings.risk.max_position_size == 0.10
    for path, value in (("risk.max_position_size", 7), ("risk.nothing", 1), ("nothing", 1)):
        with pytest.raises(ConfigurationError, match=path.split(".")[-1]):
            settings.changed(path, value)
