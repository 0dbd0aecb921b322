"""A cluster that takes no jobs makes a retraining fail; it does not take the drift actor with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.retraining_jobs import RetrainingJobs
from gammaray.learning.retrain import RESULT_FILE, RetrainResult, RetrainSpec, RetrainStatus
from gammaray.operations.run_folder import RunFolder

SPEC = RetrainSpec("retrain-lstm-0001", "lstm", "1", 5, 7)


def test_a_refused_job_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = RetrainingJobs("http://127.0.0.1:9", RunFolder(tmp_path), "run")
    asked = []

    def refuse(spec: RetrainSpec, path: Path) -> None:
        asked.append(RetrainSpec.from_json(path.read_text()) == spec)
        raise RuntimeError("No available agent to submit job, please try again later")

    monkeypatch.setattr(jobs, "_submit", refuse)
    monkeypatch.setattr("time.sleep", lambda _: None)
    jobs.start(SPEC)
    assert asked == [True] * 6
    assert jobs.pending == {"retrain-lstm-0001": "lstm"}
    outcome = jobs.outcome("retrain-lstm-0001")
    assert outcome is not None
    assert outcome.status is RetrainStatus.FAILED
    assert "No available agent" in outcome.reason
    assert jobs.pending == {}


def test_a_result_on_disk_ends_a_job(tmp_path: Path) -> None:
    jobs = RetrainingJobs("http://127.0.0.1:9", RunFolder(tmp_path), "run")
    jobs.pending["retrain-lstm-0001"] = "lstm"
    folder = RunFolder(tmp_path).learning / "jobs" / "retrain-lstm-0001"
    folder.mkdir(parents=True)
    result = RetrainResult("retrain-lstm-0001", "lstm", RetrainStatus.REGISTERED, "2", "gate passed")
    (folder / RESULT_FILE).write_text(result.to_json())
    outcome = jobs.outcome("retrain-lstm-0001")
    assert outcome is not None
    assert (outcome.status, outcome.version, jobs.pending) == (RetrainStatus.REGISTERED, "2", {})
