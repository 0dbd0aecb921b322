"""`gammaray verify`: every component in a table, each exercised against a running system."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def verify(
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder of a running system; without it a short local one is started.")
    ] = None,
    only_built: Annotated[bool, typer.Option("--only-built", help="Leave out what is not built.")] = False,
) -> None:
    """Exercise every delivered component and print what was seen. The exit status is 1 when a check fails."""
    from gammaray.client import TradingSystem
    from gammaray.verification import checks
    from gammaray.verification.components import COMPONENTS, State

    console = Console()
    with ExitStack() as stack:
        if run_dir is not None:
            system = TradingSystem.connect(run_dir)
        else:
            console.print("starting a local system (about a minute) …")
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gammaray-verify-"))
            system = TradingSystem(
                run_dir=Path(folder) / "run",
                first_day=date(2018, 1, 2),
                last_day=date(2018, 3, 29),
                free_running=True,
                speed=600.0,
            )
        stack.enter_context(system)
        _wait_for_market(system)
        results: dict[str, tuple[bool, str]] = {}
        table = Table("component", "state", "seen", title="gammaray verify", show_lines=False)
        for component in COMPONENTS:
            if component.state is State.NONE and only_built:
                continue
            if not component.check:
                table.add_row(component.name, component.state.value, f"[dim]{component.note}[/dim]")
                continue
            if component.check not in results:
                results[component.check] = _exercise(getattr(checks, component.check), system)
            passed, seen = results[component.check]
            mark = "[green]✓[/green]" if passed else "[red]✗[/red]"
            table.add_row(component.name, component.state.value, f"{mark} {seen}")
        console.print(table)
    failed = [name for name, (passed, _) in results.items() if not passed]
    console.print(f"{len(results) - len(failed)} checks passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


def _exercise(check: object, system: object) -> tuple[bool, str]:
    assert callable(check)
    try:
        return True, str(check(system))
    except Exception as error:  # noqa: BLE001 - one broken component must not hide the others
        return False, f"{type(error).__name__}: {error}"


def _wait_for_market(system: object, timeout_s: float = 90.0) -> None:
    """Wait until the desk has seen a market in an open session."""
    from gammaray.client import TradingSystem
    from gammaray.operations.errors import GammaRayError

    assert isinstance(system, TradingSystem)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            snapshot, _ = system.call("desk", "market", next(iter(system.start_options_streaming())))
            if snapshot.session_open and snapshot.surface:
                return
        except (GammaRayError, StopIteration):
            pass
        time.sleep(0.2)
    raise typer.BadParameter("the system showed no open market in time", param_hint="run_dir")
