"""Playground and evaluate: asking endpoints, alone and against each other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_fakes import AZURE, HOSTILE, NOW, endpoint, job, metric, program, put, shown, snapshot, until
from textual.widgets import Input

from tui.evaluation.compare import compare
from tui.recipe import Recipe
from tui.services import datasets
from tui.services.chat import Collected, Delta, Usage
from tui.services.comparisons import Written
from tui.services.deployments import Endpoint
from tui.services.errors import Cancelled, PhiftError, ServiceError
from tui.services.evaluations import AnswerComparison, Asked, from_run
from tui.services.progress import Cancel, Progress
from tui.widgets.transcript import Transcript

BASE = endpoint("base-phi", model="azureml://registries/azureml/models/Phi-4-mini-instruct")


class Chat:
    """A chat service that answers from a list, and remembers what it was told."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.told: list[list[dict[str, str]]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.error: Exception | None = None

    def stream(
        self, uri: str, key: Any, messages: list[dict[str, str]], *, cancel: Cancel, **rest: Any
    ) -> Iterator[Delta]:
        self.told.append(messages)
        if self.error:
            raise self.error
        for place, piece in enumerate(self.pieces):
            if place:
                while not self.hold.wait(0.01):
                    if cancel.is_set:
                        raise Cancelled("stopped")
            yield Delta(piece)
        yield Delta("", finish="stop", usage=Usage(34, 27))


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Chat:
    """The chat service, with two endpoints."""
    chat = Chat("Hold the ", f"button {HOSTILE}.")
    put(
        monkeypatch,
        chat={"stream": chat.stream, "Collected": Collected},
        deployments={
            "listing": lambda azure, workspace: [BASE, endpoint()],
            "keys": lambda azure, workspace, name: type("Keys", (), {"primary": "k"}),
        },
    )
    return chat


async def ask(pilot: Any, question: str) -> None:
    """Type a question and send it."""
    pilot.app.screen.query_one("#prompt", Input).value = question
    await pilot.press("enter")


async def test_an_answer_is_streamed_measured_and_harmless_and_the_next_question_knows_it(
    tmp_path: Path, talk: Chat
) -> None:
    app = program(tmp_path, "playground")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "content safety on" in shown(app))
        await ask(pilot, "How do I reset it?")
        await until(pilot, lambda: "27 tokens · prompt 34" in shown(app))
        assert "Hold the button" in shown(app)
        assert "\x1b" not in shown(app)
        await ask(pilot, "And then?")
        await until(pilot, lambda: len(talk.told) == 2)
        assert [message["role"] for message in talk.told[1]] == ["user", "assistant", "user"]
        assert talk.told[1][1]["content"].startswith("Hold the button"), "the model is told its own words"
        await pilot.press("escape", "w")
        await until(pilot, lambda: "Transcript" in shown(app) and "How do I reset it?" in shown(app))


async def test_a_stopped_answer_keeps_what_came_and_a_new_question_can_be_asked(tmp_path: Path, talk: Chat) -> None:
    talk.hold.clear()
    app = program(tmp_path, "playground")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "content safety on" in shown(app))
        await ask(pilot, "one")
        await until(pilot, lambda: "Hold the" in shown(app))
        await ask(pilot, "too early")
        assert "Still answering" in shown(app)
        assert len(talk.told) == 1
        await pilot.press("f6")
        await until(pilot, lambda: "stopped" in shown(app))
        talk.hold.set()
        await ask(pilot, "two")
        await until(pilot, lambda: "27 tokens" in shown(app))
        assert talk.told[1][-1]["content"] == "two"


async def test_a_refusal_stands_where_the_answer_would_be_and_is_not_told_to_the_model(
    tmp_path: Path, talk: Chat
) -> None:
    talk.error = ServiceError("The prompt was refused.", code="content_filter", next_step="Ask it differently.")
    app = program(tmp_path, "playground")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "content safety on" in shown(app))
        await ask(pilot, "bad")
        await until(pilot, lambda: "Ask it differently." in shown(app))
        talk.error = None
        await ask(pilot, "good")
        await until(pilot, lambda: "27 tokens" in shown(app))
        assert talk.told[1] == [{"role": "user", "content": "good"}]


async def test_two_endpoints_are_asked_side_by_side(tmp_path: Path, talk: Chat) -> None:
    app = program(tmp_path, "playground", endpoint=endpoint())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "content safety on" in shown(app))
        await pilot.press("escape", "c")
        await until(pilot, lambda: "beside base-phi" in shown(app))
        await ask(pilot, "both")
        talks = app.screen.query(Transcript)
        await until(pilot, lambda: all("27 tokens" in talk.plain_text() for talk in talks))
        assert len(talk.told) == 2


