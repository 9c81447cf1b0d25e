"""The whole flow without a screen: from the recipe to a tuned, compared, deployed and answering model."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui.messages import mark, n, t
from tui.paths import expanded
from tui.recipe import Recipe
from tui.services import (
    catalog,
    chat,
    cleanup,
    comparisons,
    costs,
    datasets,
    deployments,
    doctor,
    evaluations,
    jobs,
    projects,
    runs,
    spending,
    submissions,
    uploads,
)
from tui.services.clients import Azure
from tui.services.deployments import Endpoint
from tui.services.errors import AccessError, Cancelled, NotFound, PhiftError, ProviderNotRegistered
from tui.services.jobs import Job
from tui.services.journal import DONE, FAILED, OUTCOMES, Journal
from tui.services.progress import Cancel, Progress, Report
from tui.services.runs import Snapshot
from tui.services.submissions import Submission
from tui.settings import Settings

if TYPE_CHECKING:
    from tui.services.catalog import Model
    from tui.services.costs import Estimate
    from tui.services.datasets import Prepared
    from tui.services.projects import Workspace
    from tui.services.uploads import DataAsset

Step = Literal[
    "sign-in",
    "access",
    "data",
    "estimate",
    "project",
    "upload",
    "submit",
    "monitor",
    "evaluate",
    "deploy",
    "ask",
    "billable",
    "run",
]
Status = Literal["started", "progress", "done", "failed"]
_TITLES: dict[Step, str] = {
    "sign-in": mark("Signing in"),
    "access": mark("Looking at access"),
    "data": mark("Checking the data"),
    "estimate": mark("Estimating the cost"),
    "project": mark("Hub and project"),
    "upload": mark("Uploading"),
    "submit": mark("Submitting the job"),
    "monitor": mark("Training"),
    "evaluate": mark("Base against tuned"),
    "deploy": mark("Deploying"),
    "ask": mark("Asking the endpoint"),
    "billable": mark("What is billed now"),
    "run": mark("Run"),
}
_SAFETY = {
    True: mark("Content safety is on."),
    False: mark("Content safety is off."),
    None: mark("Whether content safety is on is not known."),
}
_TELL_EVERY = 1.0


@dataclass(frozen=True)
class Event:
    """Something that the flow did."""

    step: Step
    status: Status
    fields: dict[str, Any] = field(default_factory=dict)
    """What a program wants to know."""
    text: tuple[str, ...] = ()
    """What a person wants to know."""

    def lines(self) -> list[str]:
        """The event for a person."""
        if self.status == "started":
            return [] if self.step == "run" else [f"{t(_TITLES[self.step])} …"]
        return [f"  {line}" for line in self.text]


@dataclass(frozen=True)
class Started:
    """A run that Azure has taken."""

    azure: Azure
    model: Model
    workspace: Workspace
    job: Job
    prepared: Prepared
    estimate: Estimate
    entry: int
    """Its entry in the journal."""


@dataclass
class Outcome:
    """What the flow has reached."""

    workspace: Workspace | None = None
    estimate: Estimate | None = None
    job: Job | None = None
    snapshot: Snapshot | None = None
    comparison: evaluations.RunComparison | None = None
    answers: evaluations.AnswerComparison | None = None
    endpoint: Endpoint | None = None
    answer: str = ""
    billable: list[cleanup.Item] = field(default_factory=list)


class Flow:
    """One run of a recipe. A run that was cut off goes on where it was when the same recipe is run again."""

    def __init__(
        self,
        recipe: Recipe,
        base: Path,
        settings: Settings,
        *,
        connect: Callable[[], Azure],
        approve: Callable[[Estimate], bool],
        on_event: Callable[[Event], None] | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            recipe: the choices.
            base: folder that the recipe's relative paths are taken from.
            settings: paths and budget.
            connect: signs in.
            approve: shown the estimate before anything is created; False ends the run.
            on_event: told of everything.
            cancel: ends the run between two calls; what Azure does by then goes on.
        """
        self._recipe = recipe
        self._base = base
        self._settings = settings
        self._connect = connect
        self._approve = approve
        self._on_event = on_event or _nobody
        self._cancel = cancel or Cancel()
        self._told = 0.0
        self._stage = ""
        self._cost: dict[str, Any] = {}

    def run(self, *, deploy: bool = False, evaluate: bool = False) -> Outcome:
        """Go through all steps.

        Args:
            deploy: serve the tuned model and ask it a question.
            evaluate: compare base and tuned model: on the validation rows, and by their answers where it is deployed.

        Raises:
            PhiftError: the error of the step that failed; its `failed` event and that of `run` have been told.
        """
        outcome = Outcome()
        with self._step("run") as done:
            self._go(outcome, deploy, evaluate)
            done.fields |= {
                "job": outcome.job.name if outcome.job else None,
                "model": outcome.job.output_model if outcome.job else None,
                "endpoint": outcome.endpoint.name if outcome.endpoint else None,
            }
            done.text.append(t("Done."))
        return outcome

    def _go(self, outcome: Outcome, deploy: bool, evaluate: bool) -> None:
        journal = Journal(self._settings.journal)
        start = self._start(journal, deploy=deploy)
        azure, workspace = start.azure, start.workspace
        outcome.estimate, outcome.workspace = start.estimate, workspace
        try:
            outcome.snapshot = self._monitor(azure, workspace, start.job.name)
        except Cancelled:
            raise  # the run stays open, so that running the recipe again goes on with this job
        except PhiftError as error:
            if error.exit_code == 6:
                journal.finish(start.entry, FAILED, {"error": error.to_json()})
            raise
        outcome.job = outcome.snapshot.job
        if evaluate:
            outcome.comparison = self._evaluate_run(outcome.snapshot)
        if deploy:
            outcome.endpoint = self._deploy(azure, workspace, outcome.job, journal)
            questions = self._questions(start.prepared)
            outcome.answer = self._ask(azure, workspace, outcome.endpoint, questions)
            if evaluate:
                outcome.answers = self._evaluate_answers(
                    start, outcome.endpoint, outcome.comparison, questions, journal
                )
        journal.finish(start.entry, DONE)
        outcome.billable = self._billable(azure, workspace)

    def submit(self) -> Started:
        """Go as far as the submitted job, for a front end that follows the job itself.

        Raises:
            PhiftError: the error of the step that failed; its `failed` event has been told.
        """
        journal = Journal(self._settings.journal)
        start = self._start(journal, deploy=False)
        journal.finish(start.entry, DONE)
        return start

    def _start(self, journal: Journal, *, deploy: bool) -> Started:
        azure = self._sign_in(journal)
        model = self._access(azure)
        prepared = self._data(model)
        estimate = self._estimate(azure, model, prepared)
        workspace = self._project(azure, journal)
        training, validation = self._upload(azure, workspace, prepared, journal)
        mark = _fingerprint(self._recipe, workspace, training, validation)
        entry, name = self._begin(azure, workspace, journal, mark, deploy)
        wanted = Submission(workspace, self._recipe, model, training, validation, name, rows=prepared.train_rows)
        job = self._submit(azure, wanted, journal)
        return Started(azure, model, workspace, job, prepared, estimate, entry)

    def _sign_in(self, journal: Journal) -> Azure:
        with self._step("sign-in") as done:
            azure = self._connect()
            done.fields |= {"identity": azure.identity.name, "method": azure.identity.method, "sandbox": azure.sandbox}
            done.text.append(t("{name}, by {method}", name=azure.identity.name, method=azure.identity.method))
            if azure.sandbox:
                done.text.append(
                    t("The sandbox: Azure on this machine, with a small stand-in model. Nothing is billed.")
                )
            for entry in journal.reconcile(azure):
                done.text.append(
                    t(
                        "{name}, left open by an earlier run: {outcome}",
                        name=f"{entry.kind} {entry.name}",
                        outcome=t(OUTCOMES[entry.outcome]),
                    )
                )
            return azure

    def _access(self, azure: Azure) -> Model:
        with self._step("access") as done:
            subscription = projects.subscription_of(azure, self._recipe.target)
            self._recipe = self._recipe.with_(target__subscription=subscription)
            model = catalog.require(azure, self._recipe)
            if self._recipe.model.engine != "serverless" and not self._recipe.model.compute:
                size = submissions.required_size(self._recipe, model)
                self._recipe = self._recipe.with_(model__instance_type=size)
            findings = doctor.examine(azure, self._recipe, cancel=self._cancel)
            done.fields["findings"] = [finding.to_json() for finding in findings if finding.level != "ok"]
            problems = [finding for finding in findings if finding.level == "problem"]
            if problems:
                raise _denied(problems)
            done.text.append(
                n(
                    "{fine} of {count} finding in order",
                    "{fine} of {count} findings in order",
                    len(findings),
                    fine=sum(finding.level == "ok" for finding in findings),
                )
            )
            done.text += [
                f"{t(doctor.LEVELS[one.level])}: {one.title}. {one.detail}".strip()
                for one in findings
                if one.level != "ok"
            ]
            return model

    def _data(self, model: Model) -> Prepared:
        with self._step("data") as done:
            folder = datasets.parts_folder(self._settings.state, self._recipe, self._base)
            found = datasets.prepare(
                self._recipe, self._base, folder, model, report=self._report("data"), cancel=self._cancel
            )
            stats = found.report.stats
            done.fields |= {
                "file": found.report.file,
                "train_rows": found.train_rows,
                "validation_rows": found.validation_rows,
                "tokens": stats.tokens_total,
                "tokens_are_estimate": stats.tokens_are_estimate,
                "warnings": {group.code: group.count for group in found.report.warnings},
            }
            done.text += [
                n("{count} training row", "{count} training rows", found.train_rows),
                n("{count} validation row", "{count} validation rows", found.validation_rows),
            ]
            done.text += [
                f"{t(doctor.LEVELS['warning'])} {group.code}: {t(group.title)} ({group.count})"
                for group in found.report.warnings
            ]
            return found

    def _estimate(self, azure: Azure, model: Model, prepared: Prepared) -> Estimate:
        with self._step("estimate") as done:
            prices = costs.prices(
                azure, self._recipe.target.location, self._settings, instance_type=self._recipe.model.instance_type
            )
            found = costs.estimate(self._recipe, model, prepared.stats, prices, sandbox=azure.sandbox)
            self._cost = costs.to_remember(found, self._recipe, prices)
            done.fields |= found.to_json()
            done.text += found.lines()
            warning = costs.check_budget(found, self._recipe, self._settings)
            if warning:
                done.fields["warning"] = warning
                self._on_event(Event("estimate", "progress", {"warning": warning}, (warning,)))
            if not self._approve(found):
                raise Cancelled(t("Not approved."), meaning=t("Nothing was created or uploaded."))
            return found

    def _project(self, azure: Azure, journal: Journal) -> Workspace:
        with self._step("project") as done:
            target, report = self._recipe.target, self._report("project")
            cancel = self._cancel

            def ensure() -> tuple[Workspace, Workspace]:
                hub = projects.ensure_hub(azure, target, journal=journal, report=report, cancel=cancel)
                return hub, projects.ensure_project(azure, target, hub, journal=journal, report=report, cancel=cancel)

            hub, project = azure.outlast(ensure, report, cancel)
            done.fields |= {"hub": hub.name, "project": project.name, "location": project.location}
            done.text.append(
                t(
                    "project {name} in the hub {hub}, {region}",
                    name=project.name,
                    hub=hub.name,
                    region=project.location,
                )
            )
            return project

    def _upload(
        self, azure: Azure, workspace: Workspace, prepared: Prepared, journal: Journal
    ) -> tuple[DataAsset, DataAsset | None]:
        with self._step("upload") as done:
            name = uploads.asset_name(self._recipe.data_path(self._base), self._recipe.data.asset)
            report, cancel = self._report("upload"), self._cancel

            def send(path: Path, label: str) -> DataAsset:
                return uploads.upload(azure, workspace, path, label, journal=journal, report=report, cancel=cancel)

            sent = [
                azure.outlast(partial(send, path, label), report, cancel)
                for path, label in ((prepared.train, name), (prepared.validation, f"{name}-validation"))
                if path
            ]
            done.fields["assets"] = [
                {"name": one.name, "version": one.version, "bytes": one.bytes, "reused": one.reused} for one in sent
            ]
            for one in sent:
                label = f"{one.name}:{one.version}"
                done.text.append(
                    n("{name}, {count} byte, was there already", "{name}, {count} bytes, was there already", one.bytes,
                      name=label)
                    if one.reused
                    else n("{name}, {count} byte, sent", "{name}, {count} bytes, sent", one.bytes, name=label)
                )  # fmt: skip
            return sent[0], sent[1] if len(sent) > 1 else None

    def _begin(self, azure: Azure, workspace: Workspace, journal: Journal, mark: str, deploy: bool) -> tuple[int, str]:
        """The run's entry in the journal and the job's name: those of a run that was cut off, or new ones."""
        for entry in journal.open():
            if entry.kind == "run" and entry.detail.get("fingerprint") == mark:
                try:
                    left = jobs.get(azure, workspace, entry.name)
                except NotFound:
                    return entry.id, entry.name
                if left.status not in ("Failed", "Canceled"):
                    return entry.id, entry.name
                journal.finish(entry.id, FAILED, {"status": left.status})
        if deploy and self._recipe.deployment.endpoint:
            # An endpoint cannot change its model: better known now than when the training is paid for.
            deployments.require_free(azure, workspace, self._recipe.deployment.endpoint)
        name = submissions.new_name(self._recipe)
        return journal.begin("run", name, workspace.id, {"fingerprint": mark}), name

    def _submit(self, azure: Azure, wanted: Submission, journal: Journal) -> Job:
        with self._step("submit") as done:
            submit = partial(
                submissions.submit, azure, wanted, journal=journal, cost=self._cost, cancel=self._cancel
            )  # fmt: skip
            job = azure.outlast(submit, self._report("submit"), self._cancel)
            done.fields |= {"job": job.name, "job_status": job.status, "engine": job.engine, "model": job.model}
            done.text.append(f"{job.name} ({job.model}, {job.engine}): {job.status}")
            return job

    def _monitor(self, azure: Azure, workspace: Workspace, name: str) -> Snapshot:
        with self._step("monitor") as done:
            shown: list[tuple[Any, ...]] = []
            warned: set[str] = set()

            def show(snapshot: Snapshot) -> None:
                for warning in snapshot.warnings:
                    if warning not in warned:
                        warned.add(warning)
                        self._on_event(Event("monitor", "progress", {"job": name, "warning": warning}, (warning,)))
                losses = {key: snapshot.metrics[key].last for key in snapshot.metrics if key.endswith("loss")}
                state = (snapshot.job.status, snapshot.progress, losses)
                if shown[-1:] != [state]:
                    shown[:] = [state]
                    self._on_event(Event("monitor", "progress", _told_of(snapshot), tuple(snapshot.lines())))

            def lost(error: PhiftError) -> None:
                if shown[-1:] != [(error.code,)]:
                    shown[:] = [(error.code,)]
                    text = (error.message, t("The job goes on; asking again until it answers."))
                    self._on_event(Event("monitor", "progress", {"job": name, "error": error.to_json()}, text))
                if azure.sandbox:
                    self._connect()  # a sandbox that died is started again by connecting to it, and by nothing else

            last = runs.follow(azure, workspace, name, on_snapshot=show, on_lost=lost, cancel=self._cancel)
            done.fields |= {"job": name, "job_status": last.job.status}
            if last.failure:
                raise last.failure
            if last.job.status == "Canceled":
                raise Cancelled(
                    t("The job {name} was cancelled in Azure.", name=name),
                    next_step=t("Run the recipe again for a new job."),
                )
            done.fields |= {"metrics": {key: metric.last for key, metric in last.metrics.items()}}
            done.text.append(
                t(
                    "{name}: {status}; model {model}",
                    name=name,
                    status=last.job.status,
                    model=f"{last.job.output_model}:{last.job.output_version}",
                )
            )
            return last

    def _evaluate_run(self, snapshot: Snapshot) -> evaluations.RunComparison | None:
        with self._step("evaluate") as done:
            found = evaluations.from_run(snapshot)
            measured = found.to_json() if found else {"measures": [], "step": None}
            done.fields |= {"part": "validation", "measures": measured["measures"], "at_step": measured["step"]}
            done.text += found.lines() if found else [t("The run has no validation of the base model to compare with.")]
            return found

    def _deploy(self, azure: Azure, workspace: Workspace, job: Job, journal: Journal) -> Endpoint:
        with self._step("deploy") as done:
            name = self._recipe.deployment.endpoint or deployments.default_name(job.output_model, job.output_version)
            deploy = partial(
                deployments.deploy,
                azure,
                workspace,
                job,
                name,
                content_safety=self._recipe.deployment.content_safety,
                instance_type=self._recipe.model.instance_type,
                journal=journal,
                report=self._report("deploy"),
                cancel=self._cancel,
            )
            found = azure.outlast(deploy, self._report("deploy"), self._cancel)
            done.fields |= found.to_json()
            done.text += [
                t("{name} answers at {address}", name=found.name, address=found.uri),
                t(_SAFETY[found.content_safety]),
            ]
            return found

    def _questions(self, prepared: Prepared) -> Path:
        if self._recipe.evaluation.file:
            return self._base / expanded(self._recipe.evaluation.file)
        return prepared.validation or prepared.train

    def _ask(self, azure: Azure, workspace: Workspace, endpoint: Endpoint, file: Path) -> str:
        from tui.evaluation.questions import questions

        with self._step("ask") as done:
            rows = questions(file, 1, self._recipe.evaluation.seed)
            messages: list[chat.Message] = [{"role": role, "content": text} for role, text in rows[0].messages]  # type: ignore[typeddict-item]  # roles are the file's

            def ask() -> chat.Answer:
                key = deployments.keys(azure, workspace, endpoint.name).primary
                limit = self._recipe.evaluation.max_tokens
                return chat.complete(endpoint.uri, key, messages, max_tokens=limit, cancel=self._cancel)

            answer = azure.outlast(ask, self._report("ask"), self._cancel)
            done.fields |= {
                "question": messages[-1]["content"],
                "answer": answer.text,
                "reference": rows[0].reference,
                "model": answer.model,
                "seconds": round(answer.seconds, 3),
            }
            done.text += [
                t("question: {text}", text=messages[-1]["content"]),
                t("answer: {text}", text=answer.text),
                t("expected: {text}", text=rows[0].reference),
            ]
            return answer.text

    def _evaluate_answers(
        self,
        start: Started,
        tuned: Endpoint,
        validation: evaluations.RunComparison | None,
        file: Path,
        journal: Journal,
    ) -> evaluations.AnswerComparison:
        with self._step("evaluate") as done:
            found = comparisons.make(
                start.azure, start.workspace, tuned, start.model, file, self._recipe.evaluation, job=start.job.name,
                validation=validation, journal=journal, report=self._report("evaluate"), cancel=self._cancel,
            ).found  # fmt: skip
            done.fields |= {"part": "answers", **found.to_json()}
            done.text += found.lines()
            return found

    def _billable(self, azure: Azure, workspace: Workspace) -> list[cleanup.Item]:
        with self._step("billable") as done:
            found = [item for item in cleanup.inventory(azure, workspace) if item.billable]
            spent = spending.so_far(azure, workspace)
            done.fields |= {"items": [item.to_json() for item in found], "spent": spent.to_json()}
            done.text += [item.line() for item in found] or [t("Nothing is billed by the hour.")]
            if found:
                where = f"--resource-group {workspace.resource_group} --project {workspace.name}"
                command = f"phift-tui cleanup {'--sandbox ' if azure.sandbox else ''}{where}"
                done.text.append(t("Remove it with: {command}", command=command))
            done.text.append(spent.line())
            return found

    def _report(self, step: Step) -> Report:
        """Turns the progress of a service into events, at most one a second and one for each new stage."""

        def report(progress: Progress) -> None:
            now = time.monotonic()
            if progress.stage == self._stage and now - self._told < _TELL_EVERY:
                return
            self._stage, self._told = progress.stage, now
            fields = {"stage": progress.stage, "done": progress.done, "total": progress.total, "unit": progress.unit}
            self._on_event(Event(step, "progress", fields, (progress.line(),)))

        return report

    @contextmanager
    def _step(self, step: Step) -> Iterator[_Done]:
        self._cancel.check()
        self._on_event(Event(step, "started"))
        done = _Done()
        try:
            yield done
        except PhiftError as error:
            text = tuple(error.lines()) if step != "run" else ()
            fields = {**done.fields, "error": error.to_json(), "exit_code": error.exit_code}
            self._on_event(Event(step, "failed", fields, text))
            raise
        self._on_event(Event(step, "done", done.fields, tuple(done.text)))


