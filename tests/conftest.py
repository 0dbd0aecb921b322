"""What every test may use: the shared data folder (skipped with a reason where it is absent), and quiet single-threaded numerics."""

from __future__ import annotations

import os
import socket
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("NO_PROXY", "127.0.0.1,localhost")

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of real market data and reference tables beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared (market data that may not be published with the project)")
    return SHARED


@pytest.fixture
def free_port() -> int:
    """A TCP port on loopback that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
