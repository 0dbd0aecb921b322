"""The folder that a back-test leaves: figures, the equity curve as numbers and as a picture."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from gammaray.backtest.engine import BacktestResult
from gammaray.operations.run_folder import write_atomically
from gammaray.types.clock import format_ns, to_datetime
from gammaray.types.money import format_micros, to_dollars

_MONEY = ("equity", "cash", "realized_pnl", "unrealized_pnl", "fees")
SESSIONS_A_YEAR = 252


def figures(result: BacktestResult) -> dict[str, Any]:
    """Figures of a result. The Sharpe ratio is annual, of daily equity changes, without a riskless rate; None with fewer than 20 days."""
    equity = np.array([to_dollars(point.equity) for point in result.equity])
    closes = _session_closes(result)
    returns = np.diff(closes) / closes[:-1]
    peak = np.maximum.accumulate(equity)
    deviation = float(returns.std(ddof=1)) if len(returns) >= 20 else 0.0
    totals = result.totals
    return {
        "market_from": format_ns(result.equity[0].ts_ns),
        "market_to": format_ns(result.equity[-1].ts_ns),
        "sessions": result.sessions,
        "quotes": result.quotes,
        "orders_by_state": totals["orders_by_state"],
        "denials_by_rule": totals["denials_by_rule"],
        "fills": totals["executions"],
        "multi_leg_fills": totals["multi_leg_fills"],
        **{name: format_micros(totals[name]) for name in _MONEY},
        "return": float(equity[-1] / equity[0] - 1.0),
        "max_drawdown": float(np.max(1.0 - equity / peak)),
        "sharpe": float(returns.mean() / deviation * np.sqrt(SESSIONS_A_YEAR)) if deviation > 0 else None,
        "reconciliation_differences": list(result.differences),
        "journal_sha256": result.journal_sha256,
    }


def _session_closes(result: BacktestResult) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    by_day = {to_datetime(point.ts_ns).date(): to_dollars(point.equity) for point in result.equity}
    return np.array(list(by_day.values()))


def write_report(result: BacktestResult, folder: Path, title: str) -> dict[str, Any]:
    """Write summary.json, equity.csv and equity.png; returns the figures."""
    summary = figures(result)
    with (folder / "equity.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "equity", "cash", "positions", "dollar_delta"])
        for point in result.equity:
            writer.writerow(
                [
                    format_ns(point.ts_ns),
                    format_micros(point.equity),
                    format_micros(point.cash),
                    point.positions,
                    format_micros(point.dollar_delta),
                ]
            )
    _plot(result, folder / "equity.png", title)
    write_atomically(folder / "summary.json", json.dumps(summary, indent=2))
    return summary


def _plot(result: BacktestResult, path: Path, title: str) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    times = [to_datetime(point.ts_ns) for point in result.equity]
    equity = np.array([to_dollars(point.equity) for point in result.equity])
    drawdown = 100.0 * (equity / np.maximum.accumulate(equity) - 1.0)
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(10, 7), sharex=True, height_ratios=(3, 1, 1), layout="constrained"
    )
    top.plot(times, equity, linewidth=1.2)
    top.set_ylabel("equity ($)")
    top.set_title(title)
    middle.fill_between(times, drawdown, 0.0, step="post", alpha=0.5, color="tab:red")
    middle.set_ylabel("drawdown (%)")
    bottom.plot(
        times, [to_dollars(point.dollar_delta) / 1e3 for point in result.equity], linewidth=0.8, color="tab:green"
    )
    bottom.set_ylabel("delta (k$)")
    for axis in (top, middle, bottom):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
