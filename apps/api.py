"""The Serve application: a FastAPI ingress that prices options itself, serves the models itself, and asks the actors for the rest."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import fields
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from actors import names
from apps import problems
from apps.auth import require_key
from apps.schemas import (
    ChallengerRequest,
    GreeksRequest,
    Json,
    OrderBody,
    PredictRequest,
    RetrainRequest,
    SignalsRequest,
    TradingStateRequest,
)
from gammaray.models.serving import ForecastServer, Served, parse_routing
from gammaray.operations.errors import BadInput, RetryLater
from gammaray.version import __version__

LOG_FLUSH_S = 0.05
LOG_QUEUE = 10_000


class ApiArguments(BaseModel):
    """Arguments of `build` in serve_config.yaml."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = "gammaray"
    api_key_hashes: list[str] = []
    request_timeout_s: float = 5.0
    max_ongoing_requests: int = 128


def _actor(name: str, namespace: str) -> ActorHandle:
    import ray

    try:
        return ray.get_actor(name, namespace=namespace)
    except ValueError:
        raise RetryLater(f"the {name} actor is not running") from None


class Replica:
    """One replica. Routes are added in `_routes`; Serve makes a deployment of it in `build`."""

    def __init__(self, arguments: Json) -> None:
        self.arguments = ApiArguments(**arguments)
        self.hashes = frozenset(self.arguments.api_key_hashes)
        self.forecasts = ForecastServer()
        self.revision = 0
        self._pending: asyncio.Queue[Served] = asyncio.Queue(LOG_QUEUE)
        self._dropped = 0
        self._flusher: asyncio.Task[None] | None = None

    def reconfigure(self, user_config: Json) -> None:
        """Apply the routing of models (`user_config` of the deployment): versions load before they replace the old ones."""
        self.forecasts.configure(parse_routing(user_config.get("models", {})))
        self.revision = int(user_config.get("revision", 0))

    async def call(self, actor: str, method: str, *args: Any) -> Any:
        """Call a method of an actor by names. Raises RetryLater when it is away, BadInput when it refuses the input."""
        handle = _actor(actor, self.arguments.namespace)
        try:
            return await asyncio.wait_for(getattr(handle, method).remote(*args), self.arguments.request_timeout_s)
        except (ActorDiedError, ActorUnavailableError) as error:
            raise RetryLater(f"the {actor} actor is restarting") from error
        except TimeoutError:
            raise RetryLater(f"the {actor} actor did not answer in {self.arguments.request_timeout_s} s") from None
        except RayTaskError as error:
            cause = error.cause
            if isinstance(cause, Exception) and type(cause).__module__.startswith("gammaray."):
                raise cause from None
            raise

    def log(self, served: Served) -> None:
        """Queue a served prediction for the drift actor's log; a full queue drops it and counts that."""
        try:
            self._pending.put_nowait(served)
        except asyncio.QueueFull:
            self._dropped += 1
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        while not self._pending.empty():
            batch = [self._pending.get_nowait() for _ in range(self._pending.qsize())]
            while True:
                try:
                    await _actor(names.DRIFT, self.arguments.namespace).log_predictions.remote(batch)
                    break
                except (RetryLater, ActorDiedError, ActorUnavailableError):
                    await asyncio.sleep(10 * LOG_FLUSH_S)  # the log is idempotent on request ids: sending again is safe
            await asyncio.sleep(LOG_FLUSH_S)


def _greeks(body: GreeksRequest) -> Json:
    from gammaray.pricing import greeks

    try:
        result = greeks(
            np.asarray(body.right) if isinstance(body.right, list) else body.right,
            *(
                np.asarray(column, dtype=np.float64)
                for column in (body.spot, body.strike, body.tau, body.rate, body.volatility)
            ),
            np.asarray(body.dividend_yield, dtype=np.float64),
            order=body.order,
        )
    except ValueError as error:
        field, _, problem = str(error).partition(": ")
        raise BadInput(field, problem) from None
    return {field.name: _finite(getattr(result, field.name)) for field in fields(result)}


def _finite(value: Any) -> Any:
    """Numbers for JSON: NaN and infinities become null."""
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return float(array) if np.isfinite(array) else None
    return [each if np.isfinite(each) else None for each in array.tolist()]


