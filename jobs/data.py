"""The history that models learn from: imported once into a run's folder, read back as a training set."""

from __future__ import annotations

from datetime import timedelta

from gammaray.features.training import training_frame
from gammaray.models.dataset import TrainingSet
from gammaray.operations.run_folder import RunFolder
from gammaray.operations.settings import ScenarioKind, Settings, VenueKind
from gammaray.storage.history import History
from gammaray.storage.history_import import import_spy


def learns_from_history(settings: Settings) -> bool:
    """Whether a run's underlying is SPY at a time that the imported history leads up to."""
    run = settings.run
    return run.venue is VenueKind.SIMULATED and run.scenario is ScenarioKind.HISTORY


def import_history(settings: Settings, folder: RunFolder) -> int:
    """Import the S&P 500 and VIX up to the day before the run starts: nothing later may be known. Returns how many records were new."""
    last = settings.run.first - timedelta(days=1)
    return import_spy(History(folder.history), settings.learning.initial_first_day, last)


def training_set(folder: RunFolder, until_ns: int, underlying: str = "SPY") -> TrainingSet:
    """Everything that was known at `until_ns`, as models take it."""
    frame = training_frame(History(folder.history), until_ns, underlying=underlying)
    return TrainingSet.from_frame(frame, until_ns)
