"""`gammaray`: the command line. Each command lives in its own module and is loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import cast

import click
import typer
from typer.main import get_command

from gammaray import __version__

# name → (module, function, one line of help)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "run": ("gammaray.cli.run", "run", "Run the system on the simulated exchange, Alpaca paper or live."),
    "venue": ("gammaray.cli.venue", "venue", "Serve the simulated exchange on Alpaca's wire."),
    "backtest": ("gammaray.cli.backtest", "backtest", "Run the desk and strategies over history, without a cluster."),
    "verify": ("gammaray.cli.verify", "verify", "Exercise every delivered component against the running system."),
}


class LazyCommands(click.Group):
    """Imports a command's module when the command is used, so that `gammaray --help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(cmd_name)(getattr(importlib.import_module(module), function))
        return cast(click.Command, get_command(app))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table above: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gammaray")
def cli() -> None:
    """A continual-learning options trading system on Ray."""


def main() -> None:
    """Entry point. An error that the operator must mend is one line on stderr and status 2."""
    from gammaray.operations.errors import ConfigurationError

    try:
        cli(prog_name="gammaray")
    except ConfigurationError as error:
        print(f"gammaray: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
