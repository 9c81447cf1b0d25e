"""The life of training runs: moves each through Azure's states, starts its training once, and follows it to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tui.sandbox import artifacts, runs
from tui.sandbox.runs import Events, Run
from tui.sandbox.worker import Serving, Worker, WorkerError

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

log = logging.getLogger(__name__)

# How long a phase lasts at pace 1, in seconds; on Azure these take minutes. Queued lasts until no other run trains.
PHASE_SECONDS = {"NotStarted": 0.1, "Preparing": 0.3, "Queued": 0.1, "Finalizing": 0.5}
TICK_SECONDS = 0.15
KILL_AFTER_SECONDS = 60.0
LAST_WORD_SECONDS = 2.0
SERVING_IDLE_SECONDS = 600.0

Completion = Callable[["Sandbox", Run], None]


def start_time(pid: int) -> float | None:
    """When a living process began, or None when there is none: a pid alone may have been given to another process."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


class Supervisor:
    """Runs one training at a time; all it must not forget is in the state, so a new server takes over where one died.

    Args:
        completion: called in the transaction in which a run completes; it registers what the run produced.
    """

    def __init__(self, sandbox: Sandbox, completion: Completion) -> None:
        self._sandbox = sandbox
        self._completion = completion
        self._worker = Worker(sandbox.state.folder)
        self._wake = asyncio.Event()
        self._active: dict[str, Run] = {}
        self._events: dict[str, Events] = {}
        self._serving: Serving | None = None
        self._serving_lock = asyncio.Lock()
        self._served_at = 0.0
        self._warming = False
        self._signalled: set[str] = set()
        self._gone: dict[str, float] = {}

    @property
    def jobs_folder(self) -> Path:
        """Folder with one job folder per run."""
        return self._sandbox.state.folder / "jobs"

    def warm_up(self) -> None:
        """Have the worker ready soon: a job is near."""
        self._warming = True
        self._wake.set()

    def submit(self, run: Run) -> None:
        """Take charge of a run that was just saved."""
        self._active[run.job.lower()] = run
        self._wake.set()

    def find(self, job_id: str) -> Run | None:
        """A run as it is now: the one in hand, or the one in the state."""
        return self._active.get(job_id.lower()) or runs.load(self._sandbox.state, job_id)

    def events(self, run: Run) -> Events:
        """The events of a run, up to date."""
        events = self._events.get(run.job.lower())
        if events is None:
            return runs.events_of(run)
        return events

    def cancel(self, job_id: str) -> None:
        """Ask a run to end; a run that is over stays as it is."""
        run = self._active.get(job_id.lower())
        if run is None or run.cancelled:
            return
        run.cancelled = True
        self._enter(run, "CancelRequested")
        self._wake.set()

    def forget(self, resource_id: str) -> None:
        """Stop following the runs of a job, or of all jobs inside a deleted resource, and end their processes."""
        inside = f"{resource_id.lower()}/"
        for key in [key for key in self._active if f"{key}/".startswith(inside)]:
            run = self._active.pop(key)
            self._events.pop(key, None)
            self._signal(run, signal.SIGKILL)

    async def watch(self) -> None:
        """Follow all runs for as long as the server lives; sleeps while there is nothing to do."""
        for run in runs.unfinished(self._sandbox.state):
            self._active[run.job.lower()] = run
        while True:
            self._wake.clear()
            busy = bool(self._active) or self._warming
            if self._warming:
                await self._warm()
            for run in list(self._active.values()):
                try:
                    await self._advance(run)
                except (WorkerError, OSError) as error:
                    log.warning("run of %s cannot go on: %s", run.job, error)
                    self._fail(run, "EnvironmentFailed", str(error))
                except Exception as error:
                    # One run's trouble must not end the watch over the others; the run says what happened.
                    log.exception("run of %s", run.job)
                    self._fail(run, "InternalError", f"The sandbox failed: {error}; see its log.")
            self._end_idle_serving()
            await self._sleep(TICK_SECONDS if busy else self._idle_delay())

    def _idle_delay(self) -> float | None:
        return None if self._serving is None else SERVING_IDLE_SECONDS / 4

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _warm(self) -> None:
        try:
            self._warming = not await self._worker.ready()
        except WorkerError as error:
            # A run that needs the worker will report it; there is none yet.
            log.warning("%s", error)
            self._warming = False

    # phases

    def _enter(self, run: Run, phase: str) -> None:
        run.phase, run.since = phase, self._sandbox.clock.timestamp()
        run.phases.append((phase, run.since))
        if phase == "Running":
            run.started = run.since
        with self._sandbox.state.transaction():
            if phase in runs.TERMINAL:
                run.ended = run.since
                run.warnings = self.events(run).warnings
            if phase == "Completed":
                self._completion(self._sandbox, run)
            runs.save(self._sandbox.state, run)
        if phase in runs.TERMINAL:
            self._active.pop(run.job.lower(), None)
            self._events.pop(run.job.lower(), None)
            self._signalled.discard(run.job)
            self._gone.pop(run.job, None)
        log.info("run of %s is %s", run.job, phase)

    def _fail(self, run: Run, code: str, message: str) -> None:
        run.error = {"code": code, "message": message}
        self._enter(run, "Failed")

    def _over(self, run: Run) -> bool:
        elapsed = self._sandbox.clock.timestamp() - run.since
        return elapsed >= PHASE_SECONDS[run.phase] * self._sandbox.config.pace

    async def _advance(self, run: Run) -> None:
        match run.phase:
            case "NotStarted":
                if self._over(run):
                    self._enter(run, "Preparing")
            case "Preparing" if run.beyond_quota:
                if self._over(run):
                    self._fail(run, "UserError", run.beyond_quota)
            case "Preparing":
                if await self._worker.ready() and self._over(run):
                    self._enter(run, "Queued")
            case "Queued":
                if self._over(run) and self._is_next(run):
                    await self._launch(run)
            case "CancelRequested" if not run.launched:
                self._enter(run, "Canceled")
            case "Running" | "CancelRequested":
                if run.launched and run.pid is None:
                    await self._begin(run)
                self._follow(run)
            case "Finalizing":
                if self._over(run):
                    self._enter(run, "Completed")

    def _is_next(self, run: Run) -> bool:
        others = [other for other in self._active.values() if other is not run]
        if any(other.launched for other in others):
            return False
        return all(other.created >= run.created for other in others if other.phase == "Queued")

    async def _launch(self, run: Run) -> None:
        if not await self._worker.ready():
            return
        run.launched = True
        artifacts.link_log(self._sandbox, run)
        self._enter(run, "Running")
        await self._begin(run)

    async def _begin(self, run: Run) -> None:
        """Have the training begin, unless the server that asked for it died before it had the answer."""
        noted = Path(run.folder) / "pid"
        if noted.exists():
            run.pid = int(noted.read_text())
        else:
            await self._worker.wait_ready()
            run.pid = await self._worker.train(Path(run.folder))
        run.pid_started = start_time(run.pid)
        runs.save(self._sandbox.state, run)

    def _follow(self, run: Run) -> None:
        """Note what the training wrote; decide by its last word, or by its silence."""
        events = self._events.setdefault(run.job.lower(), Events(Path(run.folder) / "events.jsonl"))
        # Whether it lives is asked before its events are read: what a dead process wrote is then all there.
        alive = self._alive(run)
        for event in events.read():
            match event["type"]:
                case "started":
                    run.started_event = {key: value for key, value in event.items() if key not in ("time", "type")}
                    runs.save(self._sandbox.state, run)
                case "done":
                    run.values = event["values"]
                    self._enter(run, "Finalizing")
                    return
                case "cancelled":
                    self._enter(run, "Canceled")
                    return
                case "failed":
                    advice = event.get("advice", "")
                    self._fail(run, event["code"], f"{event['message'].rstrip('.')}. {advice}".strip())
                    return
        if alive:
            if run.cancelled:
                self._end(run)
        elif not self._long_gone(run):
            return
        elif run.cancelled:
            self._enter(run, "Canceled")
        else:
            self._fail(
                run,
                "TrainingProcessLost",
                "The training process ended without a result: it was killed, or the machine ran out of memory or "
                "was restarted. Submit the job again.",
            )

    def _long_gone(self, run: Run) -> bool:
        """Whether the process has been gone for a while: its worker writes the reason of its death a moment later."""
        now = self._sandbox.clock.timestamp()
        return now - self._gone.setdefault(run.job, now) > LAST_WORD_SECONDS

    def _end(self, run: Run) -> None:
        """Ask the training once to stop, which it does after a checkpoint; end it when it takes too long."""
        if self._sandbox.clock.timestamp() - run.since > KILL_AFTER_SECONDS:
            self._signal(run, signal.SIGKILL)
        elif run.job not in self._signalled:
            self._signalled.add(run.job)
            self._signal(run, signal.SIGTERM)

    def _alive(self, run: Run) -> bool:
        return run.pid is not None and run.pid_started is not None and start_time(run.pid) == run.pid_started

    def _signal(self, run: Run, number: signal.Signals) -> None:
        if run.pid is not None and self._alive(run):
            try:
                os.kill(run.pid, number)
            except ProcessLookupError:
                log.info("the training of %s had just ended", run.job)

    # serving

    async def serving(self) -> Serving:
        """The process that answers chat completions, started when there is none.

        Raises:
            WorkerError: it could not be started.
        """
        async with self._serving_lock:
            self._served_at = self._sandbox.clock.timestamp()
            if self._serving is not None and start_time(self._serving.pid) is not None:
                return self._serving
            await self._worker.wait_ready()
            self._serving = await self._worker.serve()
            self._wake.set()
            return self._serving

    def _end_idle_serving(self) -> None:
        idle = self._sandbox.clock.timestamp() - self._served_at
        if self._serving is None or idle < SERVING_IDLE_SECONDS:
            return
        if start_time(self._serving.pid) is not None:
            os.kill(self._serving.pid, signal.SIGTERM)
        self._serving = None

    async def close(self) -> None:
        """End the worker and the serving process; trainings go on and are found again."""
        await self._worker.stop()
        if self._serving is not None and start_time(self._serving.pid) is not None:
            os.kill(self._serving.pid, signal.SIGTERM)


@asynccontextmanager
async def lifespan(sandbox: Sandbox) -> AsyncIterator[None]:
    """Watch over the runs while the server lives."""
    watching = asyncio.create_task(sandbox.supervisor.watch())
    yield
    watching.cancel()
    await sandbox.supervisor.close()
