"""What the sandbox knows of each training run: its durable record, and the events that its trainer writes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tui.sandbox.state import State

log = logging.getLogger(__name__)
RUN_TYPE = "sandbox/runs"
JOB_TYPE = "Microsoft.MachineLearningServices/workspaces/jobs"
TERMINAL = ("Completed", "Failed", "Canceled")


class Run(msgspec.Struct, kw_only=True):
    """A job's execution, kept beside the job's resource body.

    Attributes:
        job: identifier of the job resource.
        folder: absolute path of the job folder that is shared with the trainer.
        phase: the job's status, one of Azure's words.
        since: when the phase began, in seconds since 1970; so are `created`, `started` and `ended`.
        launched: whether the trainer was asked to begin, so that it is never asked twice.
        pid: process of the training, with `pid_started` as the kernel tells it: both together name one process.
        cancelled: whether somebody asked to cancel.
        error: code and message of a failure, for the run's details.
        started_event: the trainer's first event: stand-in, rows, tokens, steps.
        values: final metrics.
        phases: every phase with the time it began.
        base_model: the asset id of the model that was tuned.
        stand_in: the stand-in that is trained in its place.
        notes: what the sandbox does otherwise than Azure would, told as warnings.
        beyond_quota: why its machines can never be had, "" where they can.
    """

    job: str
    folder: str
    phase: str
    since: float
    created: float
    started: float | None = None
    ended: float | None = None
    launched: bool = False
    pid: int | None = None
    pid_started: float | None = None
    cancelled: bool = False
    error: dict[str, str] | None = None
    warnings: list[str] = []
    started_event: dict[str, Any] = {}
    values: dict[str, float | None] = {}
    phases: list[tuple[str, float]] = []
    base_model: str = ""
    stand_in: str = ""
    notes: list[str] = []
    beyond_quota: str = ""


def record_id(job_id: str) -> str:
    """Identifier under which the record of a job's run is kept."""
    return f"{job_id}/runs/record"


def load(state: State, job_id: str) -> Run | None:
    """The run of a job, or None where the job has none."""
    body = state.get(record_id(job_id))
    return None if body is None else msgspec.convert(body, Run)


def save(state: State, run: Run) -> None:
    """Store a run, and its phase as the job's status, in one transaction."""
    with state.transaction():
        state.put(record_id(run.job), RUN_TYPE, msgspec.to_builtins(run))
        job = state.get(run.job)
        if job is not None and job["properties"].get("status") != run.phase:
            job["properties"]["status"] = run.phase
            state.put(run.job, JOB_TYPE, job)


def unfinished(state: State) -> list[Run]:
    """Runs that are not in a final phase, oldest first."""
    runs = [msgspec.convert(body, Run) for body in state.of_type(RUN_TYPE)]
    return [run for run in runs if run.phase not in TERMINAL]


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of a metric: optimizer step, time in seconds since 1970, and the value (None where not finite)."""

    step: int
    time: float
    value: float | None


@dataclass
class Events:
    """The events of one job folder, read incrementally: a partly written last line waits for its end."""

    path: Path
    _offset: int = 0
    metrics: dict[str, list[MetricPoint]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def read(self) -> list[dict[str, Any]]:
        """Events written since the last call; metrics and warnings are kept up to date on the way."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        events = []
        for line in whole.splitlines():
            try:
                event = msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError:
                # A kill can cut a line off, and the next writer's first line then continues it.
                log.warning("%s has a line that is no event", self.path)
                continue
            self._note(event)
            events.append(event)
        return events

    def _note(self, event: dict[str, Any]) -> None:
        if event["type"] == "metrics":
            moment = datetime.fromisoformat(event["time"]).timestamp()
            for name, value in event["values"].items():
                self.metrics.setdefault(name, []).append(MetricPoint(event["step"], moment, value))
        elif event["type"] == "warning":
            self.warnings.append(event["message"])


def events_of(run: Run) -> Events:
    """All events of a run up to now."""
    events = Events(Path(run.folder) / "events.jsonl")
    events.read()
    return events
