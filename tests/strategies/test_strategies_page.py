"""The examples of docs/strategies.md run as written, and its numbers are the defaults."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from gammaray.strategies.delta_hedger import DeltaHedgerSettings
from gammaray.strategies.protocol import MarketView
from gammaray.strategies.variance_premium import VariancePremiumSettings
from gammaray.types.clock import NANOS
from gammaray.types.signals import Purpose

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "strategies.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def run(code, **names):
    exec(compile(code, "docs/strategies.md", "exec"), names)
    return names


def test_the_analysis_example(snap, capsys):
    names = run(EXAMPLES[0], snapshot=snap(), expiry=date(2018, 1, 19))
    assert names["best"].template in capsys.readouterr().out
    assert len(names["analysis"].break_evens) == 2


def test_a_strategy_of_ones_own(snap, book):
    strategy = run(EXAMPLES[1])["WeeklySuggestion"]()
    snapshot = snap()
    market = MarketView(snapshot.ts_ns, snapshot.ts_ns + 3600 * NANOS, {"SPY": snapshot}, {})
    (signal,) = strategy.decide(market, book())
    assert signal.purpose is Purpose.OPEN
    assert signal.to_order("c-1").qty == 1
    assert strategy.decide(market, book((signal, snapshot.ts_ns))) == []


def test_the_numbers_of_the_page_are_the_defaults():
    rules = VariancePremiumSettings()
    assert (rules.sell_below, rules.buy_above, rules.max_iv_rise) == (0.92, 1.10, 0.02)
    assert (rules.open_concession, rules.close_concession, rules.target_days) == (0.5, 0.75, 14)
    assert (rules.risk_share, rules.gamma_share) == (0.02, 0.08)
    assert (rules.profit_share, rules.loss_multiple, rules.debit_loss_share) == (0.6, 2.0, 0.6)
    assert (rules.exit_days, rules.hold_delta) == (3, 0.10)
    assert (rules.max_forecast_age_days, rules.max_forecast_ratio) == (5.0, 8.0)
    assert (DeltaHedgerSettings().band_shares, DeltaHedgerSettings().band_gamma) == (25.0, 0.5)
