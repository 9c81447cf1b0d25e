"""A conversation with a model: turns below one another, an answer growing while it is streamed."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from tui.messages import grouped, n, t
from tui.text import clean

if TYPE_CHECKING:
    from tui.services.chat import Answer

REDRAW_SECONDS = 0.5
MAX_TURNS = 200
MAX_CHARACTERS = 20_000


def measured(answer: Answer) -> str:
    """Tokens and times of an answer, for a person."""
    parts = []
    if answer.usage:
        parts.append(n("{count} token", "{count} tokens", answer.usage.completion))
        parts.append(t("prompt {count}", count=grouped(answer.usage.prompt)))
    else:
        parts.append(t("tokens not told"))
    parts.append(
        t("{seconds:.2f} s, first after {first:.2f} s", seconds=answer.seconds, first=answer.time_to_first_token)
    )
    if answer.finish == "length":
        parts.append(t("cut at the longest answer"))
    elif answer.finish == "content_filter":
        parts.append(t("cut by content safety"))
    return " · ".join(parts)


class Turn(Static):
    """One message of the conversation."""

    DEFAULT_CSS = """
    Turn { height: auto; padding: 0 1; margin-bottom: 1; }
    Turn.-user { border-left: wide $secondary; }
    Turn.-assistant { border-left: wide $primary; }
    Turn.-system, Turn.-note { border-left: wide $border-blurred; color: $text-quiet; }
    Turn.-failed { border-left: wide $error; }
    """

    def __init__(self, role: str, who: str, text: str) -> None:
        self.role = role
        self.text = text
        self.note = ""
        self.failed = False
        self._who = who
        super().__init__(self._shown(), markup=False, classes=f"-{role}")

    @property
    def heading(self) -> str:
        """Who says it, and the note."""
        return f"{self._who}  ({self.note})" if self.note else self._who

    def _shown(self) -> Content:
        parts = [Content.styled(self._who, "bold")]
        if self.note:
            parts.append(Content.styled(f"  {clean(self.note, limit=300)}", "$text-quiet"))
        return Content.assemble(*parts, "\n", Content(clean(self.text, limit=MAX_CHARACTERS)))

    def draw(self) -> None:
        """Show the text and the note as they are now."""
        self.update(self._shown())


class Transcript(VerticalScroll):
    """The turns of one conversation; it stays at its end unless the reader moved up."""

    DEFAULT_CSS = """
    Transcript { height: 1fr; }
    Transcript > .empty { color: $text-quiet; padding: 1 2; height: auto; }
    """

    def __init__(self, empty: str, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._empty = empty
        self._growing: Turn | None = None
        self._drawn = 0.0
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """Say what to do first, and stay at the end from then on."""
        self.mount(Static(Content(self._empty), markup=False, classes="empty"))
        self.anchor()

    @property
    def turns(self) -> list[Turn]:
        """The turns shown, the oldest first."""
        return list(self.query(Turn))

    def add(self, role: str, who: str, text: str) -> Turn:
        """Add a finished turn."""
        self.query(".empty").remove()
        shown = self.turns
        for turn in shown[: max(len(shown) - MAX_TURNS + 1, 0)]:
            turn.remove()
        turn = Turn(role, who, text)
        self.mount(turn)
        return turn

    def begin(self, who: str) -> Turn:
        """Add an answer that will grow."""
        self._growing = self.add("assistant", who, t("…"))
        self._growing.text = ""
        self._drawn = 0.0
        return self._growing

    def grow(self, text: str) -> None:
        """Add to the growing answer; it is drawn twice a second at most."""
        if self._growing is None:
            return
        self._growing.text += text
        wait = REDRAW_SECONDS - (time.monotonic() - self._drawn)
        if wait <= 0:
            self._draw()
        elif self._timer is None:
            self._timer = self.set_timer(wait, self._draw)

    def end(self, note: str, *, text: str | None = None, failed: bool = False) -> None:
        """Finish the growing answer.

        Args:
            note: stands beside its author.
            text: the whole answer, where it is known; without it, what was streamed so far.
            failed: whether it is no answer, but the reason why there is none.
        """
        if self._growing is None:
            return
        if text is not None:
            self._growing.text = text
        self._growing.note = note
        self._growing.failed = failed
        self._growing.set_class(failed, "-failed")
        self._draw()
        self._growing = None

    def messages(self) -> list[tuple[str, str]]:
        """Role and text of every question that was answered, and of its answer, as a model is told them."""
        turns = self.turns
        told = []
        for question, answer in pairwise(turns):
            if question.role == "user" and answer.role == "assistant" and answer.text and not answer.failed:
                told += [("user", question.text), ("assistant", answer.text)]
        return told

    def plain_text(self) -> str:
        """The conversation as plain text."""
        return "\n\n".join(f"{turn.heading}\n{turn.text}" for turn in self.turns)

    def clear(self) -> None:
        """Begin a new conversation."""
        self._stop()
        self._growing = None
        self.query(Turn).remove()
        if not self.query(".empty"):
            self.mount(Static(Content(self._empty), markup=False, classes="empty"))

    def _draw(self) -> None:
        self._stop()
        self._drawn = time.monotonic()
        if self._growing is not None:
            self._growing.draw()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
