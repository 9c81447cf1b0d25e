"""A file of another shape than chats: what it is, what its first records become, and a new file written from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import n, t
from tui.paths import expanded
from tui.services.errors import PhiftError, UsageError
from tui.services.progress import Progress
from tui.widgets.progress_line import ProgressLine
from tui.wording import system_words

if TYPE_CHECKING:
    from tui.dataset.convert import ConvertResult
    from tui.dataset.shape import Shape
    from tui.services.progress import Cancel, Report

TASK = "conversion"


@dataclass(frozen=True)
class Found:
    """What a file was recognised as, with its first records before and after."""

    shape: Shape
    records: list[tuple[str, str]]


def _reason(error: Exception) -> str:
    return system_words(error) if isinstance(error, OSError) else str(error)


class Conversion(Dialog[Path]):
    """Enter writes the new file."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w,enter", "write", show=False)]

    def __init__(self, path: Path) -> None:
        super().__init__(classes="-large")
        self._path = path
        self._found: Found | None = None

    def heading(self) -> str:
        """Whose shape."""
        return t("Convert {file}", file=text.clean_line(self._path.name))

    def content(self) -> ComposeResult:
        """What the file is, the first records, the new file."""
        yield Static(t("Looking at the file …"), id="conversion-note", markup=False)
        yield ProgressLine()
        yield Static(t("Written to (the original is not touched):"), classes="quiet", markup=False)
        yield Input(str(self._path.with_name(f"{self._path.stem}-chat.jsonl")), id="conversion-out",
                    select_on_focus=False)  # fmt: skip
        yield Static("", id="conversion-records", markup=False)

    def keys(self) -> Sequence[Key]:
        """Write."""
        return [("Enter", t("Write the converted file")), ("Tab", t("File name"))]

    def on_mount(self) -> None:
        """Recognise the file."""
        self.follow(TASK)

        def work(report: Report, cancel: Cancel) -> Found:
            from tui.dataset import convert

            try:
                shape = convert.recognise(self._path)
                return Found(shape, convert.preview(self._path, shape) if shape.is_convertible else [])
            except (OSError, convert.ConvertError) as error:
                raise UsageError(t("The file cannot be read: {reason}.", reason=_reason(error))) from None

        self.program.tasks.start(TASK, t("Looking at the file"), work, done=self._recognised, failed=self._failed)

    def on_unmount(self) -> None:
        """Closing stops a conversion that runs; nothing is left of it."""
        self.program.tasks.cancel(TASK)

    def _note(self, message: str) -> None:
        if self.is_attached:
            self.query_one("#conversion-note", Static).update(text.line(message, limit=300))

    def _failed(self, error: PhiftError) -> None:
        self._note(error.message)

    def _recognised(self, found: Found) -> None:
        if not self.is_attached:
            return
        if not found.shape.is_convertible:
            self._note(
                t(
                    "The file is {shape}; none of its fields is known as a question, an answer or a conversation.",
                    shape=found.shape.title,
                )
            )
            return
        self._found = found
        self._note(t("The file is {shape}. Below, what its first records become.", shape=found.shape.title))
        parts: list[Content] = []
        for before, after in found.records:
            parts += [
                Content.assemble((t("before: "), "$text-quiet"), text.clean_line(before, limit=220)),
                Content.assemble((t("after: "), "$text-accent"), text.clean_line(after, limit=260)),
                Content(""),
            ]
        self.query_one("#conversion-records", Static).update(Content("\n").join(parts))

    @on(Input.Submitted)
    def _enter(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_write()

    def action_write(self) -> None:
        """Write the new file, then close with its path."""
        if self._found is None or self.program.tasks.of(TASK):
            return
        shape = self._found.shape
        out = expanded(self.query_one("#conversion-out", Input).value.strip())
        try:
            there = out.exists()
        except OSError as error:  # too long, or within a folder that may not be looked into
            self._note(t("Not written: {reason}.", reason=_reason(error)))
            return
        if there:
            self._note(t("{path} exists; give another name.", path=out))
            return

        def work(report: Report, cancel: Cancel) -> ConvertResult:
            from tui.dataset import convert

            def tell(done: int) -> None:
                report(Progress(t("converting"), done, unit=t("records")))

            try:
                return convert.convert(self._path, out, shape=shape, progress=tell)
            except (OSError, convert.ConvertError) as error:
                raise UsageError(t("Not written: {reason}.", reason=_reason(error))) from None

        def written(result: ConvertResult) -> None:
            message = n("{count} record converted.", "{count} records converted.", result.rows)
            if result.skipped:
                number, reason = result.reasons[0]
                message += " " + n(
                    "{count} is left out: record {number} {reason}.",
                    "{count} are left out: the first, record {number}, {reason}.",
                    result.skipped,
                    number=number,
                    reason=reason,
                )
            self.program.notify(text.clean_line(message), markup=False)
            if self.is_attached:
                self.dismiss(out)

        self._note(t("Converting …  Esc stops it."))
        self.program.tasks.start(TASK, t("Converting {file}", file=self._path.name), work, done=written,
                                 failed=self._failed)  # fmt: skip
