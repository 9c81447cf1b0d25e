"""Monitor: one job while it runs, and what became of it; a lost connection is shown and waited out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from screens.run_page import RunPage, clock
from tui import actions, backend
from tui.messages import t
from tui.services.errors import PhiftError, Throttled, Unreachable
from tui.text import clean, clean_line
from tui.watching import JobWatch
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
    from tui.services.runs import Snapshot


class MonitorScreen(RunPage):
    """The live view of a job."""

    PLACE = "monitor"
    LOOKS = ("monitor.find",)
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings(PLACE)]

    def __init__(self) -> None:
        super().__init__()
        self._job = ""

    @property
    def followed(self) -> JobWatch:
        """What follows the job."""
        return self.program.followed

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
        """There is no job to show, or not yet."""
        self.set_class(not self._job, "-idle")
        self._sync_keys()
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
        self._show_job()

    def _listed(self, found: list[Job]) -> None:
        chosen = next((job for job in found if not job.terminal), found[0] if found else None)
        if chosen is None:
            self.blocked(t("No job yet in this project. Enter goes to Review, where one is submitted."))
        else:
            self.wizard.learn(job=chosen.name)
            if self.is_current:
                self._show_job()

    def _show_job(self) -> None:
        """Show what is known of the job, and ask for it from now on as often as someone looks."""
        self.followed.look()
        if self._job != self.followed.job:
            self._job = self.followed.job
            self.query_one(MetricPanel).clear()
            self.query_one(LogView).clear()
            self.query_one(".failure", Static).display = False
            for kind in ("phases", "progress", "sums"):
                self.query_one(f".{kind}", LiveLine).show(Content(""))
            self.tell_trouble("")
            self.blocked(t("Asking Azure for {name}…", name=clean_line(self._job, limit=60)))
        self._show_watch()

    def job_line(self) -> str:
        """The page itself tells of it."""
        return ""

    def on_mount(self) -> None:
        """Follow the job."""
        super().on_mount()
        self.program.job_signal.subscribe(self, self._job_moved)

    def on_screen_suspend(self) -> None:
        """Nobody looks: it is asked for less often."""
        super().on_screen_suspend()
        self.followed.looked_at = False

    def _job_moved(self, _: None) -> None:
        if self.is_current and self.followed.job == self._job:
            self._show_watch()
            if self.is_waiting and self.followed.ended:
                self.action_forward()

    def _show_watch(self) -> None:
        watch = self.followed
        if watch.fresh:
            self.query_one(LogView).pane.write(watch.fresh)
            watch.fresh = ""
        if watch.snapshot:
            self._show(watch.snapshot)
        error = watch.error
        if error is None:
            return
        if not isinstance(error, Unreachable | Throttled):
            self.tell_trouble(f"{error.message} {error.next_step}")
        elif error.code == "SandboxUnreachable":
            self.tell_trouble(self.trouble(error))
        elif watch.since is None:
            self.tell_trouble(t("No answer from Azure yet; trying again. ({code})", code=error.code))
        else:
            gone = duration((datetime.now(UTC) - watch.since).total_seconds())
            said = "No answer from Azure for {time}; last seen {clock}; trying again. ({code})"
            self.tell_trouble(t(said, time=gone, clock=clock(watch.since), code=error.code))

    # --- showing -----------------------------------------------------------------------------------------------------

    def _show(self, snapshot: Snapshot) -> None:
        job = snapshot.job
        parts = [job.name, job.model, job.engine or ""]
        self.query_one(".job-line", LiveLine).show(
            Content.assemble(badge(job.status), "  ", " · ".join(clean_line(part, limit=60) for part in parts if part))
        )
        line, said = phases(job.status), Content.styled(self._meaning(job), "$text-quiet")
        # The phase says it in a word, and the key bar where Enter goes.
        shorter = line or Content.styled(meaning(job.status), "$text-quiet")
        self.query_one(".phases", LiveLine).show(Content("  ").join([line, said] if line else [said]), shorter)
        step, steps = snapshot.progress or (None, None)
        progress = self.query_one(ProgressLine)
        if step is None or job.terminal:
            progress.show(Content(""))
        else:
            progress.show_progress(t("step"), step, steps, seconds_left=snapshot.seconds_left)
        self.query_one(".sums", LiveLine).show(*map(Content, self._sums(snapshot)))
        self.tell_trouble(snapshot.warnings[-1] if snapshot.warnings else "")
        self.query_one(MetricPanel).show(snapshot.metrics)
        self._show_failure(snapshot.failure)
        self._sync_keys()

    def _meaning(self, job: Job) -> str:
        if job.succeeded:
            return t("Enter goes to Deploy.")
        said = meaning(job.status)
        return f"{said} {t('Enter goes to Jobs, where it can be run again.')}" if job.terminal else said

    def _sums(self, snapshot: Snapshot) -> list[str]:
        """How long it ran and what it cost, and the same in fewer words."""
        job, cost = snapshot.job, self._cost(snapshot)
        if not job.started:
            return [cost]
        ran = duration(((job.ended or snapshot.fetched) - job.started).total_seconds())
        return [f"{t('ran {time}', time=ran)} · {cost}", f"{ran} · {cost}", cost]

    def _cost(self, snapshot: Snapshot) -> str:
        if snapshot.job.started is None:
            return t("no training cost yet")
        low, high, currency = self._price(snapshot)
        if low is None or high is None:
            return t("cost so far unknown")
        amount = money(low, high, currency)
        if self.in_sandbox:
            return t("about {amount} (estimate; not billed)", amount=amount)
        return t("about {amount} (estimate)", amount=amount)

    def _price(self, snapshot: Snapshot) -> tuple[float | None, float | None, str]:
        """What the job has cost: by the estimate on hand, else by the price noted when it was submitted from here."""
        job, noted, estimate = snapshot.job, self.followed.price, self.wizard.facts.estimate
        if "machine_hour" in noted and job.started:
            hours = ((job.ended or snapshot.fetched) - job.started).total_seconds() / 3600
            return hours * noted["machine_hour"], hours * noted["machine_hour"], noted["currency"]
        training = next((line for line in estimate.items if line.once), None) if estimate else None
        step, steps = snapshot.progress or (0, 0)
        if not steps:
            return None, None, ""
        share = min(step / steps, 1.0)
        if "low" in noted:
            return noted["low"] * share, noted["high"] * share, noted["currency"]
        if estimate is None or training is None or not training.known:
            return None, None, ""
        return (training.low or 0.0) * share, (training.high or 0.0) * share, estimate.currency

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
        """A job that ended cannot be cancelled; without one there is no log either."""
        if action == "cancel_job":
            return True if self.followed.snapshot and not self.followed.snapshot.job.terminal else None
        if action == "raw_answer":
            return self.followed.snapshot is not None
        return not (self.has_class("-idle") and action in ("find", "find_next", "follow_log", "log_only"))

    def onward_title(self) -> str:
        """Enter deploys what has completed, and waits for what runs."""
        snapshot = self.followed.snapshot
        job = snapshot.job if snapshot else None
        if job is None:
            return t("Continue") if self._job or self._looking() else t("Review")
        if job.terminal and job.status != "Completed":
            return t("Jobs")
        return t("Deploy") if job.terminal else t("Wait")

    def action_forward(self) -> None:
        """On to the deployment once the job has completed; before that, wait for it."""
        if self.before_project():
            super().action_forward()
        elif not self.wizard.facts.job or (self.followed.snapshot is None and self.followed.error):
            if not self.is_early():
                self.program.go("review" if not self.wizard.facts.job else "jobs")
        elif self.followed.snapshot is None or not self.followed.snapshot.job.terminal:
            self._goes_on = True
            self.notice(t("Goes on to Deploy when the job has completed. Esc: stay here."))
        elif self.followed.snapshot.job.status == "Completed":
            self.notice("")
            self.wizard.mark(self.PLACE, "done")
            self.program.go("deploy")
        else:
            self._goes_on = False
            status = self.followed.snapshot.job.status
            self.wizard.mark(self.PLACE, "attention", t("the job ended as {status}", status=status))
            self.program.go("jobs")

    def action_cancel_job(self) -> None:
        """Cancel the job, after a question."""
        self.ask_to_cancel(self._job)

    def action_raw_answer(self) -> None:
        """What Azure said, as it came."""
        if self.followed.snapshot is None:
            return
        failure = self.followed.snapshot.failure
        document = json.dumps(self.followed.snapshot.job.to_json(), indent=2, default=str, ensure_ascii=False)
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
