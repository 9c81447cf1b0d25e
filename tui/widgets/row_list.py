"""A list of rows in columns, known by stable keys: rows come, change and go while the highlight stays where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.widgets.columns import Column, fit, narrowed
from tui.widgets.live_line import LiveLine


@dataclass(frozen=True)
class Row:
    """One row."""

    key: str
    cells: tuple[Content, ...]


class RowList(Vertical):
    """Rows below their column titles. Enter on a row posts `OptionList.OptionSelected` with the key as `option_id`."""

    DEFAULT_CSS = """
    RowList { height: 1fr; }
    RowList > .columns { color: $text-quiet; padding: 0 1; }
    RowList > OptionList { height: 1fr; border: none; padding: 0; background: transparent; overflow-y: auto; }
    RowList > OptionList > .option-list--option { padding: 0 1; }
    RowList > .empty { height: auto; color: $text-quiet; display: none; }
    RowList.-empty > .columns, RowList.-empty > OptionList { display: none; }
    RowList.-empty > .empty { display: block; }
    """

    def __init__(self, columns: Sequence[Column], empty: str, *, classes: str = "") -> None:
        super().__init__(classes=f"-empty {classes}")
        self._columns = self._fitted = tuple(columns)
        self._rows: tuple[Row, ...] = ()
        self._heads = LiveLine(classes="columns")
        self._reason = Static(Content(empty), classes="empty", markup=False)
        self.options = OptionList(markup=False)
        """The list itself, for the focus."""
        self.options.can_focus = False

    def compose(self) -> ComposeResult:
        """Titles, rows, and what stands there without rows."""
        yield self._heads
        yield self.options
        yield self._reason

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows, in order."""
        return self._rows

    @property
    def key(self) -> str:
        """Key of the highlighted row; empty: none is."""
        option = self.options.highlighted_option
        return option.id or "" if option else ""

    def say(self, reason: str) -> None:
        """Say why there are no rows (yet)."""
        self._reason.update(Content(reason))

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; only rows that changed are drawn, the highlight follows its key."""
        before, self._rows = self._rows, tuple(rows)
        self.set_class(not rows, "-empty")
        self.options.can_focus = bool(rows)  # or a list that is not seen would swallow Enter
        if not rows and self.options.has_focus:
            self.screen.set_focus(None)
        if self._fit_columns() or [row.key for row in before] != [row.key for row in self._rows]:
            self._replace_all()
            return
        for row, gone in zip(self._rows, before, strict=True):
            if not all(new.is_same(old) for new, old in zip(row.cells, gone.cells, strict=True)):
                self.options.replace_option_prompt(row.key, self._prompt(row))

    def highlight(self, key: str) -> None:
        """Move the highlight to a row, if it is there."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self.options.highlighted = index

    def _replace_all(self) -> None:
        key, index = self.key, self.options.highlighted or 0
        self.options.set_options([Option(self._prompt(row), id=row.key) for row in self._rows])
        if self._rows:
            self.options.highlighted = min(index, len(self._rows) - 1)
            self.highlight(key)

    def _prompt(self, row: Row) -> Content:
        return fit(row.cells, self._fitted, self._room)

    def _fit_columns(self) -> bool:
        """Make room for what is in the rows; whether the columns are others now."""
        before = self._fitted
        self._fitted = narrowed(self._columns, [row.cells for row in self._rows], self._room)
        self._heads.show(fit([Content(column.title) for column in self._columns], self._fitted, self._room))
        return self._fitted != before

    @property
    def _room(self) -> int:
        return max(self.size.width - 4, 20)  # an option's padding, and the scroll bar's two cells

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns to the new width."""
        self._fit_columns()
        self._replace_all()
