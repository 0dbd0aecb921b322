"""The example runs as its documentation says and draws its pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_example_draws_smile_density_and_surface(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.smile_and_surface", "--out", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path / "matplotlib")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "0 butterfly, 0 calendar violations" in done.stdout
    for name in ("smile", "density", "surface"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
