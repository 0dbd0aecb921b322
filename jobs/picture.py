"""The picture of a run that is shown while it works."""

from __future__ import annotations

from actors.messages import DeskReport, LearningReport
from gammaray.operations.progress import Progress
from gammaray.risk.exposure import Exposure


def picture(
    report: DeskReport, total: Exposure, learning: LearningReport | None, done: float, restarts: int
) -> Progress:
    """The run after a step; `total` is the exposure of the whole book."""
    totals = report.totals
    drift = learning.drift_events if learning else ()
    return Progress(
        market_ns=report.step.ts_ns,
        done=done,
        underlyings=report.market.spots,
        contracts=report.market.contracts,
        quotes=report.market.quotes,
        surface_rmse=report.market.surface_rmse,
        positions=len(report.book.positions),
        working_orders=len(report.book.working_orders),
        orders_by_state=totals["orders_by_state"],
        trading_state=report.book.trading_state.value,
        equity=report.book.equity,
        realized_pnl=totals["realized_pnl"],
        unrealized_pnl=totals["unrealized_pnl"],
        fees=totals["fees"],
        delta=total.delta_dollars,
        gamma=total.gamma,
        vega=total.vega,
        theta_per_day=total.theta_per_day,
        models=learning.models if learning else (),
        drift_events=len(drift),
        last_drift=f"{drift[-1]['model']} {drift[-1]['detector']} {drift[-1]['market_time'][:10]}" if drift else "",
        retraining_jobs=len(learning.retraining_jobs) if learning else 0,
        retraining=", ".join(learning.pending) if learning else "",
        restarts=restarts,
    )
