"""Evaluate: is the tuned model better? The run's validation, and held-out questions to both models."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static

from screens.confirm import Confirm
from screens.run_page import RunPage, day
from tui import actions, backend
from tui.messages import t
from tui.paths import abbreviated
from tui.services.errors import Cancelled, PhiftError
from tui.services.progress import Cancel, Report
from tui.text import line
from tui.widgets.answer_pair import AnswerPair
from tui.widgets.columns import Column
from tui.widgets.endpoint_list import is_base
from tui.widgets.field import Field
from tui.widgets.live_line import LiveLine
from tui.widgets.progress_line import ProgressLine
from tui.widgets.row_list import Row, RowList
from tui.widgets.score_table import ScoreTable

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.comparisons import Written
    from tui.services.deployments import Endpoint
    from tui.services.evaluations import Asked, RunComparison
    from tui.services.projects import Workspace

_ASK = "evaluate"
_LOOK = "evaluate.look"
_OUTCOMES = {
    "won": ("✓", "won", "$text-success"),
    "tied": ("=", "tied", "$text-quiet"),
    "lost": ("!", "lost", "$text-error"),
}


@dataclass(frozen=True)
class Looked:
    """What there is to compare."""

    run: RunComparison | None
    """None: there is no run, or it did not validate the base model."""
    tuned: Endpoint | None
    base: Endpoint | None
    rows: Path | None
    """Those that the split held back when it was made."""
    written: Written | None
    """The last comparison of the job."""


class EvaluateScreen(RunPage):
    """The comparison of two models."""

    PLACE = "evaluate"
    SHOWS = _ASK
    LOOKS = (_LOOK,)
    INTRO = "Did tuning help? The run's own validation, then the same questions to both models."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("evaluate"))

    def __init__(self) -> None:
        super().__init__()
        self._looked: Looked | None = None
        self._result: Written | None = None
        self._anew = ""
        self._list = RowList(
            (Column("", 10), Column(t("question"), 0), Column(t("line"), 6, right=True, from_width=60)),
            t("No question was asked yet."),
        )

    def content(self) -> ComposeResult:
        """The run's figures, the plan, progress, figures of the answers, the answers."""
        yield LiveLine(classes="trouble")
        yield ScoreTable(classes="run-scores")
        yield Static(classes="plan", markup=False)
        with Vertical(classes="choices"):
            yield Field("evaluation.questions", t("Questions"))
            yield Field("evaluation.max_tokens", t("Longest answer"), unit=t("tokens"))
            yield Field("evaluation.file", t("Held-out file"))
        yield ProgressLine(classes="progress")
        yield ScoreTable(classes="answer-scores")
        yield self._list
        yield AnswerPair()

    # --- what there is -----------------------------------------------------------------------------------------------

    def held_out(self) -> Path | None:
        """Also the rows of a split that an earlier start of the program made."""
        return super().held_out() or (self._looked.rows if self._looked else None)

    def blocked(self, reason: str) -> None:
        """There is nothing to compare."""
        self.query_one(".plan", Static).update(line(reason))

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """Ask for the run's validation and the endpoints."""
        job, chosen, settings = self.wizard.facts.job, self.wizard.facts.endpoint, self.program.settings
        recipe, wanted = self.wizard.recipe, job and job != self._anew

        def look(report: object, cancel: object) -> Looked:
            run = backend.evaluations.from_run(backend.runs.Watch(azure, workspace, job).poll()) if job else None
            endpoints = [each for each in backend.deployments.listing(azure, workspace) if each.ready]
            tuned = [each for each in endpoints if not is_base(each)]
            mine = next((each for each in tuned if chosen and each.name == chosen.name), next(iter(tuned), None))
            base = next((each for each in endpoints if is_base(each)), None)
            rows = backend.datasets.held_back(settings.state, recipe, self.wizard.base)
            return Looked(run, mine, base, rows, backend.comparisons.latest(settings, job) if wanted else None)

        if self._result and self._result.job != job:
            self._put_away()
        if self._looked is None:
            self.blocked(t("Asking Azure for the run and the endpoints…"))
        self.program.tasks.start(
            _LOOK, t("Asking for endpoints"), look, done=self._took,
            failed=lambda error: self.not_answered(error, self._looked), quiet=True,
        )  # fmt: skip

    def _took(self, looked: Looked) -> None:
        self._looked = looked
        self._sync_keys()
        self.tell_trouble("")
        if looked.run:
            self.query_one(".run-scores", ScoreTable).show_run(looked.run)
        if looked.written and not self._result:
            self._answered(looked.written)
        self._show_plan()

    def state_changed(self) -> None:
        """Another file, or another number of questions."""
        self._show_plan()

    def _show_plan(self) -> None:
        if self._looked is None or self._result is not None:
            return
        file = self.held_out()
        if self._looked.tuned is None:
            self.blocked(t("No endpoint answers yet. Enter goes to Deploy."))
        elif file is None:
            self.blocked(t("Name a held-out file below: chat rows that the model was not trained on."))
        else:
            tuned = self._looked.tuned.name
            asked = self._looked.base.name if self._looked.base else t("the base model")
            said = "Enter asks {tuned} and {base} questions from {file}."
            self.blocked(t(said, file=file.name, tuned=tuned, base=asked))

    # --- asking ------------------------------------------------------------------------------------------------------

    def waits_for(self) -> str:
        """Going on waits for the answers."""
        return _ASK

    def onward_title(self) -> str:
        """Enter asks the models, once."""
        looked = None if self._result else self._looked
        return t("Continue") if looked is None else t("Ask") if looked.tuned else t("Deploy")

    def action_forward(self) -> None:
        """Ask; with answers on the page, on."""
        looked, file = self._looked, self.held_out()
        wrong = any(field.error for field in self.query(Field))
        if self.before_project() or self._result or self.program.tasks.of(_ASK) or wrong:
            super().action_forward()
        elif looked is None:
            if not self.is_early():
                self.notice(t("Azure has not answered; F5 asks again."), problem=True)
        elif looked.tuned is None:
            self.program.go("deploy")
        elif file is None:
            self.notice(t("Name a held-out file first."), problem=True)
        elif looked.base:
            self._ask(looked.tuned, looked.base, file, make_base=False)
        else:
            tuned = looked.tuned
            body = t(
                "An endpoint of the base model is made for the comparison and removed after it. "
                "It is billed by the token, not by the hour."
            )
            question = Confirm(
                t("Ask the base model too?"), body, yes=t("Ask both"), no=t("The tuned one only"), enter_is_yes=True
            )
            self.app.push_screen(
                question, lambda yes: None if yes is None else self._ask(tuned, None, file, make_base=yes)
            )

    def _ask(self, tuned: Endpoint, base: Endpoint | None, file: Path, *, make_base: bool) -> None:
        azure, workspace, recipe, settings = self.azure, self.workspace, self.wizard.recipe, self.program.settings
        run, job = self._looked.run if self._looked else None, self.wizard.facts.job

        def ask(report: Report, cancel: Cancel) -> Written:
            models = backend.catalog
            return backend.comparisons.make(
                azure, workspace, tuned, models.find(models.models(azure), recipe.model.name) if make_base else base,
                file, recipe.evaluation, job=job, validation=run, journal=backend.journal.Journal(settings.journal),
                report=report, cancel=cancel,
            )  # fmt: skip

        def failed(error: PhiftError) -> None:
            if isinstance(error, Cancelled):
                self.notice(t("Stopped. Enter asks again; answers that came are kept for a week."))
            else:
                self.notice(t("Enter asks again; answers that came are kept for a week."), problem=True)
                self.program.show_error(error, t("Asking {name}", name=tuned.name))

        self.run_task(_ASK, t("Asking {name}", name=tuned.name), ask, self._answered, failed=failed)

    def _answered(self, result: Written) -> None:
        self._result = result
        self.add_class("-asked")
        self.wizard.mark(self.PLACE, "done")
        self.query_one(".answer-scores", ScoreTable).show_answers(result.found)
        if result.refused:
            self.notice(t("Not written: {reason}.", reason=result.refused), problem=True)
        else:
            file = abbreviated(result.file)
            self.notice(t("Asked at {time}, written to {file}.", time=day(result.time), file=file))
        self._sync_keys()
        rows = self._list
        rows.show(list(map(self._row, itertools.count(), result.found.asked, result.outcomes)))
        if self.is_current:
            rows.options.focus()
        self._show_pair()

    def _row(self, place: int, asked: Asked, kind: str) -> Row:
        glyph, word, colour = _OUTCOMES.get(kind, ("", "", ""))
        verdict = Content.styled(f"{glyph} {t(word)}", colour) if kind else Content("")
        return Row(str(place), (verdict, line(asked.question), Content(str(asked.line))))

    @on(OptionList.OptionHighlighted)
    def _show_pair(self) -> None:
        key = self._list.key
        if not (self._result and key):
            return
        asked, kind = self._result.found.asked[int(key)], self._result.outcomes[int(key)]
        better = {"won": "right", "lost": "left"}.get(kind, "")
        base = asked.base if asked.base is not None else t("not asked")
        self.query_one(AnswerPair).show(
            asked.question, asked.reference, (t("base"), base), (t("tuned"), asked.tuned), better=better
        )

    @on(OptionList.OptionSelected)
    def _entered_row(self) -> None:
        self.action_forward()

    # --- what the user does ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Asking can be stopped while it goes on, and repeated once it has ended."""
        asking = self.program.tasks.of(_ASK) is not None
        if action == "stop":
            return True if asking else None
        if action == "ask_again":
            return True if self._result and not asking else None
        return True

    def action_stop(self) -> None:
        """Stop asking."""
        task = self.program.tasks.of(_ASK)
        if task:
            task.cancel.set()

    def action_ask_again(self) -> None:
        """Back to the plan."""
        self._anew = self._result.job if self._result else ""
        self._put_away()
        self._show_plan()
        self.query(Field).first().editor.focus()

    def _put_away(self) -> None:
        self._result = None
        self._sync_keys()
        self.remove_class("-asked")
        self.query_one(".answer-scores", ScoreTable).remove_class("-filled")
