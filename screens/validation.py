"""Validation: where the rows come from by which overfitting shows, and what each way costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from screens.page import Step
from tui import actions, backend, text
from tui.messages import grouped, n, t
from tui.paths import expanded
from tui.services.errors import Cancelled, PhiftError
from tui.services.progress import Progress
from tui.widgets.choice import Choice
from tui.widgets.field import Field
from tui.widgets.path_suggester import PathSuggester

if TYPE_CHECKING:
    from tui.dataset.report import Group
    from tui.dataset.report import Report as DataReport
    from tui.services.progress import Cancel, Report

TASK = "check-validation"
LEAKS = ("W212", "W213")
"""Rows of the training file in the validation file, exactly and nearly."""
MODES = (
    ("split", "Split", "a share of the training file is held back"),
    ("file", "File", "a file of its own; every row of the other trains"),
    ("none", "None", "no held-out loss: overfitting does not show"),
)


class ValidationScreen(Step):
    """The sixth step."""

    PLACE = "validation"
    INTRO = "Rows that are not trained on show whether the model learns or only remembers."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("validation"))

    def __init__(self) -> None:
        super().__init__()
        self._report: tuple[str, DataReport] | None = None
        self._leaks: list[Group] = []
        self._error: PhiftError | None = None

    def content(self) -> ComposeResult:
        """The way, its fields, and what it costs."""
        with Horizontal(classes="field-row"):
            yield Static(t("Rows come from"), classes="field-label", markup=False)
            options = [(v, t(a), t(b)) for v, a, b in MODES]
            yield Choice(options, self.wizard.recipe.validation.mode, rows=True, id="mode")
        yield Static("", id="mode-gap")
        yield Field(
            "validation.share",
            t("Share"),
            help_line=t("How much of the training file's rows is held back."),
        )
        yield Field("validation.seed", t("Seed"), help_line=t("The same seed holds back the same rows."))
        with Vertical(classes="field", id="row-path"):
            with Horizontal(classes="field-row"):
                yield Static(t("Validation file"), classes="field-label", markup=False)
                yield Input(self.wizard.recipe.validation.path, id="path", select_on_focus=False,
                            suggester=PathSuggester(self.wizard.base))  # fmt: skip
            yield Static(t("Chat JSONL; right arrow completes, F6 picks."), classes="field-note", markup=False)
        yield Static("", id="cost", markup=False)

    @property
    def mode(self) -> str:
        """The way chosen on the page; `file` is in the recipe only once there is a path."""
        return self.query_one("#mode", Choice).value

    @on(Choice.Changed, "#mode")
    def _mode_chosen(self, event: Choice.Changed) -> None:
        path = self.query_one("#path", Input).value.strip()
        if event.value != "file":
            self.wizard.change(validation__mode=event.value)
        elif path:
            self._take_path(path)
        self.state_changed()

    @on(Input.Changed, "#path")
    def _path_typed(self, event: Input.Changed) -> None:
        if event.value.strip():
            self._take_path(event.value.strip())

    def _take_path(self, path: str) -> None:
        if (now := self.wizard.recipe.validation).mode == "file" and now.path == path:
            return  # as it is told of its first value: what is known of that file stays known
        self._error = None
        part = self.wizard.recipe.validation.model_dump() | {"mode": "file", "path": path}
        self.choose(validation=part)

    def action_pick(self) -> None:
        """Choose the file."""
        beside = self.wizard.recipe.data_path(self.wizard.base)
        self.program.dialog("screens.file_picker:FilePicker", beside, then=self._picked)

    def _picked(self, path: Path | None) -> None:
        if path:
            self.query_one("#mode", Choice).value = "file"
            self.query_one("#path", Input).value = str(path)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A file is picked only where one is wanted."""
        if action == "pick":
            return self.is_mounted and self.mode == "file"
        return super().check_action(action, parameters)

    def state_changed(self) -> None:
        """Show the fields of the way, and what it costs."""
        recipe = self.wizard.recipe.validation
        choice = self.query_one("#mode", Choice)
        if choice.value != "file" or recipe.path:
            choice.value = recipe.mode
        line = self.query_one("#path", Input)
        if recipe.path and line.value.strip() != recipe.path:
            with line.prevent(Input.Changed):
                line.value = recipe.path
        for name in ("share", "seed"):
            self.query_one(f"#field-validation-{name}", Field).display = self.mode == "split"
        self.query_one("#row-path").display = self.mode == "file"
        self.query_one("#cost", Static).update(self._cost())
        self._sync_keys()

    def _cost(self) -> Content:
        report, recipe = self.wizard.facts.report, self.wizard.recipe
        if self._error:
            return Content("\n").join(text.content(line) for line in self._error.lines())
        if self.mode == "split":
            if report is None:
                return Content.styled(t("How many rows that is shows once the file is checked."), "$text-quiet")
            held = round(report.rows * recipe.validation.share)
            lines = [
                t("Rows with one prompt stay on one side; the share is kept within each system prompt and length."),
                n("{count} row is held back.", "{count} rows are held back.", held)
                + " "
                + n("{count} is trained on.", "{count} are trained on.", report.rows - held),
            ]
            if held < 20:
                lines.append(t("Below 20 rows the held-out loss jumps about; a larger share helps."))
        elif self.mode == "file":
            lines = [t("Its rows are billed as validation where the engine bills it, and never trained on.")]
            if self._report and self._report[0] == recipe.validation.path:
                found = self._report[1]
                count = sum(group.count for group in found.errors)
                lines = [n("{count} row.", "{count} rows.", found.rows)]
                lines.append(t("No errors.") if found.ok else n("{count} error.", "{count} errors.", count))
                lines += [self._leak(group) for group in self._leaks]
                if found.ok and not self._leaks:
                    lines.append(t("None of them is in the training file, nor nearly."))
        else:
            lines = [t("Every row is trained on, and no validation loss is reported: overfitting is not seen while it "
                       "happens, and the best checkpoint cannot be told from the last one."),
                     t("Base and tuned model cannot be compared on rows neither has seen, unless the evaluation is "
                       "given a held-out file.")]  # fmt: skip
        return Content("\n").join(Content.styled(line, "$text-quiet") for line in lines)

    def _leak(self, group: Group) -> str:
        """How many rows both files have, and where the first are."""
        first = "; ".join(f"{grouped(finding.line)}: {finding.message}" for finding in group.first[:2])
        count = grouped(group.count)
        return t("{count} × {title}: line {first}. {advice}.", count=count, title=group.title, first=first,
                 advice=group.advice)  # fmt: skip

    def _checked(self) -> bool:
        return self._report is not None and self._report[0] == self.wizard.recipe.validation.path

    def before_forward(self) -> None:
        """Enter checks a validation file that is not checked."""
        recipe, model = self.wizard.recipe, self.wizard.model
        if self.mode != "file" or not recipe.validation.path or self._checked() or self._error:
            return
        if self.program.tasks.of(TASK):
            return
        path = self.wizard.base / expanded(recipe.validation.path)
        train = recipe.data_path(self.wizard.base) if recipe.data.train else None

        def work(report: Report, cancel: Cancel) -> tuple[DataReport, list[Group]]:
            from tui.dataset import check

            def judge(file: Path, beside: Path | None = None) -> DataReport:
                return check.check(
                    file,
                    validation=beside,
                    rules=backend.catalog.rules(model, recipe.model.engine),
                    progress=lambda done, total: report(Progress(t("reading"), done, total, "bytes")),
                    cancelled=lambda: cancel.is_set,
                )

            backend.datasets.readable(path)
            try:
                own = judge(path)
                both = judge(train, path) if train and train.is_file() and own.ok else None
            except check.Cancelled:
                raise Cancelled(t("The check was stopped.")) from None
            return own, [group for group in both.warnings if group.code in LEAKS] if both else []

        def learn(found: tuple[DataReport, list[Group]]) -> None:
            self._report, self._leaks = (recipe.validation.path, found[0]), found[1]
            if self._leaks:
                self._goes_on = False  # what both files have is to be read before Enter goes on
            self.state_changed()

        self.run_task(TASK, t("Checking {file}", file=path.name), work, learn, failed=self._not_checked)

    def _not_checked(self, error: PhiftError) -> None:
        self._error = error
        self.wizard.mark(self.PLACE, "attention", t("cannot be read"))
        self.state_changed()

    def waits_for(self) -> str:
        """The check of the file."""
        return TASK

    def check(self) -> str:
        """A file that can be validated on, where one is wanted."""
        recipe, report = self.wizard.recipe, self.wizard.facts.report
        if self.mode == "file":
            if not recipe.validation.path:
                return t("Give the validation file, or F6 to pick one.")
            if self._error:
                return self._error.message
            if self._report and self._checked() and not self._report[1].ok:
                first = self._report[1].errors[0]
                return t("The validation file has errors: {code} {title}.", code=first.code, title=first.title)
            if not self._checked():  # also where the check has ended and its outcome is not told yet
                return t("The file is not checked; Enter checks it.")
        if self.mode == "split" and report and not round(report.rows * recipe.validation.share):
            return t("The share holds back no row; give a larger one.")
        return ""
