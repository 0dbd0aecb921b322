"""The simulated exchange as a child process of the run: started, watched, started again from its journal, ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from gammaray.operations.errors import ConfigurationError, RetryLater
from gammaray.operations.logs import get_logger
from gammaray.operations.run_folder import RunFolder
from gammaray.operations.settings import RunSettings, ScenarioKind, Settings
from gammaray.venues.alpaca.config import AlpacaSettings

START_TIMEOUT_S = 60.0
_log = get_logger("jobs.venue_process")


def venue_arguments(run: RunSettings, port: int, journal: Path) -> list[str]:
    """Arguments of `gammaray venue` for a run. The clock waits for the run's steps: it moves only when told."""
    arguments = [
        "venue",
        "--port",
        str(port),
        "--seed",
        str(run.seed),
        "--steps-per-session",
        str(run.steps_per_session),
        "--cash",
        str(run.starting_cash_dollars),
        "--fees",
        "--journal",
        str(journal),
    ]
    if run.scenario is ScenarioKind.REPLAY:
        arguments += ["--data", str(run.data_dir)]
    else:
        arguments += ["--scenario", run.scenario.value]
    # Without a date the scenario has its own.
    if run.first_day is not None:
        arguments += ["--from", run.first_day.isoformat()]
    if run.last_day is not None:
        arguments += ["--to", run.last_day.isoformat()]
    return arguments


class VenueProcess:
    """Owns the exchange's process. `url` stays the same over restarts."""

    def __init__(self, run: RunSettings, folder: RunFolder, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.restarts = 0
        self._command = [sys.executable, "-m", "gammaray.cli.main", *venue_arguments(run, port, folder.venue_journal)]
        self._log_path = folder.logs / "venue.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while one was started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process without waiting for it."""
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the run, which then ends this process itself
            )

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the exchange answers. Raises ConfigurationError with its last words when it ended instead."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ConfigurationError(f"venue: the exchange ended at its start: {self._last_words()}")
            try:
                if httpx.get(f"{self.url}/admin/clock", timeout=2.0).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise ConfigurationError(f"venue: the exchange did not answer within {timeout_s:.0f} s: {self._last_words()}")

    def ensure_alive(self) -> bool:
        """Start the process again from its journal if it died. Returns whether it had to."""
        if self._process is not None and self._process.poll() is None:
            return False
        self.restarts += 1
        _log.warning(
            "venue_restarted", restarts=self.restarts, exit_status=self._process.poll() if self._process else None
        )
        self.start()
        try:
            self.wait_ready()
        except ConfigurationError as error:
            raise RetryLater(str(error)) from error
        return True

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the process: first asked, then killed."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        lines = self._log_path.read_text(errors="replace").strip().splitlines() if self._log_path.exists() else []
        return lines[-1] if lines else "(no output)"


def underlyings(settings: Settings, venue_url: str) -> tuple[str, ...]:
    """What to trade: the settings' list, else everything optionable on the simulated exchange, else SPY."""
    if settings.run.underlyings:
        return settings.run.underlyings
    if not venue_url:
        return ("SPY",)
    venue = AlpacaSettings.simulated(venue_url)
    response = httpx.get(
        f"{venue_url}/v2/assets",
        params={"status": "active", "attributes": "has_options"},
        headers={
            "APCA-API-KEY-ID": venue.key_id.get_secret_value(),
            "APCA-API-SECRET-KEY": venue.secret_key.get_secret_value(),
        },
        timeout=30.0,
    )
    response.raise_for_status()
    return tuple(sorted(row["symbol"] for row in response.json()))
