"""`gammaray venue`: the simulated exchange, speaking Alpaca's wire."""

from __future__ import annotations

import logging
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer


def venue(
    port: Annotated[int, typer.Option(help="TCP port; 0 takes any free one and prints it.")] = 8700,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 7,
    scenario: Annotated[str, typer.Option(help="history (real S&P 500 and VIX) or synthetic.")] = "history",
    data: Annotated[
        Path | None, typer.Option(help="Folder of recorded quotes to replay instead of a scenario.")
    ] = None,
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First session.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last session.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Market seconds a wall second; without it the clock waits for the admin API.")
    ] = None,
    profile: Annotated[str, typer.Option(help="paper or live: when fees and non-trade activities show.")] = "paper",
    cash: Annotated[int, typer.Option(help="Starting cash of the account in dollars.")] = 1_000_000,
    fees: Annotated[bool, typer.Option("--fees", help="Charge fees on the paper profile too.")] = False,
    delayed_activities: Annotated[
        bool,
        typer.Option("--delayed-activities", help="Show non-trade activities on the next day, as Alpaca paper does."),
    ] = False,
    journal: Annotated[Path | None, typer.Option(help="File that keeps the state over a kill -9 and restart.")] = None,
    steps_per_session: Annotated[int, typer.Option(help="Publications a session.")] = 13,
    admin_token: Annotated[str, typer.Option(envvar="GAMMARAY_ADMIN_TOKEN", help="Token for /admin.")] = "",
    key_id: Annotated[str, typer.Option(envvar="GAMMARAY_VENUE_KEY_ID", help="API key id to accept.")] = "PKSIMULATED",
    secret_key: Annotated[
        str, typer.Option(envvar="GAMMARAY_VENUE_SECRET_KEY", show_default=False, help="Secret key to accept.")
    ] = "simulated",
    rate_limit: Annotated[int, typer.Option(help="Requests a minute; 0: no limit (Alpaca: 200).")] = 0,
) -> None:
    """Serve a simulated exchange: REST, streams and an admin API on one port (docs/venue.md)."""
    from gammaray.operations.errors import ConfigurationError
    from gammaray.venues.simulated.server import VenueSettings, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        serve(
            VenueSettings(
                host=host,
                port=port,
                seed=seed,
                scenario=scenario,
                data=data,
                first=None if first is None else first.date(),
                last=None if last is None else last.date(),
                steps_per_session=steps_per_session,
                speed=speed,
                profile=profile,
                cash_dollars=cash,
                fees=fees,
                delayed_activities=delayed_activities,
                journal=journal,
                admin_token=admin_token,
                key_id=key_id,
                secret_key=secret_key,
                requests_per_minute=rate_limit,
            )
        )
    except (ConfigurationError, ValueError) as error:
        typer.echo(f"venue: {error}", err=True)
        raise typer.Exit(2) from None
    except sqlite3.Error as error:
        typer.echo(f"venue: journal: {journal}: {error}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(venue)
