"""An error: what happened, what it means, what to do next, Azure's request id; the raw answer behind one key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import t
from tui.services.errors import PhiftError


def error_content(error: PhiftError) -> Content:
    """The error in lines, most important first."""
    parts = [Content.assemble(("! ", "bold $text-error"), (text.clean(error.message, limit=2_000), "bold"))]
    if error.meaning:
        parts.append(text.content(error.meaning))
    if error.next_step:
        parts.append(Content.assemble((t("Next: "), "bold $text-accent"), text.clean(error.next_step, limit=2_000)))
    parts.append(text.line(t("Code: {code}", code=error.code), "$text-quiet", limit=200))
    if error.request_id:
        parts.append(text.line(t("Azure request id: {id}", id=error.request_id), "$text-quiet", limit=200))
    return Content("\n\n").join(parts)


class ErrorDialog(Dialog[None]):
    """Shows one error."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "close", show=False),
        Binding("r", "raw", show=False),
        Binding("c", "copy", show=False),
    ]

    def __init__(self, error: PhiftError, task: str = "") -> None:
        """Make the dialog.

        Args:
            error: what is shown.
            task: title of what failed, which may be about another page than the one below; empty: this one's.
        """
        super().__init__(classes="-problem")
        self.error = error
        self._failed = task
        self._raw = False

    def heading(self) -> str:
        """That something went wrong."""
        if self._failed:
            return t("This did not work: {task}", task=text.clean_line(self._failed, limit=80))
        return t("This did not work")

    def content(self) -> ComposeResult:
        """The error's parts."""
        yield Static(error_content(self.error), id="error-text", markup=False)

    def keys(self) -> Sequence[Key]:
        """Raw answer and copy."""
        raw = [("r", t("Azure's raw answer"))] if self.error.raw else []
        return [*raw, ("c", t("Plain text, copy"))]

    def action_raw(self) -> None:
        """Show the raw answer, or the explanation again."""
        if not self.error.raw:
            return
        self._raw = not self._raw
        shown = text.content(self.error.raw) if self._raw else error_content(self.error)
        self.query_one("#error-text", Static).update(shown)

    def action_copy(self) -> None:
        """Close, and show the error as plain text, to be copied or written to a file."""
        lines = [*self.error.lines(), "", self.error.raw]
        self.dismiss(None)
        self.program.call_after_refresh(self.program.show_text, t("Error"), "\n".join(lines).strip())
