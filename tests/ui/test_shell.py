"""The shell: rail, badge, identity, sizes, drafts, background tasks, dialogs, keys, palette, copy, crash."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from run_fakes import HOSTILE, shown, until
from textual.content import Content
from textual.widgets import Input, OptionList, Static, TextArea
from wizard_fakes import GOOD, Wired, recipe, wizard

from screens.confirm import Confirm
from tui import actions, preferences, text
from tui import recipe as recipes
from tui.app import PhiftApp
from tui.messages import t
from tui.services import drafts, log
from tui.services.errors import PhiftError
from tui.settings import Settings
from tui.themes import NAMES
from tui.widgets.field import Field
from tui.widgets.keybar import KeyBar
from tui.widgets.rail import Rail
from tui.widgets.secret_input import SecretInput
from tui.widgets.topbar import BADGE
from tui.wizard import BY_NAME, PLACES

# --- start -----------------------------------------------------------------------------------------------------------


def test_the_first_frame_loads_none_of_the_heavy_libraries_and_the_first_page_not_azures(tmp_path: Path) -> None:
    code = """
import asyncio, sys, threading
from pathlib import Path
from tui.launch import Launched
from tui.wizard import Start

HEAVY = {"azure", "keyring", "torch", "transformers", "starlette", "requests", "msgspec"}
seen = threading.Event()

def loaded(names):
    return sorted(names & {name.partition(".")[0] for name in sys.modules})

def read():
    seen.wait(30)
    from tui.settings import Profile, Settings
    settings = Settings(state=Path(sys.argv[1]), profiles={"default": Profile(method="device-code")})
    return Start(settings, None, Path.cwd())

async def main():
    app = Launched(read, sandbox=False, ascii_only=False)
    async with app.run_test() as pilot:
        print(loaded(HEAVY | {"pydantic", "pygments"}))
        seen.set()
        while app.current_mode != "sign_in" or not any(bar.entries for bar in app.screen_stack[0].query("#keybar")):
            await pilot.pause(0.01)
        print(loaded(HEAVY))

