"""The widgets of the run pages: logs in pieces, lists by key, curves, columns."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_fakes import HOSTILE, WHO, metric, shown, until
from textual.app import App, ComposeResult
from textual.content import Content

from tui.widgets.check_list import CheckList
from tui.widgets.columns import Column, fit
from tui.widgets.line_buffer import MAX_LINES, MAX_WIDTH, LineBuffer
from tui.widgets.log_pane import LogPane
from tui.widgets.metric_panel import Curve, MetricPanel, best, figure
from tui.widgets.progress_line import ProgressLine, duration
from tui.widgets.row_list import Row, RowList
from tui.widgets.summary import short_line
from tui.widgets.topbar import fitting, names
from tui.widgets.transcript import Transcript

TEXT = st.text(st.sampled_from(list("ab \n\r\t\x1b\u202e界")), max_size=60)


class Stage(App[None]):
    """One widget alone."""

    def __init__(self, widget: Any) -> None:
        super().__init__()
        self._widget = widget

    def compose(self) -> ComposeResult:
        yield self._widget

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"text-quiet": "grey"}


def row(key: str, *cells: str) -> Row:
    return Row(key, tuple(Content(cell) for cell in cells))


@given(st.lists(TEXT, max_size=8))
def test_a_log_is_the_same_however_its_text_was_cut(pieces: list[str]) -> None:
    whole, cut = LineBuffer(), LineBuffer()
    whole.write("".join(pieces))
    for piece in pieces:
        cut.write(piece)
    assert cut.tail(100) == whole.tail(100)
    assert not any(character in line for line in cut.tail(100) for character in "\x1b\r\n\u202e")


def test_a_progress_bar_that_rewrites_its_line_is_one_line() -> None:
    lines = LineBuffer()
    lines.write(" 10%|#\r 50%|#####\r100%|##########\ndone\r\n")
    assert lines.tail(9) == ["100%|##########", "done"]


async def test_a_long_log_keeps_its_end_and_says_how_much_is_gone() -> None:
    pane = LogPane()
    async with Stage(pane).run_test() as pilot:
        pane.write("".join(f"line {number}\n" for number in range(MAX_LINES + 50)))
        await until(pilot, lambda: pane.scroll_offset.y == pane.max_scroll_y > 0)
        assert (len(pane.buffer), pane.buffer.dropped) == (MAX_LINES, 50)
        assert pane.buffer.tail(1) == [f"line {MAX_LINES + 49}"]
        assert pane.search("line 4321") == 1
        assert not pane.following
        pane.write("x" * 3_000_000)
        assert len(pane.buffer.tail(1)[0]) <= MAX_WIDTH, "a line without an end does not fill the memory"


async def test_a_reader_who_moved_up_stays_there_while_lines_come() -> None:
    pane = LogPane()
    async with Stage(pane).run_test() as pilot:
        pane.write("".join(f"line {number}\n" for number in range(100)))
        pane.focus()
        await until(pilot, lambda: pane.show_vertical_scrollbar and pane.scroll_offset.y == pane.max_scroll_y)
        await pilot.press("pageup")
        await until(pilot, lambda: not pane.following)
        place = pane.scroll_target_y
        pane.write("new\nnew\n")
        assert (pane.unseen, pane.scroll_target_y) == (2, place)
        await pilot.press("end")
        await until(pilot, lambda: pane.following and pane.unseen == 0)


async def test_rows_come_change_and_go_while_the_highlight_keeps_its_key() -> None:
    rows = RowList([Column("name", 0), Column("state", 8)], "none yet")
    async with Stage(rows).run_test(size=(60, 20)) as pilot:
        rows.show([row("a", "a", "x"), row("b", "b", "x")])
        rows.highlight("b")
        rows.show([row("new", HOSTILE, "x"), row("a", "a", "y"), row("b", "b", "y")])
        assert rows.key == "b"
        rows.show([row("new", "n", "x"), row("a", "a", "y")])
        assert rows.key in ("new", "a")
        rows.show([])
        assert (rows.key, rows.has_class("-empty")) == ("", True)
        await pilot.resize_terminal(40, 20)


async def test_a_choice_outlives_its_rows_change_and_not_its_going() -> None:
    rows = CheckList([Column("name", 0)], "none")
    async with Stage(rows).run_test():
        rows.show([row("a", "a"), row("b", "b")])
        rows.choose(["a", "b"])
        rows.show([row("b", "changed"), row("c", "c")])
        assert rows.chosen == ("b",)


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (80, "Phi-4 · serverless · train.jsonl · 3 epochs · 1.00 USD"),
        (50, "Phi-4 · train.jsonl · 3 epochs · 1.00 USD"),
        (35, "Phi-4 · train.jsonl · 1.00 USD"),
        (20, "Phi-4 · 1.00 USD"),
        (10, "1.00 USD"),
    ],
)
def test_the_line_of_choices_loses_whole_parts_and_never_the_price(width: int, said: str) -> None:
    assert short_line(["Phi-4", "serverless", "train.jsonl", "3 epochs", "1.00 USD"], width) == said


@pytest.mark.parametrize(
    ("width", "said"),
    [(40, "someone@example.com (device-code)"), (20, "someone@example.com"), (9, "someone"), (5, "some…")],
)
def test_who_is_signed_in_is_said_in_words_that_fit(width: int, said: str) -> None:
    assert fitting(names(replace(WHO, method="device-code")), width) == said


@given(st.lists(TEXT, min_size=3, max_size=3), st.integers(20, 120))
def test_columns_are_as_wide_as_they_are_told(cells: list[str], width: int) -> None:
    columns = (Column("", 5), Column("", 0), Column("", 4, right=True))
    shown = fit([Content(cell.replace("\n", " ").replace("\r", "")) for cell in cells], columns, width)
    assert shown.cell_length == max(width, 5 + 4 + 4 + 4)


async def test_metrics_that_are_not_numbers_are_said_and_drawn_around() -> None:
    panel = MetricPanel()
    async with Stage(panel).run_test(size=(80, 20)) as pilot:
        panel.show({"train_loss": metric("train_loss", 2.0, math.nan, math.inf, 1.0), HOSTILE: metric(HOSTILE, 1.0)})
        await until(pilot, lambda: len(panel.query(Curve)) == 2)
        assert [list(curve.data or []) for curve in panel.query(Curve)] == [[2.0, 1.0], []]
    assert (figure(math.nan), figure(math.inf)) == ("NaN", "∞")
    assert (best("train_loss", [2.0, math.nan, 1.0]), best("eval_token_accuracy", [0.2, 0.9])) == (1.0, 0.9)
    assert best("something else", [1.0]) is None, "nobody knows which is better"


async def test_a_streamed_answer_is_drawn_at_once_and_then_seldom_and_in_the_end_whole() -> None:
    talk = Transcript("ask")
    drawn: list[str] = []
    async with Stage(talk).run_test(size=(60, 20)):
        talk.add("user", "you", "question")
        turn = talk.begin("model")
        turn.draw = lambda: drawn.append(turn.text)  # type: ignore[method-assign]  # counts what is drawn
        for piece in ["a", "b", "c", "d", "e", "f", "g", "h"]:
            talk.grow(piece)
        assert drawn == ["a"]
        talk.end("8 tokens", text="abcdefgh")
        assert drawn == ["a", "abcdefgh"]
        assert talk.messages() == [("user", "question"), ("assistant", "abcdefgh")]


async def test_a_name_that_would_be_cut_gets_the_cells_that_other_columns_do_not_need() -> None:
    rows = RowList([Column("kind", 14), Column("name", 0), Column("bills", 20)], "none")
    async with Stage(rows).run_test(size=(50, 10)) as pilot:
        rows.show([row("a", "job", "short", "no")])
        await until(pilot, lambda: "name" in shown(pilot.app))
        heads = shown(pilot.app).splitlines()[0]
        rows.show([row("a", "job", "a-name-of-twenty-two-1", "no")])
        await until(pilot, lambda: "a-name-of-twenty-two-1" in shown(pilot.app))
        narrowed = shown(pilot.app).splitlines()[0]
        assert heads.index("name") > narrowed.index("name") == len(" kind  ")
        await pilot.resize_terminal(70, 10)
        await until(pilot, lambda: shown(pilot.app).startswith(f" {'kind':14}  name"))


@pytest.mark.parametrize(("width", "bar"), [(70, 20), (56, 10), (44, 0)])
async def test_a_bar_gives_way_to_the_words_beside_it(width: int, bar: int) -> None:
    progress = ProgressLine()
    async with Stage(progress).run_test(size=(width, 3)) as pilot:
        progress.show_progress("step", 40, 160, seconds_left=131)
        await until(pilot, lambda: "25% step 40 of 160 · about 2 min 11 s" in shown(pilot.app))
        assert len(shown(pilot.app).split()[0].rstrip("25%")) == bar


def test_times_are_said_as_a_person_says_them() -> None:
    assert [duration(seconds) for seconds in (0.4, 59, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 05 min"]
