"""The main job: `ray job submit --working-dir . -- python -m jobs.trade [options of gammaray run]`."""

from __future__ import annotations

import sys

from gammaray.cli.main import main as gammaray


def main() -> None:
    """`gammaray run` inside a job: it joins the cluster that runs the job (RAY_ADDRESS)."""
    gammaray(["run", *sys.argv[1:]])


if __name__ == "__main__":
    main()
