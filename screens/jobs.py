"""Jobs: all fine-tuning jobs of the project, and what can be done with each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList

from screens.confirm import Confirm
from screens.run_page import RunPage, day
from tui import actions, backend
from tui.messages import n, t
from tui.recipe import RecipeError
from tui.services.choices import recipe_of
from tui.text import clean, clean_line
from tui.widgets.columns import Column
from tui.widgets.job_status import badge, meaning
from tui.widgets.live_line import LiveLine
from tui.widgets.progress_line import duration
from tui.widgets.row_list import Row, RowList

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.jobs import Job
    from tui.services.projects import Workspace


class JobsScreen(RunPage):
    """The list of jobs."""

    PLACE = "jobs"
    LOOKS = ("jobs.list",)
    INTRO = "Every fine-tuning job of the project. Enter opens one in the monitor."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("jobs"))

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, Job] = {}
        self._noted: dict[str, str] = {}
        self._list = RowList(
            (
                Column(t("status"), 17),
                Column(t("job"), 0),
                Column(t("model"), 20, from_width=84),
                Column(t("engine"), 10, from_width=100),
                Column(t("created"), 16),
                Column(t("time"), 12, right=True, from_width=110),
            ),
            t("Asking Azure for the jobs…"),
        )

    def content(self) -> ComposeResult:
        """The list, and a line about the marked job."""
        yield LiveLine(classes="trouble")
        yield self._list
        yield LiveLine(classes="about quiet")

    def blocked(self, reason: str) -> None:
        """There is nothing to list."""
        self._list.say(reason)

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """Ask for the jobs."""
        file = self.program.settings.journal

        def ask(report: object, cancel: object) -> tuple[list[Job], dict[str, str]]:
            entries = backend.journal.Journal(file).of(workspace.id)
            noted = {each.name: each.detail["recipe"] for each in entries if "recipe" in each.detail}
            return backend.jobs.listing(azure, workspace), noted

        self.program.tasks.start(
            "jobs.list", t("Asking for the jobs"), ask,
            done=self._listed, failed=lambda error: self.not_answered(error, self._jobs), quiet=True,
        )  # fmt: skip

    def _listed(self, answer: tuple[list[Job], dict[str, str]]) -> None:
        found, self._noted = answer
        self.tell_trouble("")
        self._jobs = {job.name: job for job in found}
        rows = self._list
        rows.say(t("No job yet. Enter goes to Review, where one is submitted."))
        rows.show([self._row(job) for job in found])
        if found and not rows.options.has_focus and self.focused is None:
            rows.options.focus()
        self._about()
        self._sync_keys()

    def _row(self, job: Job) -> Row:
        spent = duration((job.ended - job.started).total_seconds()) if job.started and job.ended else ""
        cells = (
            clean_line(job.name, limit=120),
            clean_line(job.model, limit=60),
            job.engine or "",
            day(job.created),
            spent,
        )
        return Row(job.name, (badge(job.status), *(Content(cell) for cell in cells)))

    @property
    def marked(self) -> Job | None:
        """The job under the highlight."""
        return self._jobs.get(self._list.key)

    def _about(self) -> None:
        job = self.marked
        parts = []
        if job:
            parts.append(meaning(job.status))
            for key, value in (job.hyperparameters or {}).items():
                parts.append(f"{clean_line(key, limit=40)} {clean_line(value, limit=20)}")
        self.query_one(".about", LiveLine).show(Content(" · ".join(part for part in parts if part)))

    @on(OptionList.OptionHighlighted)
    def _marked_other(self) -> None:
        self._about()
        self._sync_keys()

    @on(OptionList.OptionSelected)
    def _opened(self) -> None:
        self.action_forward()

    # --- what the user does ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done with the marked job."""
        job = self.marked
        if action not in ("cancel_job", "next_run", "run_again", "archive_job"):
            return True
        if job is None or (action != "next_run" and (action == "cancel_job") == job.terminal):
            return None
        return True

    def onward_title(self) -> str:
        """Enter opens the marked job."""
        if self.marked:
            return t("Open")
        return t("Continue") if self._looking() else t("Review")

    def action_forward(self) -> None:
        """Open the marked job in the monitor."""
        if self.before_project():
            super().action_forward()
        elif self.marked is None and not self.is_early():
            self.program.go("review")
        elif self.marked:
            self.wizard.learn(job=self.marked.name)
            self.program.go("monitor")

    def action_cancel_job(self) -> None:
        """Cancel the marked job, after a question."""
        if self.marked:
            self.ask_to_cancel(self.marked.name)

    def action_archive_job(self) -> None:
        """Hide the marked job."""
        job = self.marked
        if job is None:
            return
        azure, workspace = self.azure, self.workspace
        self.run_change(
            azure, "jobs.archive", t("Archiving {name}", name=clean_line(job.name, limit=60)),
            lambda report, cancel: backend.jobs.archive(azure, workspace, job.name), lambda _: self.action_refresh(),
        )  # fmt: skip

    def action_next_run(self) -> None:
        """A draft with the marked job's choices, to be changed."""
        self._take("hyperparameters")

    def action_run_again(self) -> None:
        """The marked job's choices, straight to the review."""
        self._take("review")

    def _take(self, place: str) -> None:
        job = self.marked
        if job is None:
            return
        try:
            wanted, left = recipe_of(job, self.wizard.recipe, self._noted.get(job.name, ""))
        except (RecipeError, ValueError) as error:
            self.notice(t("This job's choices cannot be taken: {reason}", reason=clean(error)), problem=True)
            return
        changes = self.wizard.recipe.diff(wanted)
        if not changes and not left:
            self.program.go(place)
            return
        lines = [f"{key}: {clean_line(old, limit=60)} → {clean_line(new, limit=60)}" for key, old, new in changes]
        body = n("{count} choice of the draft changes:", "{count} choices of the draft change:", len(changes))
        if left:
            lines += [t("Not taken:"), *(f"  {clean_line(one, limit=160)}" for one in left)]

        def agreed(answer: bool | None) -> None:
            if answer:
                self.wizard.take(wanted)
                self.program.go(place)

        title = t("Take the choices of {name}?", name=clean_line(job.name, limit=80))
        self.app.push_screen(
            Confirm(title, Content("\n".join([body, *lines])), yes=t("Take them"), enter_is_yes=True), agreed
        )
