"""What the pages about things on Azure share: they need the project, and they say when Azure does not answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from screens.confirm import Confirm
from screens.page import Page
from tui import backend
from tui.messages import t
from tui.paths import expanded
from tui.services.errors import NotFound, PhiftError, Throttled, Unreachable
from tui.text import clean_line
from tui.widgets.live_line import LiveLine
from tui.widgets.progress_line import ProgressLine
from tui.wizard import BY_NAME

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

_FIND = "project.find"
# The choices' column comes later than on the wizard's steps: here the figures need the width.
_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-medium"), (140, "-wide"), (160, "-broad")]


def clock(moment: datetime) -> str:
    """A time of the day where the user is."""
    return f"{moment.astimezone():%H:%M:%S}"


def day(moment: datetime | None) -> str:
    """A day and a time where the user is; empty for none."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


class RunPage(Page):
    """A page that begins once the project is known."""

    HORIZONTAL_BREAKPOINTS = _BREAKPOINTS
    SHOWS: ClassVar[str] = ""
    """Group of the task whose progress the page's `ProgressLine` shows; empty: it has none."""
    LOOKS: ClassVar[tuple[str, ...]] = ()
    """Groups of the tasks that ask Azure for what the page shows."""

    def __init__(self) -> None:
        super().__init__()
        self._early = False
        self.add_class("run")

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """The project is known: ask Azure for what the page shows."""

    def blocked(self, reason: str) -> None:
        """Say why there is nothing to show."""

    @property
    def azure(self) -> Azure:
        """The connection; only once `ready` was called."""
        azure = self.wizard.facts.azure
        if azure is None:
            raise RuntimeError("not signed in")
        return azure

    @property
    def workspace(self) -> Workspace:
        """The project; only once `ready` was called."""
        workspace = self.wizard.facts.workspace
        if workspace is None:
            raise RuntimeError("the project is not known")
        return workspace

    def entered(self) -> None:
        """Find the project where it is not known yet."""
        azure, workspace = self.wizard.facts.azure, self.wizard.facts.workspace
        if azure is None:
            self.blocked(t("Not signed in. Enter goes to Sign in."))
        elif workspace is not None:
            self.ready(azure, workspace)
        else:
            target = self.wizard.recipe.target
            self.blocked(t("Looking for project {name}…", name=clean_line(target.project, limit=40)))

            def find(report: object, cancel: object) -> Workspace:
                subscription = backend.projects.subscription_of(azure, target)
                return backend.projects.get(azure, subscription, target.resource_group, target.project)

            self.program.tasks.start(
                _FIND,
                t("Looking for the project"),
                find,
                done=self._project_found,
                failed=self._project_missing,
                quiet=True,
            )

    def _project_found(self, workspace: Workspace) -> None:
        self.wizard.learn(workspace=workspace)
        if self.is_current:
            self.ready(self.azure, workspace)

    def _project_missing(self, error: PhiftError) -> None:
        self._early = False
        if isinstance(error, NotFound):
            self.blocked(t("The project is not there yet: it is made when the job is submitted. Enter goes to Review."))
        else:
            self.blocked(self.trouble(error))

    def trouble(self, error: PhiftError) -> str:
        """An error in one line, with the time where it is about the connection."""
        if isinstance(error, Unreachable | Throttled) and error.code != "SandboxUnreachable":
            return t(
                "No answer from Azure at {time}. F5 tries again. ({code})",
                time=clock(datetime.now(UTC)),
                code=error.code,
            )
        return clean_line(f"{error.message} {error.next_step}".strip(), limit=400)

    def _looking(self) -> bool:
        return any(self.program.tasks.of(group) for group in (_FIND, *self.LOOKS))

    def is_early(self) -> bool:
        """Whether Enter came before Azure said what is here; if so, it is taken up when Azure has."""
        self._early = self._goes_on = self._looking()
        if self._early:
            self.notice(t("Goes on when Azure has answered. Esc: stay here."))
        return self._early

    def not_answered(self, error: PhiftError, known: object) -> None:
        """Azure did not say what the page shows: say so; what is known already stays."""
        self.tell_trouble(self.trouble(error))
        if not known:
            self.blocked(t("Nothing is known yet."))

    def _sync_tasks(self) -> None:
        super()._sync_tasks()
        if self._early and not self._looking():
            self._early = False
            self.notice("")
            if self._goes_on and not any(line.display for line in self.query(".trouble")):
                self.call_later(self.action_forward)
            self._goes_on = False
        if self.SHOWS:
            self.query_one(ProgressLine).show_task(self.program.tasks.of(self.SHOWS))

    def held_out(self) -> Path | None:
        """The file whose rows test the models: the one chosen, else the validation rows; None: there is none."""
        recipe, prepared = self.wizard.recipe, self.wizard.facts.prepared
        if recipe.evaluation.file:
            return self.wizard.base / expanded(recipe.evaluation.file)
        if prepared and prepared.validation:
            return prepared.validation
        if recipe.validation.mode == "file":
            return self.wizard.base / expanded(recipe.validation.path)
        return None

    def onward_title(self) -> str:
        """What Enter does once the project is known, in a word or two for the key bar."""
        return t("Continue")

    def forward_title(self) -> str:
        """The step that is missing, or what the page says."""
        place = "" if self._looking() else self.before_project()
        return t(BY_NAME[place].title) if place else self.onward_title()

    def before_project(self) -> str:
        """The place that Enter leads to while the project is not known; empty: it is."""
        if self.wizard.facts.azure is None:
            return "sign_in"
        return "" if self.wizard.facts.workspace else "review"

    def action_forward(self) -> None:
        """Go to the step that is missing, or on."""
        place = self.before_project()
        if place and not self.is_early():
            self.program.go(place)
        elif not place:
            super().action_forward()

    def tell_trouble(self, what: str) -> None:
        """Say what stands in the way, in the page's line for that; empty: nothing does."""
        line = self.query_one(".trouble", LiveLine)
        line.display = bool(what)
        line.show(Content(clean_line(f"! {what}" if what else "")), layout=True)

    def ask_to_cancel(self, name: str) -> None:
        """Ask whether a job shall be cancelled, and cancel it."""
        azure, workspace = self.azure, self.workspace
        body = t(
            "What it trained so far is lost. Own compute is billed for its time; cancelled serverless jobs are not."
        )

        def agreed(answer: bool | None) -> None:
            if answer:
                self.run_change(
                    azure, "job.cancel", t("Cancelling {name}", name=clean_line(name, limit=60)),
                    lambda report, cancel: backend.jobs.cancel(azure, workspace, name, stop=cancel),
                    lambda _: self.action_refresh(),
                )  # fmt: skip
                self.notice(t("Azure is asked to cancel the job."))

        title = t("Cancel job {name}?", name=clean_line(name, limit=80))
        self.app.push_screen(Confirm(title, body, yes=t("Cancel the job")), agreed)
