"""The object inside a Serve replica: many models, each with a champion, perhaps a challenger with a share of the traffic, and shadows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from gammaray.models.dataset import FloatArray, check_features
from gammaray.models.protocol import Forecaster
from gammaray.models.windows import check_windows
from gammaray.operations.errors import BadInput

_BUCKETS = 10_000


class Role(StrEnum):
    """What a version does for its model."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A model version and the exported file that serves it."""

    version: str
    path: str


@dataclass(frozen=True, slots=True)
class ModelRouting:
    """Who serves one model. traffic_percentage: share of requests that the challenger answers, 0 to 100."""

    champion: VersionRef
    challenger: VersionRef | None = None
    traffic_percentage: float = 0.0
    shadows: tuple[VersionRef, ...] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.traffic_percentage <= 100.0:
            raise BadInput("traffic_percentage", f"must be 0 to 100, was {self.traffic_percentage}")
        if self.traffic_percentage > 0 and self.challenger is None:
            raise BadInput("challenger", f"is needed for a traffic_percentage of {self.traffic_percentage}")

    def versions(self) -> tuple[tuple[Role, VersionRef], ...]:
        """Every version with its role, champion first."""
        out = [(Role.CHAMPION, self.champion)]
        if self.challenger is not None:
            out.append((Role.CHALLENGER, self.challenger))
        return tuple(out + [(Role.SHADOW, shadow) for shadow in self.shadows])

    def to_config(self) -> dict[str, Any]:
        """Plain JSON values, as for Serve's `user_config`; `parse_routing` reads them."""
        return {
            "champion": _ref_config(self.champion),
            "challenger": None if self.challenger is None else _ref_config(self.challenger),
            "traffic_percentage": self.traffic_percentage,
            "shadows": [_ref_config(shadow) for shadow in self.shadows],
        }


@dataclass(frozen=True, slots=True)
class RolePrediction:
    """The forecast of one version. Units as `TARGET_NAMES`."""

    version: str
    role: Role
    realized_volatility: float
    iv_change: float


@dataclass(frozen=True, slots=True)
class Served:
    """The answer to one request: what was served, and what every other version would have answered (for the log).

    A version whose forecast is not finite is left out.
    """

    model: str
    request_id: str
    key: str
    ts_ns: int
    served: RolePrediction
    others: tuple[RolePrediction, ...]

    @property
    def predictions(self) -> tuple[RolePrediction, ...]:
        """The served prediction, then the others."""
        return (self.served, *self.others)


def parse_routing(config: Mapping[str, Any]) -> dict[str, ModelRouting]:
    """{model: {"champion": {"version", "path"}, "challenger", "traffic_percentage", "shadows"}} from plain values.

    Raises BadInput naming the field.
    """
    routing = {}
    for model, entry in config.items():
        if not isinstance(entry, Mapping):
            raise BadInput(model, f"expected an object, was {type(entry).__name__}")
        unknown = set(entry) - {"champion", "challenger", "traffic_percentage", "shadows"}
        if unknown:
            raise BadInput(f"{model}.{min(unknown)}", "is not a field of a model's routing")
        champion = _parse_ref(entry.get("champion"), f"{model}.champion")
        if champion is None:
            raise BadInput(f"{model}.champion", "is missing")
        shadows = [_parse_ref(item, f"{model}.shadows[{i}]") for i, item in enumerate(entry.get("shadows") or ())]
        try:
            routing[model] = ModelRouting(
                champion,
                _parse_ref(entry.get("challenger"), f"{model}.challenger"),
                float(entry.get("traffic_percentage") or 0.0),
                tuple(shadow for shadow in shadows if shadow is not None),
            )
        except BadInput as error:
            raise BadInput(f"{model}.{error.field}", error.problem) from None
    return routing


