"""A question with two answers; which of them Enter gives is said beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from screens.dialog import Dialog, Key
from tui.messages import t


class Confirm(Dialog[bool]):
    """Asks before something costs or deletes: `y` says yes; Enter says yes only where that is harmless."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n", "answer(False)", show=False),
        Binding("enter", "default", show=False),
    ]

    def __init__(self, title: str, body: Content | str, *, yes: str, no: str = "", enter_is_yes: bool = False) -> None:
        """Make the question.

        Args:
            title: the question in a few words.
            body: what the answer means: cost, names, what cannot be taken back.
            yes: what `y` does, in two or three words.
            no: what `n` does; empty: "not now".
            enter_is_yes: whether Enter means yes; only for what costs nothing and destroys nothing.
        """
        super().__init__()
        self._title, self._body, self._yes, self._no = title, body, yes, no or t("Not now")
        self._enter_is_yes = enter_is_yes

    def heading(self) -> str:
        """The question."""
        return self._title

    def content(self) -> ComposeResult:
        """What the answer means."""
        yield Static(self._body, markup=False)

    def keys(self) -> Sequence[Key]:
        """Yes and no, with what Enter does."""
        if self._enter_is_yes:
            return [("Enter y", self._yes), ("n", self._no)]
        return [("y", self._yes), ("Enter n", self._no)]

    def action_answer(self, answer: bool) -> None:
        """Answer."""
        self.dismiss(answer)

    def action_default(self) -> None:
        """Answer what Enter answers."""
        self.dismiss(self._enter_is_yes)
