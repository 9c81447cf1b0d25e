"""An input beside its label: its range at the right, and below it a line of help, or what is wrong."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static


class LabelledInput(Vertical):
    """A field that is no part of the recipe."""

    class PutRight(Message):
        """What was wrong with the field is so no longer."""

    def __init__(
        self, label: str, value: str, *, name: str = "", hint: str = "", about: str = "", number: bool = False
    ) -> None:
        """Show the value.

        Args:
            label: what a person calls it.
            value: what it is so far.
            name: id of the input; that of the field is `row-` and the name.
            hint: its range or form.
            about: a line of help.
            number: it holds a number, so that the input is short.
        """
        super().__init__(id=f"row-{name}" if name else None, classes="field -number" if number else "field")
        self._label, self._hint, self._about = label, hint, about
        self.editor = Input(value, id=name or None, select_on_focus=False)
        """Where it is typed."""

    def compose(self) -> ComposeResult:
        """The row and the line."""
        with Horizontal(classes="field-row"):
            yield Static(self._label, classes="field-label", markup=False)
            yield self.editor
            if self._hint:
                yield Static(self._hint, classes="field-hint", markup=False)
        note = Static(self._about, classes="field-note", markup=False)
        if not self._about:
            note.display = False
        yield note

    def tell(self, wrong: str) -> None:
        """Say what is wrong in the help's place; empty: nothing is."""
        note = self.query_one(".field-note", Static)
        if self.has_class("-wrong") and not wrong:
            self.post_message(self.PutRight())
        self.set_class(bool(wrong), "-wrong")
        if not self._about:
            note.display = bool(wrong)
        note.update(Content.assemble(("! ", "bold"), wrong) if wrong else self._about)
