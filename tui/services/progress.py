"""How a long service call reports what it does, and how it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from tui.messages import grouped, mark, size, t
from tui.services.errors import Cancelled

UNITS = {
    "answers": mark("answers"),
    "items": mark("things"),
    "questions": mark("questions"),
    "rows": mark("rows"),
    "steps": mark("steps"),
}
"""What is counted, in words for more than one, not translated yet; others stand for themselves."""


@dataclass(frozen=True)
class Progress:
    """One step forward of a long call."""

    stage: str
    """What is being done, in words for a person."""
    done: float | None = None
    """Amount done so far, in `unit`; None: not countable."""
    total: float | None = None
    """Whole amount, in `unit`; None: unknown."""
    unit: str = ""
    """`bytes`, `rows`, `questions`, `s`, …"""
    detail: str = ""
    """One more line: a name, a rate, a reason to wait."""

    def line(self) -> str:
        """The progress in one line for a person."""
        return ", ".join(part for part in (self.stage, self.amount(), self.detail) if part)

    def amount(self) -> str:
        """How far it is, in words; empty: not countable."""
        if self.done is None:
            return ""
        if self.unit == "bytes":
            done = size(self.done)
            return t("{done} of {total}", done=done, total=size(self.total)) if self.total else done
        unit = t(UNITS.get(self.unit, self.unit))
        if self.total is None:
            return f"{grouped(self.done)} {unit}".strip()
        return t("{done} of {total} {unit}", done=grouped(self.done), total=grouped(self.total), unit=unit).strip()


Report = Callable[[Progress], None]

_T = TypeVar("_T")


class Cancel:
    """A stop signal that any thread may give to a call running in another."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask the call to stop."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def check(self) -> None:
        """Do nothing, or raise.

        Raises:
            Cancelled: a stop was asked for.
        """
        if self._event.is_set():
            raise Cancelled(t("Stopped on request."))

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until a stop is asked for.

        Raises:
            Cancelled: a stop was asked for.
        """
        self._event.wait(max(seconds, 0.0))
        self.check()


_listening: ContextVar[tuple[Report | None, Cancel | None]] = ContextVar("listening", default=(None, None))


def listen(report: Report | None, cancel: Cancel | None = None) -> None:
    """From here on in this thread, be told of the waits of calls that have no listener of their own, and stop them."""
    _listening.set((report, cancel))


def listening() -> tuple[Report | None, Cancel | None]:
    """Who listens in this thread."""
    return _listening.get()


@contextmanager
def to_the_end() -> Iterator[None]:
    """What is called in here, with no stop signal of its own, is not stopped by the thread's: it undoes something."""
    report, cancel = listening()
    listen(report, Cancel())
    try:
        yield
    finally:
        listen(report, cancel)


def in_thread(call: Callable[[], _T], cancel: Cancel, *, grace: float = 0.0) -> _T:
    """Run a call that cannot be cancelled; when the user gives up, it is left to end by itself.

    Args:
        call: what to do.
        cancel: gives up.
        grace: seconds that the call is still given then.

    Raises:
        Cancelled: given up.
    """
    results: list[_T] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again in the calling thread
            failures.append(error)
        ended.set()

    threading.Thread(target=run, name="call", daemon=True).start()
    while not ended.wait(0.1):
        if cancel.is_set and not ended.wait(grace):
            cancel.check()
    if failures:
        raise failures[0]
    return results[0]
