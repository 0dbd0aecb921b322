"""Live progress: a table that refreshes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gammaray.operations.progress import Progress, ProgressView
from gammaray.types.calendar import NEW_YORK
from gammaray.types.clock import to_datetime
from gammaray.types.money import format_dollars

PLAIN_INTERVAL_S = 5.0


def progress_view(stream: TextIO) -> ProgressView:
    """The view that fits the stream."""
    return TableView(stream) if stream.isatty() else PlainView(stream)


def _market_time(ns: int) -> str:
    return f"{to_datetime(ns).astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York" if ns else "–"


def _models(progress: Progress) -> str:
    parts = []
    for model in progress.models:
        text = f"{model.name} v{model.champion}"
        if model.challenger:
            share = f"{model.traffic_percentage:.0f} %" if model.traffic_percentage else "shadow"
            text += f" | challenger v{model.challenger} {share}"
        parts.append(f"{text} ({model.phase})")
    return "; ".join(parts) or "–"


def rows(progress: Progress) -> list[tuple[str, str]]:
    """Label and value of every line of the table."""
    spots = "  ".join(f"{name} {spot:.2f}" for name, spot in progress.underlyings.items())
    states = "  ".join(f"{state} {count}" for state, count in sorted(progress.orders_by_state.items()))
    return [
        ("market time", _market_time(progress.market_ns)),
        ("underlyings", spots or "–"),
        ("contracts · quotes", f"{progress.contracts:,} · {progress.quotes:,}"),
        ("surface error", f"{1e4 * progress.surface_rmse:.1f} bp of volatility"),
        ("orders", states or "none"),
        ("positions · working", f"{progress.positions} · {progress.working_orders}   {progress.trading_state}"),
        (
            "greeks ($)",
            f"Δ {progress.delta:,.0f}  Γ {progress.gamma:,.1f}  vega {progress.vega:,.0f}  Θ/day {progress.theta_per_day:,.0f}",
        ),
        (
            "P&L ($)",
            (
                f"realised {format_dollars(progress.realized_pnl)}  unrealised {format_dollars(progress.unrealized_pnl)}"
                f"  fees {format_dollars(progress.fees)}  equity {format_dollars(progress.equity)}"
            ),
        ),
        ("models", _models(progress)),
        ("drift", f"{progress.drift_events} events  {progress.last_drift}".rstrip()),
        ("retraining", f"{progress.retraining_jobs} jobs  {progress.retraining}".rstrip()),
        ("restarts", str(progress.restarts)),
    ]


class TableView:
    """A table that refreshes in place; stages and events scroll above it."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._live: Live | None = None

    def stage(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}")

    def update(self, progress: Progress) -> None:
        """Draw the newest picture."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column()
        for label, value in rows(progress):
            table.add_row(label, Text(value))
        bar = ProgressBar(total=1.0, completed=progress.done, width=60)
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=False)
            self._live.start()
        self._live.update(Group(bar, table))

    def close(self) -> None:
        """Leave the last table on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None


class PlainView:
    """One line every few seconds, for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = 0.0

    def stage(self, text: str) -> None:
        """Print a line."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=self._stream, flush=True)

    def update(self, progress: Progress) -> None:
        """Print the state now and then."""
        if time.monotonic() - self._last < PLAIN_INTERVAL_S:
            return
        self._last = time.monotonic()
        spots = " ".join(f"{name} {spot:.2f}" for name, spot in progress.underlyings.items())
        orders = sum(progress.orders_by_state.values())
        self.stage(
            f"{_market_time(progress.market_ns)}  {100 * progress.done:.0f} %  {spots}  orders {orders}"
            f"  positions {progress.positions}  equity {format_dollars(progress.equity)}"
            f"  drift {progress.drift_events}  retrainings {progress.retraining_jobs}  {_models(progress)}"
        )

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[float, object], None]]:
    """A bar on a terminal, nothing elsewhere; yields a function that takes the share done (and anything else, which it ignores)."""
    with RichProgress(
        TextColumn(label),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        disable=not sys.stderr.isatty(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda done, _: bar.update(task, completed=done)
