"""One function a check: it exercises a part of the running system and says in a few words what it saw, or raises AssertionError."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from gammaray.operations.errors import BadInput, ConfigurationError
from gammaray.types.orders import OrderLeg, Side
from gammaray.types.signals import Purpose, Signal

if TYPE_CHECKING:
    from gammaray.client import TradingSystem
    from gammaray.market.snapshot import ChainSnapshot

Check = Callable[["TradingSystem"], str]


def _underlying(system: TradingSystem) -> str:
    return next(iter(system.start_options_streaming()))


def _snapshot(system: TradingSystem) -> ChainSnapshot:
    snapshot, _ = system.call("desk", "market", _underlying(system))
    found: ChainSnapshot = snapshot
    return found


def _a_call(system: TradingSystem, purpose: Purpose = Purpose.OPEN, qty: int = 1) -> Signal:
    """A plain order for the best quoted call near the money."""
    snapshot = _snapshot(system)
    rows = np.flatnonzero(snapshot.good() & snapshot.table.is_call & (snapshot.tau > 5 / 365))
    row = int(rows[np.argmin(np.abs(snapshot.table.strike[rows] - snapshot.spot))])
    ask = round(float(snapshot.ask[row]) * 100) * 10_000
    leg = (OrderLeg(snapshot.table.symbols[row], Side.BUY),)
    return Signal(
        "verify", snapshot.underlying, snapshot.ts_ns, purpose, leg, qty, ask, f"verify-{snapshot.ts_ns}", 0.5, 0, 0, "", "", "verify"
    )  # fmt: skip


def alpaca_config(_: TradingSystem) -> str:
    """Live needs its switch, keys are named when they are missing, and nothing shows them."""
    from gammaray.venues.alpaca.config import AlpacaSettings

    for variables, named in (({}, "GAMMARAY_ALLOW_LIVE"), ({"GAMMARAY_ALLOW_LIVE": "yes"}, "APCA_API_KEY_ID")):
        try:
            AlpacaSettings.from_environment("live", variables)
        except ConfigurationError as error:
            assert named in str(error), str(error)
        else:
            raise AssertionError(f"live without {named}")
    shown = repr(AlpacaSettings.simulated("http://127.0.0.1:1", key_id="PKSHOWN", secret_key="SECRETSHOWN"))
    assert "SHOWN" not in shown
    return "live switch and missing keys are named; keys are masked"


def logs(system: TradingSystem) -> str:
    """Every log line is JSON that names its run and actor."""
    lines = 0
    for name in ("market", "desk", "drift"):
        for line in (system.folder.logs / f"{name}.log").read_text().splitlines():
            entry = json.loads(line)
            assert entry["run_id"], line
            assert entry["actor"] == name, line
            lines += 1
    assert lines
    return f"{lines} lines"


def errors(system: TradingSystem) -> str:
    """A refusal crosses the actor's border as itself."""
    try:
        system.start_options_streaming(["NOSUCH"])
    except BadInput as error:
        assert error.field == "symbols"
        return str(error)
    raise AssertionError("an unknown symbol was taken")


def metrics(system: TradingSystem) -> str:
    """Ray's Prometheus endpoints export our gauges."""
    import httpx

    wanted = {"ray_gammaray_equity_dollars", "ray_gammaray_quotes", "ray_gammaray_champion_version"}
    for _ in range(20):  # they are exported every few seconds
        seen: set[str] = set()
        for address in system.metrics_addresses():
            text = httpx.get(address, timeout=10).text
            seen |= {name for name in wanted if f"\n{name}{{" in text}
        if seen == wanted:
            return ", ".join(sorted(seen))
        time.sleep(1.0)
    raise AssertionError(f"not exported: {', '.join(sorted(wanted - seen))}")


def health(system: TradingSystem) -> str:
    """Every actor answers."""
    state = system.health()
    assert state["live"], state
    return ", ".join(f"{part['part']} {'ready' if part['ready'] else 'not ready'}" for part in state["parts"])


