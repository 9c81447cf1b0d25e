"""A draft is opened where it was left: its page, the steps that were done, its job."""

from __future__ import annotations

import threading
from pathlib import Path

from run_fakes import shown, until
from wizard_fakes import Wired, recipe, wizard

from tui import preferences
from tui.app import PhiftApp
from tui.preferences import DRAFTS_LEFT, Left, Preferences
from tui.services import drafts
from tui.services.errors import SignInRequired
from tui.settings import Settings

LEFT = Left(place="validation", done=("data", "model"), job="phift-tuned-1", sandbox=True)


def leave(state: Path, **left: Left) -> Settings:
    """A state folder with drafts that were left so."""
    settings = Settings(state=state)
    for name in left:
        drafts.save(settings, recipe(name=name, hyperparameters__epochs=9))
    preferences.save(Preferences(tour_seen=True, left=left), state)
    return settings


async def test_where_the_user_is_is_on_disk_as_it_changes(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "hyperparameters")
    async with app.run_test(size=(80, 24)) as pilot:
        app.wizard.learn(job="phift-tuned-1")
        app.wizard.mark("project", "done")
        app.go("validation")
        left = Left(place="validation", done=("project",), job="phift-tuned-1", sandbox=True)
        await until(pilot, lambda: preferences.load(tmp_path).left.get("support-agent") == left)


async def test_a_draft_goes_on_after_the_sign_in_where_it_was_left(tmp_path: Path, wired: Wired) -> None:
    app = PhiftApp(leave(tmp_path, kettles=LEFT), sandbox=True)
    wired.gates["connect"] = threading.Event()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "just now · Validation" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Goes on at Validation" in shown(app))
        wired.gates["connect"].set()
        await until(pilot, lambda: "Rows come from" in shown(app))
        assert app.current_mode == "validation"
        assert app.wizard.facts.job == "phift-tuned-1"
        assert {step: app.wizard.state_of(step, "validation") for step in ("data", "model", "project")} == {
            "data": "done", "model": "done", "project": "todo",
        }  # fmt: skip


async def test_where_it_was_left_outlasts_a_sign_in_that_fails(tmp_path: Path, wired: Wired) -> None:
    app = PhiftApp(leave(tmp_path, kettles=LEFT), sandbox=True)
    wired.fails["connect"] = SignInRequired("Nobody is signed in.", next_step="Run `az login`.")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Validation" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Nobody is signed in." in shown(app))
    assert preferences.load(tmp_path).left["kettles"] == LEFT


async def test_another_draft_is_gone_on_with_at_once_when_signed_in(tmp_path: Path, wired: Wired) -> None:
    other = Left(place="model", job="phift-tuned-2", sandbox=True)
    app = wizard(tmp_path, "data", settings=leave(tmp_path, kettles=other), job="phift-tuned-1")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("escape", "f2", "enter")
        await until(pilot, lambda: app.current_mode == "model")
        assert (app.wizard.recipe.name, app.wizard.facts.job) == ("kettles", "phift-tuned-2")


async def test_what_was_left_in_the_sandbox_is_not_looked_for_on_azure(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data", settings=leave(tmp_path, kettles=LEFT), sandbox=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("escape", "f2", "enter")
        await until(pilot, lambda: app.wizard.recipe.name == "kettles")
        assert (app.current_mode, app.wizard.facts.job) == ("data", "")


def test_the_drafts_left_last_are_kept() -> None:
    remembered = Preferences()
    for number in range(DRAFTS_LEFT + 2):
        remembered = remembered.with_left(f"draft {number}", LEFT)
    remembered = remembered.with_left("draft 2", LEFT.model_copy(update={"place": "data"}))
    assert len(remembered.left) == DRAFTS_LEFT
    assert list(remembered.left)[-1] == "draft 2"
    assert "draft 1" not in remembered.left


def test_a_name_that_is_no_text_does_not_cost_the_other_preferences(tmp_path: Path) -> None:
    files = Preferences(theme="phift-light", recent_files=("/data/caf\udce9.jsonl", "/data/rows.jsonl"))
    preferences.save(files, tmp_path)
    known = preferences.load(tmp_path)
    assert (known.theme, known.recent_files[1]) == ("phift-light", "/data/rows.jsonl")


def test_what_another_program_remembered_meanwhile_is_kept(tmp_path: Path) -> None:
    preferences.save(Preferences(theme="phift-dark", recent_files=("/a",), left={"old": LEFT}), tmp_path)
    ours = theirs = preferences.load(tmp_path)
    mine = ours.with_file(Path("/mine")).with_left("mine", LEFT).model_copy(update={"language": "bg"})
    other = theirs.with_file(Path("/other")).with_left("other", LEFT).model_copy(update={"theme": "phift-light"})
    preferences.save(mine, tmp_path, since=ours)
    preferences.save(other, tmp_path, since=theirs)
    known = preferences.load(tmp_path)
    assert (known.theme, known.language) == ("phift-light", "bg")
    assert known.recent_files == ("/other", "/mine", "/a")
    assert list(known.left) == ["old", "mine", "other"]