async def test_settings_are_checked_as_typed_and_sent(tmp_path: Path, talk: Chat) -> None:
    app = program(tmp_path, "playground")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "content safety on" in shown(app))
        await pilot.press("escape", "s")
        fields = list(app.screen.query("ChatSettings Input").results(Input))
        fields[0].value = "Be brief."
        fields[1].value = "9"
        await until(pilot, lambda: "The temperature is between 0 and 2." in shown(app))
        fields[1].value = "0.5"
        await until(pilot, lambda: "temperature 0.5" in shown(app))
        await pilot.press("escape")
        await ask(pilot, "x")
        await until(pilot, lambda: talk.told)
        assert talk.told[0][0] == {"role": "system", "content": "Be brief."}


async def test_a_held_out_question_is_offered_with_its_system_prompt(tmp_path: Path, talk: Chat) -> None:
    file = tmp_path / "held.jsonl"
    turns = [("system", "Be kind."), ("user", "What is it?"), ("assistant", "It is.")]
    file.write_text(json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}) + "\n")
    recipe = Recipe(name="support-agent").with_(evaluation__file=str(file))
    app = program(tmp_path, "playground", recipe=recipe)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "What is it?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: talk.told)
        assert [message["content"] for message in talk.told[0]] == ["Be kind.", "What is it?"]


def split_before(tmp_path: Path) -> Recipe:
    """A recipe whose split was made by a start of the program before this one."""
    recipe = Recipe(name="support-agent").with_(data__train=str(tmp_path / "train.jsonl"))
    folder = datasets.parts_folder(tmp_path, recipe, tmp_path)
    folder.mkdir(parents=True)
    turns = [{"role": "user", "content": "What is held back?"}, {"role": "assistant", "content": "This."}]
    (folder / "validation.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    return recipe


async def test_a_question_of_the_split_is_offered_after_a_new_start(tmp_path: Path, talk: Chat) -> None:
    async with program(tmp_path, "playground", recipe=split_before(tmp_path)).run_test() as pilot:
        await until(pilot, lambda: "What is held back?" in shown(pilot.app))


async def test_the_splits_rows_are_asked_after_a_new_start(tmp_path: Path, evaluation: Evaluations) -> None:
    async with program(tmp_path, "evaluate", recipe=split_before(tmp_path), job="one").run_test() as pilot:
        await until(pilot, lambda: "questions from validation.jsonl" in shown(pilot.app))


async def test_what_is_typed_takes_the_place_of_the_question_that_is_offered(tmp_path: Path, talk: Chat) -> None:
    file = tmp_path / "held.jsonl"
    turns = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "It is."}]
    file.write_text(json.dumps({"messages": turns}) + "\n")
    recipe = Recipe(name="support-agent").with_(evaluation__file=str(file))
    app = program(tmp_path, "playground", recipe=recipe)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "What is it?" in shown(app))
        await pilot.press(*"Why", "enter")
        await until(pilot, lambda: talk.told)
        assert [message["content"] for message in talk.told[0]] == ["Why"]


async def test_without_an_endpoint_enter_leads_to_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, deployments={"listing": lambda azure, workspace: []})
    app = program(tmp_path, "playground")
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "No endpoint answers yet" in shown(app))
        await pilot.press("enter")
        assert gone == ["deploy"]


# --- evaluate ---------------------------------------------------------------------------------------------------------

RIGHT, WRONG = "Ten seconds.", "No."
ROWS = [Asked(1, f"Question 1 {HOSTILE}", RIGHT, tuned=WRONG, base=RIGHT)] + [
    Asked(line, f"Question {line}", RIGHT, tuned=RIGHT, base=WRONG) for line in range(2, 11)
]


class Evaluations:
    """An evaluation service; `against` is what was to be asked beside the tuned model: a model's name, or none."""

    def __init__(self) -> None:
        self.against: list[str | None] = []
        self.jobs: list[str] = []
        self.last: Written | None = None
        self.error: PhiftError | None = None
        self.refused = ""
        self.hold = threading.Event()
        self.hold.set()

    def make(
        self, azure: Any, workspace: Any, tuned: Endpoint, base: Endpoint | str | None, data: Path, chosen: Any,
        *, job: str, report: Any, cancel: Any, **rest: Any,
    ) -> Written:  # fmt: skip
        self.against.append(base.name if isinstance(base, Endpoint) else base)
        self.jobs.append(job)
        report(Progress("Asking held-out questions", 3, 20, "answers"))
        while not self.hold.wait(0.01):
            cancel.check()
        if self.error:
            raise self.error
        return self.written(job, both=base is not None)

    def written(self, job: str, *, both: bool = True) -> Written:
        """A comparison that the tuned model wins."""
        found = compare([row.reference for row in ROWS], [row.base or "" for row in ROWS], [row.tuned for row in ROWS])
        answers = AnswerComparison(tuple(ROWS), 0.9, 0.9, found if both else None, 0)
        return Written(
            answers,
            [one.outcome() for one in ROWS] if both else [""] * len(ROWS),
            job,
            NOW,
            Path("/state/evaluations/one.json"),
            self.refused,
        )


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Evaluations:
    """The services of the page, with a tuned endpoint and none of the base model."""
    made = Evaluations()
    metrics = {each.name: each for each in (metric("eval_perplexity", 11.0, 3.3, 2.4),)}
    watch = type("Watch", (), {"__init__": lambda *rest: None, "poll": lambda self: snapshot(job(), metrics=metrics)})
    put(
        monkeypatch,
        runs={"Watch": watch},
        evaluations={"from_run": from_run},
        comparisons={"make": made.make, "latest": lambda settings, job: made.last},
        deployments={"listing": lambda *rest: [endpoint()]},
        catalog={"models": lambda azure: None, "find": lambda catalogue, name: name},
        journal={"Journal": lambda path: path},
    )
    monkeypatch.setattr(AZURE, "now", lambda: NOW, raising=False)
    return made


