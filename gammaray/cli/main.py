"""`gammaray`: the command line. Each command lives in its own module and is loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from gammaray.version import __version__

# name → (module, function, one line of help)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "run": ("gammaray.cli.run", "run", "Run the system on the simulated exchange, Alpaca paper or live."),
    "venue": ("gammaray.cli.venue", "venue", "Serve the simulated exchange on Alpaca's wire."),
    "backtest": ("gammaray.cli.backtest", "backtest", "Run the desk and strategies over history, without a cluster."),
    "verify": ("gammaray.cli.verify", "verify", "Exercise every delivered component against the running system."),
}


class LazyCommands(TyperGroup):
    """Imports a command's module when the command is used, so that `gammaray --help` is instant."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(cmd_name)(getattr(importlib.import_module(module), function))
        return get_command(app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands, from the table above: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


app = typer.Typer(
    cls=LazyCommands,
    name="gammaray",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gammaray {__version__}")
        raise typer.Exit


@app.callback()
def cli(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """A continual-learning options trading system on Ray."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point. An error that the operator must mend is one line on stderr and status 2."""
    from gammaray.operations.errors import ConfigurationError

    try:
        app(arguments, prog_name="gammaray")
    except ConfigurationError as error:
        print(f"gammaray: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
