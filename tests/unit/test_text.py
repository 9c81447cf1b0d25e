"""Text of others: whatever it holds, a terminal cannot act on it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.text import clean, clean_line, content, line

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "\x1b]52;c;aGk=\x07",
    "\x9b2J",
    "a\rb\x08c\x07",
    "user\u202egnp.exe",
    "zero\u200bwidth\u2066hidden\u2069",
    "\ud800 lone",
    "\U000e0041tag",
    "\x00\x7f",
]


def controls(text: str, allowed: str) -> list[str]:
    """The characters that a terminal could act on, or that hide or turn text around."""
    return [
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
        if character not in allowed
    ]


@given(st.text() | st.sampled_from(HOSTILE))
def test_nothing_that_acts_is_left(text: str) -> None:
    assert controls(clean(text), "\n") == []
    assert controls(clean_line(text), "") == []


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M"]), max_size=400))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text
    assert clean_line(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_was_taken_out_is_visible(text: str) -> None:
    assert clean(text) != text
    assert len(clean(text)) >= len(text.replace("\r", ""))


def test_line_breaks_of_all_systems_become_one_kind() -> None:
    assert clean("a\r\nb\rc\nd") == "a\nb\nc\nd"
    assert clean_line("a\r\nb\rc\nd") == "a⏎b⏎c⏎d"


@given(st.text(min_size=0, max_size=300), st.integers(5, 100))
def test_length_is_bounded(text: str, limit: int) -> None:
    assert len(clean_line(text, limit=limit)) <= limit
    shown = clean(text, limit=limit)
    if len(text) > limit:
        more = len(text) - limit
        assert shown.endswith(f"({more:,} more character{'s' * (more != 1)})")


def test_megabytes_are_cut() -> None:
    assert len(clean("x" * 5_000_000)) < 20_100
    assert len(clean_line("x" * 5_000_000)) == 500


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[link=https://evil]x", "[@click=app.quit]x[/]", r"\[x]"])
def test_markup_is_data(text: str) -> None:
    assert content(text).plain == text
    assert line(text, "bold").plain == text
    assert [span.style for span in content(text).spans] == []
