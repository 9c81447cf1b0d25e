"""The key bar: the last row, with the keys that matter here; one line of text, so that it costs few bytes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.actions import Action, key_name
from tui.messages import t

Entry = tuple[str, str, bool]


class KeyBar(Widget):
    """Shows as many keys as fit, in the order given."""

    entries: reactive[tuple[Entry, ...]] = reactive((), init=False)

    def __init__(self) -> None:
        super().__init__(id="keybar")

    def show(self, actions: Sequence[tuple[Action, bool]]) -> None:
        """Show these actions, each with whether it can be done now."""
        self.entries = tuple((key_name(each.key.split(",")[0]), t(each.title), enabled) for each, enabled in actions)

    def render(self) -> RenderResult:
        """The line."""
        parts: list[Content] = []
        left = self.size.width - 1
        for key, title, enabled in self.entries:
            entry = Content.assemble(
                (f" {key}", "bold $text-accent" if enabled else "dim"), (f" {title} ", "" if enabled else "dim")
            )
            if entry.cell_length > left:
                continue
            left -= entry.cell_length
            parts.append(entry)
        return Content("").join(parts)
