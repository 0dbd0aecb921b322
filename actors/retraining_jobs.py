"""Retraining as Ray jobs: submitted once under a fixed id, followed until they leave a result."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import stamina

from gammaray.learning.retrain import RESULT_FILE, RetrainResult, RetrainSpec, RetrainStatus
from gammaray.operations.run_folder import RunFolder, write_atomically


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended. `result` is None when it left none (it could not start, or was killed)."""

    status: RetrainStatus
    reason: str
    result: RetrainResult | None = None
    version: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


class RetrainingJobs:
    """Jobs of one run. Submitting an id again is a success: after a restart nothing runs twice."""

    def __init__(self, dashboard_url: str, folder: RunFolder, run_id: str) -> None:
        self._dashboard_url = dashboard_url
        self._folder = folder
        self._run_id = run_id
        self.pending: dict[str, str] = {}
        """Model of each job that is not over."""
        self._refused: dict[str, str] = {}

    def start(self, spec: RetrainSpec) -> None:
        """Write the specification and submit the job. A cluster that does not take it in several attempts makes the job a failed one."""
        folder = self._folder.learning / "jobs" / spec.job_id
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "spec.json"
        write_atomically(path, spec.to_json())
        self.pending[spec.job_id] = spec.model
        try:
            for attempt in stamina.retry_context(
                on=RuntimeError, attempts=6, timeout=None, wait_initial=0.5, wait_max=5.0
            ):
                with attempt:
                    self._submit(spec, path)
        except RuntimeError as error:
            self._refused[spec.job_id] = f"the cluster did not take the job: {error}"

    def _submit(self, spec: RetrainSpec, path: Path) -> None:
        """Raises RuntimeError when the cluster cannot take a job now (no job agent answers, say)."""
        from ray.job_submission import JobSubmissionClient

        client = JobSubmissionClient(self._dashboard_url)
        submission = self._submission_id(spec.job_id)
        if any(job.submission_id == submission for job in client.list_jobs()):
            return
        client.submit_job(
            entrypoint=f"{sys.executable} -m jobs.retrain --run-dir {self._folder.path} --spec {path}",
            submission_id=submission,
            metadata={"model": spec.model, "run": self._run_id},
        )

    def outcome(self, job_id: str) -> JobOutcome | None:
        """How the job ended; None while it runs. A job that is over is forgotten here."""
        if job_id in self._refused:
            self.pending.pop(job_id, None)
            return JobOutcome(RetrainStatus.FAILED, self._refused.pop(job_id))
        path = self._folder.learning / "jobs" / job_id / RESULT_FILE
        if path.exists():
            result = RetrainResult.from_json(path.read_text())
            self.pending.pop(job_id, None)
            return JobOutcome(result.status, result.reason, result, result.version, result.metrics)
        from ray.job_submission import JobStatus, JobSubmissionClient

        client = JobSubmissionClient(self._dashboard_url)
        try:
            info = client.get_job_info(self._submission_id(job_id))
        except RuntimeError as error:
            info = None
            reason = f"the job is unknown to the cluster: {error}"
        if info is not None:
            if info.status not in (JobStatus.FAILED, JobStatus.STOPPED, JobStatus.SUCCEEDED) or path.exists():
                return None
            reason = f"the job ended as {info.status} without a result: {(info.message or '')[-300:]}"
        self.pending.pop(job_id, None)
        return JobOutcome(RetrainStatus.FAILED, reason)

    def _submission_id(self, job_id: str) -> str:
        return f"{self._run_id}-{job_id}"
