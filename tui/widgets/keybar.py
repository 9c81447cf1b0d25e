"""The key bar: the last row, with the keys that matter here; one line of text, so that it costs few bytes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

Entry = tuple[str, str, bool]
"""Key and what it does, as shown, and whether it can be done now."""


class KeyBar(Widget):
    """Shows as many keys as fit, in the order given; the last, which is the way out, has its room before all others."""

    entries: reactive[tuple[Entry, ...]] = reactive((), init=False)

    def __init__(self) -> None:
        super().__init__(id="keybar")

    def show(self, entries: Sequence[Entry]) -> None:
        """Show these keys."""
        self.entries = tuple(entries)

    def render(self) -> RenderResult:
        """The line."""
        drawn = [
            Content.assemble(
                (f" {key}", "bold $text-accent" if enabled else "dim"), (f" {title} ", "" if enabled else "dim")
            )
            for key, title, enabled in self.entries
        ]
        left = self.size.width - 1 - sum(entry.cell_length for entry in drawn[-1:])
        parts: list[Content] = []
        for entry in drawn[:-1]:
            if entry.cell_length <= left:
                left -= entry.cell_length
                parts.append(entry)
        return Content("").join([*parts, *drawn[-1:]])
