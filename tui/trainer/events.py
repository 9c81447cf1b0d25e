"""The job's event stream: one JSON object a line, flushed at once, so that a reader never waits for a buffer."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TERMINAL = frozenset({"done", "cancelled", "failed"})
"""Types of event after which a job says nothing more."""


class EventLog:
    """Appends events to `events.jsonl` and lines for people to `std_log.txt` of one job folder."""

    def __init__(self, folder: Path, *, silent: bool = False, echo: bool = False) -> None:
        """Begin the two files of `folder`.

        Args:
            folder: The job's; made where it is missing.
            silent: Write nothing, as the other processes of a distributed job do.
            echo: Write the lines for people to standard output too, which a cluster keeps.
        """
        self._silent = silent
        self._echo = echo
        self._events = folder / "events.jsonl"
        self._log = folder / "std_log.txt"
        if not silent:
            folder.mkdir(parents=True, exist_ok=True)
            _end_line(self._events)
            _end_line(self._log)

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event. NaN and infinity, which JSON lacks, are written as null."""
        if self._silent:
            return
        event = {"time": now(), "type": kind, **fields}
        _append(self._events, json.dumps(_finite(event), ensure_ascii=False, allow_nan=False) + "\n")

    def say(self, text: str) -> None:
        """Append one line, with its time, to the log that people read."""
        if self._silent:
            return
        line = f"{now()} {text}\n"
        _append(self._log, line)
        if self._echo:
            sys.stdout.write(line)
            sys.stdout.flush()

    def warn(self, text: str) -> None:
        """A warning in both."""
        self.say(f"WARNING {text}")
        self.emit("warning", message=text)


def now() -> str:
    """The time in UTC with milliseconds, as Azure writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def last_type(folder: Path) -> str | None:
    """The type of the last whole event of a job folder, or None where there is none.

    A line is whole when it has its end: what a kill cut off is no event.
    """
    try:
        lines = (folder / "events.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    for line in reversed(lines):
        try:
            return str(json.loads(line)["type"])
        except (ValueError, KeyError):
            continue  # cut off by a kill, and ended by who wrote next
    return None


def _end_line(path: Path) -> None:
    """End a line that a kill cut off, so that the next one does not continue it and get lost with it."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            cut = file.read(1) != b"\n"
    except OSError:  # not there, or empty
        return
    if cut:
        _append(path, "\n")


def _append(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        left = text.encode("utf-8", "backslashreplace")
        while left:  # the last bytes of a full disk take a part, and the next call says that it is full
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
