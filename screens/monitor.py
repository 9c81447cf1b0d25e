"""Monitor: one job while it runs, and what became of it; a lost connection is shown and waited out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from screens.run_page import RunPage, clock
from tui import actions, backend
from tui.messages import t
from tui.services.errors import PhiftError, Throttled, Unreachable
from tui.text import clean, clean_line
from tui.widgets.job_status import badge, meaning, phases
from tui.widgets.live_line import LiveLine
from tui.widgets.log_view import LogView
from tui.widgets.metric_panel import MetricPanel
from tui.widgets.progress_line import ProgressLine, duration
from tui.widgets.summary import money

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.jobs import Job
    from tui.services.projects import Workspace
    from tui.services.runs import Snapshot, Watch

_POLL = "monitor.poll"
_FASTEST, _SLOWEST = 0.5, 15.0  # seconds between two polls; below the first the screen would be redrawn too often


class MonitorScreen(RunPage):
    """The live view of a job."""

    PLACE = "monitor"
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings(PLACE)]

    def __init__(self) -> None:
        super().__init__()
        self._job = ""
        self._watch: Watch | None = None
        self._snapshot: Snapshot | None = None
        self._failures = 0
        self._since: datetime | None = None
        self._timer: Timer | None = None

    def content(self) -> ComposeResult:
        """Status, phases, progress, cost, trouble, failure, metrics, log."""
        yield LiveLine(classes="job-line")
        yield LiveLine(classes="phases")
        yield ProgressLine(classes="progress")
        yield LiveLine(classes="sums quiet")
        yield LiveLine(classes="trouble")
        yield Static(classes="failure", markup=False)
        yield MetricPanel()
        yield LogView()

    # --- the job -----------------------------------------------------------------------------------------------------

    def blocked(self, reason: str) -> None:
        """There is no job to show."""
        self.query_one(".job-line", LiveLine).show(Content(reason))

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """Watch the job; where none is chosen, find the one that runs, or the last one."""
        name = self.wizard.facts.job
        if not name:
            self.blocked(t("Looking for the project's jobs…"))
            self.program.tasks.start(
                "monitor.find", t("Looking for jobs"), lambda report, cancel: backend.jobs.listing(azure, workspace),
                done=self._listed, failed=lambda error: self.blocked(self.trouble(error)), quiet=True,
            )  # fmt: skip
            return
        if name != self._job:
            self._show_other(name)
        self._poll()

    def _listed(self, found: list[Job]) -> None:
        chosen = next((job for job in found if not job.terminal), found[0] if found else None)
        if chosen is None:
            self.blocked(t("No job yet in this project. Enter goes to Review, where one is submitted."))
        else:
            self.wizard.learn(job=chosen.name)
            if self.is_current:
                self._show_other(chosen.name)
                self._poll()

    def _show_other(self, name: str) -> None:
        self._job, self._watch, self._snapshot, self._failures = name, None, None, 0
        self.query_one(MetricPanel).clear()
        self.query_one(LogView).clear()
        self.query_one(".failure", Static).display = False
        for kind in ("phases", "progress", "sums"):
            self.query_one(f".{kind}", LiveLine).show(Content(""))
        self.tell_trouble("")
        self.blocked(t("Asking Azure for {name}…", name=clean_line(name, limit=60)))

    # --- polling: the next poll is set only after the last one answered ----------------------------------------------

    def _poll(self) -> None:
        self._stop_timer()
        if self.program.tasks.of(_POLL) or (self._snapshot is not None and self._snapshot.job.terminal):
            return
        azure, workspace, name = self.azure, self.workspace, self._job

        def poll(report: object, cancel: object) -> tuple[Watch, Snapshot]:
            watch = self._watch or backend.runs.Watch(azure, workspace, name)
            return watch, watch.poll()

        self.program.tasks.start(
            _POLL, t("Asking for the job"), poll, done=self._polled, failed=self._not_polled, quiet=True
        )

    def _polled(self, answer: tuple[Watch, Snapshot]) -> None:
        watch, snapshot = answer
        if snapshot.job.name != self._job:
            return
        self._watch, self._snapshot = watch, snapshot
        self._failures, self._since = 0, datetime.now(UTC)
        self._show(snapshot)
        self._wait(watch.interval)
        if self.is_waiting and snapshot.job.terminal:
            self.action_forward()

    def _not_polled(self, error: PhiftError) -> None:
        self._failures += 1
        if not isinstance(error, Unreachable | Throttled):
            self.tell_trouble(f"{error.message} {error.next_step}")
            return
        if error.code == "SandboxUnreachable":
            self.tell_trouble(self.trouble(error))
        elif self._since is None:
            self.tell_trouble(t("No answer from Azure yet; trying again. ({code})", code=error.code))
        else:
            gone = duration((datetime.now(UTC) - self._since).total_seconds())
            said = "No answer from Azure for {time}; last seen {clock}; trying again. ({code})"
            self.tell_trouble(t(said, time=gone, clock=clock(self._since), code=error.code))
        self._wait(min(2.0**self._failures, _SLOWEST))

    def _wait(self, seconds: float) -> None:
        if self.is_current and not (self._snapshot and self._snapshot.job.terminal):
            self._timer = self.set_timer(max(seconds, _FASTEST), self._poll)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def on_screen_suspend(self) -> None:
        """Nothing is asked for while nobody looks."""
        super().on_screen_suspend()
        self._stop_timer()

    # --- showing -----------------------------------------------------------------------------------------------------

    def _show(self, snapshot: Snapshot) -> None:
        job = snapshot.job
        parts = [job.name, job.model, job.engine or ""]
        self.query_one(".job-line", LiveLine).show(
            Content.assemble(badge(job.status), "  ", " · ".join(clean_line(part, limit=60) for part in parts if part))
        )
        line = phases(job.status)
        self.query_one(".phases", LiveLine).show(
            Content.assemble(line, "  " if line else "", (self._meaning(job), "$text-quiet"))
        )
        step, steps = snapshot.progress or (None, None)
        progress = self.query_one(ProgressLine)
        if step is None or job.terminal:
            progress.show(Content(""))
        else:
            progress.show_progress(t("step"), step, steps, seconds_left=snapshot.seconds_left)
        self.query_one(".sums", LiveLine).show(Content(self._sums(snapshot)))
        self.tell_trouble(snapshot.warnings[-1] if snapshot.warnings else "")
        self.query_one(MetricPanel).show(snapshot.metrics)
        self.query_one(LogView).pane.write(snapshot.log_tail)
        self._show_failure(snapshot.failure)
        self._sync_keys()

    def _meaning(self, job: Job) -> str:
        if job.succeeded:
            return t("Enter goes to Deploy.")
        said = meaning(job.status)
        return f"{said} {t('Enter goes to Jobs, where it can be run again.')}" if job.terminal else said

    def _sums(self, snapshot: Snapshot) -> str:
        job, parts = snapshot.job, []
        if job.started:
            spent = ((job.ended or snapshot.fetched) - job.started).total_seconds()
            parts.append(t("ran {time}", time=duration(spent)))
        parts.append(self._cost(snapshot))
        return " · ".join(part for part in parts if part)

    def _cost(self, snapshot: Snapshot) -> str:
        estimate = self.wizard.facts.estimate
        training = next((line for line in estimate.items if line.once), None) if estimate else None
        if snapshot.job.started is None:
            return t("no training cost yet")
        if estimate is None or training is None or not training.known or not snapshot.progress:
            return t("cost so far unknown")
        step, steps = snapshot.progress
        share = min(step / steps, 1.0) if steps else 0.0
        amount = money((training.low or 0.0) * share, (training.high or 0.0) * share, estimate.currency)
        if estimate.note:
            return t("cost so far about {amount} (estimate; sandbox: not billed)", amount=amount)
        return t("cost so far about {amount} (estimate)", amount=amount)

    def _show_failure(self, failure: PhiftError | None) -> None:
        box = self.query_one(".failure", Static)
        box.display = failure is not None
        if failure is not None:
            first, *rest = failure.lines()
            box.update(
                Content.assemble(
                    (f"! {clean(first, limit=600)}", "bold"),
                    *(f"\n{clean(line, limit=600)}" for line in rest),
                    ("\n" + t("v: Azure's own answer"), "$text-quiet"),
                )
            )

    # --- what the user does ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A job that ended cannot be cancelled."""
        if action == "cancel_job":
            return True if self._snapshot and not self._snapshot.job.terminal else None
        return True

    def forward_title(self) -> str:
        """Enter deploys what has completed, and waits for what runs."""
        job = self._snapshot.job if self._snapshot else None
        if job is None or (job.terminal and job.status != "Completed"):
            return t("Continue")
        return t("Deploy") if job.terminal else t("Wait")

    def action_forward(self) -> None:
        """On to the deployment once the job has completed; before that, wait for it."""
        if self.before_project():
            super().action_forward()
        elif self._snapshot is None:
            self.program.go("review" if not self.wizard.facts.job else "jobs")
        elif not self._snapshot.job.terminal:
            self._goes_on = True
            self.notice(t("Goes on to Deploy when the job has completed. Esc: stay here."))
        elif self._snapshot.job.status == "Completed":
            self.notice("")
            self.wizard.mark(self.PLACE, "done")
            self.program.go("deploy")
        else:
            self._goes_on = False
            self.wizard.mark(self.PLACE, "attention", t("the job ended as {status}", status=self._snapshot.job.status))
            self.program.go("jobs")

    def action_refresh(self) -> None:
        """Ask now."""
        self._stop_timer()
        super().action_refresh()

    def action_cancel_job(self) -> None:
        """Cancel the job, after a question."""
        self.ask_to_cancel(self._job)

    def action_raw_answer(self) -> None:
        """What Azure said, as it came."""
        if self._snapshot is None:
            return
        failure = self._snapshot.failure
        document = json.dumps(self._snapshot.job.to_json(), indent=2, default=str, ensure_ascii=False)
        self.program.show_text(
            t("Azure's answer"), "\n\n".join(part for part in (failure.raw if failure else "", document) if part)
        )

    def action_follow_log(self) -> None:
        """Follow the log, or hold it still."""
        pane = self.query_one(LogView).pane
        pane.following = not pane.following

    def action_log_only(self) -> None:
        """The log over the whole page, or as it was."""
        self.toggle_class("-log-only")

    def action_find(self) -> None:
        """Ask what to find in the log."""
        self.query_one(LogView).find()

    def action_find_next(self, step: int) -> None:
        """Go to the next line found."""
        self.query_one(LogView).find_next(step)

    def plain_text(self) -> str:
        """The page, with the log."""
        return "\n".join([super().plain_text(), *self.query_one(LogView).pane.buffer.tail(200)])
