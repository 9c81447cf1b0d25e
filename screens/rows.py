"""A reader of a dataset's rows: one conversation at a time, faulty messages marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from screens.dialog import Dialog, Key
from tui import text
from tui.dataset import rows as dataset_rows
from tui.messages import grouped, n, t

if TYPE_CHECKING:
    from tui.dataset.report import Finding, Group, Report
    from tui.services.progress import Cancel

SEARCH = "row-search"
_BEFORE = 400
_MESSAGE = re.compile(r"messages\[(\d+)\]")
_ROLES = {"system": "$text-accent", "user": "$text-primary", "assistant": "$text-success"}


def row_content(row: dataset_rows.Row, findings: Sequence[Finding]) -> Content:
    """A row for reading: each message with its role, faults beside the message they are in; raw where it is no row."""
    by_message: dict[int, list[Finding]] = {}
    others: list[Finding] = []
    for finding in findings:
        found = _MESSAGE.match(finding.path)
        if found and int(found.group(1)) < len(row.messages):
            by_message.setdefault(int(found.group(1)), []).append(finding)
        else:
            others.append(finding)
    lines = [_fault(finding) for finding in others]
    for index, message in enumerate(row.messages):
        faulty = by_message.get(index, [])
        mark = "✗" if faulty else " "
        style = "bold $text-error" if faulty else f"bold {_ROLES.get(str(message.role), '')}"
        lines.append(Content.styled(f"{mark} {text.clean_line(message.role, limit=30)}", style))
        body = text.clean(message.content if message.content is not None else "", limit=20_000)
        lines.append(Content("    " + body.replace("\n", "\n    ")))
        lines += [_fault(finding) for finding in faulty]
    if not row.messages:
        column = next((finding.column for finding in findings if finding.column), None)
        lines.append(_raw(row.raw, column) if column else text.content(row.raw))
    return Content("\n").join(lines)


def _raw(line: str, column: int) -> Content:
    """A line that is no row, from shortly before the character where it goes wrong, which is marked."""
    at = column - 1
    start = max(at - _BEFORE, 0)
    return Content.assemble(
        "…" if start else "",
        text.clean(line[start:at]),
        (text.clean(line[at : at + 1]) or "¶", "bold reverse $text-error"),
        text.clean(line[at + 1 :], limit=20_000),
    )


def _fault(finding: Finding) -> Content:
    style = "$text-error" if finding.severity == "error" else "$text-warning"
    where = f" {finding.path}" if finding.path else ""
    return Content.assemble(
        (f"  ! {finding.code}{text.clean_line(where)}: ", f"bold {style}"), (text.clean_line(finding.message), style)
    )


class Rows(Dialog[None]):
    """Next and previous row, next and previous faulty row, a line number, a search."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,n", "step(1)", show=False),
        Binding("left,p", "step(-1)", show=False),
        Binding("f", "faulty(1)", show=False),
        Binding("b", "faulty(-1)", show=False),
        Binding("slash", "ask", show=False),
    ]

    def __init__(self, path: Path, report: Report, group: Group | None) -> None:
        super().__init__(classes="-large")
        self._path = path
        self._findings = [finding for finding in report.findings if finding.file == "train" and finding.line]
        first = next((finding.line for finding in group.first if finding.line), 0) if group else 0
        self.line = first or 1
        """Line shown, from 1."""
        self._lines = 0

    def heading(self) -> str:
        """The file's name."""
        return text.clean_line(self._path.name)

    def content(self) -> ComposeResult:
        """Where we are, a line to type in, the row."""
        yield Static("", id="row-where", markup=False)
        yield Input(placeholder=t("Line number, or text to search for; Enter goes there"), id="row-ask")
        yield Static("", id="row-text", markup=False)

    def keys(self) -> Sequence[Key]:
        """How to move."""
        return [
            ("← →", t("Row")), ("f b", t("Faulty row")), ("/", t("Line or text")), ("↑ ↓", t("Scroll")),
        ]  # fmt: skip

    def on_mount(self) -> None:
        """Show the first."""
        self.query_one("#row-ask").display = False
        self._show(self.line)

    def on_unmount(self) -> None:
        """Closing stops a search."""
        self.program.tasks.cancel(SEARCH)

    def _show(self, line: int) -> None:
        where = self.query_one("#row-where", Static)
        try:
            self._lines = self._lines or dataset_rows.count(self._path)
            self.line = min(max(line, 1), max(self._lines, 1))
            row = dataset_rows.row(self._path, self.line)
        except (OSError, IndexError) as error:
            where.update(text.line(t("The file cannot be read: {reason}", reason=error), "$text-error"))
            return
        faulty = sorted({finding.line for finding in self._findings})
        known = n("{count} faulty row known", "{count} faulty rows known", len(faulty))
        place = t("Line {line} of {lines}", line=grouped(self.line), lines=grouped(self._lines))
        where.update(Content.assemble((place, "bold"), (f"  {known}", "$text-quiet")))
        here = [finding for finding in self._findings if finding.line == self.line]
        self.query_one("#row-text", Static).update(row_content(row, here))
        self.query_one("#dialog-body").scroll_home(animate=False)

    def action_step(self, by: int) -> None:
        """The next or previous row."""
        self._show(self.line + by)

    def action_faulty(self, by: int) -> None:
        """The next or previous row with a fault."""
        lines = sorted({finding.line for finding in self._findings})
        ahead = [line for line in lines if (line > self.line if by > 0 else line < self.line)]
        if ahead:
            self._show(ahead[0] if by > 0 else ahead[-1])

    def action_ask(self) -> None:
        """Ask for a line or a text."""
        line = self.query_one("#row-ask", Input)
        line.display = True
        line.focus()

    @on(Input.Submitted, "#row-ask")
    def _go(self, event: Input.Submitted) -> None:
        event.stop()
        wanted = event.value.strip()
        event.input.display = False
        self.set_focus(None)
        if wanted.isdigit():
            self._show(int(wanted))
        elif wanted:
            self._search(wanted)

    def _search(self, wanted: str) -> None:
        start = self.line + 1

        def work(report: object, cancel: Cancel) -> int:
            for begin in (start, 1):
                found = dataset_rows.search(self._path, wanted, start=begin, limit=1, cancelled=lambda: cancel.is_set)
                if found:
                    return found[0].line
            return 0

        def show(line: int) -> None:
            if not self.is_attached:
                return
            if line:
                self._show(line)
            else:
                self.query_one("#row-where", Static).update(text.line(t("No row has {text}.", text=wanted)))

        self.program.tasks.start(SEARCH, t("Searching the rows"), work, done=show)
