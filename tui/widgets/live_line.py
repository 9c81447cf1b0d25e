"""A line of text that reaches the terminal only when it changed."""

from __future__ import annotations

from textual.app import RenderResult
from textual.content import Content
from textual.widgets import Static


class LiveLine(Static):
    """One line, cut with an ellipsis where it is too long; showing what is shown already costs no bytes."""

    DEFAULT_CSS = """
    LiveLine { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, shown: Content | None = None, *, classes: str = "") -> None:
        self._shown = shown or Content("")
        self._shorter: tuple[Content, ...] = ()
        super().__init__(self._shown, markup=False, classes=classes)

    @property
    def text(self) -> str:
        """What is shown, without its styles."""
        return self._shown.plain

    def show(self, shown: Content, *shorter: Content, layout: bool = False) -> None:
        """Show this from now on.

        Args:
            shown: what there is to show.
            shorter: what stands in its place where it does not fit: the first that does.
            layout: it has as many rows as the style sheet lets it have.
        """
        before, now = (self._shown, *self._shorter), (shown, *shorter)
        if len(before) != len(now) or not all(new.is_same(old) for new, old in zip(now, before, strict=True)):
            self._shown, self._shorter = shown, shorter
            self.update(shown, layout=layout)

    def render(self) -> RenderResult:
        """What fits, where there is a choice."""
        if not self._shorter:
            return super().render()
        texts = (self._shown, *self._shorter)
        return next((each for each in texts if each.cell_length <= self.size.width), texts[-1])

    def on_resize(self) -> None:
        """Another width may have room for another choice."""
        if self._shorter:
            self.refresh()