def evaluate(tmp_path: Path) -> Any:
    """The program at the page, with a held-out file."""
    recipe = Recipe(name="support-agent").with_(evaluation__file=str(tmp_path / "held.jsonl"))
    return program(tmp_path, "evaluate", recipe=recipe, job="one")


async def asked_both(pilot: Any) -> None:
    """Ask both models from the plan, and wait for the verdict."""
    await until(pilot, lambda: "Enter asks" in shown(pilot.app))
    await pilot.press("enter")
    await until(pilot, lambda: "Ask the base model too?" in shown(pilot.app))
    await pilot.press("enter")
    await until(pilot, lambda: "The tuned model is better" in shown(pilot.app))


async def test_both_models_are_asked_and_the_verdict_is_said_with_its_interval(
    tmp_path: Path, evaluation: Evaluations
) -> None:
    app = evaluate(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "−78.2%" in shown(app), "the run's own validation")
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "The tuned model is better" in shown(app) and "won" in shown(app))
        text = shown(app)
        for part in ("95 % interval", "won 9, tied 0, lost 1", "! lost", "expected"):
            assert part in text, part
        assert "\x1b" not in text
        assert "written to /state/evaluations/one.json" in text
    assert (evaluation.against, evaluation.jobs) == (["Phi-4-mini-instruct"], ["one"])


async def test_the_last_comparison_of_the_job_is_there_when_the_page_is_opened_and_can_be_made_anew(
    tmp_path: Path, evaluation: Evaluations
) -> None:
    evaluation.last = evaluation.written("one")
    app = evaluate(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "The tuned model is better" in shown(app))
        assert "Asked at" in shown(app)
        assert app.wizard.marks["evaluate"].state == "done"
        await pilot.press("r")
        await until(pilot, lambda: "Enter asks" in shown(app))
        await pilot.press("f5")
        await until(pilot, lambda: not app.tasks.of("evaluate.look"))
        assert "The tuned model is better" not in shown(app), "it was put away"
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "exact answers" in shown(app))
    assert evaluation.against == [None]


async def test_a_comparison_that_the_disk_does_not_take_is_shown_all_the_same(
    tmp_path: Path, evaluation: Evaluations
) -> None:
    evaluation.refused = "the disk is full"
    app = evaluate(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await asked_both(pilot)
        assert "Not written: the disk is full." in shown(app)


async def test_on_the_smallest_terminal_questions_stay_in_sight_under_the_figures(
    tmp_path: Path, evaluation: Evaluations, bulgarian: None
) -> None:
    app = evaluate(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "−78.2%" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: type(app.screen).__name__ == "Confirm")
        await pilot.press("enter")
        await until(pilot, lambda: "! по-слаб" in shown(app))
        await pilot.resize_terminal(60, 18)
        await until(pilot, lambda: "p = 0.021\n              въпрос" in shown(app), "no empty rows between")
        assert ".json" in shown(app)  # the notice that takes rows
        assert "! по-слаб" in shown(app)
        assert "✓ по-добър" in shown(app)


async def test_answers_of_another_job_make_room_for_the_plan(tmp_path: Path, evaluation: Evaluations) -> None:
    app = evaluate(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await asked_both(pilot)
        app.go("cleanup")
        app.go("evaluate")
        await until(pilot, lambda: "The tuned model is better" in shown(app), "they are kept for their job")
        app.go("cleanup")
        app.wizard.learn(job="two")
        app.go("evaluate")
        await until(pilot, lambda: "Enter asks" in shown(app))
        assert "The tuned model is better" not in shown(app)


async def test_the_tuned_model_alone_is_asked_when_the_base_is_declined(
    tmp_path: Path, evaluation: Evaluations
) -> None:
    app = evaluate(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Enter asks" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "exact answers" in shown(app))
        assert evaluation.against == [None]


async def test_a_stopped_evaluation_says_that_its_answers_are_kept(tmp_path: Path, evaluation: Evaluations) -> None:
    evaluation.hold.clear()
    app = evaluate(tmp_path)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "Enter asks" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "3 of 20 answers" in shown(app))
        await pilot.press("f6")
        await until(pilot, lambda: "Stopped. Enter asks again; answers that came are kept" in shown(app))
