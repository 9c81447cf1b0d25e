"""A line of text that reaches the terminal only when it changed."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class LiveLine(Static):
    """One line, cut with an ellipsis where it is too long; showing what is shown already costs no bytes."""

    DEFAULT_CSS = """
    LiveLine { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, shown: Content | None = None, *, classes: str = "") -> None:
        self._shown = shown or Content("")
        super().__init__(self._shown, markup=False, classes=classes)

    @property
    def text(self) -> str:
        """What is shown, without its styles."""
        return self._shown.plain

    def show(self, shown: Content, *, layout: bool = False) -> None:
        """Show this from now on; with `layout`, on as many rows as the style sheet lets it have."""
        if not shown.is_same(self._shown):
            self._shown = shown
            self.update(shown, layout=layout)
