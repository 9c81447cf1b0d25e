"""Asks before something that cannot be undone: a word has to be typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import t


class ConfirmTyped(Dialog[bool]):
    """Answers True where the word was typed."""

    def __init__(self, title: str, lines: Sequence[str], yes: str, word: str, hint: str) -> None:
        """Make the question.

        Args:
            title: the question.
            lines: what is lost, a line each.
            yes: what happens, in a word or two.
            word: what has to be typed.
            hint: what the word is, in words.
        """
        super().__init__(classes="-problem")
        self._title = title
        self._lines = tuple(lines)
        self._yes = yes
        self._word = word
        self._hint = hint
        self._note = Static("", classes="confirm-note", markup=False)

    def heading(self) -> str:
        """The question."""
        return self._title

    def content(self) -> ComposeResult:
        """What is lost, and where to type."""
        yield Static(Content("\n").join(text.line(each, limit=200) for each in self._lines), markup=False)
        yield Static(
            Content.assemble(text.line(self._hint), " ", (text.clean_line(self._word), "bold")),
            classes="confirm-hint",
            markup=False,
        )
        yield Input()
        yield self._note

    def keys(self) -> Sequence[Key]:
        """What agrees."""
        return [("Enter", self._yes)]

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() == self._word:
            self.dismiss(True)
        else:
            self._note.update(t("That is something else; nothing was removed."))
