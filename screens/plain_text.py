"""Text as it is: to read, to copy to the terminal at the user's end, to write to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static, TextArea

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import n, t
from tui.recipe import write_private
from tui.services.errors import PhiftError, UsageError
from tui.wording import system_words

_WRITE = "plain.write"


class PlainText(Dialog[None]):
    """A read-only text area with a copy key and a file to write to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", show=False),
        Binding("w", "write", show=False),
    ]

    def __init__(self, title: str, content: str) -> None:
        super().__init__(classes="-large")
        self._title = title
        self.raw = content
        """The text as it is copied and written."""

    def heading(self) -> str:
        """The title given."""
        return self._title

    def content(self) -> ComposeResult:
        """The text, and a line for the file's name that appears when asked for."""
        yield TextArea(text.clean(self.raw, limit=400_000), read_only=True, show_line_numbers=False, id="plain-text")
        yield Input(placeholder=t("File to write to; Enter writes"), id="plain-file")
        yield Static("", id="plain-note", markup=False)

    def keys(self) -> Sequence[Key]:
        """Copy and write."""
        return [("c", t("Copy")), ("w", t("Write to a file"))]

    def on_mount(self) -> None:
        """The file line is hidden at first."""
        self.query_one("#plain-file").display = False

    def _note(self, message: str) -> None:
        self.query_one("#plain-note", Static).update(text.line(message))

    def action_copy(self) -> None:
        """Send the text to the terminal's clipboard; nobody can know whether it arrived."""
        try:
            self.program.copy_to_clipboard(text.clean(self.raw, limit=10**7))
        except ValueError as error:
            self._note(t("Not copied: {reason}. Write it to a file instead.", reason=error))
            return
        self._note(t("Sent to your terminal's clipboard. If it is not there, mark the text or write it to a file."))

    def action_write(self) -> None:
        """Ask for the file."""
        line = self.query_one("#plain-file", Input)
        line.display = True
        line.focus()

    @on(Input.Submitted)
    def _write(self, event: Input.Submitted) -> None:
        typed, content = event.value.strip(), self.raw if self.raw.endswith("\n") else self.raw + "\n"
        if not typed or self.program.tasks.of(_WRITE):
            return

        def work(report: object, cancel: object) -> Path:
            try:
                path = Path(typed).expanduser()
                if path.exists():
                    raise UsageError(t("{path} exists; choose another name.", path=path))
                write_private(path, content)
            except OSError as error:
                raise UsageError(t("Not written: {reason}.", reason=system_words(error))) from None
            except RuntimeError as error:  # of expanduser: nobody has that name
                raise UsageError(t("Not written: {reason}.", reason=error)) from None
            return path

        self.program.tasks.start(_WRITE, t("Writing the file"), work, done=self._written, failed=self._not_written)

    def _written(self, path: Path) -> None:
        if self.is_attached:
            lines = self.raw.count("\n") + 1
            self._note(n("Written {count} line to {path}.", "Written {count} lines to {path}.", lines, path=path))
            self.query_one(Input).display = False
            self.query_one(TextArea).focus()

    def _not_written(self, error: PhiftError) -> None:
        if self.is_attached:
            self._note(error.message)
