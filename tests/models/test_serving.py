"""The forecast server: roles, the split, swaps under load, and refusals."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from gammaray.models.dataset import FloatArray
from gammaray.models.serving import (
    ForecastServer,
    ModelRouting,
    Role,
    VersionRef,
    parse_routing,
    traffic_bucket,
)
from gammaray.operations.errors import BadInput

WINDOW = [[0.1, 0.2], [0.3, 0.4]]


class Constant:
    """A forecaster that answers with the number that its file holds."""

    look_back = 2

    def __init__(self, path: Path) -> None:
        text = path.read_text().split()
        self.value = float(text[0])
        self.feature_names = ("a", "b")
        self.feature_version = text[1] if len(text) > 1 else "v1"

    def predict(self, inputs: FloatArray) -> FloatArray:
        return np.full((len(inputs), 2), self.value)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, VersionRef]:
    """Versions 1 to 4 (answers 0.1 to 0.4), "nan" with a broken answer and "old" of other features."""
    content = {str(v): f"0.{v}" for v in (1, 2, 3, 4)} | {"nan": "nan", "old": "0.5 v0"}
    refs = {}
    for version, text in content.items():
        path = tmp_path / f"{version}.txt"
        path.write_text(text)
        refs[version] = VersionRef(version, str(path))
    return refs


def ask(server: ForecastServer, key: str = "k") -> tuple[Role, str, float]:
    served = server.predict("m", WINDOW, "r", key, 5).served
    return served.role, served.version, served.realized_volatility


def test_every_version_predicts_and_one_is_served(files: dict[str, VersionRef]) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"], files["2"], 0.0, (files["3"],))})
    served = server.predict("m", WINDOW, "request-1", "k", 5)
    assert (served.model, served.request_id, served.key, served.ts_ns) == ("m", "request-1", "k", 5)
    assert (served.served.role, served.served.version, served.served.realized_volatility) == (Role.CHAMPION, "1", 0.1)
    assert [(p.role, p.version, p.iv_change) for p in served.others] == [
        (Role.CHALLENGER, "2", 0.2),
        (Role.SHADOW, "3", 0.3),
    ]


@pytest.mark.parametrize("percentage", [0.0, 1.0, 20.0, 50.0, 100.0])
def test_the_share_of_the_challenger_is_exact_and_sticky(files: dict[str, VersionRef], percentage: float) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"], files["2"], percentage)})
    keys = [f"SPY:{day}" for day in range(4000)]
    roles = [ask(server, key)[0] for key in keys]
    assert roles == [ask(server, key)[0] for key in keys]
    expected = [traffic_bucket("m", key) < percentage for key in keys]
    assert [role is Role.CHALLENGER for role in roles] == expected
    # Four standard deviations of a binomial share.
    bound = 4 * (percentage * (100 - percentage) / len(keys)) ** 0.5
    assert abs(100 * sum(expected) / len(keys) - percentage) <= bound


def test_a_growing_share_keeps_those_who_had_the_challenger(files: dict[str, VersionRef]) -> None:
    keys = [str(i) for i in range(500)]
    shares = []
    for percentage in (10.0, 30.0):
        server = ForecastServer(Constant)
        server.configure({"m": ModelRouting(files["1"], files["2"], percentage)})
        shares.append({key for key in keys if ask(server, key)[0] is Role.CHALLENGER})
    assert shares[0] < shares[1]


def test_ten_swaps_under_load_fail_no_request(files: dict[str, VersionRef]) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"])})
    answers: set[tuple[str, float]] = set()
    failures: list[BaseException] = []
    stop = threading.Event()

    def hammer() -> None:
        try:
            while not stop.is_set():
                _, version, value = ask(server)
                answers.add((version, value))
        except BaseException as error:  # noqa: BLE001 - reported by the test
            failures.append(error)

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for swap in range(10):
        server.configure({"m": ModelRouting(files[str(swap % 4 + 1)])})
        stop.wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(answers) > 1
    assert all(value == float(f"0.{version}") for version, value in answers)


def test_a_routing_that_cannot_be_loaded_changes_nothing(files: dict[str, VersionRef], tmp_path: Path) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"])})
    with pytest.raises(BadInput, match=r"m.champion.path: version 9: no file"):
        server.configure({"m": ModelRouting(VersionRef("9", str(tmp_path / "absent")))})
    with pytest.raises(BadInput, match=r"m.challenger: version old does not fit the champion: feature_version"):
        server.configure({"m": ModelRouting(files["1"], files["old"], 10.0)})
    assert ask(server) == (Role.CHAMPION, "1", 0.1)


def test_a_version_that_stays_is_not_loaded_again(files: dict[str, VersionRef]) -> None:
    loaded: list[str] = []

    def load(path: Path) -> Constant:
        loaded.append(path.stem)
        return Constant(path)

    server = ForecastServer(load)
    server.configure({"m": ModelRouting(files["1"])})
    server.configure({"m": ModelRouting(files["1"], None, 0.0, (files["2"],))})
    server.configure({"m": ModelRouting(files["2"], None, 0.0, (files["1"],))})
    assert loaded == ["1", "2"]


def test_a_broken_challenger_leaves_the_request_to_the_champion(files: dict[str, VersionRef]) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"], files["nan"], 100.0, (files["2"],))})
    served = server.predict("m", WINDOW, "r", "k", 5)
    assert served.served.version == "1"
    assert [p.version for p in served.others] == ["2"]
    server.configure({"m": ModelRouting(files["nan"])})
    with pytest.raises(ArithmeticError, match="champion nan gave a forecast that is not finite"):
        ask(server)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ([[0.1, 0.2]], r"window: expected shape \(m, 2, 2\), was \(1, 1, 2\)"),
        ([[0.1, 0.2], [0.3]], "window: expected rows of numbers of the same length"),
        ([0.1, 0.2], r"window: expected two dimensions \(look_back, features\), was 1"),
        ([[0.1, 0.2], [0.3, float("nan")]], r"window\[1\].b: must be finite, was nan"),
        ([[0.1, "x"], [0.3, 0.2]], "window: expected rows of numbers"),
    ],
)
def test_a_bad_window_is_refused_by_field(
    files: dict[str, VersionRef], window: list[list[float]], message: str
) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"])})
    with pytest.raises(BadInput, match=message):
        server.predict("m", window, "r", "k", 5)


def test_unknown_models_and_other_features_are_refused(files: dict[str, VersionRef]) -> None:
    server = ForecastServer(Constant)
    server.configure({"m": ModelRouting(files["1"])})
    with pytest.raises(BadInput, match="model: unknown 'x'; served: m"):
        server.predict("x", WINDOW, "r", "k", 5)
    with pytest.raises(BadInput, match="feature_version: expected 'v1', was 'v2'"):
        server.predict("m", WINDOW, "r", "k", 5, feature_version="v2")
    with pytest.raises(BadInput, match=r"feature_names\[0\]: expected 'a', was 'b'"):
        server.predict("m", WINDOW, "r", "k", 5, feature_version="v1", feature_names=("b", "a"))


def test_routing_survives_json(files: dict[str, VersionRef]) -> None:
    routing = ModelRouting(files["1"], files["2"], 12.5, (files["3"],))
    assert parse_routing({"m": routing.to_config()}) == {"m": routing}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "m.champion: is missing"),
        ({"champion": {"version": "1"}}, "m.champion: expected an object with version and path"),
        ({"champion": {"version": "1", "path": "p"}, "colour": 1}, "m.colour: is not a field"),
        (
            {"champion": {"version": "1", "path": "p"}, "traffic_percentage": 120},
            "m.traffic_percentage: must be 0 to 100",
        ),
        ({"champion": {"version": "1", "path": "p"}, "traffic_percentage": 10}, "m.challenger: is needed"),
    ],
)
def test_bad_routing_is_refused_by_field(entry: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        parse_routing({"m": entry})
