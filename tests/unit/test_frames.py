"""What is sent to the terminal in place of what Textual writes: fewer bytes, the same screen."""

from __future__ import annotations

import pyte
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui.frames import SYNC_END, SYNC_START, Frames

WIDTH, HEIGHT = 16, 4
START = "\x1b[?1049h\x1b[?7l"


class Cells:
    """A terminal: takes bytes, tells what a person sees."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self._screen)
        self._stream.feed("\x1b[?7l")

    def feed(self, text: str) -> None:
        """Draw; the terminal's line discipline gives each line end its return."""
        self._stream.feed(text.replace("\n", "\r\n"))

    def resize(self, width: int, height: int) -> None:
        """Give it another size."""
        self._screen.resize(height, width)

    def seen(self) -> tuple[object, ...]:
        """Cells, a blank without what it does not show, and the cursor."""
        rows = []
        for y in range(self._screen.lines):
            row = []
            for x in range(self._screen.columns):
                cell = self._screen.buffer[y][x]
                if cell.data == " " and not (cell.reverse or cell.underscore or cell.strikethrough):
                    row.append((" ", cell.bg))
                else:
                    row.append(tuple(cell))
            rows.append(row)
        return (*rows, self._screen.cursor.x, self._screen.cursor.y)


def moved(x: int, y: int) -> str:
    return f"\x1b[{y + 1};{x + 1}H"


STYLES = ["", "1", "2", "3;4", "7", "9", "31", "97;44", "1;38;5;208", "38;2;1;2;3;48;2;9;8;7", "48;2;9;8;7", "4;100"]
TEXTS = st.text("ab ─界e\u0301\u200d👍é ", min_size=1, max_size=10) | st.sampled_from(
    [" " * 14, "a" + " " * 12, "word"]
)
PIECES = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.sampled_from(STYLES), TEXTS)
FRAMES = st.lists(st.lists(PIECES, min_size=1, max_size=6), min_size=1, max_size=6)


def frame(pieces: list[tuple[int, int, str, str]]) -> str:
    """A frame as Textual writes it: each piece with its place and style, then the cursor's place."""
    drawn = []
    for x, y, style, text in sorted(pieces, key=lambda piece: piece[1]):
        # Textual never writes past the edge, nor ends the last row.
        cut = text[: WIDTH - x]
        drawn.append(moved(x, y) + (f"\x1b[{style}m{cut}\x1b[0m" if style else cut) + "\n" * (y < HEIGHT - 1))
    return "".join(drawn) + moved(0, HEIGHT - 1)


def plain_only(frames: list[list[tuple[int, int, str, str]]]) -> list[list[tuple[int, int, str, str]]]:
    return [[(x, y, style, text.translate({ord(c): "x" for c in "界\u0301\u200d👍"})) for x, y, style, text in each]
            for each in frames]  # fmt: skip


@settings(max_examples=300)
@given(FRAMES, st.booleans())
@example([[(0, 0, "7", "  a  ")], [(0, 0, "", "     ")]], True)
def test_the_screen_is_the_same_after_any_frames(
    frames: list[list[tuple[int, int, str, str]]], erases_in_colour: bool
) -> None:
    sent_to, written_to = Cells(), Cells()
    shortened = Frames(lambda: (WIDTH, HEIGHT), erases_in_colour=erases_in_colour)
    for pieces in plain_only(frames):
        written = frame(pieces)
        written_to.feed(written)
        sent_to.feed(shortened.shorten(written))
        assert sent_to.seen() == written_to.seen()


@settings(max_examples=200)
@given(FRAMES)
def test_rows_with_characters_of_doubtful_width_are_sent_as_written(
    frames: list[list[tuple[int, int, str, str]]],
) -> None:
    """Whole rows, as Textual draws them when it draws a screen: then no half of a wide character is left over."""
    sent_to, written_to = Cells(), Cells()
    shortened = Frames(lambda: (WIDTH, HEIGHT), erases_in_colour=True)
    for pieces in frames:
        rows = {y: (0, y, style, text) for _, y, style, text in pieces}
        written = frame([(x, y, style, f" {text:<{WIDTH}}") for x, y, style, text in rows.values()])
        written_to.feed(written)
        sent_to.feed(shortened.shorten(written))
        assert sent_to.seen() == written_to.seen()


def known(erases_in_colour: bool = True) -> Frames:
    """Frames that know a screen of blanks."""
    frames = Frames(lambda: (WIDTH, HEIGHT), erases_in_colour=erases_in_colour)
    frames.shorten(START)
    frames.shorten("\n".join(moved(0, y) + " " * WIDTH for y in range(HEIGHT)) + moved(0, 0))
    return frames


def test_what_is_on_the_screen_is_not_sent_again() -> None:
    frames = known()
    written = f"{moved(2, 1)}\x1b[1;31mword\x1b[0m{moved(0, 0)}"
    assert frames.shorten(written) == f"{moved(2, 1)}\x1b[1;31mword\x1b[1H\x1b[m"
    assert frames.shorten(written) == ""
    assert frames.shorten(written.replace("word", "ward")) == f"{moved(3, 1)}\x1b[1;31ma\x1b[1H\x1b[m"


def test_a_frame_for_a_wider_terminal_is_not_drawn_into_other_rows() -> None:
    frames = known()
    assert frames.shorten(f"{moved(0, 1)}{'a' * (WIDTH + 1)}\n{moved(0, 0)}") == ""
    assert "aaa" in frames.shorten(f"{moved(0, 1)}{'a' * WIDTH}\n{moved(0, 0)}")


def test_after_a_change_of_the_size_all_is_sent_though_the_size_is_the_same() -> None:
    frames = known()
    written = f"{moved(0, 0)}{'a' * WIDTH}\n{moved(0, 0)}"
    assert "aaa" in frames.shorten(written)
    assert frames.shorten(written) == ""
    frames.resized()
    assert "aaa" in frames.shorten(written)


def test_nothing_is_synchronised_where_nothing_is_sent() -> None:
    frames = known()
    assert [frames.shorten(each) for each in (SYNC_START, moved(0, 0), SYNC_END)] == ["", "", ""]
    sent = [frames.shorten(each) for each in (SYNC_START, f"{moved(0, 0)}a{moved(0, 0)}", SYNC_END)]
    assert sent == ["", f"{SYNC_START}a\b", SYNC_END]


def test_blanks_are_erased_only_where_the_terminal_takes_the_colour() -> None:
    written = f"{moved(0, 0)}\x1b[44m{' ' * WIDTH}\x1b[0m{moved(0, 0)}"
    assert "\x1b[K" in known(True).shorten(written)
    assert " " * WIDTH in known(False).shorten(written)


def test_after_another_size_everything_is_sent() -> None:
    size = [(WIDTH, HEIGHT)]
    frames = Frames(lambda: size[0], erases_in_colour=True)
    written = f"{moved(0, 0)}same{moved(0, 0)}"
    frames.shorten(written)
    assert frames.shorten(written) == ""
    size[0] = (WIDTH + 1, HEIGHT)
    assert "same" in frames.shorten(written)


def test_what_is_no_frame_passes_and_ends_what_is_known() -> None:
    frames = known()
    written = f"{moved(0, 0)}same{moved(0, 0)}"
    frames.shorten(written)
    for harmless in ("\x07", "\x1b]52;c;aGk=\x07", "\x1b[?2026$p", "\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\"):
        assert frames.shorten(harmless) == harmless
        assert frames.shorten(written) == ""
    for other in (START, "\x1b[2J", "\x1b[?1049l"):
        assert frames.shorten(other) == other
        assert "same" in frames.shorten(written)
