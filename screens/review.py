"""Review: the whole recipe, its price, what the checks say, the same as code; then the one key that submits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.access import finding_line
from screens.confirm import Confirm
from screens.lookups import CATALOGUE, ESTIMATE, load_catalogue, load_estimate
from screens.page import Step
from tui import actions, backend, text
from tui.messages import n, t
from tui.recipe import Recipe
from tui.services.errors import BudgetExceeded, Cancelled, PhiftError
from tui.services.progress import Progress
from tui.widgets.choice import Choice
from tui.widgets.data_report import group_line
from tui.widgets.recipe_text import estimate_content, recipe_content
from tui.wizard import BY_NAME

if TYPE_CHECKING:
    from tui.services.flow import Event, Started
    from tui.services.progress import Cancel, Report

SUBMIT = "submit"
TABS = (
    ("recipe", "Recipe"),
    ("price", "Price"),
    ("checks", "Checks"),
    ("cli", "az"),
    ("python", "Python"),
    ("bicep", "Bicep"),
)


class ReviewScreen(Step):
    """The eighth step."""

    PLACE = "review"
    INTRO = "Left and right change the view. Enter or s submits, after one more question."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("review"))

    def __init__(self) -> None:
        super().__init__()
        self._code: dict[tuple[str, Recipe], str] = {}
        self._estimated: object = None
        self._drawn: object = None
        self._over: PhiftError | None = None

    def content(self) -> ComposeResult:
        """What is open, the views, the view chosen."""
        yield Static("", id="verdict", markup=False)
        yield Choice([(name, t(title), "") for name, title in TABS], "recipe", id="tabs")
        with Vertical(id="view"):
            yield Static("", id="view-text", markup=False)

    def entered(self) -> None:
        """Price, and the code where it is shown."""
        if self.wizard.facts.catalogue is None and not self.program.tasks.of(CATALOGUE):
            load_catalogue(self)
        self._estimate()

    def action_refresh(self) -> None:
        """Estimate anew."""
        self._estimated = None
        load_catalogue(self, refresh=True)
        load_estimate(self)

    def _estimate(self) -> None:
        wanted = (self.wizard.recipe, self.wizard.model, self.wizard.facts.report)
        if self.is_current and self.wizard.facts.estimate is None and wanted != self._estimated:
            self._estimated = wanted
            load_estimate(self)

    def state_changed(self) -> None:
        """Show what is open and the view."""
        self._estimate()
        self._draw()

    @on(Choice.Changed, "#tabs")
    def _draw(self) -> None:
        tab = self.query_one("#tabs", Choice).value
        facts = self.wizard.facts
        running = self.program.tasks.of(ESTIMATE) is not None
        drawn = (tab, self.wizard.recipe, facts.estimate, facts.findings, facts.report, self._open(), tuple(self._code),
                 running)  # fmt: skip
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.query_one("#verdict", Static).update(self._verdict())
        self.query_one("#view-text", Static).update(self._view(tab))

    def _open(self) -> tuple[tuple[str, str], ...]:
        """The steps that need attention, with why."""
        return tuple(
            (name, mark.note)
            for name, mark in self.wizard.marks.items()
            if mark.state == "attention" and BY_NAME[name].setup and name != self.PLACE
        )

    def _not_looked_at(self) -> list[tuple[str, str]]:
        """Steps that nobody has been to, with what is not known for it; the submit looks at them before it sends."""
        facts, found = self.wizard.facts, []
        attention = {name for name, _ in self._open()}
        if facts.findings is None and "access" not in attention:
            found.append(("access", t("not looked at yet; the submit looks first")))
        if not self.wizard.recipe.data.train:
            found.append(("data", t("no training file yet")))
        elif facts.report is None and "data" not in attention:
            found.append(("data", t("not checked yet, so the price is not known; the submit checks first")))
        return found

    def _budget(self) -> tuple[str, bool]:
        """What the budget says to the estimate, and whether it stops the submit."""
        estimate = self.wizard.facts.estimate
        if estimate is None:
            return "", False
        try:
            return backend.costs.check_budget(estimate, self.wizard.recipe, self.program.settings), False
        except BudgetExceeded as error:
            # Without a count of the tokens the price is unknown for now; the submit counts, and asks again.
            return error.message, error.code != "PriceUnknown" or self.wizard.facts.report is not None

    def _verdict(self) -> Content:
        lines = [(t(BY_NAME[name].title), note) for name, note in (*self._open(), *self._not_looked_at())]
        budget, _ = self._budget()
        if budget:
            lines.append((t("Budget"), budget))
        if not lines:
            return Content.styled("✓ " + t("Nothing is open."), "bold $text-success")
        return Content("\n").join(
            Content.assemble(("! ", "$text-warning"), (title, "bold"), f": {text.clean_line(note)}")
            for title, note in lines
        )

    def _view(self, tab: str) -> Content:
        facts = self.wizard.facts
        if tab == "recipe":
            return recipe_content(self.wizard.recipe)
        if tab == "price":
            if facts.estimate:
                return estimate_content(facts.estimate)
            running = self.program.tasks.of(ESTIMATE)
            wait = t("Estimating …") if running else t("The catalogue is not read yet; F5 reads it.")
            return Content.styled(wait, "$text-quiet")
        if tab == "checks":
            return self._checks()
        return self._exported(tab)

    def _checks(self) -> Content:
        facts, lines = self.wizard.facts, [Content.styled(t("Access"), "bold $text-primary")]
        if facts.findings is None:
            lines.append(Content.styled(t("not looked at yet"), "$text-quiet"))
        for finding in facts.findings or ():
            lines.append(finding_line(finding))
        lines.append(Content.styled(t("Data"), "bold $text-primary"))
        if facts.report is None:
            lines.append(Content.styled(t("not checked yet"), "$text-quiet"))
        else:
            lines.append(Content(n("{count} row", "{count} rows", facts.report.rows)))
            groups = [*facts.report.errors, *facts.report.warnings]
            lines += [group_line(group) for group in groups] or [Content("✓ " + t("no faults"))]
        return Content("\n").join(lines)

    def _exported(self, kind: str) -> Content:
        recipe, model = self.wizard.recipe, self.wizard.model
        known = self._code.get((kind, recipe))
        if known is not None:
            return text.content(known)

        def work(report: Report, cancel: Cancel) -> str:
            export = backend.export
            if kind == "cli":
                return export.as_cli(recipe, model)
            return export.as_python(recipe, model) if kind == "python" else export.as_bicep(recipe, model)

        def learn(code: str) -> None:
            self._code = {(kind, recipe): code}
            self._draw()

        self.run_task("export", t("Writing code"), work, learn, quiet=True)
        return Content.styled(t("Writing …"), "$text-quiet")

    # --- submit ------------------------------------------------------------------------------------------------------

    def forward_title(self) -> str:
        """Enter submits."""
        return t("Submit")

    def before_forward(self) -> None:
        """A price is wanted before the question."""
        if self.wizard.facts.estimate is None and not self.program.tasks.of(ESTIMATE):
            load_estimate(self)

    def waits_for(self) -> str:
        """A submit that runs; else the price."""
        return SUBMIT if self.program.tasks.of(SUBMIT) else ESTIMATE

    def check(self) -> str:
        """Nothing open that stops the run."""
        facts = self.wizard.facts
        if facts.azure is None:
            return t("Sign in first: it is the first step.")
        if not self.wizard.recipe.data.train:
            return t("There is no training file yet: see Data.")
        if self._open():
            name, note = self._open()[0]
            return t("{step} needs attention: {why}.", step=t(BY_NAME[name].title), why=note)
        budget, stops = self._budget()
        return budget if stops else ""

    def leaving(self) -> bool:
        """Ask before the submit; going on comes with the job."""
        self.action_submit()
        return False

    def action_submit(self) -> None:
        """Ask once more, with the price."""
        problem = self.check()
        if problem:
            self.notice(problem, problem=True)
            return
        if self.program.tasks.of(SUBMIT):
            self.notice(t("The submit is running; F9 shows it."))
            return
        recipe, estimate = self.wizard.recipe, self.wizard.facts.estimate
        what = t("{model} is tuned on {file}.", model=recipe.model.name, file=recipe.data.train)
        parts = [text.line(what, limit=300)]
        parts.append(estimate_content(estimate) if estimate else Content(t("The price is not known.")))
        sandbox = self.program.sandbox
        question = Confirm(t("Submit this run?"), Content("\n\n").join(parts), yes=t("Submit"), enter_is_yes=sandbox)
        self.program.push_screen(question, self._answered)

    def _answered(self, answer: bool | None) -> None:
        azure, recipe, wizard, settings = (
            self.wizard.facts.azure, self.wizard.recipe, self.wizard, self.program.settings
        )  # fmt: skip
        if not answer or azure is None:
            return

        def work(report: Report, cancel: Cancel) -> Started:
            def tell(event: Event) -> None:
                report(Progress(" ".join(event.lines()).strip() or event.step))

            course = backend.flow.Flow(
                recipe,
                wizard.base,
                settings,
                connect=lambda: azure,
                approve=lambda _: True,  # asked before this task was started
                on_event=tell,
                cancel=cancel,
            )
            return course.submit()

        self.run_task(SUBMIT, t("Submitting"), work, self._submitted, failed=self._not_submitted)

    def _submitted(self, done: Started) -> None:
        self.wizard.learn(workspace=done.workspace, prepared=done.prepared, job=done.job.name)
        self.wizard.mark(self.PLACE, "done")
        self.notice("")
        if self.is_current:
            self.program.go("monitor")
        else:
            self.program.notify(t("The run is submitted; its monitor is in the rail."), markup=False)

    def _not_submitted(self, error: PhiftError) -> None:
        if isinstance(error, Cancelled):
            self.notice(t("The submit was stopped; what exists on Azure by now is kept and used next time."))
            return
        if isinstance(error, BudgetExceeded):
            self.wizard.mark("hyperparameters", "attention", t("over the budget"))
        self.program.show_error(error)
