"""The last lines of a text that comes in pieces: made harmless, bounded in number and in width."""

from __future__ import annotations

from collections import deque

from tui.text import clean_line

MAX_LINES = 5_000
MAX_WIDTH = 2_000
_PENDING = 1_000_000  # characters of a line that has not ended yet; a log without line ends must not fill the memory


class LineBuffer:
    """Lines, the oldest first. A carriage return begins its line anew, as a progress bar does."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._pending = ""
        self.dropped = 0
        """Lines no longer kept."""
        self.width = 0
        """Characters of the widest line there was."""

    def __len__(self) -> int:
        """Lines, the one without its end among them."""
        return len(self._lines) + bool(self._pending)

    def __getitem__(self, place: int) -> str:
        """The line at a place."""
        if place == len(self._lines) and self._pending:
            return _shown(self._pending)
        return self._lines[place]

    def write(self, text: str) -> tuple[int, int]:
        """Add text to the end.

        Returns:
            How many lines ended, and how many were dropped.
        """
        *ended, self._pending = (self._pending + text).split("\n")
        self._pending = self._pending[:_PENDING]
        dropped = max(len(self._lines) + len(ended) - MAX_LINES, 0)
        for line in ended:
            self._lines.append(_shown(line))
            self.width = max(self.width, len(self._lines[-1]))
        self.dropped += dropped
        return len(ended), dropped

    def tail(self, count: int) -> list[str]:
        """The last lines."""
        return [self[place] for place in range(max(len(self) - count, 0), len(self))]

    def find(self, needle: str, start: int, step: int) -> int | None:
        """Place of the first line with `needle` (case-folded) from `start` on, down (1) or up (-1); None: none."""
        places = range(start, len(self) if step > 0 else -1, step)
        return next((place for place in places if needle in self[place].casefold()), None)

    def count(self, needle: str) -> int:
        """How many lines have `needle` (case-folded)."""
        return sum(needle in self[place].casefold() for place in range(len(self)))


def _shown(line: str) -> str:
    return clean_line(line.rstrip("\r").rsplit("\r", 1)[-1], limit=MAX_WIDTH)
