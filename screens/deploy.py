"""Deploy: the tuned model behind an endpoint; what it will bill, what bills now, and the progress of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import OptionList, Static

from screens.confirm import Confirm
from screens.run_page import RunPage
from tui import actions, backend
from tui.messages import t
from tui.services.errors import PhiftError
from tui.services.progress import Cancel, Report
from tui.text import clean_line, line
from tui.widgets.endpoint_list import EndpointList, call_example
from tui.widgets.field import Field
from tui.widgets.job_status import badge
from tui.widgets.live_line import LiveLine
from tui.widgets.progress_line import ProgressLine

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.costs import Price
    from tui.services.deployments import Endpoint
    from tui.services.jobs import Job
    from tui.services.projects import Workspace

_LOOK = "deploy.look"
_DEPLOY = "deploy"


@dataclass(frozen=True)
class Found:
    """What Azure says about the model and the endpoints."""

    job: Job | None
    """The job whose model is deployed; None: the project has none that completed."""
    endpoints: tuple[Endpoint, ...]
    hourly: Price | None
    """Price of an hour of hosting the job's model; None: not known."""
    name: str
    """Name that the endpoint gets where none is chosen."""


class DeployScreen(RunPage):
    """The deployment of a tuned model."""

    PLACE = "deploy"
    SHOWS = _DEPLOY
    LOOKS = (_LOOK,)
    INTRO = "An endpoint answers with the tuned model. It bills by the hour until it is deleted."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("deploy"))

    def __init__(self) -> None:
        super().__init__()
        self._found: Found | None = None
        self._list = EndpointList()

    def content(self) -> ComposeResult:
        """Model, name, safety, price, progress; then the endpoints that there are."""
        yield LiveLine(classes="trouble")
        yield LiveLine(classes="job-line")
        yield Field("deployment.endpoint", t("Endpoint"), hint=t("optional"))
        yield Field(
            "deployment.content_safety",
            t("Content safety"),
            help_line=t("Azure AI Content Safety reads prompts and answers and refuses harmful ones; billed by use."),
        )
        with Horizontal(classes="price field-row"):
            yield Static(t("Price"), classes="field-label", markup=False)
            yield Static(classes="price-text", markup=False)
        yield ProgressLine(classes="progress")
        yield LiveLine(Content(t("Endpoints of this project")), classes="heading")
        yield self._list

    # --- what Azure says ---------------------------------------------------------------------------------------------

    def blocked(self, reason: str) -> None:
        """There is nothing to deploy."""
        self.query_one(".job-line", LiveLine).show(Content(reason))
        self._list.say("")

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """Ask for the job, the endpoints and the price."""
        wanted, machine = self.wizard.facts.job, self.wizard.recipe.model.instance_type
        if self._found is None:
            self.query_one(".job-line", LiveLine).show(Content(t("Asking Azure for the tuned model…")))

        def look(report: object, cancel: object) -> Found:
            listed = backend.jobs.listing(azure, workspace)
            job = next((each for each in listed if each.name == wanted), None)
            job = job or next((each for each in listed if each.status == "Completed"), None)
            endpoints = backend.deployments.listing(azure, workspace)
            prices = backend.costs.prices(azure, workspace.location, azure.settings)
            bases = {each.output_model: each.model for each in listed if each.output_model}
            priced = tuple(
                replace(each, hourly=each.hourly or prices.of(bases.get(each.model_name, ""), "hosting"))
                for each in endpoints
            )
            hourly = prices.of(job.model, "hosting") if job else None
            if job and job.engine != "serverless":  # served on a virtual machine of its own
                hourly = prices.of_instance(machine)
            name = backend.deployments.default_name(job.output_model or job.name, job.output_version) if job else ""
            return Found(job, priced, hourly, name)

        self.program.tasks.start(
            _LOOK, t("Asking for endpoints"), look,
            done=self._looked, failed=lambda error: self.not_answered(error, self._found), quiet=True,
        )  # fmt: skip

    def _looked(self, found: Found) -> None:
        self._found = found
        self.tell_trouble("")
        self._show()

    def state_changed(self) -> None:
        """The name or the safety changed."""
        self._show()

    def _show(self) -> None:
        found = self._found
        if found is None:
            return
        self._list.show_endpoints(found.endpoints)
        self._sync_keys()
        job = found.job
        self.query_one(".price").display = job is not None
        if job is None:
            none = t("No job has completed yet. Enter goes to the monitor.")
            self.query_one(".job-line", LiveLine).show(Content(none), layout=True)
            return
        self.query_one(".job-line", LiveLine).show(
            Content.assemble(
                badge(job.status), "  ",
                line(t("{model} as endpoint {name}", model=job.output_model or "?", name=self._name_of(found))),
                (t(" · tuned by {job}", job=clean_line(job.name, limit=80)), "$text-quiet"),
            ),
            layout=True,
        )  # fmt: skip
        self.query_one(".price-text", Static).update(self._price(found))

    def _name_of(self, found: Found) -> str:
        return self.wizard.recipe.deployment.endpoint or found.name

    def _price(self, found: Found) -> str:
        if found.hourly is None:
            return t("unknown: Microsoft's price list names none for this model; it does bill by the hour")
        said = "{amount:.2f} {currency} an hour, also while idle (list of {date})"
        return t(said, amount=found.hourly.amount, currency=found.hourly.currency, date=found.hourly.date)

    # --- what the user does ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done with the marked endpoint."""
        if action in ("delete_endpoint", "how_to_call"):
            return True if self._list.marked else None
        return True

    def onward_title(self) -> str:
        """Enter deploys what is trained, unless it is."""
        found = self._found
        if found is None:
            return t("Continue")
        if found.job is None or not found.job.succeeded:
            return t("Monitor")
        return t("Continue") if self._existing(found) else t("Deploy")

    def _existing(self, found: Found) -> Endpoint | None:
        """The endpoint of the chosen name, where it answers with the tuned model."""
        name = self._name_of(found).casefold()
        same = next((each for each in found.endpoints if each.name.casefold() == name), None)
        return same if same and found.job and same.ready and same.model_name == found.job.output_model else None

    @on(OptionList.OptionHighlighted)
    def _marked_other(self) -> None:
        self._sync_keys()

    @on(OptionList.OptionSelected)
    def _taken(self) -> None:
        endpoint = self._list.marked
        if endpoint:
            self._use(endpoint)

    def _use(self, endpoint: Endpoint) -> None:
        self.wizard.learn(endpoint=endpoint)
        self.wizard.mark(self.PLACE, "done")
        self.program.go("playground")

    def waits_for(self) -> str:
        """Going on waits for the deployment."""
        return _DEPLOY

    def action_forward(self) -> None:
        """Deploy after a question; where that is done, on to the playground."""
        found = self._found
        if self.before_project() or self.program.tasks.of(_DEPLOY):
            super().action_forward()
            return
        if found is None:
            if not self.is_early():
                self.notice(t("Azure has not answered; F5 asks again."), problem=True)
            return
        if found.job is None or not found.job.succeeded:
            self.program.go("monitor")
            return
        if any(field.error for field in self.query(Field)):
            super().action_forward()
            return
        name = self._name_of(found)
        existing = self._existing(found)
        if existing:
            self._use(existing)
            return
        safety = t("on") if self.wizard.recipe.deployment.content_safety else t("off")
        bills = Content.styled(t("It bills until you delete it: x on this page, or Clean up."), "$text-warning")
        body = Content("\n").join(
            [
                line(t("Model: {model}", model=found.job.output_model)),
                line(t("Content safety: {state}", state=safety)),
                line(t("Price: {price}", price=self._price(found))),
                Content(""),
                bills,
                *([Content.styled(t("Sandbox: nothing is billed."), "$text-success")] if self.in_sandbox else []),
            ]
        )
        title = t("Deploy as {name}?", name=clean_line(name, limit=60))
        job = found.job
        self.app.push_screen(
            Confirm(title, body, yes=t("Deploy"), enter_is_yes=self.in_sandbox),
            lambda yes: self._deploy(job, name) if yes else None,
        )

    def _deploy(self, job: Job, name: str) -> None:
        azure, workspace, recipe = self.azure, self.workspace, self.wizard.recipe
        path = self.program.settings.journal

        def made(endpoint: Endpoint) -> None:
            if self.is_current:
                self._use(endpoint)
            else:
                self.wizard.learn(endpoint=endpoint)
                self.wizard.mark(self.PLACE, "done")

        def failed(error: PhiftError) -> None:
            self.wizard.mark(self.PLACE, "attention", t("not deployed"))
            self.program.show_error(error)
            self.action_refresh()

        self.run_change(
            azure,
            _DEPLOY,
            t("Deploying {name}", name=name),
            lambda report, cancel: backend.deployments.deploy(
                azure, workspace, job, name,
                content_safety=recipe.deployment.content_safety, instance_type=recipe.model.instance_type,
                journal=backend.journal.Journal(path), report=report, cancel=cancel,
            ),
            made,
            failed=failed,
        )  # fmt: skip
        self.notice(t("It goes on in the background; the playground opens when the endpoint answers."))

    def action_delete_endpoint(self) -> None:
        """Delete the marked endpoint, after a question."""
        endpoint = self._list.marked
        if endpoint is None:
            return
        azure, workspace, name = self.azure, self.workspace, endpoint.name

        def delete(report: Report, cancel: Cancel) -> None:
            backend.deployments.delete(azure, workspace, name, report=report, cancel=cancel)

        def gone(_: None) -> None:
            if self.wizard.facts.endpoint and self.wizard.facts.endpoint.name == name:
                self.wizard.learn(endpoint=None)
            self.action_refresh()

        def agreed(yes: bool | None) -> None:
            if yes:
                self.run_change(azure, "deploy.delete", t("Deleting {name}", name=name), delete, gone)

        body = t("It stops billing. Programs that call it will fail; the model stays.")
        title = t("Delete the endpoint {name}?", name=clean_line(name, limit=60))
        self.app.push_screen(Confirm(title, body, yes=t("Delete")), agreed)

    def action_how_to_call(self) -> None:
        """Address and an example call, without the key."""
        endpoint = self._list.marked
        if endpoint is None:
            return
        title = t("How to call {name}", name=clean_line(endpoint.name, limit=60))
        self.program.show_text(title, call_example(endpoint))
