"""Makes the virtual environment and installs the locked dependencies; one clear line for what can go wrong.

Runs on the system's Python, before anything is installed: standard library only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from pathlib import Path

MIN_FREE_GIB = 6.0
ROOT = Path(__file__).resolve().parent.parent


def fail(message: str) -> None:
    """Print one line on stderr and leave with status 1."""
    print(f"setup: {message}", file=sys.stderr)
    raise SystemExit(1)


def main() -> None:
    """Create the environment and install into it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    parser.add_argument("--extras", default="dev")
    args = parser.parse_args()

    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        fail(f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}; try: make setup PYTHON=python3.12")
    free_gib = shutil.disk_usage(ROOT).free / 2**30
    if free_gib < MIN_FREE_GIB and not (args.venv / "bin" / "ray").exists():
        fail(f"{MIN_FREE_GIB:.0f} GiB of free disk are needed for the environment, {free_gib:.1f} GiB are free")

    if not (args.venv / "bin" / "python").exists():
        print(f"setup: creating {args.venv}")
        venv.EnvBuilder(with_pip=True).create(args.venv)
    print("setup: installing the locked dependencies (a few minutes the first time)")
    pip = [str(args.venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    command = [*pip, "install", "-q", "-c", "requirements.lock", "-e", f".[{args.extras}]"]
    result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        output = result.stdout + result.stderr
        if any(s in output for s in ("Failed to establish", "Temporary failure in name resolution", "ProxyError")):
            fail("no package index can be reached: check the network, or set PIP_INDEX_URL")
        if "No space left" in output:
            fail("the disk filled up during the installation")
        print(output, file=sys.stderr)
        fail(f"pip failed with status {result.returncode} (its output is above)")
    print("setup: compiling the numerical kernels (a minute, once)")
    warm_up = [str(args.venv / "bin" / "python"), "-m", "gammaray.verification.warm_up"]
    result = subprocess.run(warm_up, cwd=ROOT, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        print(result.stdout + result.stderr, file=sys.stderr)
        fail("the installed library does not run (its output is above)")
    print("setup: done")


if __name__ == "__main__":
    main()
