"""Forecasts for the desk: asked of the served models over HTTP, combined, with the volatility baseline where no model serves."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from actors.messages import ForecastReport
from gammaray.features.observer import SessionClose
from gammaray.operations.errors import RetryLater
from gammaray.operations.logs import get_logger
from gammaray.types.clock import format_ns
from gammaray.types.signals import Forecast

ATTEMPTS = 40
PAUSE_S = 0.25
_log = get_logger("actors.forecasting")


class Forecaster:
    """Asks each model once a session. A replica that is restarting is asked again: the request id makes that harmless."""

    def __init__(self, api_url: str, api_key: str, models: Sequence[str]) -> None:
        self._http = httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {api_key}"}, timeout=5.0)
        self._models = tuple(models)

    def ask(self, closes: Sequence[SessionClose]) -> ForecastReport:
        """Forecasts after a session's close; underlyings without a full window get none."""
        forecasts: list[Forecast] = []
        request_ids: list[str] = []
        for close in closes:
            answers = []
            if len(close.window):
                for model in self._models:
                    request_id = f"{model}-{close.underlying}-{close.ts_ns}"
                    answer = self._predict(model, close, request_id)
                    if answer is not None:
                        answers.append(answer)
                        request_ids.append(request_id)
            if answers:
                forecasts.append(combine(close, answers))
        ts_ns = max((close.ts_ns for close in closes), default=0)
        return ForecastReport(ts_ns, tuple(forecasts), tuple(request_ids))

    def _predict(self, model: str, close: SessionClose, request_id: str) -> dict[str, Any] | None:
        body = {
            "window": close.window.tolist(),
            "key": f"{close.underlying}:{format_ns(close.ts_ns)[:10]}",
            "request_id": request_id,
            "ts_ns": close.ts_ns,
            "feature_version": close.feature_version,
            "feature_names": list(close.feature_names),
        }
        for _ in range(ATTEMPTS):
            try:
                response = self._http.post(f"/v1/models/{model}/predict", json=body)
            except httpx.TransportError:
                time.sleep(PAUSE_S)
                continue
            if response.status_code == httpx.codes.OK:
                answer: dict[str, Any] = response.json()
                return answer
            if response.status_code in (404, 422) and "problem+json" in response.headers.get("content-type", ""):
                _log.error("prediction_refused", model=model, problem=response.json())
                return None
            time.sleep(PAUSE_S)  # 404 and 5xx of the proxy while replicas restart
        raise RetryLater(f"model {model} did not answer in {ATTEMPTS} attempts")


def combine(close: SessionClose, answers: Sequence[dict[str, Any]]) -> Forecast:
    """The models' mean: geometric for the volatility, arithmetic for the change."""
    volatility = math.exp(float(np.mean([math.log(answer["realized_volatility"]) for answer in answers])))
    return Forecast(
        underlying=close.underlying,
        ts_ns=close.ts_ns,
        horizon_days=1,
        realized_volatility=volatility,
        iv_change=float(np.mean([answer["iv_change"] for answer in answers])),
        model="+".join(answer["model"] for answer in answers),
        version="+".join(answer["version"] for answer in answers),
        request_id=answers[0]["request_id"],
    )
