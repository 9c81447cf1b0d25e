"""The life of runs, with a worker that stands still: what is decided by the supervisor alone."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from tui.sandbox import runs, supervisor
from tui.sandbox.runs import JOB_TYPE, Run
from tui.sandbox.server import Sandbox
from tui.sandbox.worker import WorkerError

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


class Still:
    """A worker that says it trains, as this very process, and writes nothing."""

    def __init__(self, *, broken: bool = False) -> None:
        self.asked: list[Path] = []
        self._broken = broken

    async def ready(self) -> bool:
        if self._broken:
            raise WorkerError("no module named torch")
        return True

    async def wait_ready(self) -> None:
        await self.ready()

    async def train(self, folder: Path) -> int:
        self.asked.append(folder)
        return os.getpid()

    async def stop(self) -> None:
        pass


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    """A sandbox that is not served."""
    sandbox = Sandbox(tmp_path / "state", pace=0.0)
    store = {"accountName": "account", "containerName": "container"}
    sandbox.state.put(f"{WORKSPACE}/datastores/workspaceartifactstore", "datastores", {"properties": store})
    sandbox.blobs.create_container("account", "container", {})
    return sandbox


def submit(box: Sandbox, name: str, **changes: Any) -> Run:
    """A saved run with a job folder."""
    job = f"{WORKSPACE}/jobs/{name}"
    folder = box.state.folder / "jobs" / name
    folder.mkdir(parents=True)
    now = box.clock.timestamp()
    run = Run(**{"job": job, "folder": str(folder), "phase": "NotStarted", "since": now, "created": now, **changes})
    box.state.put(job, JOB_TYPE, {"id": job, "name": name, "type": JOB_TYPE, "properties": {"status": run.phase}})
    runs.save(box.state, run)
    return run


def tell(run: Run, **event: Any) -> None:
    """Write an event as the trainer does."""
    with (Path(run.folder) / "events.jsonl").open("a") as out:
        out.write(json.dumps({"time": "2026-11-22T17:00:00.000Z", **event}) + "\n")


def phase(box: Sandbox, run: Run) -> str:
    """The phase that clients see."""
    return str(box.state.require(run.job)["properties"]["status"])


async def become(box: Sandbox, run: Run, wanted: str) -> None:
    """Wait for a phase."""
    await asyncio.to_thread(until, lambda: phase(box, run) == wanted, 10)


@pytest.fixture
async def watched(box: Sandbox) -> Any:
    """Replace the worker, take up what the state has, and watch."""
    tasks = []

    def watch(worker: Still) -> Still:
        box.supervisor._worker = worker  # type: ignore[assignment]
        tasks.append(asyncio.create_task(box.supervisor.watch()))
        return worker

    yield watch
    for task in tasks:
        task.cancel()


async def test_a_run_goes_through_azures_states_and_one_waits_for_the_other(box: Sandbox, watched: Any) -> None:
    first, second = submit(box, "first"), submit(box, "second")
    worker = watched(Still())
    await become(box, first, "Running")
    await become(box, second, "Queued")
    assert worker.asked == [Path(first.folder)]
    tell(first, type="done", values={"eval_loss": 0.5}, output="/output")
    await become(box, second, "Running")
    done = runs.load(box.state, first.job)
    assert done is not None
    assert [name for name, _ in done.phases] == ["Preparing", "Queued", "Running", "Finalizing", "Completed"]
    assert done.values == {"eval_loss": 0.5}


async def test_a_training_is_found_by_its_pid_file_and_not_started_again(box: Sandbox, watched: Any) -> None:
    run = submit(box, "found", phase="Running", launched=True)
    (Path(run.folder) / "pid").write_text(f"{os.getpid()}\n")
    worker = watched(Still())

    def taken_up() -> bool:
        saved = runs.load(box.state, run.job)
        return saved is not None and saved.pid == os.getpid()

    await asyncio.to_thread(until, taken_up, 10)
    assert worker.asked == []
    tell(run, type="failed", code="NaNLoss", message="the loss is NaN", advice="Lower the learning rate.")
    await become(box, run, "Failed")
    failed = runs.load(box.state, run.job)
    assert failed is not None
    assert failed.error == {"code": "NaNLoss", "message": "the loss is NaN. Lower the learning rate."}


async def test_a_process_that_is_gone_without_a_word_is_a_failure(
    box: Sandbox, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LAST_WORD_SECONDS", 0.0)
    run = submit(box, "lost", phase="Running", launched=True, pid=os.getpid(), pid_started=1.0)
    watched(Still())
    await become(box, run, "Failed")
    failed = runs.load(box.state, run.job)
    assert failed is not None
    assert failed.error is not None
    assert failed.error["code"] == "TrainingProcessLost"


async def test_a_worker_that_cannot_start_fails_the_run_with_its_words(box: Sandbox, watched: Any) -> None:
    run = submit(box, "unprepared")
    watched(Still(broken=True))
    await become(box, run, "Failed")
    failed = runs.load(box.state, run.job)
    assert failed is not None
    assert failed.error == {"code": "EnvironmentFailed", "message": "no module named torch"}


async def test_cancelling_before_the_start_ends_the_run(box: Sandbox, watched: Any) -> None:
    running, waiting = submit(box, "running"), submit(box, "waiting")
    watched(Still())
    await become(box, waiting, "Queued")
    box.supervisor.cancel(waiting.job)
    await become(box, waiting, "Canceled")
    assert phase(box, running) == "Running"


def test_a_line_cut_off_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = runs.Events(path)
    metric = {"time": "2026-11-22T17:00:00Z", "type": "metrics", "step": 1, "values": {"train_loss": None}}
    path.write_text('{"type": "met')
    assert events.read() == []
    with path.open("a") as out:
        out.write("{}\n" + json.dumps(metric) + "\n")
    assert [event["type"] for event in events.read()] == ["metrics"]
    assert events.metrics["train_loss"][0].value is None
