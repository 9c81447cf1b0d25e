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

_BAR = 20


def duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 3 min 20 s, 2 h 05 min."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return t("{seconds} s", seconds=whole)
    if whole < 3600:
        return t("{minutes} min {seconds:02} s", minutes=whole // 60, seconds=whole % 60)
    return t("{hours} h {minutes:02} min", hours=whole // 3600, minutes=whole % 3600 // 60)


class ProgressLine(LiveLine):
    """A bar for what can be counted; words alone for what cannot; no row while there is nothing to say."""

    DEFAULT_CSS = "ProgressLine { display: none; }"

    def show(self, shown: Content, *, layout: bool = False) -> None:
        """Show this from now on."""
        self.display = bool(shown.plain)
        super().show(shown, layout=layout)

    def show_progress(
        self, stage: str, done: float | None, total: float | None, unit: str = "", seconds_left: float | None = None
    ) -> None:
        """Show the stage with its amounts; `seconds_left` is an estimate and is called so."""
        parts: list[Content | tuple[str, str]] = []
        if done is not None and total:
            share = min(max(done / total, 0.0), 1.0)
            full = int(share * _BAR)
            parts += [("█" * full, "$primary"), ("░" * (_BAR - full), "$text-quiet"), (f" {share:4.0%} ", "bold")]
        parts.append(Content(stage))
        if done is not None:
            parts.append(Content(f" {clean_line(Progress(stage, done, total, unit).amount())}"))
        if seconds_left is not None:
            parts.append(Content(t(" · about {time} left", time=duration(seconds_left))))
        self.show(Content.assemble(*parts))

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
