"""How far a run or a long call is, on one line: a bar, the share, the amounts, and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from tui.messages import t
from tui.services.progress import Progress
from tui.text import clean_line
from tui.widgets.live_line import LiveLine

if TYPE_CHECKING:
    from tui.tasks import Task

_BARS = (20, 10, 0)
"""Cells of the bar, the second where the first leaves too little for the words, and so on."""


def duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return t("{seconds} s", seconds=whole)
    if whole < 3600:
        return t("{minutes} min {seconds:02} s", minutes=whole // 60, seconds=whole % 60)
    return t("{hours} h {minutes:02} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def _with_bar(share: float, cells: int, words: str) -> Content:
    full = int(share * cells)
    bar = [("█" * full, "$primary"), ("░" * (cells - full), "$text-quiet"), (" " if cells else "", "")]
    return Content.assemble(*bar, (f"{share:4.0%} ", "bold"), words)


class ProgressLine(LiveLine):
    """A bar for what can be counted; words alone for what cannot; no row while there is nothing to say."""

    DEFAULT_CSS = "ProgressLine { display: none; }"

    def show(self, shown: Content, *shorter: Content, layout: bool = False) -> None:
        """Show this from now on, or the first of the shorter ones that fits."""
        self.display = bool(shown.plain)
        super().show(shown, *shorter, layout=layout)

    def show_progress(
        self, stage: str, done: float | None, total: float | None, unit: str = "", seconds_left: float | None = None
    ) -> None:
        """Show the stage with its amounts; `seconds_left` is an estimate and is called so."""
        words = stage
        if done is not None:
            words += f" {clean_line(Progress(stage, done, total, unit).amount())}"
        if seconds_left is not None:
            words += t(" · about {time} left", time=duration(seconds_left))
        if done is None or not total:
            self.show(Content(words))
            return
        share = min(max(done / total, 0.0), 1.0)
        self.show(*(_with_bar(share, cells, words) for cells in _BARS))

    def show_task(self, task: Task[Any] | None) -> None:
        """Show how far a task is; nothing where none runs."""
        if task is None:
            self.show(Content(""))
        elif task.progress is None:
            self.show(Content(clean_line(task.title)))
        else:
            progress = task.progress
            stage = " · ".join(clean_line(part, limit=80) for part in (progress.stage, progress.detail) if part)
            self.show_progress(stage, progress.done, progress.total, progress.unit)
