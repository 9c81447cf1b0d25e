"""Data: the training file, checked before anything is uploaded or billed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.page import Step
from tui import actions, backend, text
from tui.messages import grouped, n, t
from tui.services.errors import Cancelled, PhiftError, UsageError
from tui.services.progress import Progress
from tui.widgets.data_report import group_line, report_content
from tui.widgets.field import Field
from tui.widgets.histogram import histogram
from tui.widgets.path_suggester import PathSuggester

if TYPE_CHECKING:
    from tui.dataset.report import Group
    from tui.dataset.report import Report as DataReport
    from tui.services.progress import Cancel, Report

TASK = "check"
OTHER_SHAPES = frozenset({"E135", "E136", "E137"})
"""Faults of files that may be converted."""


class DataScreen(Step):
    """The fifth step."""

    PLACE = "data"
    INTRO = "Chats in JSON lines: checked on this machine, uploaded only at the submit."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("data"))

    class Found(Message):
        """What a check that still runs has found so far."""

        def __init__(self, report: DataReport, path: Path) -> None:
            super().__init__()
            self.report = report
            self.path = path

    def __init__(self) -> None:
        super().__init__()
        self._drawn: object = ()
        self._error: PhiftError | None = None
        self._so_far: DataReport | None = None

    def content(self) -> ComposeResult:
        """The path, the verdict, the faults by code and the lengths."""
        yield Field("data.train", t("Training file"), suggester=PathSuggester(self.wizard.base),
                    help_line=t("~ is your home; the right arrow completes, F6 picks."),
                    hint="")  # fmt: skip
        yield Static("", id="verdict", markup=False)
        with Horizontal(id="report"):
            yield OptionList(id="groups")
            yield Static("", id="lengths", markup=False)
        yield Static("", id="advice", markup=False)

    @property
    def path(self) -> Path:
        """The training file."""
        return self.wizard.recipe.data_path(self.wizard.base)

    def entered(self) -> None:
        """Check the file that the recipe names, unless that is done."""
        if self.wizard.recipe.data.train and self.wizard.facts.report is None and not self.program.tasks.of(TASK):
            self.start_check()

    def action_refresh(self) -> None:
        """Check the file anew."""
        self.wizard.learn(report=None)
        self.start_check()

    def start_check(self) -> None:
        """Check the file in the background."""
        recipe, path, model = self.wizard.recipe, self.path, self.wizard.model
        self._error = self._so_far = None
        self.notice("")

        def tell(found: DataReport) -> None:
            self.post_message(self.Found(found, path))

        def work(report: Report, cancel: Cancel) -> DataReport:
            from tui.dataset import check

            backend.datasets.readable(path)
            rules = backend.catalog.rules(model, recipe.model.engine)
            try:
                return check.check(
                    path,
                    rules=rules,
                    progress=lambda done, total: report(Progress(t("reading"), done, total, "bytes")),
                    partial=tell,
                    cancelled=lambda: cancel.is_set,
                )
            except check.Cancelled:
                raise Cancelled(t("The check was stopped.")) from None
            except OSError as error:
                raise UsageError(
                    t("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error),
                    next_step=t("Mend its permissions, or choose another file."),
                ) from None

        def learn(report: DataReport) -> None:
            if self.wizard.recipe.data != recipe.data or self.wizard.recipe.model != recipe.model:
                return
            self.wizard.learn(report=report)
            self.program.remember(recent_files=self.program.preferences.with_file(path).recent_files)
            if report.ok:
                self.wizard.mark(self.PLACE, "done")
            else:
                count = sum(group.count for group in report.errors)
                self.wizard.mark(self.PLACE, "attention", n("{count} error", "{count} errors", count))

        self.run_task(TASK, t("Checking {file}", file=path.name), work, learn, failed=self._not_checked)
        self._draw()

    @on(Found)
    def _found(self, event: Found) -> None:
        """Show what there is after the first megabytes, and now and then."""
        if self.program.tasks.of(TASK) and event.path == self.path:
            self._so_far = event.report
            self._draw()

    @property
    def _report(self) -> DataReport | None:
        """The report, or what there is of it."""
        return self.wizard.facts.report or (self._so_far if self.program.tasks.of(TASK) else None)

    def _not_checked(self, error: PhiftError) -> None:
        self._error = error
        if not isinstance(error, Cancelled):
            self.wizard.mark(self.PLACE, "attention", t("cannot be read"))
        self._draw()

    def on_descendant_focus(self) -> None:
        """Name the keys that work from here."""
        self._draw()

    @on(Field.Changed)
    def _path_typed(self) -> None:
        self.program.tasks.cancel(TASK)
        self._error = None
        self._draw()

    def state_changed(self) -> None:
        """Show the report."""
        self._draw()

    def _draw(self) -> None:
        report, running = self._report, self.program.tasks.of(TASK)
        drawn = (report, bool(running), self._error, self.wizard.recipe.data.train, self._typing)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.query_one("#verdict", Static).update(self._verdict(report))
        groups = self.query_one("#groups", OptionList)
        found = [*report.errors, *report.warnings] if report else []
        kept = groups.highlighted_option.id if groups.highlighted_option else ""
        groups.set_options(Option(group_line(group), group.code) for group in found)
        self.query_one("#report").set_class(bool(found), "-faulty")
        if found:
            codes = [group.code for group in found]
            groups.highlighted = codes.index(kept) if kept in codes else 0
        self.query_one("#report").set_class(bool(report and report.stats.rows), "-measured")
        if report and report.stats.rows:
            spread = report.stats.row_tokens
            title = t("Tokens a row: median {median}, longest {longest}",
                      median=grouped(spread.percentiles.get(50, 0)), longest=grouped(spread.maximum))  # fmt: skip
            bars = histogram(spread.bins, width=20 if self.size.width < 120 else 26, rows=6)
            self.query_one("#lengths", Static).update(Content("\n").join([Content.styled(title, "$text-quiet"), bars]))
        self._advise()

    def _verdict(self, report: DataReport | None) -> Content:
        if self._error:
            lines = [text.line(self._error.message, limit=300), text.line(self._error.next_step, limit=300)]
            return Content("\n").join([Content.assemble(("! ", "bold $text-warning"), lines[0]), lines[1]])
        if report is None:
            if self.program.tasks.of(TASK):
                hint = t("Checking …  Esc, then x stops it.") if self._typing else t("Checking …  x stops it.")
                return Content.styled(hint, "$text-quiet")
            return Content.styled(t("Enter checks the file."), "$text-quiet")
        return report_content(report, typing=self._typing)

    @property
    def _typing(self) -> bool:
        return isinstance(self.focused, Input)

    def _group(self) -> Group | None:
        report, index = self._report, self.query_one("#groups", OptionList).highlighted
        found = [*report.errors, *report.warnings] if report else []
        return found[index] if index is not None and index < len(found) else None

    @on(OptionList.OptionHighlighted, "#groups")
    def _advise(self) -> None:
        group, parts = self._group(), []
        if group:
            parts = [text.line(finding.message, "$text-quiet", limit=160) for finding in group.first[:3]]
            advice = t("m shows what it can be converted to") if self._has_other_shape else group.advice
            parts.append(Content.assemble((t("Next: "), "bold $text-accent"), text.clean(advice, limit=400)))
        self.query_one("#advice", Static).update(Content("\n").join(parts))
        self._sync_keys()

    @on(OptionList.OptionSelected, "#groups")
    def action_rows(self) -> None:
        """Read the rows, from the highlighted group's first on."""
        if self._report:
            self.program.dialog("screens.rows:Rows", self.path, self._report, self._group())

    def action_numbers(self) -> None:
        """What the file is like."""
        if self._report:
            epochs = self.wizard.recipe.hyperparameters.epochs
            self.program.dialog("screens.numbers:Numbers", self.path, self._report, epochs)

    @property
    def _has_other_shape(self) -> bool:
        report = self.wizard.facts.report
        groups = [group for group in report.errors if group.code in OTHER_SHAPES] if report else []
        # A single row of another shape among chats is a faulty row.
        return any(report and (group.first[0].line == 0 or group.count == report.rows) for group in groups)

    def action_fix(self) -> None:
        """What can be put right; a file of another shape is converted first."""
        if self._has_other_shape:
            self.program.dialog("screens.conversion:Conversion", self.path, then=self._fixed)
            return
        rules_of = (self.wizard.model, self.wizard.recipe.model.engine)
        self.program.dialog("screens.remedies:Remedies", self.path, rules_of, then=self._fixed)

    def _fixed(self, written: Path | None) -> None:
        if written and self.choose(data__train=str(written)):
            self.start_check()

    def action_pick(self) -> None:
        """Choose the file."""
        self.program.dialog("screens.file_picker:FilePicker", self.path, then=self._picked)

    def _picked(self, path: Path | None) -> None:
        if path and self.choose(data__train=str(path)):
            self.start_check()

    def action_stop(self) -> None:
        """Stop the check."""
        task = self.program.tasks.of(TASK)
        if task:
            task.cancel.set()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Rows and remedies need a report; stopping needs a check."""
        if action == "rows":
            return self._report is not None
        if action == "numbers":
            return self._report is not None and self._report.stats.rows > 0
        if action == "fix":
            return self.wizard.facts.report is not None
        if action == "stop":
            return self.program.tasks.of(TASK) is not None
        return super().check_action(action, parameters)

    def before_forward(self) -> None:
        """Enter checks a file that is not checked."""
        wanted = self.wizard.recipe.data.train and self.wizard.facts.report is None
        if wanted and not self.program.tasks.of(TASK) and self._error is None:
            self.start_check()

    def waits_for(self) -> str:
        """The check."""
        return TASK

    def check(self) -> str:
        """A file without errors."""
        report = self.wizard.facts.report
        if not self.wizard.recipe.data.train:
            return t("Give the training file, or F6 to pick one.")
        if self._error:
            return t("This file cannot be checked: give another, or F6 to pick one.")
        if report is None:
            return t("The file is not checked; Enter checks it.")
        if self._has_other_shape:
            return t("The file has another shape than chats: m shows what it can be converted to.")
        if not report.ok and not report.rows:
            return t("There is no row to train on: give another file, or F6 to pick one.")
        if not report.ok:
            return t("The file has errors: r reads the rows, m mends what can be mended.")
        return ""
