"""Compiles the kernels that a run needs and leaves them in numba's cache: `python -m gammaray.verification.warm_up`, once after an installation.

It runs one session of the back-test and feeds the detectors, so that nothing is compiled that is not used. Later starts load the cache.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import numpy as np


def warm_up() -> None:
    """Use what a run uses."""
    from gammaray.backtest.run import backtest_folder
    from gammaray.learning.drift import DriftMonitor
    from gammaray.operations.settings import load_settings

    day = date(2017, 10, 2)
    settings = load_settings(None, {"run": {"first_day": day, "last_day": day, "steps_per_session": 3}})
    with tempfile.TemporaryDirectory(prefix="gammaray-warm-up-") as folder:
        backtest_folder(settings, Path(folder) / "run")

    generator = np.random.default_rng(1)
    monitor = DriftMonitor("warm-up", ("a", "b", "c"))
    monitor.set_reference_features(generator.normal(size=(200, 3)))
    monitor.set_reference_losses(tuple(generator.uniform(0.1, 0.3, 100)))
    for step in range(1, 30):
        monitor.observe_features(step, tuple(generator.normal(size=3)))
        monitor.observe_loss(step, 0.2)


if __name__ == "__main__":
    warm_up()
