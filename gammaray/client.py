"""`TradingSystem`: the system from Python, as a client of a running one or as a context manager that starts a local one.

    with TradingSystem(scenario="synthetic") as system:
        for signal in system.generate_trading_signals():
            print(signal.explanation, system.check_order_risk(signal))

Verbs of rooms that are not built yet are not here; `docs/components.md` lists them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from gammaray.operations.errors import BadInput, ConfigurationError, RetryLater
from gammaray.operations.progress import ProgressView, Silent
from gammaray.operations.run_folder import RunFolder
from gammaray.operations.settings import Settings, load_settings
from gammaray.types.instruments import parse_occ
from gammaray.types.orders import OrderLeg
from gammaray.types.signals import Signal

if TYPE_CHECKING:
    import pandas as pd

    from gammaray.pricing import Greeks
    from gammaray.strategies.multileg import StrategyAnalysis, Suggestion

READY_TIMEOUT_S = 180.0
CALL_TIMEOUT_S = 60.0


class ContinualLearning:
    """The learning loop: from drift to a promoted model."""

    def __init__(self, system: TradingSystem) -> None:
        self._system = system

    def start_automated_adaptation(self) -> dict[str, Any]:
        """Whether and how the loop adapts. It runs from the start of a run; raises ConfigurationError when it was switched off."""
        if not self._system.settings.learning.enabled:
            raise ConfigurationError("learning.enabled: the run was started with false; start it again with true")
        models: list[dict[str, Any]] = self._system.call("drift", "models")
        return {"running": bool(models), "models": models}


class DriftMonitoring:
    """The detectors over features, predictions and errors."""

    def __init__(self, system: TradingSystem) -> None:
        self._system = system

    def start_monitoring(self) -> dict[str, Any]:
        """What is watched. Detectors run from the start of a run, as long as the drift actor lives."""
        status = self._system.get_drift_status()
        return {"monitoring": sorted(status["models"]), "drift_events": len(status["drift_events"])}


class TradingSystem:
    """The verbs of a running system.

    As a context manager it starts a local one (exchange, cluster, actors, application) that trades in the background; leaving it ends all
    of that and puts the result into `summary`. Options are those of `gammaray run`: scenario, seed, first_day, last_day, venue, data_dir,
    free_running, speed, steps_per_session, duration_s. `connect` joins a system that somebody else started.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        run_dir: Path | str | None = None,
        view: ProgressView | None = None,
        **run_options: Any,
    ) -> None:
        self.settings = settings or load_settings()
        if run_options:
            self.settings = self.settings.model_copy(update={"run": load_settings(None, {"run": run_options}).run})
        now = datetime.now(UTC)
        self._run_dir = Path(run_dir) if run_dir else Path("runs") / f"{now:%Y%m%d-%H%M%S}-{self.settings.run.seed}"
        self._started = now.isoformat(timespec="seconds")
        self._view = view or Silent()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._connected = False
        self.summary: dict[str, Any] | None = None
        self.continual_learning = ContinualLearning(self)
        self.drift_monitor = DriftMonitoring(self)

    # ---- life

    @classmethod
    def connect(cls, run_dir: Path | str) -> TradingSystem:
        """Join the running system of a run folder. Raises ConfigurationError when nothing runs there."""
        import ray

        from actors.configuration import ActorConfiguration

        folder = RunFolder(Path(run_dir).resolve())
        system = cls(settings=ActorConfiguration.of_run(folder).settings, run_dir=run_dir)
        endpoints = json.loads(folder.endpoints.read_text())
        if not ray.is_initialized():
            try:
                ray.init(address=endpoints["ray_address"], namespace=endpoints["namespace"], log_to_driver=False)
            except (ConnectionError, RuntimeError) as error:
                raise ConfigurationError(f"no Ray cluster answers at {endpoints['ray_address']}: {error}") from None
        system._connected = True
        return system

    def __enter__(self) -> Self:
        if self._connected:
            return self
        self._thread = threading.Thread(target=self._run, name="gammaray-run", daemon=True)
        self._thread.start()
        if not self._ready.wait(READY_TIMEOUT_S):
            self._stop.set()
            raise RetryLater(f"the system was not ready within {READY_TIMEOUT_S:.0f} s")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        elif self._connected:
            import ray

            ray.shutdown()

    def wait(self) -> dict[str, Any]:
        """Wait until a run started here has come to its end; returns its summary."""
        if self._thread is None:
            raise ConfigurationError("wait: this client did not start the run")
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        assert self.summary is not None
        return self.summary

    def _run(self) -> None:
        from jobs.trading_run import run_system

        try:
            self.summary = run_system(
                self.settings,
                run_dir=self._run_dir,
                view=self._view,
                stop=self._stop,
                started=self._started,
                on_ready=self._ready.set,
            )
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._failure = error
        finally:
            self._ready.set()

    @property
    def folder(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self._run_dir.resolve())

    def call(self, actor: str, method: str, *args: Any) -> Any:
        """Call a method of an actor by its name. Raises RetryLater when it is away, and the method's own exception."""
        import ray

        from actors.calls import call

        if not ray.is_initialized():
            raise RetryLater("not connected: use it as a context manager, or TradingSystem.connect(run_dir)")
        return call(actor, self.settings.cluster.namespace, method, *args, timeout_s=CALL_TIMEOUT_S)

    # ---- market

    def start_options_streaming(self, symbols: Sequence[str] = ()) -> dict[str, Any]:
        """Feeds by underlying. Streaming runs from the start; raises BadInput for a symbol that is not among the run's underlyings."""
        status: dict[str, Any] = self.call("market", "status")
        for symbol in symbols:
            if symbol not in status:
                raise BadInput("symbols", f"{symbol} is not streamed; underlyings of this run: {', '.join(status)}")
        return {symbol: status[symbol] for symbol in (symbols or status)}

    def get_historical_data(self, symbol: str, first: date | None = None, last: date | None = None) -> pd.DataFrame:
        """Daily records known so far, one row a session: open, high, low, close, implied volatilities, provenance."""
        import pandas as pd

        records = self.call("market", "daily_records", symbol)
        frame = pd.DataFrame(records).set_index("day")
        return frame.loc[first or frame.index[0] : last or frame.index[-1]]

    def calculate_features(self, symbol: str) -> dict[str, float]:
        """The newest feature vector of an underlying, by name."""
        window: Mapping[str, Any] = self.call("market", "feature_window", symbol)
        return dict(zip(window["names"], window["rows"][-1].tolist(), strict=True))

    def calculate_option_greeks(
        self, right: Any, spot: Any, strike: Any, tau: Any, rate: Any, volatility: Any, dividend_yield: Any = 0.0
    ) -> Greeks:
        """Price and greeks; see `gammaray.pricing.greeks` for units."""
        from gammaray.pricing import greeks

        return greeks(right, spot, strike, tau, rate, volatility, dividend_yield)

    # ---- models

    def train_lstm_model(self) -> dict[str, Any]:
        """Start a retraining of the LSTM on everything known; it comes back as a challenger."""
        return self.trigger_model_retraining("lstm")

    def train_transformer_model(self) -> dict[str, Any]:
        """Start a retraining of the transformer on everything known; it comes back as a challenger."""
        return self.trigger_model_retraining("transformer")

    def train_all_models(self) -> list[dict[str, Any]]:
        """Start a retraining of every served model."""
        return [self.trigger_model_retraining(model["name"]) for model in self.call("drift", "models")]

    def predict_with_lstm(self, symbol: str) -> dict[str, Any]:
        """The LSTM's forecast after the newest session: realised volatility (annual) and change of implied volatility."""
        return self.predict("lstm", symbol)

    def predict_with_transformer(self, symbol: str) -> dict[str, Any]:
        """The transformer's forecast after the newest session."""
        return self.predict("transformer", symbol)

    def predict(self, model: str, symbol: str) -> dict[str, Any]:
        """A forecast of a served model for an underlying, over HTTP. Raises BadInput with the API's explanation when it refuses."""
        import httpx

        window: Mapping[str, Any] = self.call("market", "feature_window", symbol)
        endpoints = json.loads(self.folder.endpoints.read_text())
        response = httpx.post(
            f"{endpoints['api_url']}/v1/models/{model}/predict",
            json={"window": window["rows"].tolist(), "key": symbol, "feature_version": window["version"]},
            headers={"Authorization": f"Bearer {self.folder.api_key.read_text()}"},
            timeout=10.0,
        )
        answer: dict[str, Any] = response.json()
        if response.status_code != httpx.codes.OK:
            raise BadInput("model", answer.get("detail", response.text))
        return answer

    def trigger_model_retraining(self, model_id: str) -> dict[str, Any]:
        """Ask for a retraining job. Raises BadInput while one is under way or a challenger is on trial."""
        status: dict[str, Any] = self.call("drift", "retrain", model_id, "asked from Python")
        return status

    def deploy_challenger_model(self, model: str, version: str, traffic_percentage: float = 10.0) -> dict[str, Any]:
        """Serve a registered version beside the champion."""
        status: dict[str, Any] = self.call("drift", "challenger", model, version, traffic_percentage)
        return status

    def get_drift_status(self) -> dict[str, Any]:
        """Drift events with their evidence, jobs, promotions, rollbacks, and each model's state."""
        status: dict[str, Any] = self.call("drift", "drift")
        return status

    # ---- trading

    def generate_trading_signals(self) -> list[Signal]:
        """What the strategies want now; nothing is sent."""
        signals: list[Signal] = self.call("desk", "wanted_signals")
        return signals

    def analyze_option_strategy(self, legs: Sequence[OrderLeg]) -> StrategyAnalysis:
        """Payoff, break-evens, probability of profit, margin and greeks of a package, on the newest quotes.

        Raises BadInput for a leg that is no option of one underlying of this run or has no good quote now.
        """
        from gammaray.strategies.multileg import Leg, analyze

        try:
            contracts = [parse_occ(leg.symbol) for leg in legs]
            snapshot, _ = self.call("desk", "market", contracts[0].underlying if contracts else "")
            return analyze(
                snapshot,
                [Leg(contract, leg.side.sign * leg.ratio_qty) for contract, leg in zip(contracts, legs, strict=True)],
            )
        except ValueError as error:
            raise BadInput("legs", str(error)) from None

    def suggest_option_strategies(self, market_outlook: str, underlying: str | None = None) -> list[Suggestion]:
        """The best packages for an outlook ("bullish", "bearish", "neutral", "volatile"), best first, on the newest quotes and forecast."""
        from gammaray.strategies.multileg import suggest_option_strategies

        symbol = underlying or next(iter(self.call("market", "status")))
        snapshot, forecast = self.call("desk", "market", symbol)
        try:
            return suggest_option_strategies(market_outlook, snapshot, forecast=forecast)
        except ValueError as error:
            raise BadInput("market_outlook", str(error)) from None

    def check_order_risk(self, signal: Signal) -> dict[str, Any]:
        """What the pre-trade gate would say: accepted, or the rule, its limit and the value."""
        answer: dict[str, Any] = self.call("desk", "check_signal", signal)
        return answer

    def execute_trade(self, signal: Signal) -> dict[str, Any]:
        """Send a signal through the gate; returns the order's state."""
        answer: dict[str, Any] = self.call("desk", "submit_signal", signal)
        return answer

    def get_portfolio(self) -> dict[str, Any]:
        """Positions, cash and P&L."""
        portfolio: dict[str, Any] = self.call("desk", "portfolio")
        return portfolio

    def get_portfolio_risk_metrics(self) -> dict[str, Any]:
        """Greeks by underlying and in total, limits, breaches, trading state."""
        risk: dict[str, Any] = self.call("risk", "risk")
        return risk

    def set_trading_state(self, state: str, reason: str, by: str = "python") -> dict[str, Any]:
        """ACTIVE, REDUCING or HALTED by hand: "active", "reducing", "halted"."""
        answer: dict[str, Any] = self.call("desk", "set_trading_state", state, by, reason)
        return answer

    # ---- operation

    def set_config(self, path: str, value: object) -> Settings:
        """Change a setting while the system runs: `set_config("risk.max_position_size", 0.05)`. Only the risk group can be changed.

        Raises ConfigurationError, naming the field, and changes nothing when the value does not fit.
        """
        if not path.startswith("risk."):
            raise ConfigurationError(f"{path}: only risk.* can be changed while the system runs")
        changed = self.settings.changed(path, value)
        self.call("desk", "set_risk", changed.risk, "python")
        self.call("risk", "set_limits", changed.risk.max_daily_loss, changed.risk.max_leverage)
        self.settings = changed
        return changed

    def metrics_addresses(self) -> list[str]:
        """Where Prometheus scrapes the gauges: one address a node."""
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return [
            f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            for node in nodes
            if node["Alive"]
        ]

    def health(self) -> dict[str, Any]:
        """Live and ready over all parts."""
        health: dict[str, Any] = self.call("supervisor", "health")
        return health
