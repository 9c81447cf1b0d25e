"""A choice among a few options, all visible; arrows or space change it, Enter stays free for going forward."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui import text

_NARROWEST = 20
"""Cells that a help line beside its option has at least."""
Option = tuple[str, str, str]
"""Value, label, and one line of help (may be empty)."""


class Choice(Widget, can_focus=True):
    """Options side by side, or one a row with their help."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", show=False),
        Binding("right,space", "move(1)", show=False),
        Binding("up", "move_row(-1)", show=False),
        Binding("down", "move_row(1)", show=False),
    ]

    value: reactive[str] = reactive("", init=False)

    class Changed(Message):
        """The user chose another option."""

        def __init__(self, choice: Choice, value: str) -> None:
            super().__init__()
            self.choice = choice
            self.value = value

        @property
        def control(self) -> Choice:
            """The choice that changed."""
            return self.choice

    def __init__(self, options: Sequence[Option], value: str, *, rows: bool = False, id: str | None = None) -> None:
        super().__init__(id=id, classes="-rows" if rows else "")
        self.options = tuple(options)
        self._rows = rows
        self.set_reactive(Choice.value, value)
        if rows:
            self.styles.height = "auto"

    def _index(self) -> int:
        return next((index for index, option in enumerate(self.options) if option[0] == self.value), 0)

    def action_move(self, by: int) -> None:
        """Choose the option before or after, round the ends."""
        self.choose(self.options[(self._index() + by) % len(self.options)][0])

    def action_move_row(self, by: int) -> None:
        """Choose the row above or below; at the ends, and where options are side by side, leave the field."""
        index = self._index() + by
        if self._rows and 0 <= index < len(self.options):
            self.choose(self.options[index][0])
        elif by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def choose(self, value: str) -> None:
        """Choose an option as the user would."""
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A row for each option, more where its help is longer than the row."""
        return self._drawn(width).plain.count("\n") + 1

    def render(self) -> RenderResult:
        """The options with a mark at the chosen one."""
        return self._drawn(self.size.width)

    def _drawn(self, row: int) -> Content:
        width = max((len(label) for _, label, _ in self.options), default=0)
        # Where the options side by side would be cut, their marks give way.
        wide = self._rows or sum(Content(label).cell_length + 6 for _, label, _ in self.options) - 2 <= row
        marks = ("( ) ", "(●) ") if wide else ("○ ", "● ")
        parts = []
        for value, label, help_line in self.options:
            chosen = value == self.value
            mark = marks[chosen]
            style = ("bold $text-primary" + (" reverse" if self.has_focus else "")) if chosen else ""
            name = text.clean_line(label, limit=60)
            if self._rows:
                # Below the beginning of the help, or below the label's where that is too far to the right.
                indent = width + 6 if row - width - 6 >= _NARROWEST else 4
                helped = wrap(text.clean_line(help_line, limit=200), max(row - indent - 1, 1))
                gap = " " * (width - len(name) + 2) if indent > 4 else "\n" + " " * indent
                below = ("\n" + " " * indent).join(helped)
                parts.append(Content.assemble((f"{mark}{name}", style), gap if helped else "", (below, "$text-quiet")))
            else:
                parts.append(Content.styled(f"{mark}{name}", style))
        return Content("\n" if self._rows else "  ").join(parts)
