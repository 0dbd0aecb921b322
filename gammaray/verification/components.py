"""Every component that the product owes, the module that does it, and how far it is. `docs/components.md` is written from this table.

A component is PART when it works but not everything that is asked of it is there; `note` says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How far a component is."""

    BUILT = "built"
    PART = "in part"
    NONE = "not built"


@dataclass(frozen=True, slots=True)
class Component:
    """A row. `check` names the function of `gammaray.verification.checks` that exercises it, empty for what is not built."""

    phase: str
    name: str
    module: str
    state: State
    check: str = ""
    note: str = ""


def _rows(phase: str, *rows: tuple[str, str, State, str, str]) -> tuple[Component, ...]:
    return tuple(Component(phase, name, module, state, check, note) for name, module, state, check, note in rows)


B, P, N = State.BUILT, State.PART, State.NONE

COMPONENTS: tuple[Component, ...] = (
    *_rows(
        "1 core infrastructure",
        ("AlpacaConfig", "venues/alpaca/config.py: AlpacaSettings", B, "alpaca_config", ""),
        (
            "UnifiedLogger",
            "operations/logs.py: configure_logs",
            P,
            "logs",
            "order and model ids are in the lines, not bound through every hop",
        ),
        (
            "UnifiedErrorHandler",
            "operations/errors.py: GammaRayError",
            P,
            "errors",
            "one tree and retries; circuit breakers are missing",
        ),
        (
            "MonitoringSystem",
            "actors/metrics.py: Gauges",
            P,
            "metrics",
            "gauges of market, desk and drift; alert rules and dashboards are missing",
        ),
        (
            "HealthCheckSystem",
            "operations/health.py, actors/supervisor.py",
            P,
            "health",
            "actors and feeds; stores are missing",
        ),
        (
            "ConfigurationManager",
            "operations/settings.py: Settings",
            P,
            "configuration",
            "changes while running, by set_config; no reload of the file",
        ),
        ("SecretsManager", "", N, "", "keys come from the environment"),
    ),
    *_rows(
        "2 data pipeline",
        (
            "RealtimeOptionsChainCollector",
            "features/observer.py: MarketObserver, market/chain.py: ChainState",
            B,
            "streaming",
            "",
        ),
        ("KafkaStreamingPipeline", "", N, "", ""),
        ("FeatureStore", "features/store.py: FeatureStore", B, "feature_store", ""),
        ("DataQualityValidator", "market/quality.py", P, "data_quality", "the hot path; batch schemas are missing"),
        ("HistoricalDataManager", "storage/history.py: History", P, "history", "local disk; one importer"),
        ("CDCIntegration", "", N, "", ""),
        ("ApacheFlinkProcessor", "", N, "", ""),
    ),
    *_rows(
        "3 models",
        (
            "TransformerOptionsModel",
            "models/networks.py",
            P,
            "transformer",
            "two heads; daily windows of one underlying",
        ),
        ("LSTMSequentialModel", "models/networks.py", P, "lstm", "two heads; daily windows of one underlying"),
        ("HybridLSTMMLPModel", "", N, "", ""),
        ("PINNOptionPricer", "", N, "", ""),
        ("EnsembleModelSystem", "", N, "", "the desk trades on the models' mean"),
        ("MultiTaskLearningFramework", "", N, "", ""),
        ("ExplainableAI", "", N, "", ""),
        ("GraphNeuralNetworkOptions", "", N, "", ""),
        ("ReinforcementLearningAgent", "", N, "", ""),
        ("GenerativeMarketScenarios", "", N, "", ""),
    ),
    *_rows(
        "4 execution and trading",
        ("OptionExecutionEngine", "desk/desk.py: Desk, desk/session.py: DeskSession", B, "execution", ""),
        ("ExecutionAlgorithmSuite", "", N, "", ""),
        ("SmartOrderRouter", "", N, "", ""),
        ("OrderBookAnalyzer", "", N, "", ""),
        ("TradeReconciliationSystem", "desk/reconciliation.py", B, "reconciliation", ""),
        ("PositionManager", "desk/core/ledger.py", P, "positions", "splits and adjusted contracts are missing"),
        ("PortfolioOptimizationEngine", "", N, "", ""),
    ),
    *_rows(
        "5 risk",
        (
            "RealtimeRiskMonitoringSystem",
            "risk/exposure.py, risk/limits.py, actors/risk.py",
            P,
            "risk",
            "greeks, limits, trading states; concentration and liquidity are missing",
        ),
        (
            "VaRCalculator",
            "pricing/scenarios.py: revalue",
            P,
            "revaluation",
            "the revaluation kernel; the estimators and their tests are missing",
        ),
        (
            "StressTestingFramework",
            "pricing/scenarios.py: revalue",
            P,
            "revaluation",
            "the revaluation kernel; the library of crises is missing",
        ),
        (
            "GreeksBasedHedgingEngine",
            "strategies/delta_hedger.py: DeltaHedger",
            P,
            "hedger",
            "delta in shares with a band",
        ),
        ("MarketRegimeDetectionSystem", "", N, "", ""),
        ("StrategyPLAttributionSystem", "", N, "", ""),
        ("CrossAssetCorrelationAnalysis", "", N, "", ""),
        ("AutomatedModelMonitoringDashboard", "", N, "", "GET /v1/models and /v1/drift have its figures"),
    ),
    *_rows(
        "6 advanced features",
        ("VolatilitySmileModel", "pricing/surface: fit_svi, fit_sabr", B, "smiles", ""),
        ("AmericanOptionsPricer", "pricing/american.py: american_price", B, "american", ""),
        ("HigherOrderGreeksCalculator", "pricing/european.py: greeks(order=3)", B, "higher_greeks", ""),
        ("ImpliedVolatilitySurfaceFitter", "pricing/surface: VolatilitySurface", B, "surface", ""),
        ("SentimentAnalysisPipeline", "", N, "", ""),
        ("AlternativeDataIntegrator", "", N, "", ""),
        (
            "LowLatencyInferenceEndpoint",
            "apps/api.py, models/serving.py: ForecastServer",
            P,
            "inference",
            "HTTP; gRPC is missing",
        ),
        ("DynamicFeatureEngineeringPipeline", "", N, "", ""),
    ),
    *_rows(
        "7 production",
        ("KubernetesDeployment", "", N, "", ""),
        ("DistributedTrainingFramework", "", N, "", "training is one Ray job with one worker"),
        ("BackupRecoverySystem", "", N, "", ""),
        ("ComplianceAuditSystem", "", N, "", "the journal is append-only with a running checksum"),
        (
            "ProductionDeploymentScripts",
            "cluster.yaml, serve_config.yaml, jobs/upgrade.py",
            P,
            "",
            "validated offline; never run on a cloud",
        ),
        ("MultiRegionFailoverSystem", "", N, "", ""),
        ("PerformanceOptimizationSuite", "benchmarks/", P, "", "benchmarks; no profiles, no quantisation"),
    ),
    *_rows(
        "8 advanced production features",
        ("RealTimePnLAttribution", "", N, "", ""),
        ("MarketImpactPredictor", "", N, "", ""),
        ("SignalProcessor", "", N, "", ""),
        ("SmartLiquidityAggregation", "", N, "", ""),
        ("OptionsMarketMakingSystem", "", N, "", ""),
        ("ReportingSystem", "", N, "", ""),
        ("CrossExchangeArbitrageEngine", "", N, "", ""),
        ("QuantumPortfolioOptimizer", "", N, "", ""),
    ),
    *_rows(
        "high-priority items",
        (
            "Automated recovery",
            "actors/calls.py, jobs/trading_run.py, desk/session.py",
            P,
            "restarts",
            "actors, replicas, exchange; stores are missing",
        ),
        (
            "Integrated backtesting",
            "backtest/engine.py: run_backtest",
            P,
            "backtest",
            "one underlying by default; no tear sheet yet",
        ),
        (
            "Robust backtesting",
            "backtest/engine.py: run_backtest",
            P,
            "backtest",
            "look-ahead check and evaluation are missing",
        ),
        ("System performance dashboard", "", N, "", "Ray's dashboard"),
        ("Performance monitoring", "", N, "", ""),
        (
            "Unified data interface",
            "venues/protocol.py: MarketDataVenue",
            P,
            "streaming",
            "one provider; no failover between providers",
        ),
        ("End-to-end trading signals", "strategies/variance_premium.py, strategies/trader.py", B, "signals", ""),
        ("Real-time options pipeline", "features/observer.py, actors/market.py", B, "streaming", ""),
        ("Feature engineering (100+)", "features/daily.py", P, "features", "daily features only, fewer than 100"),
        ("Greeks calculator", "pricing/european.py: greeks", B, "greeks", ""),
        (
            "Multi-leg strategy analyzer",
            "strategies/multileg.py",
            P,
            "analyzer",
            "at the first expiry; no spot × volatility × time grid",
        ),
        ("Drift detection", "learning/drift.py: DriftMonitor", P, "drift", "daily windows, not five minutes"),
        (
            "Continual learning pipeline",
            "learning/retrain.py, learning/replay.py",
            P,
            "learning",
            "replay and EWC; forgetting and transfer are not measured yet",
        ),
        ("Automated retraining", "learning/loop.py: LearningLoop, jobs/retrain.py", B, "learning", ""),
        ("Champion-challenger", "learning/promotion.py: PairedLossTest, models/serving.py", B, "champion", ""),
        (
            "Walk-forward validation",
            "learning/retrain.py",
            P,
            "learning",
            "the gate of a retraining; combinatorial purged validation is missing",
        ),
        (
            "Model performance evaluation",
            "learning/predictions.py: PredictionLog",
            P,
            "predictions",
            "live errors by version; deflated figures are missing",
        ),
        (
            "Transaction cost modeling",
            "venues/simulated/fees.py",
            P,
            "fees",
            "the exchange's fees by dated schedule; no model of slippage",
        ),
        ("Market impact models", "", N, "", ""),
        ("Survivorship bias handler", "", N, "", ""),
        ("Risk management integration", "desk/gate.py, desk/core/gate.py", B, "gate", ""),
        (
            "Model registry & deployment",
            "learning/registry.py: MlflowRegistry, actors/serving.py",
            P,
            "champion",
            "not shown at 100 models",
        ),
    ),
)


def components_document() -> str:
    """The text of docs/components.md."""
    counts = {state: sum(component.state is state for component in COMPONENTS) for state in State}
    lines = [
        "# Components",
        "",
        "Written by `python -m gammaray.verification.components`; a test keeps it current. `gammaray verify` exercises every row that has a check.",
        "",
        f"{len(COMPONENTS)} rows: {counts[State.BUILT]} built, {counts[State.PART]} in part, {counts[State.NONE]} not built.",
    ]
    phase = ""
    for component in COMPONENTS:
        if component.phase != phase:
            phase = component.phase
            lines += ["", f"## Phase {phase}" if phase[0].isdigit() else f"## {phase.capitalize()}", ""]
            lines += [
                "| component | state | where (under gammaray/ unless it says otherwise) | missing |",
                "|---|---|---|---|",
            ]
        lines.append(f"| {component.name} | {component.state} | {component.module or '–'} | {component.note or ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(components_document(), end="")
