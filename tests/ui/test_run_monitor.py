"""The monitor: a job while it runs, when Azure does not answer, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_fakes import AZURE, ESTIMATE, HOSTILE, NOW, PROJECT, job, metric, program, put, shown, snapshot, until

from tui.services.errors import JobFailed, PermissionDenied, Throttled
from tui.services.journal import Journal
from tui.services.runs import Snapshot
from tui.widgets.log_view import LogView


class Script:
    """A watch that plays answers in order, and the last one again and again."""

    interval = 0.0

    def __init__(self, *answers: Snapshot | Exception) -> None:
        self.answers = list(answers)
        self.polls = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, azure: Any, workspace: Any, name: str) -> Script:
        assert azure is AZURE
        return self

    def poll(self) -> Snapshot:
        self.go.wait(10)
        answer = self.answers[min(self.polls, len(self.answers) - 1)]
        self.polls += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Script]:
    """Makes a script the runs service."""
    monkeypatch.setattr("tui.watching._FASTEST", 0.05)

    def make(*answers: Snapshot | Exception) -> Script:
        script = Script(*answers)
        put(monkeypatch, runs={"Watch": script}, jobs={"listing": lambda azure, workspace: []})
        return script

    return make


def running(step: int = 40, **changes: Any) -> Snapshot:
    """A snapshot in the middle of a training."""
    metrics = {
        "train_loss": metric("train_loss", 2.3, 1.2, 0.9),
        "eval_perplexity": metric("eval_perplexity", 11.0, 3.3),
    }
    return snapshot(job(), metrics=metrics, progress=(step, 160), seconds_left=131.0, **changes)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_running_job_shows_state_progress_time_cost_metrics_and_log(
    tmp_path: Path, watch: Callable[..., Script], size: tuple[int, int]
) -> None:
    watch(running(log_tail="first line\nsecond line\n"), running())
    app = program(tmp_path, "monitor", job="support-agent-1", estimate=ESTIMATE)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "perplexity" in shown(app) and "second line" in shown(app))
        text = shown(app)
    for part in ("▸ Running", "25%", "2 min 11 s left", "ran 4 min 00 s", "0.25–0.30 USD (estimate",
                 "training loss", "0.9", "perplexity", "3.3", "second line"):  # fmt: skip
        assert part in text, part


async def test_on_the_smallest_terminal_the_figures_are_whole_and_the_log_is_in_sight(
    tmp_path: Path, watch: Callable[..., Script], bulgarian: None
) -> None:
    watch(running(log_tail="the last line\n"))
    app = program(tmp_path, "monitor", job="support-agent-1", estimate=ESTIMATE)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "остава около 2 мин 11 с" in shown(app))
        await pilot.resize_terminal(60, 18)
        await until(pilot, lambda: "% стъпка 40 от 160 · остава около 2 мин 11 с" in shown(app))
        for part in ("приключване\n", "(прогноза; не се таксува)\n", "the last line\n"):
            assert part in shown(app), part


async def test_the_next_poll_waits_for_the_last_answer(tmp_path: Path, watch: Callable[..., Script]) -> None:
    script = watch(running())
    script.go.clear()
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.tasks.of("monitor.poll"))
        waiting = app.tasks.of("monitor.poll")
        await pilot.press("f5")
        assert app.tasks.of("monitor.poll") is waiting
        script.go.set()
        await until(pilot, lambda: script.polls >= 3, "polling goes on after an answer")


async def test_a_job_that_azure_is_slow_to_tell_of_is_left_and_come_back_to(
    tmp_path: Path, watch: Callable[..., Script]
) -> None:
    script = watch(running())
    script.go.clear()
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Asking Azure for support-agent-1" in shown(app))
        await pilot.press("ctrl+o", "j")
        await until(pilot, lambda: app.current_mode == "jobs", "it can be left")
        await pilot.press("ctrl+o", "m")
        await until(pilot, lambda: "Asking Azure for support-agent-1" in shown(app))
        script.go.set()
        await until(pilot, lambda: "40 of 160" in shown(app) and "Asking Azure" not in shown(app))


async def test_a_lost_connection_is_shown_and_waited_out(tmp_path: Path, watch: Callable[..., Script]) -> None:
    script = watch(running(), Throttled("busy"), running(60))
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "No answer from Azure for" in shown(app))
        assert "trying again" in shown(app)
        assert "40 of 160" in shown(app), "what was known stays"
        await until(pilot, lambda: "60 of 160" in shown(app))
        assert "No answer" not in shown(app)
        assert script.polls >= 3


async def test_an_error_that_waiting_does_not_mend_says_what_to_do(
    tmp_path: Path, watch: Callable[..., Script]
) -> None:
    script = watch(PermissionDenied("You may not read jobs.", next_step="Ask for the role Reader."))
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Ask for the role Reader." in shown(app))
        assert script.polls == 1


@pytest.mark.parametrize(("status", "said"), [("Completed", "has completed"), ("Failed", "ended as Failed")])
async def test_a_job_is_followed_on_every_page_and_its_end_is_told(
    tmp_path: Path, watch: Callable[..., Script], monkeypatch: pytest.MonkeyPatch, status: str, said: str
) -> None:
    monkeypatch.setattr("tui.watching._UNWATCHED", 0.05)
    script = watch(running())
    app = program(tmp_path, "monitor", job="support-agent-1")
    app.settings = app.settings.model_copy(update={"notify": "bell"})
    called: list[str] = []
    monkeypatch.setattr(app, "send", called.append)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: script.polls >= 2)
        app.go("jobs")
        await until(pilot, lambda: "step 40 of 160" in shown(app) and "All keys" not in shown(app))
        assert "support-agent-1 trains" in shown(app)
        script.answers = [snapshot(job(status=status))]
        await until(pilot, lambda: said in shown(app))
        assert "\x07" in called
        await pilot.press("ctrl+o", "m")
        await until(pilot, lambda: f" {status}" in shown(app) and said not in shown(app))
        app.go("jobs")
        await until(pilot, lambda: "Every fine-tuning job" in shown(app) and said not in shown(app), "it was seen")


async def test_the_price_noted_at_the_submission_tells_the_cost_of_a_reopened_run(
    tmp_path: Path, watch: Callable[..., Script]
) -> None:
    watch(running())
    app = program(tmp_path, "monitor", job="support-agent-1")
    journal = Journal(app.settings.journal)
    with journal.intent("job", "support-agent-1", PROJECT, "", "", cost={"low": 8.0, "high": 12.0, "currency": "USD"}):
        pass
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "2.00–3.00 USD (estimate" in shown(app))


async def test_enter_waits_for_the_job_and_then_goes_to_deploy(
    tmp_path: Path, watch: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = watch(running())
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "40 of 160" in shown(app))
        await pilot.press("enter")
        assert "Goes on to Deploy when the job has completed" in shown(app)
        script.answers = [snapshot(job(status="Completed"), progress=(160, 160))]
        await until(pilot, lambda: "Endpoints of this project" in shown(app))
        assert app.wizard.marks["monitor"].state == "done"


async def test_a_failure_is_told_in_plain_words_with_the_raw_answer_behind_a_key(
    tmp_path: Path, watch: Callable[..., Script]
) -> None:
    failure = JobFailed(f"CUDA out of memory {HOSTILE}", code="OutOfMemory", meaning="It did not fit.",
                        next_step="Lower the batch size multiplier.", raw=f'{{"raw": "{HOSTILE}"}}')  # fmt: skip
    watch(snapshot(job(status="Failed"), failure=failure))
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Lower the batch size multiplier." in shown(app))
        assert "✗ Failed" in shown(app)
        assert "\x1b" not in shown(app)
        assert "[@click=app.quit]" in shown(app), "markup is text"
        await pilot.press("v")
        await until(pilot, lambda: '"raw"' in shown(app))
        assert "\x1b" not in shown(app)


async def test_cancelling_asks_first(
    tmp_path: Path, watch: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(running())
    cancelled: list[str] = []
    put(monkeypatch, jobs={"cancel": lambda azure, workspace, name, stop: cancelled.append(name)})
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "40 of 160" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: "Cancel job support-agent-1?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Cancel job support-agent-1?" not in shown(app))
        assert cancelled == [], "Enter is no"
        await pilot.press("x", "y")
        await until(pilot, lambda: cancelled == ["support-agent-1"])


async def test_without_a_chosen_job_the_running_one_is_found(
    tmp_path: Path, watch: Callable[..., Script], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(running())
    listed = [job("newer", "Completed"), job("support-agent-1"), job("older", "Failed")]
    put(monkeypatch, jobs={"listing": lambda azure, workspace: listed})
    app = program(tmp_path, "monitor")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "40 of 160" in shown(app))
        assert app.wizard.facts.job == "support-agent-1"


@pytest.mark.parametrize(
    ("facts", "said", "place"),
    [({"azure": None}, "Not signed in", "sign_in"), ({}, "No job yet", "review")],
)
async def test_without_a_job_enter_leads_to_what_is_missing(
    tmp_path: Path, watch: Callable[..., Script], facts: dict[str, Any], said: str, place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    watch(running())
    app = program(tmp_path, "monitor", **facts)
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test() as pilot:
        await until(pilot, lambda: said in shown(app))
        bar = shown(app).splitlines()[-1]
        assert not any(word in bar for word in ("Find", "Whole log", "Azure's answer"))
        await pilot.press("enter")
        assert gone == [place]


async def test_the_log_is_searched_and_held_still(tmp_path: Path, watch: Callable[..., Script]) -> None:
    lines = "".join(f"{NOW:%H:%M} line {number}\n" for number in range(300))
    script = watch(running(log_tail=lines), running())
    app = program(tmp_path, "monitor", job="support-agent-1")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "line 299" in shown(app))
        await pilot.press("slash")
        await pilot.press(*"LINE 12", "enter")
        await until(pilot, lambda: "11 lines found" in shown(app))
        assert "line 129" in shown(app)
        script.answers = [running(log_tail="one more\n")] + [running()] * 3
        script.polls = 0
        await until(pilot, lambda: "held still" in shown(app) and "new line" in shown(app))
        await pilot.press("end")
        await until(pilot, lambda: "one more" in shown(app))
        assert app.screen.query_one(LogView).pane.following
