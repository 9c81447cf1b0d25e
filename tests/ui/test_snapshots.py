"""Pictures of the key screens at two sizes; `make snapshots` draws them anew, and each is to be looked at."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from contrast import faint
from pytest_textual_snapshot import SVGImageExtension
from run_fakes import AZURE, ESTIMATE, NOW, PRICE, endpoint, job, metric, program, put, shown, snapshot, until
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from wizard_fakes import BROKEN, FINDINGS, GOOD, Wired, wizard

from tui.app import PhiftApp
from tui.evaluation.compare import compare
from tui.recipe import Recipe
from tui.services.chat import Collected, Delta, Usage
from tui.services.cleanup import Item
from tui.services.comparisons import Written
from tui.services.deployments import Endpoint
from tui.services.doctor import Finding
from tui.services.errors import JobFailed
from tui.services.evaluations import AnswerComparison, Asked, from_run

Picture = Callable[[PhiftApp, Callable[[Pilot[Any]], Awaitable[None]]], Awaitable[None]]

RIGHT, WRONG = "Hold the button for ten seconds.", "I do not know."
ROWS = [Asked(1, "How do I reset the kettle?", RIGHT, tuned=WRONG, base=RIGHT)] + [
    Asked(line, f"How do I clean machine {line}?", RIGHT, tuned=RIGHT, base=WRONG) for line in range(2, 11)
]
LOG = "".join(f"2026-11-22T17:03:{step:02}.100Z step {step}/160 train_loss {2.3 / step:.4f}\n" for step in range(1, 41))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times of the day are drawn as in Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def picture(request: pytest.FixtureRequest, snapshot: SnapshotAssertion) -> Picture:
    """Compares a program's screen with its picture once nothing changes any more, and reads it in every theme."""

    async def take(app: PhiftApp, act: Callable[[Pilot[Any]], Awaitable[None]]) -> None:
        async with app.run_test(size=request.param) as pilot:
            await act(pilot)
            before = ""
            while app.tasks.running() or before != shown(app):
                before = shown(app)
                await pilot.pause(0.02)
            drawn = app.export_screenshot(title="phift-tui")
            hard_to_read = await faint(pilot, app)
        assert drawn == snapshot(extension_class=SVGImageExtension)
        assert hard_to_read == []

    return take


def sees(*texts: str, press: tuple[str, ...] = ()) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Waits for the first text, presses the keys, waits for the others."""

    async def act(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: texts[0] in shown(pilot.app), texts[0])
        await pilot.press(*press)
        for text in texts[1:]:
            await until(pilot, lambda text=text: text in shown(pilot.app), text)  # type: ignore[misc]  # bound now

    return act


def step(tmp_path: Path, place: str, of: Path = GOOD, **facts: Any) -> PhiftApp:
    """The program at a step, with the sample file named from its own folder."""
    choices = {"data__train": of.name, "target__project": "support-agent", "target__subscription": "sub-1"}
    app = wizard(tmp_path, place, of=Recipe(name="support-agent").with_(**choices), **facts)
    app.wizard.base = of.parent
    return app


async def test_sign_in(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "sign_in"), sees("Signed in as"))


async def test_access_with_a_problem(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    wired.findings = (
        *FINDINGS,
        Finding(
            "permission.datastores", "problem", "This identity may not upload data",
            detail="Azure AI Developer lacks Microsoft.Storage/…/blobs/write", role="Storage Blob Data Contributor",
            command="az role assignment create --role 'Storage Blob Data Contributor'",
        ),
    )  # fmt: skip
    await picture(step(tmp_path, "access"), sees("may not upload data"))


async def test_project(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "project"), sees("Region"))


async def test_model(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "model"), sees("retired"))


async def test_data(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "data"), sees("Good to train on"))


async def test_data_with_faults(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "data", BROKEN), sees("E1"))


async def test_a_faulty_row(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "data", BROKEN), sees("E1", "Line", press=("escape", "r")))


async def test_hyperparameters_with_a_wrong_number(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(
        step(tmp_path, "hyperparameters"), sees("Learning rate", "Allowed", press=("9", "9", "9", "tab"))
    )  # fmt: skip


async def test_review(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "review", estimate=ESTIMATE), sees("not looked at yet"))


async def test_the_question_before_the_submit(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    app = step(tmp_path, "review", estimate=ESTIMATE)
    await picture(app, sees("not looked at yet", "Submit this run?", press=("enter",)))


async def test_help(tmp_path: Path, wired: Wired, picture: Picture) -> None:
    await picture(step(tmp_path, "project"), sees("Region", "Help: Project", press=("f1",)))


def watched(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """The monitor's service answers this and nothing else."""
    metrics = {
        "train_loss": metric("train_loss", *(2.3 / (place + 1) for place in range(40))),
        "eval_loss": metric("eval_loss", 2.4, 1.19, 0.9),
        "eval_perplexity": metric("eval_perplexity", 11.02, 3.29, 2.46),
        "eval_token_accuracy": metric("eval_token_accuracy", 0.41, 0.72, 0.81),
        "learning_rate": metric("learning_rate", 0.0, 2e-5, 1.5e-5),
    }
    answer = snapshot(**{"of": job(), "metrics": metrics, "log_tail": LOG, **changes})
    watch = SimpleNamespace(poll=lambda: answer, interval=60.0)
    put(monkeypatch, runs={"Watch": lambda *rest: watch}, jobs={"listing": lambda *rest: []})


