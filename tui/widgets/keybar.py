"""The key bar: the last row, with the keys that matter here; one line of text, so that it costs few bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.app import RenderResult
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class Entry(NamedTuple):
    """One key of the bar."""

    key: str
    """As people write it."""
    title: str
    """What it does, in a word or two."""
    enabled: bool = True
    """Whether it can be done now."""
    rank: int = 0
    """Where not all fit, those of the lowest rank are shown."""


class KeyBar(Widget):
    """Shows as many keys as fit, in the order given; what can be done now has its room before what cannot."""

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
                (f" {entry.key}", "bold $text-accent" if entry.enabled else "dim"),
                (f" {entry.title} ", "" if entry.enabled else "dim"),
            )
            for entry in self.entries
        ]
        left, fitting = self.size.width - 1, set()
        for place in sorted(
            range(len(drawn)), key=lambda each: (not self.entries[each].enabled, self.entries[each].rank)
        ):
            if drawn[place].cell_length <= left:
                left -= drawn[place].cell_length
                fitting.add(place)
        return Content("").join(entry for place, entry in enumerate(drawn) if place in fitting)