def traffic_bucket(model: str, key: str) -> float:
    """Where a request key falls in 0 to 100 (exclusive): the same for ever, on every replica, and independent between models."""
    digest = hashlib.blake2b(f"{model}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _BUCKETS * (100.0 / _BUCKETS)


@dataclass(frozen=True, slots=True)
class _Route:
    routing: ModelRouting
    loaded: tuple[tuple[Role, str, Forecaster], ...]


class ForecastServer:
    """Holds the versions of many models and answers requests.

    `configure` loads what is new before it swaps one reference, so a request sees the whole old or the whole new routing; a routing that
    cannot be loaded leaves the old one in force. `predict` may run in one thread while another configures.
    """

    def __init__(self, load: Callable[[Path], Forecaster] | None = None) -> None:
        """load: reads an exported file; ONNX by default."""
        self._load = load or _load_onnx
        self._routes: dict[str, _Route] = {}

    def configure(self, routing: Mapping[str, ModelRouting]) -> None:
        """Serve exactly these models. Raises BadInput or OSError (naming the model's version) and changes nothing when one cannot be loaded."""
        held = {
            (model, ref.version, ref.path): forecaster
            for model, route in self._routes.items()
            for (_, ref), (_, _, forecaster) in zip(route.routing.versions(), route.loaded, strict=True)
        }
        routes = {}
        for model, entry in routing.items():
            loaded = []
            for role, ref in entry.versions():
                key = (model, ref.version, ref.path)
                if key not in held:
                    held[key] = self._load_version(model, role, ref)
                loaded.append((role, ref.version, held[key]))
            champion = loaded[0][2]
            for role, version, forecaster in loaded[1:]:
                try:
                    check_features(
                        forecaster.feature_names,
                        forecaster.feature_version,
                        champion.feature_names,
                        champion.feature_version,
                    )
                except BadInput as error:
                    raise BadInput(f"{model}.{role}", f"version {version} does not fit the champion: {error}") from None
            routes[model] = _Route(entry, tuple(loaded))
        self._routes = routes

    @property
    def routing(self) -> dict[str, ModelRouting]:
        """What is served now."""
        return {model: route.routing for model, route in self._routes.items()}

    def champion(self, model: str) -> Forecaster:
        """The forecaster that serves as champion. Raises BadInput for an unknown model."""
        return self._route(model).loaded[0][2]

    def predict(
        self,
        model: str,
        window: FloatArray | Sequence[Sequence[float]],
        request_id: str,
        key: str,
        ts_ns: int,
        feature_version: str | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> Served:
        """Forecast from one window (look_back, F), oldest row first.

        key: what the split is sticky to (requests with one key always meet the same side while the percentage stays). Every version predicts;
        the challenger's answer is served when the key falls into its share. Raises BadInput naming the field for an unknown model, a wrong
        shape, NaN, or features of another version or order.
        """
        route = self._route(model)
        champion = route.loaded[0][2]
        if feature_version is not None:
            check_features(
                champion.feature_names if feature_names is None else feature_names,
                feature_version,
                champion.feature_names,
                champion.feature_version,
            )
        inputs = _as_window(window)[None]
        check_windows(inputs, champion.look_back, champion.feature_names)
        predictions = []
        for role, version, forecaster in route.loaded:
            prediction = _predict(role, version, forecaster, inputs)
            if prediction is not None:
                predictions.append(prediction)
            elif role is Role.CHAMPION:
                raise ArithmeticError(f"model {model}: champion {version} gave a forecast that is not finite")
        served = predictions[0]
        if traffic_bucket(model, key) < route.routing.traffic_percentage:
            # A challenger without a finite answer leaves the request to the champion.
            served = next((p for p in predictions if p.role is Role.CHALLENGER), served)
        others = tuple(prediction for prediction in predictions if prediction is not served)
        return Served(model, request_id, key, ts_ns, served, others)

    def _route(self, model: str) -> _Route:
        route = self._routes.get(model)
        if route is None:
            raise BadInput("model", f"unknown {model!r}; served: {', '.join(sorted(self._routes)) or 'none'}")
        return route

    def _load_version(self, model: str, role: Role, ref: VersionRef) -> Forecaster:
        path = Path(ref.path)
        if not path.is_file():
            raise BadInput(f"{model}.{role}.path", f"version {ref.version}: no file {path}")
        return self._load(path)


def _load_onnx(path: Path) -> Forecaster:
    from gammaray.models.onnx import OnnxForecaster

    return OnnxForecaster(path)


def _predict(role: Role, version: str, forecaster: Forecaster, inputs: FloatArray) -> RolePrediction | None:
    volatility, iv_change = (float(value) for value in forecaster.predict(inputs)[0])
    if not (math.isfinite(volatility) and math.isfinite(iv_change)):
        return None
    return RolePrediction(version, role, volatility, iv_change)


def _as_window(window: FloatArray | Sequence[Sequence[float]]) -> FloatArray:
    try:
        array = np.asarray(window, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput("window", f"expected rows of numbers of the same length: {error}") from None
    if array.ndim != 2:
        raise BadInput("window", f"expected two dimensions (look_back, features), was {array.ndim}")
    return array


def _ref_config(ref: VersionRef) -> dict[str, str]:
    return {"version": ref.version, "path": ref.path}


def _parse_ref(value: object, field: str) -> VersionRef | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {"version", "path"}:
        raise BadInput(field, f"expected an object with version and path, was {value!r}")
    return VersionRef(str(value["version"]), str(value["path"]))