async def test_monitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    watched(monkeypatch, progress=(40, 160), seconds_left=131.0)
    await picture(program(tmp_path, "monitor", job="support-agent-1", estimate=ESTIMATE), sees("step 40/160"))


async def test_monitor_of_a_failed_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    failure = JobFailed(
        "The loss became NaN at step 17.", code="NotFinite", meaning="The learning rate is too high.",
        next_step="Lower the learning rate and submit again.",
    )  # fmt: skip
    watched(monkeypatch, of=job(status="Failed"), failure=failure)
    await picture(program(tmp_path, "monitor", job="support-agent-1", estimate=ESTIMATE), sees("became NaN"))


async def test_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    jobs = [job(), job("support-agent-0", "Completed"), job("support-agent-x", "Failed", engine="script")]
    put(monkeypatch, jobs={"listing": lambda *rest: jobs})
    await picture(program(tmp_path, "jobs"), sees("Completed"))


async def test_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    done = job(status="Completed")
    put(
        monkeypatch,
        jobs={"listing": lambda *rest: [done], "get": lambda *rest: done},
        deployments={"listing": lambda *rest: [endpoint("support-agent-old")], "default_name": lambda *rest: "agent"},
        costs={"prices": lambda *rest: SimpleNamespace(of=lambda *what: PRICE)},
    )
    await picture(program(tmp_path, "deploy", job=done.name), sees("support-agent-old"))


async def test_playground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    def stream(*arguments: Any, **rest: Any) -> Iterator[Delta]:
        yield Delta(RIGHT)
        yield Delta("", finish="stop", usage=Usage(34, 27))

    put(
        monkeypatch,
        chat={"stream": stream, "Collected": Collected},
        deployments={
            "listing": lambda *rest: [endpoint()],
            "keys": lambda *rest: SimpleNamespace(primary="k"),
        },
    )
    monkeypatch.setattr("screens.playground.measured", lambda answer: "27 tokens · prompt 34 · 0.40 s")
    await picture(program(tmp_path, "playground"), sees("Enter sends", RIGHT, press=(*"Reset", "enter")))


async def test_evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    found = compare([row.reference for row in ROWS], [row.base or "" for row in ROWS], [row.tuned for row in ROWS])
    seen = snapshot(job(), metrics={"eval_perplexity": metric("eval_perplexity", 11.0, 3.3, 2.4)})
    put(
        monkeypatch,
        runs={"Watch": lambda *rest: SimpleNamespace(poll=lambda: seen, interval=60.0)},
        evaluations={"from_run": from_run},
        comparisons={
            "make": lambda *rest, **named: Written(
                AnswerComparison(tuple(ROWS), 0.9, 0.9, found, 0),
                [one.outcome() for one in ROWS],
                "one",
                NOW,
                Path("/state/evaluations/one.json"),
            ),
            "latest": lambda *rest: None,
        },
        deployments={"listing": lambda *rest: [endpoint(), base_endpoint()]},
    )
    monkeypatch.setattr(AZURE, "now", lambda: NOW, raising=False)
    recipe = Recipe(name="support-agent").with_(evaluation__file="heldout.jsonl")
    asked = sees("−78.2%", "The tuned model is better", "won", press=("enter",))
    await picture(program(tmp_path, "evaluate", recipe=recipe, job="one"), asked)


def base_endpoint() -> Endpoint:
    """An endpoint of the base model."""
    return endpoint("base-phi", model="azureml://registries/azureml/models/Phi-4-mini-instruct")


async def test_cleanup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Picture) -> None:
    items = [
        Item("endpoint", "e", "support-agent", True, PRICE, NOW, accrued=0.13, detail="Online"),
        Item("model", "m", "support-agent:1", False, None, NOW, reason_kept="it is served by support-agent"),
        Item("data", "d", "support-train:1", False, None, NOW),
        Item("project", "p", "support-agent", False, None, None),
    ]
    put(monkeypatch, cleanup={"inventory": lambda *rest: items})
    await picture(program(tmp_path, "cleanup"), sees("support-agent:1"))
