"""Waiting for something to become true, with a bound; the tests of the sandbox wait here and nowhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """The first truthy answer of `condition`, asked fifty times a second."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"{condition.__name__} did not come true in {seconds} s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until_gone(pid: int) -> None:
    """Wait for the end of a process."""

    def gone() -> bool:
        return not alive(pid)

    until(gone, 10)
