"""A log that grows: bounded, appended to in pieces, followed or held still, searched."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets.line_buffer import LineBuffer

_NARROW = 110  # cells below which the day and the fractions of seconds of a line's time are left out
_TIME = re.compile(r"^\[?\d{4}-\d\d-\d\d[T ](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?\s+")


class LogPane(ScrollView, can_focus=True):
    """The last lines of a log. It follows the end until the reader moves up; the end key follows again."""

    DEFAULT_CSS = """
    LogPane {
        background: $background;
        overflow: auto auto;
        scrollbar-gutter: stable;
        scrollbar-size: 0 1;
    }
    LogPane > .log-pane--match { color: $text-accent; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log-pane--match"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("end", "follow", show=False),
        Binding("left", "scroll_left", show=False),
        Binding("right", "scroll_right", show=False),
    ]

    following: reactive[bool] = reactive(True, repaint=False)
    """Whether the newest line stays in sight."""

    class Moved(Message):
        """The pane follows, or no longer does; or lines came while it does not."""

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self.buffer = LineBuffer()
        """The lines."""
        self.unseen = 0
        """Lines that came while the pane did not follow."""
        self._needle = ""
        self._found = -1
        self._strips: LRUCache[int, Strip] = LRUCache(512)

    def write(self, text: str) -> None:
        """Add text to the end of the log; a line may come in several pieces."""
        if not text:
            return
        ended, dropped = self.buffer.write(text)
        self._found -= dropped
        self._strips.clear()
        if ended and not self.following:
            self.unseen += ended
            if dropped:
                self.scroll_to(y=max(self.scroll_offset.y - dropped, 0), animate=False, force=True)
            self.post_message(self.Moved())
        self._measure()

    def clear(self) -> None:
        """Forget all lines: another log is shown."""
        self.buffer = LineBuffer()
        self._strips.clear()
        self.unseen, self._found = 0, -1
        self.following = True
        self._measure()

    def search(self, needle: str) -> int:
        """Go to the last line that has `needle` (case ignored) and mark all that do.

        Returns:
            How many lines have it.
        """
        self._needle = needle.casefold()
        self._found = len(self.buffer)
        self._strips.clear()
        self.refresh()
        self.find_next(-1)
        return self.buffer.count(self._needle) if self._needle else 0

    def find_next(self, step: int) -> bool:
        """Go to the next line found, down (1) or up (-1); False where there is none."""
        place = self.buffer.find(self._needle, self._found + step, step) if self._needle else None
        if place is None:
            return False
        self._found = place
        self.following = False
        self.scroll_to(y=max(place - self.size.height // 2, 0), animate=False, force=True)
        return True

    def action_follow(self) -> None:
        """Follow the end again."""
        self.following = True

    def watch_following(self, following: bool) -> None:
        """Show the end when following begins."""
        if following:
            self.unseen = 0
            self._show_end()
        if self.is_mounted:
            self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Moving up holds the log still; coming back to the end follows it."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.max_scroll_y and old_value <= self.max_scroll_y:
            self.following = False
        elif new_value >= self.max_scroll_y:
            self.following = True

    def on_resize(self) -> None:
        """Keep the end in sight at any size; narrow lines are drawn otherwise than wide ones."""
        self._strips.clear()
        if self.following:
            self._show_end()

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        scroll_x, scroll_y = self.scroll_offset
        return self._strip(scroll_y + y).crop_extend(scroll_x, scroll_x + self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Other colours: nothing drawn before holds."""
        super().notify_style_update()
        self._strips.clear()

    def _strip(self, place: int) -> Strip:
        if place >= len(self.buffer):
            return Strip.blank(self.size.width, self.rich_style)
        if (strip := self._strips.get(place)) is None:
            line, style = self.buffer[place], self.rich_style
            matches = bool(self._needle) and self._needle in line.casefold()
            if self.size.width < _NARROW:
                line = _TIME.sub(r"\1 ", line, count=1)
            if matches:
                style += self.get_component_rich_style("log-pane--match")
            strip = self._strips[place] = Strip([Segment(line, style)], cell_len(line))
        return strip

    def _measure(self) -> None:
        self.virtual_size = Size(self.buffer.width, len(self.buffer))
        if self.following:
            self._show_end()
        self.refresh()

    def _show_end(self) -> None:
        self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)
