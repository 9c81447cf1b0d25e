"""Background tasks: service calls in daemon threads, so that a hung one delays neither a key nor the program's end.

A task never touches a widget. Its thread posts `TaskMoved` to the app; the app's handler, on the event loop, tells the
status line and calls what `start` was given as `done` or `failed`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Literal, NoReturn, TypeVar

from textual.message import Message

from tui.messages import t
from tui.services.errors import Cancelled, PhiftError, Unreachable
from tui.services.progress import Cancel, Progress, Report, listen

T = TypeVar("T")
Work = Callable[[Report, Cancel], T]
State = Literal["running", "done", "failed", "cancelled"]

_REDRAW_SECONDS = 0.5  # over SSH every redraw is bytes: at most two a second
_SWITCH_SECONDS = 0.001


@dataclass(eq=False)
class Task(Generic[T]):
    """One background task."""

    group: str
    """What it is about; a new task of the same group takes the place of the one before."""
    title: str
    """What it does, for the status line."""
    done: Callable[[T], None] | None
    failed: Callable[[PhiftError], None] | None
    quiet: bool = False
    """Kept out of the status line."""
    started: float = field(default_factory=time.monotonic)
    """Seconds of the monotonic clock."""
    cancel: Cancel = field(default_factory=Cancel)
    progress: Progress | None = None
    state: State = "running"
    result: T | None = None
    error: PhiftError | None = None

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        return self.state == "running"


class TaskMoved(Message):
    """A task reported progress or ended; posted to the app from the task's thread."""

    def __init__(self, task: Task[Any], *, ended: bool) -> None:
        super().__init__()
        self.task = task
        self.ended = ended

    def can_replace(self, message: Message) -> bool:
        """Progress that nobody has seen yet is replaced by newer progress; an end is not."""
        return isinstance(message, TaskMoved) and message.task is self.task and not message.ended


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns that may hang, made where a person waits for it.

    Raises:
        TimeoutError: it has not ended in that time; it is left behind.
        Exception: of the call.
    """
    ended: list[Callable[[], T]] = []

    def run() -> None:
        try:
            result = call()
        except Exception as error:
            ended.append(partial(_raise, error))
        else:
            ended.append(lambda: result)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise TimeoutError
    return ended[0]()


def _raise(error: Exception) -> NoReturn:
    raise error


def as_phift_error(error: Exception) -> PhiftError:
    """The error itself if a service raised it; else what the system refused, or that the program is at fault."""
    if isinstance(error, PhiftError):
        return error
    from tui.services import faults  # with pydantic, which the first frame does without

    if isinstance(error, OSError):
        return faults.of_the_system(error)
    return faults.of_the_program(
        error,
        meaning=t("Nothing was lost: your choices are in the draft, and Azure was left as it is."),
        next_step=t("Try again; if it comes back, report it with the end of phift-tui.log (in the state folder)."),
    )


def of_the_sandbox(error: PhiftError) -> PhiftError:
    """Of a call to the sandbox: no answer is no question of networks, and it can be started again from here."""
    if not isinstance(error, Unreachable):
        return error
    return Unreachable(
        t("The sandbox does not answer."),
        code="SandboxUnreachable",
        meaning=t("Its state is on the disk; nothing is lost."),
        next_step=t("F5 on Sign in starts it again."),
        raw=error.raw,
    )


class Tasks:
    """The tasks of the program, by group."""

    def __init__(self, post: Callable[[Message], object], *, sandbox: bool = False) -> None:
        # A key passes four threads and the event loop: with Python's own 5 ms at each of them, a thread that imports
        # the Azure SDK would hold the answer back for a tenth of a second.
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._post = post
        self._sandbox = sandbox
        self._by_group: dict[str, Task[Any]] = {}

    def start(
        self,
        group: str,
        title: str,
        work: Work[T],
        *,
        done: Callable[[T], None] | None = None,
        failed: Callable[[PhiftError], None] | None = None,
        quiet: bool = False,
    ) -> Task[T]:
        """Run `work(report, cancel)` in a thread of its own.

        Args:
            group: what the task is about; one of the same group that still runs is cancelled, and its end not heard.
            title: for the status line.
            work: the service calls; raises PhiftError.
            done: called on the event loop with the result.
            failed: called on the event loop with the error; without it the app shows its error screen.
            quiet: keep it out of the status line.
        """
        self.cancel(group)
        task = Task(group, title, done, failed, quiet)
        self._by_group[group] = task
        self._post(TaskMoved(task, ended=False))
        threading.Thread(target=self._run, args=(task, work), name=f"task-{group}", daemon=True).start()
        return task

    def _run(self, task: Task[T], work: Work[T]) -> None:
        last = 0.0

        def report(progress: Progress) -> None:
            nonlocal last
            task.cancel.check()
            task.progress = progress
            now = time.monotonic()
            if now - last >= _REDRAW_SECONDS:
                last = now
                self._post(TaskMoved(task, ended=False))

        listen(report, task.cancel)  # also of the waits of calls that are not given them
        try:
            task.result = work(report, task.cancel)
            task.state = "done"
        except Cancelled as error:
            task.error, task.state = error, "cancelled"
        except Exception as error:
            told = as_phift_error(error)
            task.error, task.state = of_the_sandbox(told) if self._sandbox else told, "failed"
        self._post(TaskMoved(task, ended=True))

    def current(self, task: Task[Any]) -> bool:
        """Whether the task is still the newest of its group."""
        return self._by_group.get(task.group) is task

    def of(self, group: str) -> Task[Any] | None:
        """The running task of a group."""
        task = self._by_group.get(group)
        return task if task and task.running else None

    def running(self) -> list[Task[Any]]:
        """The tasks for the status line, the oldest first."""
        return [task for task in self._by_group.values() if task.running and not task.quiet]

    def cancel(self, group: str) -> None:
        """Ask the task of a group to stop, and forget it."""
        task = self._by_group.pop(group, None)
        if task:
            task.cancel.set()

    def cancel_all(self) -> None:
        """Ask every task to stop."""
        for group in list(self._by_group):
            self.cancel(group)
