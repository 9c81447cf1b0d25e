"""Shortens what is sent to the terminal: of each frame, only the cells that differ from what is on the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"

# What frames are made of: places, styles, line ends and text. Whatever else is written passes as it is.
_TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|(\n)|([^\x00-\x1f\x7f-\x9f]+)")
# Written between frames without an effect on any cell: strings for the terminal, the bell, modes but the other screen.
_HARMLESS = re.compile(
    r"(\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1bP.*\x1b\\|\x07|\x1b\[\?(?!1049)\d+(\$p|[hl]))+", re.DOTALL
)
# Characters that every terminal draws one cell wide. A row with any other is sent as Textual wrote it, because the
# terminal may not agree with Textual about where the cells after it are.
_PLAIN = re.compile(
    "[ -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u052f\u1e00-\u1eff\u2010-\u2027\u2030-\u205e\u20ac"
    "\u2190-\u21ff\u2200-\u22ff\u2500-\u25fc\u2713\u2717\u2800-\u28ff\ufffd]*"
)
_GAP = 4  # unchanged cells up to which writing them again is shorter than moving past them
_ERASED = 10  # blank cells from which erasing them is shorter than writing them
_UNCHANGED_ON_BLANKS = frozenset({"1", "2", "3", "5", "6"})  # bold, dim, italic, blinking: not seen on a blank
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "6": "25", "7": "27", "9": "29", "21": "24", "53": "55"}


class _Style(NamedTuple):
    """How a cell is drawn, as parameters of SGR."""

    attributes: frozenset[str] = frozenset()
    foreground: str = ""
    background: str = ""


_DEFAULT = _Style()
_Piece = tuple[int, _Style, str]
"""Text from a column on."""


@lru_cache(4096)
def _style(codes: str) -> _Style:
    """The style that the parameters set, beginning from the default."""
    attributes: set[str] = set()
    foreground = background = ""
    rest = codes.split(";")
    while rest:
        code = rest.pop(0)
        if code in ("38", "48"):
            count = 4 if rest[:1] == ["2"] else 2
            color, rest = ";".join([code, *rest[:count]]), rest[count:]
            if code == "38":
                foreground = color
            else:
                background = color
        elif code in ("", "0"):
            attributes, foreground, background = set(), "", ""
        elif code in ("39", "49") or (len(code) > 1 and code[:-1] in ("3", "9", "4", "10")):
            value = "" if code in ("39", "49") else code
            if code[:-1] in ("3", "9"):
                foreground = value
            else:
                background = value
        else:
            attributes.add(code)
    return _Style(frozenset(attributes), foreground, background)


@lru_cache(4096)
def _blank(style: _Style) -> _Style:
    """The part of the style that a blank shows."""
    if style.attributes <= _UNCHANGED_ON_BLANKS:
        return _Style(background=style.background)
    return style


@lru_cache(4096)
def _change(before: _Style, after: _Style) -> str:
    """The shortest sequence from one style to the other."""
    if before == after:
        return ""
    whole = [*sorted(after.attributes, key=int), *filter(None, after[1:])]
    anew = f"\x1b[{';'.join(['0', *whole]) if whole else ''}m"
    gone, come = before.attributes - after.attributes, after.attributes - before.attributes
    if gone - _OFF.keys():
        return anew
    off = {_OFF[code] for code in gone}
    # Switching off bold switches off dim too; what stays is set again.
    come |= {code for code in after.attributes if _OFF.get(code) in off}
    codes = sorted(off, key=int) + sorted(come, key=int)
    if before.foreground != after.foreground:
        codes.append(after.foreground or "39")
    if before.background != after.background:
        codes.append(after.background or "49")
    return min(anew, f"\x1b[{';'.join(codes)}m", key=len)


def _step(count: int, direction: str) -> str:
    """The sequence that moves the cursor so many cells."""
    return f"\x1b[{count if count > 1 else ''}{direction}" if count else ""


class _Row:
    """The cells of one row; a character that is not known is an empty string."""

    def __init__(self, characters: list[str], styles: list[_Style]) -> None:
        self.characters = characters
        self.styles = styles

    @classmethod
    def unknown(cls, width: int) -> _Row:
        """A row of which nothing is known."""
        return cls([""] * width, [_DEFAULT] * width)

    def with_pieces(self, pieces: list[_Piece]) -> _Row | None:
        """The row with text written over it; None: the terminal may not put every cell where Textual believes it."""
        row = _Row(self.characters.copy(), self.styles.copy())
        for start, style, text in pieces:
            end = start + len(text)
            if end > len(row.characters) or not _PLAIN.fullmatch(text):
                return None
            blank = _blank(style)
            row.characters[start:end] = text
            row.styles[start:end] = [blank if character == " " else style for character in text]
        return row

    def segments_unlike(self, before: _Row) -> Iterator[tuple[int, int]]:
        """Where cells differ from those `before`, as (start, end) of words in one style, or of blanks."""
        for start, end in self._runs_unlike(before):
            x = start
            while x < end:
                stop = self._end_of_alike(x, end)
                yield x, stop
                x = stop

    def _end_of_alike(self, start: int, limit: int) -> int:
        """End of the blanks that begin at `start`, or of the words with the few blanks between them."""
        style, stop = self.styles[start], start + 1
        if self.characters[start] == " ":
            while stop < limit and self.characters[stop] == " " and self.styles[stop] == style:
                stop += 1
            return stop
        blank, end = _blank(style), stop
        while stop < limit and stop - end < _ERASED:
            if self.characters[stop] != " " and self.styles[stop] == style:
                end = stop + 1
            elif self.characters[stop] != " " or self.styles[stop] != blank:
                break
            stop += 1
        return end

    def _runs_unlike(self, before: _Row) -> Iterator[tuple[int, int]]:
        """Where cells differ from those `before`; a few that do not may be among them."""
        cells = zip(self.characters, before.characters, self.styles, before.styles, strict=True)
        unlike = [x for x, (new, old, style, style_before) in enumerate(cells) if new != old or style != style_before]
        start = end = -1
        for x in unlike:
            if end >= 0 and x - end <= _GAP and self._drawn_alike(end, x):
                end = x + 1
                continue
            if end >= 0:
                yield start, end
            start, end = x, x + 1
        if end >= 0:
            yield start, end

    def _drawn_alike(self, start: int, end: int) -> bool:
        """Whether the cells between two runs are known and cost no change of style."""
        style = self.styles[start - 1]
        return all(
            character and (style == own or (character == " " and own == _blank(style)))
            for character, own in zip(self.characters[start:end], self.styles[start:end], strict=True)
        )


def _reaches_beyond(pieces: list[_Piece], width: int) -> bool:
    """Whether a row is longer than the terminal for certain, so that its end would be drawn into other rows."""
    last = max(start + len(text) for start, _, text in pieces)
    return last > width and all(_PLAIN.fullmatch(text) for _, _, text in pieces)


class _Pen:
    """Writes cells with the fewest bytes, knowing where the cursor is and which style is set."""

    def __init__(self, cursor: tuple[int, int] | None, size: tuple[int, int], *, erases_in_colour: bool) -> None:
        self.cursor = cursor
        self._style = _DEFAULT
        self._width, self._height = size
        self._erases_in_colour = erases_in_colour
        self._sent: list[str] = []

    def sent(self) -> str:
        """All that was written; the style is the terminal's own again."""
        self._set(_DEFAULT)
        return "".join(self._sent)

    def move(self, x: int, y: int) -> None:
        """Put the cursor somewhere."""
        if self.cursor == (x, y):
            return
        ways = [f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H"]
        if self.cursor and self.cursor[1] <= y:
            right, down = x - self.cursor[0], y - self.cursor[1]
            aside = _step(right, "C") if right > 0 else min("\b" * -right, _step(-right, "D"), key=len)
            ways.append(aside + _step(down, "B"))
        self._sent.append(min(ways, key=len))
        self.cursor = (x, y)

    def draw(self, y: int, row: _Row, start: int, end: int) -> None:
        """Draw the cells of a row from `start` up to `end`: words in one style, or blanks."""
        style = row.styles[start]
        if row.characters[start] != " ":
            self._write(start, y, style, "".join(row.characters[start:end]))
        elif end - start >= _ERASED and self._can_erase(style):
            self._fit(style)
            self.move(start, y)
            self._sent.append("\x1b[K" if end == self._width else f"\x1b[{end - start}X")
        else:
            self._fit(style)
            self._write(start, y, self._style, " " * (end - start))

    def draw_as_written(self, y: int, pieces: list[_Piece]) -> None:
        """Draw text of which only the terminal knows how many cells it takes."""
        place = -1
        for x, style, text in pieces:
            if x != place:
                self.cursor = None
                self.move(x, y)
            self._set(style)
            self._sent.append(text)
            place = x + cell_len(text)
        self.cursor = None

    def _write(self, x: int, y: int, style: _Style, text: str) -> None:
        self.move(x, y)
        self._set(style)
        self._sent.append(text)
        # Behind the last column terminals differ about where the cursor is.
        self.cursor = (x + len(text), y) if x + len(text) < self._width else None

    def _set(self, style: _Style) -> None:
        self._sent.append(_change(self._style, style))
        self._style = style

    def _fit(self, blank: _Style) -> None:
        """Set this blank's style, where the present one draws it otherwise."""
        if _blank(self._style) != blank:
            self._set(blank)

    def _can_erase(self, blank: _Style) -> bool:
        return not blank.attributes and (self._erases_in_colour or not blank.background)


class Frames:
    """Knows what is on the terminal's screen; takes what Textual writes, gives the least that has the same effect.

    Textual draws a widget, or the whole screen, anew where a cell of it changed, and sets every style anew for each
    piece of text.
    """

    def __init__(self, size: Callable[[], tuple[int, int]], *, erases_in_colour: bool) -> None:
        """Begin with a screen of which nothing is known.

        Args:
            size: the terminal's columns and rows at this moment.
            erases_in_colour: whether the terminal erases with the background colour that is set.
        """
        self._ask_size = size
        self._size = (0, 0)
        self._rows: list[_Row] = []
        self._cursor: tuple[int, int] | None = None
        self._erases_in_colour = erases_in_colour
        self._held = ""

    def shorten(self, written: str) -> str:
        """What to send in place of `written`; empty: nothing has to be."""
        if written == SYNC_START:
            self._held = written
            return ""
        if written == SYNC_END:
            held, self._held = self._held, ""
            return "" if held else written
        pieces = self._pieces(written)
        if pieces is not None:
            sent = self._frame(*pieces)
        else:
            if not _HARMLESS.fullmatch(written):
                self.forget()
            sent = written
        if sent:
            sent, self._held = self._held + sent, ""
        return sent

    def resized(self) -> None:
        """The terminal had another size, though it may have its old one again: it kept of the screen what it liked."""
        self._size = (0, 0)

    def forget(self) -> None:
        """Something else was drawn: nothing is known of the screen any more."""
        width, height = self._size
        self._rows = [_Row.unknown(width) for _ in range(height)]
        self._cursor = None

    def _pieces(self, written: str) -> tuple[dict[int, list[_Piece]], tuple[int, int]] | None:
        """The text of a frame by rows, and where it leaves the cursor; None: this is no frame."""
        rows: dict[int, list[_Piece]] = {}
        style, codes, x, y, end = _DEFAULT, "", *(self._cursor or (0, 0)), 0
        while match := _TOKEN.match(written, end):
            end = match.end()
            row, column, sgr, line_end, text = match.groups()
            if row is not None:
                x, y = int(column) - 1, int(row) - 1
            elif sgr is not None:
                codes = f"{codes};{sgr}" if codes and sgr not in ("", "0") else sgr
                style = _style(codes)
            elif line_end:
                x, y = 0, y + 1
            else:
                rows.setdefault(y, []).append((x, style, text))
                x += cell_len(text)
        return (rows, (x, y)) if written and end == len(written) else None

    def _frame(self, rows: dict[int, list[_Piece]], cursor: tuple[int, int]) -> str:
        size = self._ask_size()
        if size != self._size:
            self._size = size
            self.forget()
        width, height = size
        pen = _Pen(self._cursor, size, erases_in_colour=self._erases_in_colour)
        segments: dict[_Style, list[tuple[int, _Row, int, int]]] = {}
        for y, pieces in sorted(rows.items()):
            if y >= height or _reaches_beyond(pieces, width):
                continue  # drawn for a larger terminal, before its new size was heard of
            before = self._rows[y]
            row = before.with_pieces(pieces)
            if row is None:
                pen.draw_as_written(y, pieces)
                self._rows[y] = _Row.unknown(width)
                continue
            self._rows[y] = row
            style, last = _DEFAULT, -1
            for start, end in row.segments_unlike(before):
                # Blanks right behind a text that they go with are drawn with it: the cursor is there.
                if start != last or row.characters[start] != " " or _blank(style) != row.styles[start]:
                    style = row.styles[start]
                segments.setdefault(style, []).append((y, row, start, end))
                last = end
        # A place costs less than a style: what has the same one is drawn in turn, blanks behind text that they go with.
        for style in sorted(
            segments, key=lambda each: (each.background, not each.foreground, sorted(each.attributes), each.foreground)
        ):
            for segment in segments[style]:
                pen.draw(*segment)
        pen.move(min(cursor[0], width - 1), min(cursor[1], height - 1))
        self._cursor = pen.cursor
        return pen.sent()
