"""Follows the job that the wizard is about, whatever page is shown, and tells how it ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from textual.timer import Timer

from tui import backend, terminal
from tui.messages import t
from tui.services.errors import PhiftError, Throttled, Unreachable
from tui.text import clean_line

if TYPE_CHECKING:
    from tui.app import PhiftApp
    from tui.services.runs import Snapshot, Watch

POLL = "monitor.poll"
"""Group of the task that asks Azure."""
_FASTEST, _SLOWEST = 0.5, 15.0  # seconds between two polls; below the first the screen would be redrawn too often
_LOG_KEPT = 1_000_000  # characters kept for a page that has not been opened
_UNWATCHED = 10.0  # seconds while only the status line tells of the job


class JobWatch:
    """One job at a time; the next poll is set only after the last one answered."""

    def __init__(self, program: PhiftApp) -> None:
        self._program = program
        self._watch: Watch | None = None
        self._timer: Timer | None = None
        self._seen_running = False
        self.job = ""
        """Name of the job."""
        self.snapshot: Snapshot | None = None
        """What is known of it; None: nothing yet."""
        self.fresh = ""
        """Log text that no page has shown yet."""
        self.price: dict[str, Any] = {}
        """What the journal kept of its price when it was submitted from this machine."""
        self.error: PhiftError | None = None
        """Why the last poll failed; None: it did not."""
        self.failures = 0
        self.since: datetime | None = None
        """When Azure last answered."""
        self.looked_at = False
        """Whether a page shows it, so that it is asked for often."""
        self.told = True
        """Whether its end was seen on the monitor."""

    def sync(self) -> None:
        """The state changed: follow another job, or the same one where nothing follows it any more."""
        idle = self._timer is None and not self.ended and self.error is None
        if self._program.wizard.facts.job != self.job or idle:
            self.follow()

    def look(self) -> None:
        """The monitor shows the job: ask at once, and often from now on; its end is no news any more."""
        self.looked_at = True
        self.follow()
        if not self.told:
            self.told = True
            self._program.job_signal.publish(None)

    def follow(self) -> None:
        """Ask for the job of the wizard's facts now, unless it is being asked for or has ended."""
        facts, name = self._program.wizard.facts, self._program.wizard.facts.job
        azure, workspace = facts.azure, facts.workspace
        if not (azure and workspace and name):
            return
        self._stop()
        if name != self.job:
            self._program.tasks.cancel(POLL)
            self.job, self._watch, self.snapshot, self.fresh = name, None, None, ""
            self.price, self.error, self.failures, self.since = {}, None, 0, None
            self._seen_running, self.told = False, True
        if self._program.tasks.of(POLL) or self.ended:
            return

        def poll(report: object, cancel: object) -> tuple[Watch, Snapshot, dict[str, Any]]:
            watch = self._watch or backend.runs.Watch(azure, workspace, name)
            price = self.price
            if self.snapshot is None:
                entries = backend.journal.Journal(self._program.settings.journal).of(workspace.id)
                mine = (entry for entry in reversed(entries) if entry.kind == "job" and entry.name == name)
                price = next((entry.detail.get("cost") or {} for entry in mine), {})
            return watch, watch.poll(), price

        self._program.tasks.start(
            POLL, t("Asking for the job"), poll, done=self._answered, failed=self._failed, quiet=True
        )

    @property
    def ended(self) -> bool:
        """Whether the job is known to have ended."""
        return self.snapshot is not None and self.snapshot.job.terminal

    def line(self) -> str:
        """The job for the status line; empty: there is nothing to tell."""
        if self.snapshot is None:
            return ""
        job, name = self.snapshot.job, clean_line(self.job, limit=40)
        if job.terminal:
            if self.told:
                return ""
            if job.succeeded:
                return t("✓ {name} has completed; ^O m shows it", name=name)
            return t("! {name} ended as {status}; ^O m says why", name=name, status=clean_line(job.status, limit=20))
        if self.error:
            return t("! No answer about {name}; trying again", name=name)
        if self.snapshot.progress:
            step, steps = self.snapshot.progress
            share = f"{min(step / steps, 1.0):.0%}" if steps else ""
            return t("◌ {name} trains: step {step} of {steps}, {share}", name=name, step=step, steps=steps, share=share)
        return t("◌ {name}: {status}", name=name, status=clean_line(job.status, limit=20))

    def _answered(self, answer: tuple[Watch, Snapshot, dict[str, Any]]) -> None:
        self._watch, snapshot, self.price = answer
        self.snapshot, self.error, self.failures, self.since = snapshot, None, 0, datetime.now(UTC)
        self.fresh = (self.fresh + snapshot.log_tail)[-_LOG_KEPT:]
        if not snapshot.job.terminal:
            self._seen_running = True
            self._wait(self._watch.interval)
        elif self._seen_running:
            self._seen_running = False
            self.told = self.looked_at
            said = t("{name}: {status}", name=clean_line(self.job, limit=40), status=snapshot.job.status)
            self._program.send(terminal.notification(self._program.settings.notify, said))
        self._program.job_signal.publish(None)

    def _failed(self, error: PhiftError) -> None:
        self.error = error
        self.failures += 1
        if isinstance(error, Unreachable | Throttled):
            self._wait(min(2.0**self.failures, _SLOWEST))
        self._program.job_signal.publish(None)

    def _wait(self, seconds: float) -> None:
        least = _FASTEST if self.looked_at else _UNWATCHED
        self._timer = self._program.set_timer(max(seconds, least), self.follow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
