"""A list whose rows can be chosen: space chooses, the choice is kept by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from tui.widgets.columns import Column
from tui.widgets.row_list import Row, RowList


class CheckList(RowList):
    """Rows with a box before each. Space turns the highlighted one over."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "turn_over", show=False)]

    class Changed(Message):
        """Other rows are chosen now."""

    def __init__(self, columns: Sequence[Column], empty: str, *, classes: str = "") -> None:
        super().__init__((Column("", 3), *columns), empty, classes=classes)
        self._plain: tuple[Row, ...] = ()
        self._chosen: set[str] = set()

    @property
    def chosen(self) -> tuple[str, ...]:
        """Keys of the chosen rows, in the list's order."""
        return tuple(row.key for row in self._plain if row.key in self._chosen)

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; a choice outlives its row's change, not its going."""
        self._plain = tuple(rows)
        self._chosen &= {row.key for row in rows}
        super().show([Row(row.key, (self._box(row.key), *row.cells)) for row in rows])

    def choose(self, keys: Sequence[str]) -> None:
        """Choose these rows and no others."""
        self._chosen = set(keys)
        self.show(self._plain)
        self.post_message(self.Changed())

    def action_turn_over(self) -> None:
        """Choose the highlighted row, or no longer."""
        if self.key:
            self._chosen ^= {self.key}
            self.show(self._plain)
            self.post_message(self.Changed())

    def _box(self, key: str) -> Content:
        return Content.styled("[x]", "bold $text-primary") if key in self._chosen else Content("[ ]")
