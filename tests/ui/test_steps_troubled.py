"""The steps with a wrong answer in a field, and while Azure or the disk is slow, as the person sees them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from run_fakes import AZURE, NOW, job, program, put, shown, until
from test_run_models import Evaluations, evaluate, evaluation
from textual.pilot import Pilot
from textual.widgets import Input
from wizard_fakes import GOOD, Wired, recipe, wizard

from tui import backend
from tui.app import PhiftApp
from tui.services.errors import PermissionDenied, ServiceError
from tui.settings import Profile, Settings
from tui.widgets.field import Field

__all__ = ["evaluation"]


def below(app: PhiftApp, label: str) -> str:
    """What the screen says on the line with a label and on the two after it, on one line."""
    lines = shown(app).split("\n")
    at = next(number for number, line in enumerate(lines) if label in line)
    return " ".join(" ".join(lines[at : at + 3]).split())


async def typed(pilot: Pilot[Any], editor: Any, text: str) -> None:
    """Replace what is in an input by a person's keys, and leave it."""
    editor.focus()
    await pilot.press("end", "ctrl+u", *text, "tab")


async def test_the_secret_is_asked_for_at_once_so_that_its_letters_are_no_keys(tmp_path: Path, wired: Wired) -> None:
    profiles = {"a": Profile(method="service-principal"), "b": Profile(method="device-code")}
    app = wizard(
        tmp_path, sandbox=False, signed_in=False, settings=Settings(state=tmp_path, profile="a", profiles=profiles)
    )
    async with app.run_test(size=(80, 24)) as pilot:
        secret = app.screen.query_one("#secret", Input)
        await until(pilot, lambda: app.focused is secret)
        await pilot.press(*"qr")
        await until(pilot, lambda: secret.value == "qr")
        await pilot.press("f6", "f6")
        await until(pilot, lambda: "Profile a" in shown(app) and app.focused is secret and not secret.value)


@pytest.mark.parametrize(
    ("method", "field", "label", "wrong", "right", "said"),
    [
        ("device-code", "tenant", "Tenant id", "my tenant", "contoso.com", "! A tenant is an id of"),
        ("service-principal", "client_id", "Application id", "app/1", "app-1", "! An application id has"),
        ("certificate", "certificate", "Certificate file", "/no/such.pem", str(GOOD), "! There is no such file"),
    ],
)
async def test_a_wrong_sign_in_field_is_said_beside_it_and_nothing_is_tried(
    tmp_path: Path, wired: Wired, method: Any, field: str, label: str, wrong: str, right: str, said: str
) -> None:
    settings = Settings(state=tmp_path, profiles={"default": Profile(method=method)})
    app = wizard(tmp_path, sandbox=False, signed_in=False, settings=settings)
    async with app.run_test(size=(80, 24)) as pilot:
        editor = app.screen.query_one(f"#{field}", Input)
        assert said not in shown(app)
        await typed(pilot, editor, wrong)
        await until(pilot, lambda: said in below(app, f"{label}  "))
        for key in ("enter", "f5"):
            await pilot.press(key)
            await pilot.pause()
        assert not wired.called("connect")
        assert app.current_mode == "sign_in"
        await typed(pilot, editor, right)
        await until(pilot, lambda: said not in below(app, f"{label}  "))
        await until(pilot, lambda: said not in shown(app), "nor in the line above the keys")
        await pilot.press("f5")
        await until(pilot, lambda: app.wizard.facts.azure)


async def test_a_slow_look_at_the_access_is_waited_for_left_or_done_again(tmp_path: Path, wired: Wired) -> None:
    wired.gates["examine"] = threading.Event()
    app = wizard(tmp_path, "access")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Microsoft.Network is registered" in shown(app), "what is found is shown at once")
        assert "Looking at permissions" in shown(app), "what it waits for"
        await pilot.press("enter")
        await until(pilot, lambda: "Waiting" in shown(app) or "Goes on" in shown(app))
        assert app.current_mode == "access"
        await pilot.press("escape", "f8")
        await until(pilot, lambda: app.current_mode == "project", "it can be left")
        assert "Looking at permissions" in shown(app), "and goes on"
        await pilot.press("f7")
        await until(pilot, lambda: app.current_mode == "access")
        wired.gates["examine"].set()
        await until(pilot, lambda: app.wizard.facts.findings is not None)
        assert wired.called("examine") == 1, "coming back did not begin anew"
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "project")


