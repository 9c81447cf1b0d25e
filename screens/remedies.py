"""What can be put right in a data file: chosen here, written to a new file; the original stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static

from screens.dialog import Dialog, Key
from tui import backend, text
from tui.messages import grouped, n, t
from tui.paths import expanded
from tui.services.errors import PhiftError, UsageError
from tui.services.progress import Progress
from tui.widgets.check_list import CheckList
from tui.widgets.columns import Column
from tui.widgets.progress_line import ProgressLine
from tui.widgets.row_list import Row

if TYPE_CHECKING:
    from tui.dataset.fix import FixResult, Remedy
    from tui.recipe import Engine
    from tui.services.catalog import Model
    from tui.services.progress import Cancel, Report

TASK = "remedies"


class Remedies(Dialog[Path]):
    """Space chooses, Enter writes."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "write", show=False)]

    def __init__(self, path: Path, model_and_engine: tuple[Model | None, Engine]) -> None:
        super().__init__(classes="-large")
        self._path = path
        self._model, self._engine = model_and_engine
        self._remedies: list[Remedy] = []
        self._rows: int | None = None

    def heading(self) -> str:
        """Whose faults."""
        return t("Mend {file}", file=text.clean_line(self._path.name))

    def content(self) -> ComposeResult:
        """The remedies, the highlighted one's example, the new file."""
        yield Static(t("Looking at the file …"), id="remedies-note", markup=False)
        yield ProgressLine()
        yield CheckList((Column(t("Code"), 5), Column(t("What is done"), 0), Column(t("Rows"), 7, right=True)), "",
                        classes="remedies")  # fmt: skip
        yield Static("", id="remedies-example", markup=False)
        yield Static(t("Written to (the original is not touched):"), classes="quiet", markup=False)
        out = self._path.with_name(f"{self._path.stem}-mended.jsonl")
        yield Input(str(out), id="remedies-out", select_on_focus=False)

    def keys(self) -> Sequence[Key]:
        """Choose and write."""
        return [("Space", t("Choose")), ("w", t("Write the mended file")), ("Tab", t("File name"))]

    def on_mount(self) -> None:
        """Find the remedies."""
        checked = self.program.wizard.facts.report
        self._rows = checked.rows if checked else None
        self.follow(TASK)

        def work(report: Report, cancel: Cancel) -> list[Remedy]:
            from tui.dataset import fix  # and much with it: not on the event loop

            def tell(done: int) -> None:
                report(Progress(t("reading"), done, self._rows, unit=t("rows")))

            try:
                return fix.remedies(self._path, backend.catalog.rules(self._model, self._engine), progress=tell)
            except OSError as error:
                raise UsageError(t("The file cannot be read: {reason}.", reason=error.strerror or error)) from None

        self.program.tasks.start(
            TASK, t("Looking for remedies"), work, done=self._found, failed=lambda error: self._note(error.message)
        )

    def on_unmount(self) -> None:
        """Closing stops what is under way; nothing is left of a file that is not whole."""
        self.program.tasks.cancel(TASK)

    def _note(self, message: str) -> None:
        if self.is_attached:
            self.query_one("#remedies-note", Static).update(text.line(message, limit=300))

    def _found(self, remedies: list[Remedy]) -> None:
        if not self.is_attached:
            return
        from tui.dataset.fix import REST

        # Errors first, then what is left of them, then warnings.
        remedies = self._remedies = sorted(remedies, key=lambda each: (each.code[0] != "E", each.code != REST))
        listing = self.query_one(CheckList)
        listing.show(
            [
                Row(
                    remedy.code,
                    (text.line(remedy.code, "bold"), text.line(remedy.title), text.line(grouped(remedy.rows))),
                )
                for remedy in remedies
            ]
        )
        errors = [each.code for each in remedies if each.code.startswith("E")]
        # Leaving rows out loses data, so it is proposed only where nothing else is left to do about errors.
        listing.choose(errors or [each.code for each in remedies if each.code == REST or len(remedies) == 1])
        self._note(t("Nothing here can be mended by itself.") if not remedies else t("What is to be put right:"))
        listing.options.focus()

    @on(OptionList.OptionHighlighted)
    def _example(self, event: OptionList.OptionHighlighted) -> None:
        remedy = self._remedies[event.option_index]
        after = text.clean_line(remedy.example_after, limit=150) or t("(the row is left out)")
        self.query_one("#remedies-example", Static).update(
            Content.assemble(
                (
                    t("Line {line}, before: ", line=remedy.line) if remedy.line else t("The file, before: "),
                    "$text-quiet",
                ),
                text.clean_line(remedy.example_before, limit=150),
                ("\n" + t("after: "), "$text-quiet"),
                after,
            )
        )

    @on(Input.Submitted)
    def _enter(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_write()

    def action_write(self) -> None:
        """Write the mended copy, then close with its path."""
        if self.program.tasks.of(TASK):
            return  # still looking, or writing already
        chosen = self.query_one(CheckList).chosen
        out = expanded(self.query_one("#remedies-out", Input).value.strip())
        if not chosen:
            self._note(t("Nothing is chosen; Space chooses."))
            return
        if out.exists():
            self._note(t("{path} exists; give another name.", path=out))
            return

        def work(report: Report, cancel: Cancel) -> FixResult:
            from tui.dataset import fix

            def tell(done: int) -> None:
                report(Progress(t("writing"), done, self._rows, unit=t("rows")))

            try:
                rules = backend.catalog.rules(self._model, self._engine)
                return fix.apply(self._path, out, chosen, rules, progress=tell)
            except (OSError, fix.FixError) as error:
                raise UsageError(t("Not written: {reason}.", reason=error)) from None

        def written(result: FixResult) -> None:
            message = n("{count} row changed.", "{count} rows changed.", result.rows_changed) + " " + n(
                "{count} left out.", "{count} left out.", result.rows_dropped
            )  # fmt: skip
            self.program.notify(message, markup=False)
            if self.is_attached:
                self.dismiss(out)

        def failed(error: PhiftError) -> None:
            self._note(error.message)

        self._note(t("Writing …  Esc stops it."))
        self.program.tasks.start(TASK, t("Writing the mended file"), work, done=written, failed=failed)