def configuration(system: TradingSystem) -> str:
    """A good value is in force at once, a bad one changes nothing."""
    before = system.settings.risk.max_position_size
    try:
        system.set_config("risk.max_position_size", 7)
    except ConfigurationError as error:
        refused = str(error)
    else:
        raise AssertionError("a size of 700 % was taken")
    system.set_config("risk.max_position_size", before / 2)
    system.set_config("risk.max_position_size", before)
    return refused


def streaming(system: TradingSystem) -> str:
    """Quotes flow into columnar chains."""
    status = system.start_options_streaming()
    contracts = sum(each["contracts"] for each in status.values())
    assert contracts > 0
    snapshot = _snapshot(system)
    share = float(snapshot.good().mean())
    assert share > 0.5, share
    return f"{contracts} contracts of {', '.join(status)}; {share:.0%} well quoted"


def feature_store(system: TradingSystem) -> str:
    """What was served online is what the store gives for that time, bit for bit."""
    from gammaray.features.store import FeatureStore
    from gammaray.storage.history import History

    window = system.call("market", "feature_window", _underlying(system))
    store = FeatureStore(History(system.folder.history))
    ts_ns, values = store.as_of(_underlying(system), window["version"], window["names"], [2**62])
    if not ts_ns[0]:
        return "no session has closed yet"
    assert np.array_equal(values[0], window["rows"][-1], equal_nan=True)
    return f"{len(window['names'])} features equal"


def data_quality(_: TradingSystem) -> str:
    """Crossed, missing and negative quotes are flagged."""
    from gammaray.market.quality import side_flags
    from gammaray.market.snapshot import Quality

    flags = side_flags(np.array([1.0, 2.0, math.nan, -1.0]), np.array([1.1, 1.9, 1.0, 1.0]))
    assert flags[0] == 0
    assert flags[1] & Quality.CROSSED
    assert flags[2] & Quality.MISSING_BID
    assert flags[3] & Quality.NEGATIVE
    return "crossed, missing, negative"


def history(system: TradingSystem) -> str:
    """Daily records come back as a table."""
    frame = system.get_historical_data(_underlying(system))
    assert len(frame), "no daily records"
    return f"{len(frame)} daily records to {frame.index[-1]}"


def _forecast(system: TradingSystem, model: str) -> str:
    answer = system.predict(model, _underlying(system))
    assert 0.01 < answer["realized_volatility"] < 5.0, answer
    return f"v{answer['version']}: volatility {answer['realized_volatility']:.1%}, implied {answer['iv_change']:+.2%}"


def transformer(system: TradingSystem) -> str:
    """The served transformer answers."""
    return _forecast(system, "transformer")


def lstm(system: TradingSystem) -> str:
    """The served LSTM answers."""
    return _forecast(system, "lstm")