async def test_a_slow_catalogue_is_replaced_by_the_last_known_and_left_meanwhile(tmp_path: Path, wired: Wired) -> None:
    wired.gates["models"], wired.gates["cached"] = threading.Event(), threading.Event()
    app = wizard(tmp_path, "model")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Reading the model catalogue" in shown(app), "what an empty page waits for")
        wired.gates["cached"].set()
        await until(pilot, lambda: "Phi-4-mini-instruct" in shown(app), "the last known is shown")
        await until(pilot, app.tasks.running)
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "data", "it can be left")
        await pilot.press("f7")
        await until(pilot, lambda: app.current_mode == "model")
        wired.gates["models"].set()
        await until(pilot, lambda: not app.tasks.running())
        assert wired.called("models") == 1
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "data")


async def test_a_slow_check_of_the_validation_file_is_stopped_and_taken_up_again(tmp_path: Path, wired: Wired) -> None:
    wired.gates["readable"] = threading.Event()
    held = str(GOOD.with_name("support-heldout.jsonl"))
    app = wizard(tmp_path, "validation", of=recipe(validation={"mode": "file", "path": held}))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "Checking support-heldout.jsonl" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Waiting" in shown(app) or "Goes on" in shown(app))
        await pilot.press("escape", "f7")
        await until(pilot, lambda: app.current_mode == "data", "it can be left")
        wired.gates["readable"].set()
        await until(pilot, lambda: not app.tasks.of("check-validation"))
        assert app.current_mode == "data", "an Enter that was taken back takes nobody along"
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "validation")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "hyperparameters")


async def test_a_validation_file_that_cannot_be_read_is_told_and_put_right(tmp_path: Path, wired: Wired) -> None:
    path = tmp_path / "gone.jsonl"
    app = wizard(tmp_path, "validation", of=recipe(validation={"mode": "file", "path": str(path)}))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "does not exist" in " ".join(shown(app).split()))
        assert "Next:" in shown(app)
        assert app.current_mode == "validation"
        assert app.wizard.marks["validation"].state == "attention"
        editor = app.screen.query_one("#path", Input)
        editor.value = str(GOOD.with_name("support-heldout.jsonl"))
        await until(pilot, lambda: "Next:" not in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "hyperparameters")


async def test_a_wrong_name_for_an_endpoint_is_said_beside_it_and_not_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(
        monkeypatch,
        jobs={"listing": lambda *_: [job("one", "Completed")]},
        deployments={"listing": lambda *_: [], "default_name": lambda *_: "support-agent-ep"},
        costs={"prices": lambda *_: type("Prices", (), {"of": lambda self, *what: None})()},
    )
    monkeypatch.setattr(AZURE, "now", lambda: NOW, raising=False)
    app = program(tmp_path, "deploy", job="one")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "support-agent-ep" in shown(app))
        editor = app.screen.query_one("#field-deployment-endpoint", Field).editor
        await typed(pilot, editor, "1 bad")
        await until(pilot, lambda: "! " in below(app, "Endpoint  ") and "2 to 52" in below(app, "Endpoint  "))
        await pilot.press("enter")
        await pilot.pause()
        assert "Deploy as" not in shown(app)
        await typed(pilot, editor, "good-name")
        await pilot.press("enter")
        await until(pilot, lambda: "Deploy as good-name?" in shown(app))


