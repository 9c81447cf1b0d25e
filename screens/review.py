"""Review: the whole recipe, its price, what the checks say, the same as code; then the one key that submits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.access import finding_line
from screens.confirm import Confirm
from screens.exports import code_of
from screens.lookups import CATALOGUE, ESTIMATE, load_catalogue, load_estimate, load_price, load_spent, submission
from screens.page import Step
from tui import actions, backend, text
from tui.messages import n, t
from tui.recipe import Recipe, Target
from tui.services.errors import BudgetExceeded, Cancelled, PhiftError
from tui.widgets.choice import Choice
from tui.widgets.data_report import group_line
from tui.widgets.recipe_text import estimate_content, price_content, recipe_content
from tui.wizard import BY_NAME, PLACES

if TYPE_CHECKING:
    from tui.services.flow import Started
    from tui.services.progress import Cancel, Report

SUBMIT = "submit"
_SPENT_SECONDS = 300.0
"""How long a reckoning of what was spent is shown before it is made anew."""
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
        self._spent = ""
        self._spent_in: tuple[Target, float] | None = None

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
        self._reckon()

    def _reckon(self) -> None:
        """What the project has cost, asked again where that was another project's, or minutes ago."""
        asked = (self.wizard.recipe.target, time.monotonic() // _SPENT_SECONDS)
        if asked != self._spent_in:
            self._spent, self._spent_in = "", asked
            load_spent(self, self._learn_spent)

    def _learn_spent(self, spent: str) -> None:
        self._spent = spent
        self._draw()

    def action_refresh(self) -> None:
        """Estimate anew."""
        self._estimated = self._spent_in = self._drawn = None
        self._reckon()
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
                 running, self._spent)  # fmt: skip
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
            found.append(("data", t("not checked yet; Enter checks it first, and asks for the price")))
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
                limits = filter(None, (self.wizard.recipe.budget.limit, self.program.settings.budget))
                return price_content(facts.estimate, min(limits, default=None), self._spent)
            wait = (
                t("Estimating …")
                if self.program.tasks.of(ESTIMATE)
                else t("The catalogue is not read yet; F5 reads it.")
            )
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
            return code_of(kind, recipe, model)

        def learn(code: str) -> None:
            self._code = {(kind, recipe): code}
            self._draw()

        def refused(error: PhiftError) -> None:
            if self.query_one("#tabs", Choice).value == kind:
                self.query_one("#view-text", Static).update(text.line(t("Not written: {reason}", reason=error.message)))
            self.program.show_error(error, t("Writing code"))

        self.run_task("export", t("Writing code"), work, learn, failed=refused, quiet=True)
        return Content.styled(t("Writing …"), "$text-quiet")

    # --- submit ------------------------------------------------------------------------------------------------------

    def forward_title(self) -> str:
        """Enter submits, or waits for the submit under way."""
        return t("Wait") if self.program.tasks.of(SUBMIT) else t("Submit")

    def before_forward(self) -> None:
        """A price is wanted before the question, of the very rows that are trained on."""
        facts = self.wizard.facts
        if self._missing() or self.program.tasks.of(SUBMIT):
            return
        inexact = facts.prepared is None and self.wizard.recipe.validation.mode == "split"
        if (facts.estimate is None or facts.report is None or inexact) and not self.is_waiting:
            load_price(self)

    def waits_for(self) -> str:
        """A submit that runs; else the price."""
        return SUBMIT if self.program.tasks.of(SUBMIT) else ESTIMATE

    def _missing(self) -> str:
        """What a price is not even asked for without."""
        if self.wizard.facts.azure is None:
            return t("Sign in first: it is the first step.")
        if not self.wizard.recipe.data.train:
            return t("There is no training file yet: see Data.")
        if self._open():
            name, note = self._open()[0]
            return t("{step} needs attention: {why}.", step=t(BY_NAME[name].title), why=note)
        return ""

    def check(self) -> str:
        """Nothing open that stops the run."""
        if missing := self._missing():
            return missing
        budget, stops = self._budget()
        return budget if stops else ""

    def leaving(self) -> bool:
        """Ask before the submit; going on comes with the job."""
        self._ask()
        return False

    def action_submit(self) -> None:
        """The same as Enter."""
        self.action_forward()

    def _ask(self) -> None:
        """Ask once more, with the price."""
        recipe, estimate = self.wizard.recipe, self.wizard.facts.estimate
        parts = [
            text.line(t("{model} is tuned on {file}.", model=recipe.model.name, file=recipe.data.train), limit=300)
        ]
        parts.append(estimate_content(estimate) if estimate else Content(t("The price is not known.")))
        body, sandbox = Content("\n\n").join(parts), self.in_sandbox
        question = Confirm(t("Submit this run?"), body, yes=t("Submit"), enter_is_yes=sandbox)
        self.program.push_screen(question, self._answered)

    def _answered(self, answer: bool | None) -> None:
        if answer and (azure := self.wizard.facts.azure) is not None:
            work = submission(self, azure)
            self.run_task(SUBMIT, t("Submitting"), work, self._submitted, failed=self._not_submitted)

    def _submitted(self, done: Started) -> None:
        self.wizard.learn(workspace=done.workspace, prepared=done.prepared, job=done.job.name)
        for step in (place.name for place in PLACES if place.setup):
            self.wizard.mark(step, "done")  # those too that were passed by, whose defaults the run was made with
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
