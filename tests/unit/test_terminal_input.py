"""What comes from the terminal, divided: keys are keys, pastes are text, and what is neither acts on nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.terminal_input import PASTE_LIMIT, Answer, InputParser, Pasted, Piece

LONG = 10.0
"""Seconds of silence after which nothing is waited for."""
UP, F1_OF_LINUX, SHIFT_DELETE_OF_RXVT = "\x1b[A", "\x1b[[A", "\x1b[3$"


def of(*reads: str, silence: float = LONG) -> list[Piece]:
    """The pieces of what was read at once each time, letters next to each other as one."""
    typed = InputParser()
    pieces: list[Piece] = []
    for piece in [*(piece for read in reads for piece in typed.take(read)), *typed.silent(silence)]:
        last = pieces[-1] if pieces else ""
        if isinstance(piece, str) and isinstance(last, str) and "\x1b" not in last + piece:
            pieces[-1:] = [last + piece]
        else:
            pieces.append(piece)
    return [piece for piece in pieces if piece]


LETTERS = st.text("aя界\r\t\x7f\x11 ", min_size=1, max_size=5)
WHOLE = [
    UP, F1_OF_LINUX, "\x1bOP", "\x1b[19~", "\x1b[97;;97u", "\x1b[<0;3;4M", "\x1b[M !!", "\x1b[?2026;1$y", "\x1bf",
    "\x1b]11;rgb:0/0/0\x1b\\", "\x1bP1$r0m\x1b\\", "\x1b_G;\x1b\\", "\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1m",
    "\x1b[200~pasted\x1b[A\x1b]0;\x11q\x1b[201~", "\x9b31m", "\x9d0;c\x9c",
]  # fmt: skip


@settings(max_examples=400)
@given(st.lists(LETTERS | st.sampled_from(WHOLE), max_size=8), st.data())
def test_the_pieces_are_the_same_however_the_line_divides_them(parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=12)))
    reads = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert of(*reads) == of(whole)


@settings(max_examples=300)
@given(st.text(st.characters() | st.sampled_from("\x1b[]P~;M\r\n\x11q\x9b"), max_size=60), st.integers(1, 70))
def test_nothing_pasted_is_a_key(pasted: str, cut: int) -> None:
    pasted = pasted.replace("\x1b[201~", "")
    sent = f"\x1b[200~{pasted}\x1b[201~{UP}"
    paste, key = of(sent[:cut], sent[cut:])
    assert isinstance(paste, Pasted)
    assert paste.length == len(pasted)
    assert not set(paste.text) & set("\x1b\x9b\x11\r\n")
    assert key == UP


@settings(max_examples=300)
@given(st.lists(st.text(st.characters() | st.sampled_from("\x1b[]PO~;M$\x07\\"), max_size=12), max_size=6))
def test_after_a_silence_a_key_is_a_key_whatever_came_before(reads: list[str]) -> None:
    typed = InputParser()
    for read in reads:
        list(typed.take(read))
    list(typed.silent(LONG))
    assert [*typed.take(UP), *typed.silent(LONG)][-1] == UP


@pytest.mark.parametrize(
    ("sent", "pieces"),
    [
        ("\x1bq", ["\x1b", "q"]),  # Escape and a letter in one packet of a slow line
        ("\x1b\x1b[A", ["\x1b", UP]),
        ("\x1b", ["\x1b"]),
        (SHIFT_DELETE_OF_RXVT, [SHIFT_DELETE_OF_RXVT]),
        ("\x1b]52;c;cXE=\x07", [Answer("52;c;cXE=")]),
        (f"\x1b]{'q' * 300}\x07", []),
        ("\x1b]never ended, q", []),
        ("\x1bPq\x1b\\\x1b^q\x1b\\\x1bXq\x1b\\\x90q\x9c", []),
        ("\x1b]0;q\x1b[A", [UP]),
        ("\x1b[" + "1;" * 20 + "q", []),
        ("\x1b[12\x07", ["\x07"]),
        ("\x9b31m\x85", []),
        ("\x1b[Mq\x1b[A", [UP]),
        ("\x1b[201~", ["\x1b[201~"]),
    ],
)
def test_what_is_no_key_goes_nowhere(sent: str, pieces: list[Piece]) -> None:
    assert of(sent) == pieces


def test_a_paste_is_one_line_without_controls_and_never_longer_than_is_taken() -> None:
    lines = "first\r\n\r\n\tsecond\u2028third\x1b[31m\u202e\x00\r"
    assert of(f"\x1b[200~{lines}\x1b[201~") == [Pasted("first  second third[31m", len(lines))]
    huge = of("\x1b[200~", *["x" * 4096] * 100, "\x1b[201~")
    assert huge == [Pasted("x" * PASTE_LIMIT, 409_600)]


def test_a_paste_that_is_not_marked_is_one_until_nothing_comes_any_more() -> None:
    typed = InputParser()
    assert list(typed.take("\x08" + "line\r" * 50)) == ["\x08"]
    assert list(typed.take("q\x1b[A\r")) == []
    assert list(typed.silent(0.1)) == []
    assert list(typed.silent(LONG)) == [Pasted(" ".join(["line"] * 50 + ["q[A"]), 255)]
    assert list(typed.take("q")) == ["q"]


def test_keys_held_down_are_no_paste() -> None:
    assert of("\x7f" * 500) == ["\x7f" * 500]


def test_a_paste_that_stalls_is_shown_and_goes_on_unless_a_key_comes() -> None:
    typed = InputParser()
    assert list(typed.take("\x1b[200~begun")) == []
    assert list(typed.silent(1.0)) == []
    assert list(typed.silent(LONG)) == [Pasted("begun", 5)]
    assert list(typed.silent(LONG)) == []
    assert list(typed.take("rest\rof it\x1b[20")) == []
    assert list(typed.silent(LONG)) == [Pasted("rest of it", 10)]
    assert list(typed.take("1~q")) == [Pasted("", 0), "q"]
    list(typed.take("\x1b[200~begun"))
    list(typed.silent(LONG))
    assert list(typed.take("q")) == ["q"]
