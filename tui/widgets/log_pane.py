"""A log that grows: bounded, appended to in pieces, followed or held still, searched."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.text import clean_line

MAX_LINES = 5_000
MAX_WIDTH = 2_000
_PENDING = 1_000_000  # characters of a line that has not ended yet; a log without line ends must not fill the memory


class LogPane(ScrollView, can_focus=True):
    """The last lines of a log. It follows the end until the reader moves up; the end key follows again."""

    DEFAULT_CSS = """
    LogPane {
        background: $background;
        overflow: auto auto;
        scrollbar-gutter: stable;
        scrollbar-size: 0 1;
        scrollbar-color: $border-blurred;
        scrollbar-background: $background;
    }
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
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._pending = ""
        self._dropped = 0
        self._unseen = 0
        self._width = 0
        self._needle = ""
        self._found = -1
        self._strips: LRUCache[tuple[int, bool], Strip] = LRUCache(512)

    @property
    def lines(self) -> list[str]:
        """The lines kept, made harmless, the oldest first; a last line without its end is one too."""
        return [*self._lines, *([clean_line(self._pending, limit=MAX_WIDTH)] if self._pending else [])]

    @property
    def dropped(self) -> int:
        """Lines no longer kept."""
        return self._dropped

    @property
    def unseen(self) -> int:
        """Lines that came while the pane did not follow."""
        return self._unseen

    def write(self, text: str) -> None:
        """Add text to the end of the log; a line may come in several pieces."""
        if not text:
            return
        *ended, self._pending = (self._pending + text).replace("\r\n", "\n").split("\n")
        self._pending = self._pending[:_PENDING]
        overflow = max(len(self._lines) + len(ended) - MAX_LINES, 0)
        for line in ended:
            shown = clean_line(line.rsplit("\r", 1)[-1], limit=MAX_WIDTH)
            self._width = max(self._width, len(shown))
            self._lines.append(shown)
        if overflow:
            self._dropped += overflow
            self._found -= overflow
        self._strips.clear()
        if ended and not self.following:
            self._unseen += len(ended)
            if overflow:
                self.scroll_to(y=max(self.scroll_offset.y - overflow, 0), animate=False, force=True)
            self._tell()
        self._resize_content()

    def clear(self) -> None:
        """Forget all lines: another log is shown."""
        self._lines.clear()
        self._strips.clear()
        self._pending, self._dropped, self._unseen, self._width, self._found = "", 0, 0, 0, -1
        self.following = True
        self._resize_content()

    def search(self, needle: str) -> int:
        """Go to the last line that has `needle` (case ignored) and mark all that do.

        Returns:
            How many lines have it.
        """
        self._needle = needle.casefold()
        self._found = len(self._lines)
        self._strips.clear()
        self.refresh()
        self.find_next(-1)
        return sum(self._needle in line.casefold() for line in self._lines) if self._needle else 0

    def find_next(self, step: int) -> bool:
        """Go to the next line found, down (1) or up (-1); False where there is none."""
        if not self._needle:
            return False
        places = range(self._found + step, len(self._lines) if step > 0 else -1, step)
        place = next((at for at in places if self._needle in self._lines[at].casefold()), None)
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
            self._unseen = 0
            self._show_end()
        if self.is_mounted:
            self._tell()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Moving up holds the log still; coming back to the end follows it."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.max_scroll_y and old_value <= self.max_scroll_y:
            self.following = False
        elif new_value >= self.max_scroll_y:
            self.following = True

    def on_resize(self) -> None:
        """Keep the end in sight at any size."""
        if self.following:
            self._show_end()

    def render_line(self, y: int) -> Strip:
        """One line of the window."""
        scroll_x, scroll_y = self.scroll_offset
        width = self.size.width
        return self._strip(scroll_y + y).crop_extend(scroll_x, scroll_x + width, self.rich_style)

    def _strip(self, place: int) -> Strip:
        base = self.rich_style
        if place > len(self._lines) or (place == len(self._lines) and not self._pending):
            return Strip.blank(self.size.width, base)
        if place == len(self._lines):
            return Strip([Segment(clean_line(self._pending, limit=MAX_WIDTH), base)])
        line = self._lines[place]
        matches = bool(self._needle) and self._needle in line.casefold()
        key = (place, matches)
        if (strip := self._strips.get(key)) is None:
            style = base + self.get_component_rich_style("log-pane--match") if matches else base
            strip = self._strips[key] = Strip([Segment(line, style + Style(bold=True) if matches else style)])
        return strip

    def _resize_content(self) -> None:
        self.virtual_size = Size(self._width, len(self._lines) + bool(self._pending))
        if self.following:
            self._show_end()
        self.refresh()

    def _show_end(self) -> None:
        self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)

    def _tell(self) -> None:
        self.post_message(self.Moved())

    def tail(self, count: int) -> list[str]:
        """The last `count` lines."""
        return list(islice(self._lines, max(len(self._lines) - count, 0), None))