@dataclass
class _Done:
    """What a step says of itself at its end."""

    fields: dict[str, Any] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)


def _nobody(event: Event) -> None:
    """Events go nowhere."""


def _told_of(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as an event's fields, whose `step` and `status` are those of the flow."""
    found = snapshot.to_json()
    return {
        "job": found["job"],
        "job_status": found["status"],
        "at_step": found["step"],
        "steps": found["steps"],
        "seconds_left": found["seconds_left"],
        "metrics": found["metrics"],
    }


def _denied(problems: list[doctor.Finding]) -> PhiftError:
    first, more = problems[0], len(problems) - 1
    kind = ProviderNotRegistered if first.code.startswith("provider.") else AccessError
    message = f"{first.title}."
    if more:
        message = n(
            "{title} (and {count} more problem).", "{title} (and {count} more problems).", more, title=first.title
        )
    fails = t("Without it this step fails: {step}.", step=t(doctor.STEPS.get(first.step, first.step)))
    return kind(
        message,
        code=first.code,
        meaning=f"{first.detail} {fails}".strip(),
        next_step=first.command or t("See all findings with `phift-tui doctor`."),
    )


def _fingerprint(recipe: Recipe, workspace: Workspace, training: DataAsset, validation: DataAsset | None) -> str:
    """What makes two runs the same one: place, model, hyperparameters, output and the bytes of the data."""
    document = {
        "workspace": workspace.id,
        "model": recipe.model.model_dump(),
        "hyperparameters": recipe.hyperparameters.model_dump(),
        "output": recipe.output.model_dump(),
        "data": [training.uri, validation.uri if validation else ""],
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