def _routes(app: FastAPI) -> None:
    def replica() -> Replica:
        return serve.get_replica_context().servable_object

    async def authorized(request: Request) -> None:
        require_key(request, replica().hashes)

    @app.get("/v1/health", tags=["operations"], summary="Alive, and which parts are ready (no key needed)")
    async def health() -> Json:
        api = replica()
        try:
            system: Json = await api.call(names.SUPERVISOR, "health")
        except RetryLater as error:
            system = {"live": True, "ready": False, "detail": str(error), "parts": []}
        return {"status": "ok" if system["ready"] else "degraded", "version": __version__, **system}

    @app.get("/v1/serving", tags=["operations"], summary="Revision of the models' routing (no key needed)")
    async def serving() -> Json:
        return {"revision": replica().revision}

    router = APIRouter(prefix="/v1", dependencies=[Depends(authorized)])

    @router.post("/greeks", tags=["pricing"], summary="Prices and greeks by columns")
    async def greeks(body: GreeksRequest) -> Json:
        return _greeks(body)

    @router.post("/orders/check", tags=["orders"], summary="What the pre-trade gate would say, without sending")
    async def check_order(body: OrderBody) -> Json:
        return await replica().call(names.DESK, "check_order", body.model_dump())

    @router.post("/orders", tags=["orders"], status_code=201, summary="Send an order through the gate")
    async def submit_order(body: OrderBody) -> Json:
        return await replica().call(names.DESK, "submit_order", body.model_dump())

    @router.get("/orders", tags=["orders"], summary="Our orders, newest first")
    async def orders(limit: int = 100) -> list[Json]:
        if not 1 <= limit <= 10_000:
            raise BadInput("limit", f"expected 1 to 10000, was {limit}")
        return await replica().call(names.DESK, "orders", limit)

    @router.get("/portfolio", tags=["portfolio"], summary="Positions, cash and P&L")
    async def portfolio() -> Json:
        return await replica().call(names.DESK, "portfolio")

    @router.get("/risk", tags=["portfolio"], summary="Greeks, limits and trading state")
    async def risk() -> Json:
        return await replica().call(names.RISK, "risk")

    @router.post("/trading-state", tags=["portfolio"], summary="Set ACTIVE, REDUCING or HALTED by hand")
    async def trading_state(body: TradingStateRequest) -> Json:
        return await replica().call(names.DESK, "set_trading_state", body.state, "http", body.reason)

    @router.post("/models/{name}/predict", tags=["models"], summary="A forecast from the version that serves this key")
    async def predict(name: str, body: PredictRequest) -> Json:
        api = replica()
        if name not in api.forecasts.routing:
            raise problems.Problem(404, "No such model", f"no model {name!r} is served", "unknown-model")
        served = api.forecasts.predict(
            name,
            body.window,
            request_id=body.request_id or uuid.uuid4().hex,
            key=body.key,
            ts_ns=body.ts_ns or time.time_ns(),
            feature_version=body.feature_version,
            feature_names=body.feature_names,
        )
        api.log(served)
        answer = served.served
        return {
            "model": served.model,
            "version": answer.version,
            "role": answer.role.value,
            "request_id": served.request_id,
            "ts_ns": served.ts_ns,
            "realized_volatility": answer.realized_volatility,
            "iv_change": answer.iv_change,
        }

    @router.get("/models", tags=["models"], summary="Models, versions and how traffic is split")
    async def models() -> list[Json]:
        return await replica().call(names.DRIFT, "models")

    @router.post("/models/{name}/retrain", tags=["models"], status_code=202, summary="Ask for a retraining job")
    async def retrain(name: str, body: RetrainRequest) -> Json:
        return await replica().call(names.DRIFT, "retrain", name, body.reason)

    @router.post("/models/{name}/challenger", tags=["models"], summary="Serve a version beside the champion")
    async def challenger(name: str, body: ChallengerRequest) -> Json:
        return await replica().call(names.DRIFT, "challenger", name, body.version, body.traffic_percentage)

    @router.get("/drift", tags=["models"], summary="Detectors, evidence and what was done about it")
    async def drift() -> Json:
        return await replica().call(names.DRIFT, "drift")

    @router.post("/signals", tags=["orders"], summary="What the strategies want now, without sending")
    async def signals(body: SignalsRequest) -> list[Json]:
        return await replica().call(names.DESK, "signals", body.underlyings)

    app.include_router(router)


def create_app() -> FastAPI:
    """The FastAPI application with all routes, problem documents and OpenAPI."""
    app = FastAPI(title="GammaRay", version=__version__, docs_url="/docs", redoc_url=None)
    problems.install(app)
    _routes(app)
    return app


def build(arguments: Json) -> serve.Application:
    """Entry point of serve_config.yaml. Serve gets the function that makes the FastAPI app: an app itself loses annotations in pickling."""
    checked = ApiArguments(**arguments)

    ingress = serve.ingress(create_app)(Replica)
    deployment = serve.deployment(
        name=names.DEPLOYMENT,
        num_replicas=1,
        max_ongoing_requests=checked.max_ongoing_requests,
        max_queued_requests=4 * checked.max_ongoing_requests,
        ray_actor_options={"num_cpus": 0},
        health_check_period_s=2.0,
        health_check_timeout_s=5.0,
        graceful_shutdown_timeout_s=2.0,
    )(ingress)
    return deployment.bind(checked.model_dump())