asyncio.run(asyncio.wait_for(main(), 60))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_a_crash_prints_no_local_variables(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from tui.app import PhiftApp
from tui.settings import Profile, Settings

class Broken(PhiftApp):
    def action_show(self, dialog):
        token = "s3cr3t-" + "sentinel"[::-1]
        raise RuntimeError("broken on purpose" if token else "")

async def press(pilot):
    await pilot.press("f1")

settings = Settings(state=Path(sys.argv[1]), profiles={"default": Profile(method="device-code")})
app = Broken(settings)
app.run(headless=True, mouse=False, auto_pilot=press)
sys.exit(app.return_code)
"""
    environment = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 1
    assert "broken on purpose" in done.stderr
    assert "lenitnes" not in done.stderr + done.stdout


@pytest.mark.parametrize("seen", [False, True])
async def test_the_tour_is_shown_at_the_first_start_only(tmp_path: Path, wired: Wired, seen: bool) -> None:
    preferences.save(preferences.Preferences(tour_seen=seen), tmp_path)
    app = PhiftApp(Settings(state=tmp_path), sandbox=True, recipe=recipe())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.azure)
        await pilot.pause()
        assert ("Welcome to phift-tui" in shown(app)) is not seen
    assert preferences.load(tmp_path).tour_seen


# --- what is always visible ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)])
async def test_badge_identity_rail_and_choices_are_in_sight_at_every_size(
    tmp_path: Path, wired: Wired, size: tuple[int, int]
) -> None:
    app = wizard(tmp_path, "model")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.wizard.facts.catalogue is not None)
        await until(pilot, lambda: "available" in shown(app))
        found = shown(app)
        assert all(said in found for said in (BADGE, "someone@example.com", "support-train.jsonl", "serverless"))
        if size[0] < 100:
            assert "Step 4 of 8" in found
        else:
            assert all(place.title in found for place in PLACES)
        assert "Enter Continue" in found
        for key, said in (("f1", "Help: Model"), ("f10", "Write to a file")):
            await pilot.press("escape", key)
            await until(pilot, lambda said=said: said in shown(app))  # type: ignore[misc]  # bound now
            assert BADGE in shown(app), "a dialog does not cover the badge"
            await pilot.press("escape")


async def test_a_terminal_below_60_by_18_is_told_so_and_recovers(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(50, 15)) as pilot:
        await until(pilot, lambda: "smaller than 60 by 18" in " ".join(shown(app).split()))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Rows come from" in shown(app))
        assert "smaller than" not in shown(app)


async def test_the_rail_says_done_here_look_with_glyph_and_word(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "model")
    app.wizard.mark("access", "done")
    app.wizard.mark("data", "attention", "3 errors")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lines = shown(app).splitlines()
        assert any("✓ Access" in line and "done" in line for line in lines)
        assert any("▸ Model" in line and "here" in line for line in lines)
        assert any("! Data" in line and "fix" in line for line in lines)
        app.screen.query_one("#rail").focus()
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.current_mode == "data")


async def test_a_long_name_in_the_rails_line_pushes_no_state_off(tmp_path: Path, wired: Wired, bulgarian: None) -> None:
    app = wizard(tmp_path, "hyperparameters")
    app.wizard.mark("jobs", "attention", "")
    async with app.run_test(size=(60, 18)) as pilot:
        await until(pilot, lambda: "Хиперпараметри  ······▸·│·····!\n" in shown(app))


async def test_ascii_mode_draws_nothing_else(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data", ascii_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Good to train on" in shown(app))
        await pilot.press("f1")
        await until(pilot, lambda: "Help: Data" in shown(app))
        strips = app.screen._compositor.render_strips()
        drawn = "".join(
            segment.text for strip in strips for net in [app._nets] for segment in _through(net, list(strip))
        )
        assert drawn.isascii(), {character for character in drawn if not character.isascii()}


def _through(nets: list[Any], segments: list[Any]) -> list[Any]:
    for net in nets:
        segments = net.apply(segments, None)
    return segments


@pytest.mark.parametrize("theme", NAMES)
async def test_every_theme_draws_every_step(tmp_path: Path, wired: Wired, theme: str) -> None:
    app = wizard(tmp_path, "model", settings=Settings(state=tmp_path, theme=theme))
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.theme == theme
        await until(pilot, lambda: "available" in shown(app))


async def test_sixteen_colours_take_surfaces_on_which_red_and_yellow_are_seen(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLORTERM", raising=False)
    app = wizard(tmp_path, "project", settings=Settings(state=tmp_path, theme="phift-dark"))
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.theme == "phift-dark")
        assert app.screen.query_one("#keybar").styles.background.hex == "#000000"


def test_no_color_takes_the_theme_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert PhiftApp(Settings(state=tmp_path, theme="phift-light")).theme == "ansi-dark"


@pytest.mark.parametrize("place", ["model", "project"])
async def test_without_colours_the_focus_is_seen_by_the_style_of_the_text(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = wizard(tmp_path, place)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: ("retired" if place == "model" else "exists") in shown(app))
        await until(pilot, lambda: app.focused is not None)
        drawn = [segment for strip in app.screen._compositor.render_strips() for segment in strip if segment.style]
        assert not [each for each in drawn if each.style.color and not each.style.color.is_default]
        if place == "model":
            underlined = "".join(each.text for each in drawn if each.style.underline)
            assert "Phi-4-mini-instruct" in underlined
            assert "Phi-3-mini" not in underlined
        else:
            assert [each.text for each in drawn if each.style.reverse and each.style.underline] == [" "], "the cursor"


# --- moving about and drafts -----------------------------------------------------------------------------------------


async def test_moving_back_and_forth_loses_nothing(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        field = app.screen.query_one("#field-target-hub", Field)
        assert isinstance(field.editor, Input)
        field.editor.value = "not valid!"
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "model")
        await pilot.press("f7")
        await until(pilot, lambda: app.current_mode == "project")
        assert field.editor.value == "not valid!", "what was typed is kept, though it is not taken"


async def test_a_change_is_on_disk_without_any_key(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "hyperparameters")
    async with app.run_test(size=(80, 24)) as pilot:
        app.wizard.change(hyperparameters__epochs=7)
        path = tmp_path / "drafts" / "support-agent.toml"
        await until(pilot, path.exists)
        assert recipes.load(path).hyperparameters.epochs == 7
        assert path.stat().st_mode & 0o777 == 0o600


async def test_the_last_draft_is_offered_and_enter_takes_it(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path)
    drafts.save(settings, recipe(hyperparameters__epochs=9))
    app = PhiftApp(settings, sandbox=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Drafts: Enter goes on" in shown(app))
        assert "just now" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.recipe.hyperparameters.epochs == 9)


async def test_a_recipe_given_never_overwrites_a_draft_of_its_name(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path)
    drafts.save(settings, recipe(hyperparameters__epochs=9))
    app = PhiftApp(settings, sandbox=True, recipe=recipe())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Start from the recipe support-agent" in shown(app))
        await pilot.press("escape")
        app.wizard.change(hyperparameters__epochs=2)
        await until(pilot, lambda: len(drafts.listing(settings)) == 2)
    assert drafts.load(settings, "support-agent").hyperparameters.epochs == 9
    assert drafts.load(settings, "support-agent 2").hyperparameters.epochs == 2


@pytest.mark.parametrize("broken", [False, True])
async def test_a_draft_that_another_program_changes_goes_on_under_a_name_of_its_own(
    tmp_path: Path, wired: Wired, broken: bool
) -> None:
    settings = Settings(state=tmp_path)
    drafts.save(settings, recipe(hyperparameters__epochs=9))
    app = PhiftApp(settings, sandbox=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "Drafts: Enter goes on" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.recipe.hyperparameters.epochs == 9)
        app.wizard.change(hyperparameters__epochs=8)
        await until(pilot, lambda: drafts.load(settings, "support-agent").hyperparameters.epochs == 8)
        theirs = tmp_path / "drafts" / "support-agent.toml"
        if broken:
            theirs.write_text("name = ")
        else:
            drafts.save(settings, recipe(hyperparameters__epochs=4))
        app.wizard.change(hyperparameters__epochs=7)
        await until(pilot, lambda: "There is another draft" in shown(app))
        app.wizard.change(hyperparameters__epochs=6)
        await until(pilot, lambda: app.autosave.is_written)
    assert app.wizard.recipe.name == "support-agent 2"
    assert drafts.load(settings, "support-agent 2").hyperparameters.epochs == 6
    assert len(drafts.listing(settings)) == 2
    if broken:
        assert theirs.read_text() == "name = "
    else:
        assert recipes.load(theirs).hyperparameters.epochs == 4


async def test_what_another_program_changed_is_left_alone_by_the_end_too(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "hyperparameters")
    async with app.run_test(size=(80, 24)) as pilot:
        app.wizard.change(hyperparameters__epochs=7)
        await until(pilot, lambda: app.autosave.is_written)
        drafts.save(app.settings, recipe(hyperparameters__epochs=4))
        app.wizard.change(hyperparameters__epochs=6)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit)
    found = {each.name: recipes.load(each.path).hyperparameters.epochs for each in drafts.listing(app.settings)}
    assert found == {"support-agent": 4, "support-agent 2": 6}


async def test_drafts_are_renamed_copied_and_removed(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path)
    app = wizard(tmp_path, "validation")
    drafts.save(settings, app.wizard.recipe)
    drafts.save(settings, recipe().with_(name="old"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "Drafts:" in shown(app))
        await pilot.press("k")
        app.screen.query_one("#drafts-name", Input).value = "second try"
        await pilot.press("enter")
        await until(
            pilot, lambda: {each.name for each in drafts.listing(settings)} == {"old", "support-agent", "second try"}
        )
        listing = app.screen.query_one("#drafts-list", OptionList)
        listing.highlighted = next(i for i, each in enumerate(listing.options) if each.id == "/old")
        await pilot.press("x")
        await until(pilot, lambda: "Press x once more" in shown(app))
        assert (tmp_path / "drafts" / "old.toml").exists()
        await pilot.press("x")
        await until(pilot, lambda: not (tmp_path / "drafts" / "old.toml").exists())
    assert app.wizard.recipe.name == "second try"


async def test_a_draft_that_cannot_be_written_is_said_once_and_shown_until_it_is(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(settings: Settings, recipe: recipes.Recipe) -> Path:
        tried.append(recipe.target.hub)
        raise PhiftError("The draft could not be written: disk full.", code="DraftNotSaved")

    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        with monkeypatch.context() as broken:
            broken.setattr(drafts, "save", full)
            await pilot.press("end", "a")
            await until(pilot, lambda: "disk full" in shown(app))
            await pilot.press("escape", "b")
            await until(pilot, lambda: tried[-1].endswith("hubab"), "it was tried again")
            await until(pilot, lambda: not app.tasks.of("draft.save"))
            assert "disk full" not in shown(app), "nobody is interrupted at each letter"
            assert "! not saved" in shown(app)
        await pilot.press("c")
        await until(pilot, lambda: "! not saved" not in shown(app))
    assert drafts.load(app.settings, "support-agent").target.hub == "phift-hubabc"


async def test_what_cannot_be_written_is_not_lost_with_the_program_without_a_question(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def hangs(settings: Settings, recipe: recipes.Recipe) -> Path:
        answers.wait(60)
        raise PhiftError("No.")

    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        monkeypatch.setattr(drafts, "save", hangs)
        await pilot.press("end", "a", "ctrl+q")
        await until(pilot, lambda: "Quit without the draft?" in shown(app) and "does not answer" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "Quit without" not in shown(app))
        assert app.is_running
        await pilot.press("ctrl+q")
        await until(pilot, lambda: "Quit without the draft?" in shown(app))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: app._exit, "the same key once more is an answer")
    answers.set()


async def test_the_end_waits_for_the_draft_that_is_being_written(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, save = threading.Event(), drafts.save

    def slow(settings: Settings, recipe: recipes.Recipe) -> Path:
        begun.set()
        threading.Event().wait(0.2)
        return save(settings, recipe)

    monkeypatch.setattr(drafts, "save", slow)
    monkeypatch.setattr("tui.autosave._PATIENCE", 60.0)
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("end", "a")
        await until(pilot, begun.is_set)
        await pilot.press("b", "ctrl+q")
        await until(pilot, lambda: app._exit)
        assert drafts.load(app.settings, "support-agent").target.hub == "phift-hubab"


# --- background tasks ------------------------------------------------------------------------------------------------


async def test_a_hung_call_delays_neither_keys_nor_the_end(tmp_path: Path, wired: Wired) -> None:
    never = threading.Event()
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        app.tasks.start("hung", "A call that hangs", lambda report, cancel: never.wait())
        await until(pilot, lambda: "A call that hangs" in shown(app))
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "hyperparameters")
        await pilot.press("f9")
        await until(pilot, lambda: "In the background" in shown(app))
        thread = next(each for each in threading.enumerate() if each.name == "task-hung")
        assert thread.daemon, "the interpreter does not wait for it"
        await pilot.press("x")
        await until(pilot, lambda: "Asked to stop" in shown(app))
    assert thread.is_alive()
    never.set()
    await asyncio.to_thread(thread.join, 10)


async def test_a_newer_task_of_the_same_group_is_the_only_one_heard(tmp_path: Path, wired: Wired) -> None:
    heard: list[str] = []
    gate = threading.Event()
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        first = app.tasks.start(
            "same", "First", lambda report, cancel: gate.wait(10), done=lambda _: heard.append("first")
        )
        app.tasks.start("same", "Second", lambda report, cancel: None, done=lambda _: heard.append("second"))
        await until(pilot, lambda: heard)
        gate.set()
        await until(pilot, lambda: not first.running)
        await pilot.pause()
    assert heard == ["second"]
    assert first.cancel.is_set


async def test_a_fault_of_the_program_is_an_error_dialog_and_in_the_log_not_the_end(
    tmp_path: Path, wired: Wired
) -> None:
    def broken(report: Any, cancel: Any) -> None:
        raise ZeroDivisionError("said of the fault")

    log.capture(Settings(state=tmp_path))
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        app.tasks.start("broken", "Broken", broken)
        await until(pilot, lambda: "ProgramError" in shown(app))
        assert "said of the fault" not in shown(app)
    written = (tmp_path / "phift-tui.log").read_text()
    assert "Traceback" in written
    assert "ZeroDivisionError: said of the fault" in written


async def test_what_the_disk_refuses_is_no_fault_of_the_program(tmp_path: Path, wired: Wired) -> None:
    def full(report: Any, cancel: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/home/me/rows.jsonl")

    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        app.tasks.start("full", "Writing", full)
        await until(pilot, lambda: "DiskFull" in shown(app))
        assert "/home/me/rows.jsonl: the disk is full." in shown(app)
        assert "Free some space" in shown(app)


# --- hostile text ----------------------------------------------------------------------------------------------------


async def test_hostile_text_is_shown_as_text_in_every_widget_notification_and_dialog(
    tmp_path: Path, wired: Wired
) -> None:
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        app.screen.notice(HOSTILE)  # type: ignore[attr-defined]  # a Page
        app.notify(HOSTILE, markup=False)
        app.show_text(HOSTILE, HOSTILE * 50)
        await until(pilot, lambda: "evil" in shown(app))
        app.show_error(PhiftError(HOSTILE, code=HOSTILE, meaning=HOSTILE, next_step=HOSTILE, raw=HOSTILE))
        await until(pilot, lambda: "This did not work" in shown(app))
        await app.screen.mount(Static(HOSTILE, markup=False), TextArea(HOSTILE))
        await pilot.pause()
        drawn = "".join(
            segment.text
            for strip in app.screen._compositor.render_strips()
            for segment in _through(app._nets, list(strip))
        )
    assert "evil" in drawn
    assert not set(drawn) & {"\x1b", "\x07", "\u202e", "\x9b"}


def test_a_megabyte_on_one_line_is_cut() -> None:
    assert len(text.clean_line("x" * 2_000_000)) <= 500


# --- keys ------------------------------------------------------------------------------------------------------------

_SAFE = {f"f{number}" for number in range(1, 13)} | {
    "enter", "escape", "space", "tab", "delete", "slash", "question_mark", "plus", "minus",
}  # fmt: skip
_UNSAFE = {f"ctrl+{letter}" for letter in "ijmhba["}


@pytest.mark.parametrize("place", list(BY_NAME))
def test_each_places_actions_exist_and_their_keys_are_safe_and_single(place: str) -> None:
    from textual.app import App

    from tui.app import _screen

    screen = _screen(BY_NAME[place].screen)
    taken: dict[str, str] = {}
    for action in actions.for_place(place):
        holder: Any = PhiftApp if action.action.startswith("app.") else type(screen)
        name = "action_" + action.action.removeprefix("app.").partition("(")[0]
        assert hasattr(holder, name) or hasattr(App, name), f"{action.id}: there is no {name}"
        for key in filter(None, action.key.split(",")):
            assert key not in _UNSAFE
            assert key in _SAFE or len(key) == 1 or (key.startswith("ctrl+") and len(key) == 6), key
            assert key not in taken, f"{key}: {action.id} and {taken.get(key)}"
            taken[key] = action.id
    places = {each.key for each in PLACES}
    assert len(places) == len(PLACES)


def test_ids_are_single() -> None:
    found = [action.id for action in actions.ACTIONS]
    assert len(found) == len(set(found))


async def test_help_and_key_map_list_what_the_registry_has(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(120, 70)) as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: "Help: Data" in shown(app))
        for action in actions.scoped("data"):
            assert t(action.help) in shown(app)
        await pilot.press("escape", "escape", "question_mark")
        await until(pilot, lambda: "Keys" in shown(app))
        for action in (*actions.scoped("data"), *actions.scoped(actions.EVERYWHERE)):
            assert t(action.help) in shown(app)


async def test_the_palette_goes_to_any_place_and_runs_any_action(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "sign_in")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"validat")
        await until(pilot, lambda: "Go to Validation" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "validation")
        await pilot.press("ctrl+p")
        await pilot.press(*"appear")
        await until(pilot, lambda: "Theme and profile" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Safe for colour-blind eyes" in shown(app))


async def test_jump_mode_goes_to_a_field_and_to_a_place(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "Jump to a field by" in shown(app))
        jump: Any = app.screen
        letter = next(
            key for key, widget in jump._widgets.items() if widget.parent.parent.id == "field-target-location"
        )
        assert letter not in {place.key for place in PLACES}
        await pilot.press(letter)
        await until(pilot, lambda: app.focused is not None and app.focused.parent.parent.id == "field-target-location")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "Jump to a field by" in shown(app))
        await pilot.press("6")
        await until(pilot, lambda: app.current_mode == "validation")


async def test_the_letters_of_jump_mode_follow_the_fields_to_another_size(tmp_path: Path, wired: Wired) -> None:
    def letters_stand_at_their_fields() -> bool:
        jump: Any = app.screen
        places = {str(label.content).strip(): label.region.offset for label in jump.query(".jump-label")}
        fields = {letter: widget.region for letter, widget in jump._widgets.items() if letter in places}
        wanted = {letter: (max(region.x - 1, 0), region.y) for letter, region in fields.items()}
        return bool(places) and {letter: tuple(offset) for letter, offset in places.items()} == wanted

    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "Jump to a field by" in shown(app))
        await until(pilot, letters_stand_at_their_fields)
        before = {label.region for label in app.screen.query(".jump-label")}
        await pilot.resize_terminal(140, 40)
        await until(pilot, lambda: before != {label.region for label in app.screen.query(".jump-label")})
        await until(pilot, letters_stand_at_their_fields)
        await pilot.press("6")
        await until(pilot, lambda: app.current_mode == "validation")


async def test_q_is_a_letter_in_a_field_and_the_end_outside_of_it(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("end", "q")
        await until(pilot, lambda: app.wizard.recipe.target.hub == "phift-hubq")
        await pilot.press("escape", "q")
        await until(pilot, lambda: not app.is_running or app._exit)
    assert drafts.load(app.settings, "support-agent").target.hub == "phift-hubq", "the end writes the draft"


async def test_the_key_bar_shows_letters_only_where_they_are_keys(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path)
    async with app.run_test(size=(100, 30)) as pilot:
        app.go("data")
        await until(pilot, lambda: app.current_mode == "data" and isinstance(app.screen.focused, Input))
        bar = app.screen.query_one(KeyBar)
        await until(pilot, lambda: "More keys" in [title for _, title, *_ in bar.entries])
        assert "r" not in [key for key, *_ in bar.entries]
        await pilot.press("escape")
        await until(pilot, lambda: "r" in [key for key, *_ in bar.entries])
        assert "More keys" not in [title for _, title, *_ in bar.entries]
        await pilot.press("tab")
        await until(pilot, lambda: isinstance(app.screen.focused, Input))


async def test_enter_on_the_present_place_of_the_rail_goes_forward(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one(Rail).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "model")


async def test_the_theme_is_tried_and_kept_or_not(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        for key, kept in (("escape", "phift-dark"), ("enter", "phift-light")):
            await pilot.press("f4")
            await until(pilot, lambda: "Appearance" in shown(app))
            await pilot.press("down")
            await until(pilot, lambda: app.theme == "phift-light")
            await pilot.press(key)
            await until(pilot, lambda kept=kept: app.theme == kept)  # type: ignore[misc]  # bound now
    assert preferences.load(tmp_path).theme == "phift-light"


# --- copy, confirm, secrets, editor ----------------------------------------------------------------------------------


async def test_a_page_is_shown_plainly_copied_and_written(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    app = wizard(tmp_path / "state", "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f10")
        await until(pilot, lambda: "Write to a file" in shown(app))
        monkeypatch.setattr(app, "copy_to_clipboard", sent.append)
        await pilot.press("c")
        await until(pilot, lambda: "Sent to your terminal's clipboard" in shown(app))
        assert "Rows come from" in sent[0]
        await pilot.press("w")
        app.screen.query_one("#plain-file", Input).value = str(tmp_path / "page.txt")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "page.txt").exists())
        await pilot.press("w", "enter")
        await until(pilot, lambda: "exists; choose another name" in shown(app))
        app.screen.query_one("#plain-file", Input).value = "~nobody-of-this-name/page.txt"
        await pilot.press("enter")
        await until(pilot, lambda: "Not written: " in shown(app))
    assert "Rows come from" in (tmp_path / "page.txt").read_text()


async def test_a_confirmation_takes_enter_for_yes_only_where_it_says_so(tmp_path: Path, wired: Wired) -> None:
    answers: list[bool | None] = []
    app = wizard(tmp_path, "validation")
    async with app.run_test(size=(80, 24)) as pilot:
        for harmless, key in ((True, "enter"), (False, "enter"), (False, "y"), (False, "n"), (True, "escape")):
            before = len(answers)
            question = Confirm("Sure?", Content("It costs."), yes="Do it", enter_is_yes=harmless)
            app.push_screen(question, answers.append)
            await until(pilot, lambda: "Sure?" in shown(app))
            await pilot.press(key)
            await until(pilot, lambda before=before: len(answers) > before)  # type: ignore[misc]  # bound now
    assert answers == [True, False, True, False, None]


async def test_an_answer_given_twice_before_the_question_is_gone_counts_once(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "validation")
    heard: list[bool | None] = []
    async with app.run_test(size=(80, 24)) as pilot:
        page = app.screen
        question = Confirm("Submit?", "It costs.", yes="Submit")
        app.push_screen(question, heard.append)
        await until(pilot, lambda: question.is_current)
        question.action_answer(True)
        question.action_answer(True)
        await until(pilot, lambda: app.screen is page)
        await pilot.pause()
    assert heard == [True]


async def test_a_secret_can_be_neither_copied_nor_cut(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wizard(tmp_path, "validation")
    copied: list[str] = []
    monkeypatch.setattr(PhiftApp, "copy_to_clipboard", lambda self, text: copied.append(text))
    async with app.run_test(size=(80, 24)) as pilot:
        field = SecretInput()
        await app.screen.query_one("#body").mount(field)
        field.value = "s3cr3t"
        field.focus()
        await pilot.press("home", "shift+end", "ctrl+c", "ctrl+x")
        assert field.value == "s3cr3t"
    assert not copied


async def test_a_recipe_edited_wrongly_is_not_taken_and_the_place_is_said(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    from screens import editor

    app = wizard(tmp_path, "validation")
    edited = iter(["[hyperparameters]\nepochs = 99\n", recipe(hyperparameters__epochs=4).to_toml()])

    def written(program: PhiftApp, path: Path) -> str:
        path.write_text(next(edited), "utf-8")
        return ""

    monkeypatch.setattr(editor, "_run", written)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f3")
        await until(pilot, lambda: "hyperparameters.epochs" in shown(app))
        await pilot.press("escape", "f3")
        await until(pilot, lambda: app.wizard.recipe.hyperparameters.epochs == 4)


def test_a_completion_is_the_folder_or_file_that_begins_so(tmp_path: Path) -> None:
    from tui.widgets.path_suggester import PathSuggester

    (tmp_path / "train-data").mkdir()
    (tmp_path / "train.jsonl").write_text("")
    (tmp_path / "trash.txt").write_text("")
    suggester = PathSuggester(tmp_path)
    assert suggester.completed("tra") == "train-data/"
    assert suggester.completed(f"{tmp_path}/train.") == f"{tmp_path}/train.jsonl"
    assert suggester.completed("tras") == "trash.txt"
    assert suggester.completed("none") is None
    assert suggester.completed("no/such/folder/x") is None
    assert suggester.completed(str(GOOD)[:-3]) == str(GOOD)


def test_the_clipboard_sequence_goes_through_tmux_and_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    from tui import terminal

    assert terminal.osc52("hello") == "\x1b]52;c;aGVsbG8=\x07"
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    assert terminal.osc52("hello").endswith("\x1bPtmux;\x1b\x1b]52;c;aGVsbG8=\x07\x1b\\")
    with pytest.raises(ValueError, match="more than terminals take"):
        terminal.osc52("x" * 80_000)


def test_tasks_report_at_most_twice_a_second() -> None:
    from tui.services.progress import Progress
    from tui.tasks import Tasks

    posted: list[Any] = []
    tasks = Tasks(posted.append)

    def work(report: Any, cancel: Any) -> None:
        for done in range(10_000):
            report(Progress("counting", done))

    task = tasks.start("count", "Counting", work)
    end = time.monotonic() + 20
    while task.running and time.monotonic() < end:
        threading.Event().wait(0.01)
    assert task.progress
    assert task.progress.done == 9_999
    assert len(posted) < 100
