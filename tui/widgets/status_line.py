"""The status line: what runs in the background; takes no room when nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.content import Content
from textual.widgets import Static

from tui import text
from tui.messages import n
from tui.services.progress import Progress
from tui.tasks import Task


def amount(progress: Progress) -> str:
    """How far a task is: `12 of 40 rows`, `3.1 MB of 8.0 MB`, a percentage of what has no unit, or nothing."""
    if progress.done is not None and progress.total and not progress.unit:
        return f"{progress.done / progress.total:.0%}"
    return progress.amount()


class StatusLine(Static):
    """One row while tasks run, none otherwise."""

    def __init__(self) -> None:
        super().__init__("", id="status", markup=False)
        self._shown = ""
        self.display = False

    def sync(self, tasks: Sequence[Task[Any]], job: str) -> None:
        """Show the oldest task, how many more there are, and the job that is followed."""
        parts = []
        if tasks:
            first = tasks[0]
            about = [first.title]
            if first.progress:
                about += [first.progress.stage, amount(first.progress), first.progress.detail]
            line = " · ".join(text.clean_line(part, limit=60) for part in about if part)
            if len(tasks) > 1:
                line += "  " + n("(and {count} more; F9)", "(and {count} more; F9)", len(tasks) - 1)
            parts.append(f"◌ {line}")
        if job:
            parts.append(job)
        line = "   ".join(parts)
        if line != self._shown:
            self._shown = line
            self.display = bool(line)
            self.update(Content.assemble((f" {line[:1]}", "bold $text-accent"), (line[1:], "")), layout=False)
