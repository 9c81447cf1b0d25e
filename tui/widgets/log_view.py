"""A log pane with its title, which says whether it follows, and a line to search it with."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from tui.messages import n, t
from tui.widgets.live_line import LiveLine
from tui.widgets.log_pane import LogPane


class LogView(Vertical):
    """The log of a run."""

    DEFAULT_CSS = """
    LogView { height: 1fr; min-height: 4; }
    LogView > .log-title { text-style: bold; color: $text-primary; }
    LogView > LogPane { height: 1fr; }
    LogView > Input { display: none; }
    LogView.-finding > Input { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._said = ""
        self._title = LiveLine(Content(t("Log")), classes="log-title")
        self._search = Input(placeholder=t("Find in the log; Enter finds, Esc closes"))
        self.pane = LogPane()
        """The lines."""

    def compose(self) -> ComposeResult:
        """Title, lines, search."""
        yield self._title
        yield self.pane
        yield self._search

    def find(self) -> None:
        """Ask what to find."""
        self.add_class("-finding")
        self._search.focus()

    def find_next(self, step: int) -> None:
        """Go to the next line found, down (1) or up (-1)."""
        self._say("" if self.pane.find_next(step) else t("nothing more found"))

    def clear(self) -> None:
        """Forget the log: another is shown."""
        self._said = ""
        self.pane.clear()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """The search closes when it is left."""
        if isinstance(event.widget, Input):
            self.remove_class("-finding")

    @on(Input.Submitted)
    def _find(self, event: Input.Submitted) -> None:
        event.stop()
        found = self.pane.search(event.value)
        self._say(
            n("{count} line found; n and N go through them", "{count} lines found; n and N go through them", found)
        )
        self.pane.focus()

    @on(LogPane.Moved)
    def _moved(self, event: LogPane.Moved) -> None:
        event.stop()
        self._say(self._said)

    def _say(self, what: str) -> None:
        self._said = what
        pane, parts = self.pane, [t("Log")]
        if not pane.following:
            parts.append(t("held still, End follows"))
            if pane.unseen:
                parts.append(n("{count} new line below", "{count} new lines below", pane.unseen))
        if pane.buffer.dropped:
            parts.append(
                n("{count} older line no longer kept", "{count} older lines no longer kept", pane.buffer.dropped)
            )
        self._title.show(Content(" · ".join([*parts, what] if what else parts)))
