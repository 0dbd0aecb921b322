"""Replaces the actors of a running system by new ones with the installed code: `python -m jobs.upgrade --run-dir DIR [--actor NAME …]`.

Detached actors keep the code they were created with, also over restarts. Each one is drained (its state is made durable), ended and created
again under its name; whoever calls it meanwhile waits, as after a crash. The desk reconciles with the venue before it takes orders.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import ray

from actors import names
from actors.calls import call, find
from actors.configuration import ActorConfiguration
from actors.launch import create
from gammaray.operations.errors import ConfigurationError, RetryLater
from gammaray.operations.run_folder import RunFolder

DRAINED = (names.DESK,)
"""Actors that save a snapshot before they go, so that the next start is quick."""
TIMEOUT_S = 60.0


def replace(name: str, configuration: ActorConfiguration) -> float:
    """Replace one actor; returns the seconds during which it was away. Raises RetryLater when the new one does not come up."""
    old = find(name, configuration.namespace)
    if name in DRAINED:
        call(name, configuration.namespace, "checkpoint", timeout_s=TIMEOUT_S)
    began = time.monotonic()
    ray.kill(old, no_restart=True)
    while time.monotonic() - began < TIMEOUT_S:
        try:
            create(name, configuration)
            break
        except ValueError:
            time.sleep(0.05)  # the name is still taken by the one that is going
    else:
        raise RetryLater(f"the name {name} was not freed within {TIMEOUT_S:.0f} s")
    call(name, configuration.namespace, "health", timeout_s=TIMEOUT_S)
    return time.monotonic() - began


def main() -> None:
    """Command line of the job."""
    parser = argparse.ArgumentParser(prog="jobs.upgrade", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--actor", action="append", choices=names.ALL, help="only this one; may be repeated")
    args = parser.parse_args()
    folder = RunFolder(args.run_dir.resolve())
    configuration = ActorConfiguration.of_run(folder)
    if not ray.is_initialized():
        endpoints = json.loads(folder.endpoints.read_text())
        try:
            ray.init(address=endpoints["ray_address"], namespace=configuration.namespace, log_to_driver=False)
        except (ConnectionError, RuntimeError) as error:
            raise ConfigurationError(f"no Ray cluster answers at {endpoints['ray_address']}: {error}") from None
    for name in args.actor or names.ALL:
        print(f"{name}: replaced in {replace(name, configuration):.1f} s")


if __name__ == "__main__":
    main()