async def test_a_wrong_number_of_questions_is_said_beside_it_and_nothing_is_asked(
    tmp_path: Path, evaluation: Evaluations
) -> None:
    app = evaluate(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Enter asks" in shown(app))
        editor = app.screen.query_one("#field-evaluation-questions", Field).editor
        await typed(pilot, editor, "0")
        await until(pilot, lambda: "! " in below(app, "Questions  ") and "1 – " in below(app, "Questions  "))
        await pilot.press("enter")
        await pilot.pause()
        assert "Ask the base model too?" not in shown(app)
        await typed(pilot, editor, "10")
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
    assert evaluation.against == []


async def test_a_project_that_cannot_be_made_is_explained_and_made_by_the_next_try(
    tmp_path: Path, wired: Wired
) -> None:
    wired.fails["ensure_project"] = PermissionDenied(
        "You may not write workspaces.", next_step="Ask for Contributor.", request_id="r-7"
    )
    app = wizard(tmp_path, "project", of=recipe(target__subscription="sub-1"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.projects)
        for _ in range(2):
            await pilot.press("f6")
            await until(pilot, lambda: "Create hub and project now?" in shown(app))
            await pilot.press("y")
            if "ensure_project" in wired.fails:
                await until(pilot, lambda: "Ask for Contributor." in shown(app) and "r-7" in shown(app))
                await pilot.press("escape")
                await until(pilot, lambda: "Ask for Contributor." not in shown(app))
                assert app.wizard.facts.workspace is None
                del wired.fails["ensure_project"]
        await until(pilot, lambda: app.wizard.facts.workspace is not None)
        assert app.wizard.recipe.target.project == "phift-project"


async def test_a_slow_price_holds_the_question_back_and_nothing_else(tmp_path: Path, wired: Wired) -> None:
    wired.gates["prices"], wired.gates["so_far"] = threading.Event(), threading.Event()
    app = wizard(tmp_path, "review")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "subscription" in shown(app), "the recipe is there at once")
        await until(pilot, lambda: wired.called("prices"))
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: "az ml job create" in shown(app), "so is the code")
        await pilot.press("enter")
        await until(pilot, lambda: "Goes on when this is done" in shown(app))
        await pilot.press("escape", "f7")
        await until(pilot, lambda: app.current_mode == "hyperparameters", "it can be left")
        wired.gates["prices"].set()
        wired.gates["so_far"].set()
        await until(pilot, lambda: app.wizard.facts.estimate is not None)
        assert app.current_mode == "hyperparameters", "an Enter that was taken back asks nothing"
        await pilot.press("f8", "enter")
        await until(pilot, lambda: "Submit this run?" in shown(app))
    assert not wired.called("submit")


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_slow_look_at_the_access_within_the_submit_is_seen_left_and_stopped(
    tmp_path: Path, wired: Wired, stopped: bool
) -> None:
    wired.gates["submit"] = threading.Event()
    app = wizard(tmp_path, "review")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.wizard.facts.estimate is not None)
        await pilot.press("s")
        await until(pilot, lambda: "Submit this run?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "Looking at access" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "Goes on when this is done" in shown(app), "no second one is begun")
        await pilot.press("escape", "f7")
        await until(pilot, lambda: app.current_mode == "hyperparameters" and "Looking at access" in shown(app))
        if stopped:
            await pilot.press("f9")
            await until(pilot, lambda: "In the background" in shown(app))
            await pilot.press("x")
            await until(pilot, lambda: "Asked to stop" in shown(app))
        wired.gates["submit"].set()
        if stopped:
            await until(pilot, lambda: app.tasks.of("submit") is None)
            assert not app.wizard.facts.job
        else:
            await until(pilot, lambda: "The run is submitted" in shown(app))
            assert app.current_mode == "hyperparameters"
    assert wired.called("submit") == 1


async def test_code_that_cannot_be_written_says_why_in_its_place_and_is_tried_again(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise ServiceError("The template is not there.", next_step="Install again.")

    written = backend.export.as_python
    monkeypatch.setattr(backend.export, "as_python", refuse)
    app = wizard(tmp_path, "review")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "MLClient" not in shown(app) and app.wizard.facts.estimate is not None)
        await pilot.press(*["right"] * 4)
        await until(pilot, lambda: "Install again." in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Not written: The template is not there." in shown(app))
        monkeypatch.setattr(backend.export, "as_python", written)
        await pilot.press("f5")
        await until(pilot, lambda: "MLClient" in shown(app))


async def test_a_comparison_that_breaks_off_says_why_and_is_asked_again(
    tmp_path: Path, evaluation: Evaluations
) -> None:
    evaluation.error = ServiceError("The model answered with an error.", next_step="Ask again.", request_id="r-9")
    app = evaluate(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Enter asks" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "r-9" in shown(app) and "Ask again." in shown(app))
        evaluation.error = None
        await pilot.press("escape")
        await until(pilot, lambda: "answers that came are kept" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Ask the base model too?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "won 9" in shown(app) or "✓ won" in shown(app))
    assert len(evaluation.against) == 2
