"""One question with its expected answer and two models' answers, side by side where there is room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.messages import t
from tui.text import clean, clean_line


class AnswerPair(VerticalScroll):
    """Question and expected answer above; below, the base model's answer beside the tuned one's."""

    DEFAULT_CSS = """
    AnswerPair { height: 1fr; }
    AnswerPair Static { height: auto; }
    AnswerPair > Horizontal { height: auto; }
    AnswerPair Vertical { width: 1fr; height: auto; padding: 0 1; border-left: wide $border-blurred; }
    AnswerPair Vertical.-better { border-left: wide $success; }
    """

    def compose(self) -> ComposeResult:
        """Empty until a question is shown."""
        yield Static(classes="question", markup=False)
        with Horizontal():
            with Vertical(classes="left"):
                yield Static(markup=False)
            with Vertical(classes="right"):
                yield Static(markup=False)

    def show(
        self, question: str, expected: str, left: tuple[str, str], right: tuple[str, str], *, better: str = ""
    ) -> None:
        """Show one question.

        Args:
            question: what was asked.
            expected: the answer in the held-out rows.
            left: heading and answer of the model on the left.
            right: heading and answer of the model on the right.
            better: `left`, `right`, or empty for neither.
        """
        self.query_one(".question", Static).update(
            Content.assemble(
                (t("question  "), "bold"), clean_line(question, limit=2000), "\n",
                (t("expected  "), "bold"), clean_line(expected, limit=2000),
            )
        )  # fmt: skip
        for side, (heading, answer) in (("left", left), ("right", right)):
            half = self.query_one(f".{side}", Vertical)
            half.set_class(better == side, "-better")
            mark = t(" · closer") if better == side else ""
            half.query_one(Static).update(
                Content.assemble((clean_line(heading, limit=60), "bold"), (mark, "bold $success"), "\n", clean(answer))
            )
        self.scroll_home(animate=False)