def execution(system: TradingSystem) -> str:
    """An order passes the gate or is denied by a named rule, and has a state that only the table allows."""
    answer = system.execute_trade(_a_call(system))
    assert answer["client_order_id"]
    assert answer["state"] in ("SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "DENIED"), answer
    return f"{answer['client_order_id']} {answer['state']} {answer['rule'] or ''}".rstrip()


def gate(system: TradingSystem) -> str:
    """An absurd size is denied by a named rule with its limit and the value."""
    answer = system.check_order_risk(_a_call(system, qty=1_000_000))
    assert not answer["accepted"], answer
    assert answer["rule"], answer
    return f"{answer['rule']}: {answer['value']} against {answer['limit']}"


def reconciliation(system: TradingSystem) -> str:
    """The books were compared with the venue's and agree."""
    state = next(part for part in system.health()["parts"] if part["part"] == "desk")
    assert state["ready"], state["detail"]
    return "no difference that no rule explains"


def positions(system: TradingSystem) -> str:
    """Cash and positions are exact decimal text."""
    portfolio = system.get_portfolio()
    from gammaray.types.money import to_micros

    to_micros(portfolio["cash"], "cash")
    return f"{len(portfolio['positions'])} positions, equity {portfolio['equity']}"


def risk(system: TradingSystem) -> str:
    """Greeks of the book and the trading state."""
    metrics = system.get_portfolio_risk_metrics()
    assert all(math.isfinite(value) for value in metrics["total"].values())
    return f"{metrics['trading_state']}, delta {metrics['total']['delta_dollars']:,.0f} $"


def hedger(system: TradingSystem) -> str:
    """The delta of the book stays within the limit of leverage."""
    metrics = system.get_portfolio_risk_metrics()
    equity = float(system.get_portfolio()["equity"])
    leverage = abs(metrics["total"]["delta_dollars"]) / equity
    assert leverage <= metrics["limits"]["max_leverage"]
    return f"delta is {leverage:.1%} of equity"


def revaluation(_: TradingSystem) -> str:
    """Full revaluation equals the price of the shocked option."""
    from gammaray.pricing import price
    from gammaray.pricing.scenarios import Positions, Scenarios, revalue

    book = Positions.of("C", 100.0, 100.0, 0.5, 0.01, 0.2, quantity=2.0)
    got = np.atleast_1d(revalue(book, Scenarios.of([-0.1, 0.0], [0.05, 0.0]), reduce="total"))
    change = price("C", 90.0, 100.0, 0.5, 0.01, 0.25) - price("C", 100.0, 100.0, 0.5, 0.01, 0.2)
    assert abs((got[0] - got[1]) - 2 * change) < 1e-9, (got, change)
    return f"{got[0]:.6f}"


def smiles(system: TradingSystem) -> str:
    """SVI on the newest quotes of one expiry."""
    from gammaray.pricing.surface import fit_svi

    snapshot = _snapshot(system)
    piece = max(snapshot.surface, key=lambda one: one.quotes)
    rows = np.flatnonzero(
        (snapshot.table.expiration == piece.expiration) & snapshot.good() & np.isfinite(snapshot.implied_volatility)
    )
    k = np.log(snapshot.table.strike[rows] / piece.forward)
    w = snapshot.implied_volatility[rows] ** 2 * piece.tau
    order = np.argsort(k)
    fitted = fit_svi(k[order], w[order])
    error = float(
        np.sqrt(np.mean((np.sqrt(fitted.total_variance(k) / piece.tau) - snapshot.implied_volatility[rows]) ** 2))
    )
    assert error < 0.02, error
    return f"{len(rows)} quotes, error {1e4 * error:.0f} bp of volatility"


def american(_: TradingSystem) -> str:
    """The converged premium of Andersen, Lake and Offengenden (2015): K = S = 100, r = q = 5 %, σ = 25 %, one year: 0.106952702747."""
    from gammaray.pricing import american_price, price

    arguments = ("P", 100.0, 100.0, 1.0, 0.05, 0.25, 0.05)
    premium = american_price(*arguments, accuracy="high") - price(*arguments)
    assert abs(premium - 0.106952702747) < 1e-7, premium
    return f"premium {premium:.9f}"


def greeks(system: TradingSystem) -> str:
    """Put-call parity of delta."""
    call = system.calculate_option_greeks("C", 100.0, 105.0, 0.25, 0.02, 0.3)
    put = system.calculate_option_greeks("P", 100.0, 105.0, 0.25, 0.02, 0.3)
    assert abs(call.delta - put.delta - 1.0) < 1e-12
    return f"delta {call.delta:.6f}"


def higher_greeks(_: TradingSystem) -> str:
    """Vanna by a difference quotient of delta in volatility."""
    from gammaray.pricing import greeks as all_greeks

    def at(volatility: float) -> float:
        return float(all_greeks("C", 100.0, 105.0, 0.25, 0.02, volatility, order=1).delta)

    third = all_greeks("C", 100.0, 105.0, 0.25, 0.02, 0.3, order=3)
    slope = (at(0.3 + 1e-5) - at(0.3 - 1e-5)) / 2e-5
    assert abs(third.vanna - slope) < 1e-6, (third.vanna, slope)
    return f"vanna {third.vanna:.6f}"


def surface(system: TradingSystem) -> str:
    """The surface of the newest snapshot."""
    snapshot = _snapshot(system)
    assert snapshot.surface, "no surface"
    inside = float(np.mean([piece.inside_share for piece in snapshot.surface]))
    return (
        f"{len(snapshot.surface)} expiries, error {1e4 * snapshot.surface_rmse:.0f} bp, {inside:.0%} inside the spread"
    )


def inference(system: TradingSystem) -> str:
    """Time of a served prediction over HTTP."""
    took = []
    for _ in range(20):
        began = time.perf_counter()
        _forecast(system, "lstm")
        took.append(time.perf_counter() - began)
    return f"median {1e3 * sorted(took)[10]:.0f} ms with the client's own look-ups"


def restarts(system: TradingSystem) -> str:
    """Actors are restartable: the supervisor counts."""
    return ", ".join(f"{part['part']} {part['restarts']}" for part in system.health()["parts"])


def backtest(_: TradingSystem) -> str:
    """Two sessions of the back-test, books equal to the exchange's."""
    import tempfile
    from pathlib import Path

    from gammaray.backtest.run import backtest_folder
    from gammaray.operations.settings import load_settings

    settings = load_settings(
        None, {"run": {"first_day": date(2017, 10, 2), "last_day": date(2017, 10, 3), "steps_per_session": 4}}
    )
    with tempfile.TemporaryDirectory() as folder:
        summary = backtest_folder(settings, Path(folder) / "run")
    assert summary["reconciliation_differences"] == []
    return f"{summary['sessions']} sessions, {summary['quotes']} quotes"


def signals(system: TradingSystem) -> str:
    """Signals carry probability, edge, horizon, model and explanation."""
    wanted = system.generate_trading_signals()
    for signal in wanted:
        assert 0 <= signal.probability <= 1
        assert signal.explanation
        signal.to_order()
    return f"{len(wanted)} wanted now" + (f"; {wanted[0].explanation[:60]}" if wanted else "")


def features(system: TradingSystem) -> str:
    """The newest feature vector."""
    vector = system.calculate_features(_underlying(system))
    return f"{len(vector)} features, {sum(map(math.isfinite, vector.values()))} known"


def analyzer(system: TradingSystem) -> str:
    """The best suggestion for a neutral outlook, analysed."""
    suggestions = system.suggest_option_strategies("neutral")
    assert suggestions, "no suggestion"
    best = suggestions[0]
    assert 0 <= best.analysis.probability_of_profit <= 1
    return f"{best.template}: probability of profit {best.analysis.probability_of_profit:.0%}"


def drift(system: TradingSystem) -> str:
    """Detectors watch every served model."""
    watched = system.drift_monitor.start_monitoring()
    assert watched["monitoring"], "no model is watched"
    return f"{', '.join(watched['monitoring'])}; {watched['drift_events']} events"


def learning(system: TradingSystem) -> str:
    """The loop adapts, or says why not."""
    state = system.continual_learning.start_automated_adaptation()
    assert state["running"]
    return ", ".join(f"{model['name']} {model['phase']}" for model in state["models"])


def champion(system: TradingSystem) -> str:
    """Every model has a champion that is registered and served."""
    models = system.call("drift", "models")
    assert models, "no model"
    for model in models:
        assert model["serving"]["champion"]["version"] == model["champion"], model
        assert model["champion"] in {version["version"] for version in model["versions"]}
    return ", ".join(f"{model['name']} v{model['champion']}" for model in models)


def predictions(system: TradingSystem) -> str:
    """Live errors by version."""
    models = system.call("drift", "models")
    return ", ".join(
        f"{model['name']} {sum(error['count'] for error in model['live_errors'])} joined" for model in models
    )


def fees(_: TradingSystem) -> str:
    """The account's fees so far are part of its figures."""
    portfolio = _.get_portfolio()
    return f"{portfolio['fees']} $"
