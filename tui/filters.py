"""The nets under everything drawn: no control character reaches the terminal, and no symbol where it has only ASCII."""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui import text

_CONTROL = re.compile(f"[\t\n{text.UNSAFE}]")

_ASCII = str.maketrans(
    {
        **dict.fromkeys("─━═╌┄┈▔▁▂╴╶▀▄", "-"),
        **dict.fromkeys("│┃║╎┆▏▎▍▌▋▊▉▐▕", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛╔╗╚╝▛▜▙▟", "+"),
        **dict.fromkeys("█▓", "#"),
        **dict.fromkeys("▒▃▅▆▇", "="),
        **dict.fromkeys("░·•∙⋅", "."),
        **dict.fromkeys("✓✔", "+"),
        **dict.fromkeys("✗✘", "x"),
        **dict.fromkeys("▸▶›»❯→", ">"),
        **dict.fromkeys("◂◀‹«←", "<"),
        **dict.fromkeys("▴▲↑", "^"),
        **dict.fromkeys("▾▼↓", "v"),
        **dict.fromkeys("●◉■◆", "*"),
        **dict.fromkeys("○◌□◇", "o"),
        **dict.fromkeys("—–", "-"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("‘’", "'"),
        "…": "~",
        "×": "x",
        "≈": "~",
        "⏎": "/",
        text.REPLACEMENT: "?",
    }
)


def _shown(match: re.Match[str]) -> str:
    return "⏎" if match.group() == "\n" else text.REPLACEMENT


class ControlFilter(LineFilter):
    """Replaces control, C1 and bidirectional characters that a widget let through; a field shows its line ends."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line with every such character replaced."""
        if not any(_CONTROL.search(segment.text) for segment in segments):
            return segments
        return [Segment(_CONTROL.sub(_shown, segment.text), segment.style, segment.control) for segment in segments]


class AsciiFilter(LineFilter):
    """Draws borders, bars and symbols with ASCII characters of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line with the program's own symbols replaced; letters of any language are left."""
        return [
            segment
            if segment.text.isascii()
            else Segment(segment.text.translate(_ASCII), segment.style, segment.control)
            for segment in segments
        ]
