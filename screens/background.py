"""What runs in the background, and stopping it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import n, t
from tui.widgets.status_line import amount


class Background(Dialog[None]):
    """One line a task."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x,delete", "stop", show=False)]

    def heading(self) -> str:
        """That these go on while you move about."""
        return t("In the background")

    def content(self) -> ComposeResult:
        """The tasks."""
        yield OptionList(id="tasks-list")
        yield Static("", id="tasks-note", markup=False)

    def keys(self) -> Sequence[Key]:
        """Stop one."""
        return [("x", t("Stop the task (what Azure does already goes on)"))]

    def on_mount(self) -> None:
        """Follow the tasks."""
        self.program.tasks_signal.subscribe(self, lambda _: self._draw())
        self._draw()

    def _draw(self) -> None:
        running, listing = self.program.tasks.running(), self.query_one("#tasks-list", OptionList)
        before = listing.highlighted
        options = []
        for task in running:
            seconds = int(time.monotonic() - task.started)
            parts = [n("{count} second", "{count} seconds", seconds)]
            if task.progress:
                parts += [task.progress.stage, amount(task.progress), task.progress.detail]
            about = " · ".join(text.clean_line(part, limit=60) for part in parts if part)
            options.append(Option(Content.assemble((text.clean_line(task.title), "bold"), f"\n  {about}"), task.group))
        listing.set_options(options)
        if running:
            listing.highlighted = min(before or 0, len(running) - 1)
        self.query_one("#tasks-note", Static).update("" if running else t("Nothing runs at the moment."))

    def action_stop(self) -> None:
        """Ask the highlighted task to stop."""
        option = self.query_one("#tasks-list", OptionList).highlighted_option
        task = self.program.tasks.of(option.id) if option and option.id else None
        if task:
            task.cancel.set()
            self.query_one("#tasks-note", Static).update(t("Asked to stop; it ends after the call that is on its way."))
