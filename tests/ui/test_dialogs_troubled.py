"""The dialogs with wrong answers, a slow disk and a failing one, as the person sees them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_fakes import shown, until
from textual.pilot import Pilot
from textual.widgets import Input, OptionList
from wizard_fakes import GOOD, Wired, recipe, wizard

from tui import backend, folders
from tui import recipe as recipes
from tui.dataset import convert
from tui.services import drafts
from tui.services.errors import UsageError
from tui.settings import Settings


def refuse(number: int) -> Callable[..., Any]:
    """A call that the system refuses."""

    def call(*arguments: object, **options: object) -> Any:
        raise OSError(number, os.strerror(number))

    return call


async def fill(pilot: Pilot[Any], selector: str, text: str) -> None:
    """Type into the line of a dialog and press Enter."""
    line = pilot.app.screen.query_one(selector, Input)
    await until(pilot, lambda: line.display)
    line.value = text
    line.focus()
    await pilot.press("enter")


# --- the file picker -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/no/such/file.jsonl", "There is no file /no/such/file.jsonl."),
        ("/" + "x" * 300, "xxx cannot be read: "),
        ("~nobody-has-this-name/data", "There is no file ~nobody-has-this-name/data."),
    ],
)
async def test_a_path_that_leads_nowhere_is_said_and_what_was_typed_stays(
    tmp_path: Path, wired: Wired, path: str, said: str
) -> None:
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(GOOD)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await until(pilot, lambda: GOOD.name in shown(app) and "Choose a file" in shown(app))
        await fill(pilot, "#picker-path", path)
        await until(pilot, lambda: said in shown(app))
        line = app.screen.query_one("#picker-path", Input)
        assert line.value == path
        assert app.focused is line
        assert app.screen.query_one("#picker-list", OptionList).option_count > 1, "the folder stays"


async def test_a_slow_folder_is_waited_for_said_and_left(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, read = threading.Event(), folders.listing

    def slowly(*arguments: Any) -> Any:
        gate.wait(60)
        return read(*arguments)

    monkeypatch.setattr("screens.file_picker.listing", slowly)
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(GOOD)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await until(pilot, lambda: "Esc stops it" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Choose a file" not in shown(app))
        await pilot.press("f6")
        await until(pilot, lambda: "Esc stops it" in shown(app))
        gate.set()
        await until(pilot, lambda: GOOD.name in shown(app))


async def test_a_folder_that_cannot_be_read_says_why_and_the_one_above_is_a_key_away(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(GOOD)))
    async with app.run_test(size=(80, 24)) as pilot:
        with monkeypatch.context() as broken:
            broken.setattr(folders.os, "scandir", refuse(errno.EACCES))
            await pilot.press("f6")
            await until(pilot, lambda: "cannot be read: " in shown(app))
            await until(pilot, lambda: "‹ .." in shown(app))
        await pilot.press("ctrl+u")
        await until(pilot, lambda: "samples/" in shown(app) and "cannot be read" not in shown(app))


async def test_sizes_and_rows_stay_in_sight_in_a_terminal_of_another_size(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(GOOD)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("f6")
        await until(pilot, lambda: GOOD.name in shown(app) and " rows" in shown(app))
        listing = app.screen.query_one("#picker-list", OptionList)
        listing.highlighted = 2
        await pilot.resize_terminal(60, 18)
        await until(pilot, lambda: app.screen.size.width == 60 and " rows" in shown(app) and "…" not in shown(app))
        assert listing.highlighted == 2


# --- drafts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("old", "There is a draft old already."),
        ("", "Letters, digits, spaces"),
        ("../up", "Letters, digits, spaces"),
        ("a\x1b[2Jb", "Letters, digits, spaces"),
    ],
)
async def test_a_name_that_no_draft_may_have_is_said_and_nothing_is_renamed(
    tmp_path: Path, wired: Wired, name: str, said: str
) -> None:
    app = wizard(tmp_path, "validation")
    drafts.save(app.settings, app.wizard.recipe)
    drafts.save(app.settings, recipe(name="old"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "Drafts:" in shown(app))
        await pilot.press("r")
        await fill(pilot, "#drafts-name", name)
        await until(pilot, lambda: said in shown(app))
        assert {each.name for each in drafts.listing(app.settings)} == {"old", "support-agent"}
        await fill(pilot, "#drafts-name", "better")
        await until(pilot, lambda: {each.name for each in drafts.listing(app.settings)} == {"old", "better"})


async def test_a_draft_is_kept_under_its_old_name_where_the_disk_takes_no_new_one(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wizard(tmp_path, "validation")
    drafts.save(app.settings, app.wizard.recipe)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "Drafts:" in shown(app))
        await pilot.press("r")
        with monkeypatch.context() as full:
            full.setattr(recipes, "save", refuse(errno.ENOSPC))
            await fill(pilot, "#drafts-name", "better")
            await until(pilot, lambda: "could not be written" in shown(app))
            assert {each.name for each in drafts.listing(app.settings)} == {"support-agent"}


async def test_a_draft_that_may_not_be_removed_stays_and_the_reason_is_said(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wizard(tmp_path, "validation")
    drafts.save(app.settings, recipe(name="old"))
    drafts.save(app.settings, app.wizard.recipe)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "Drafts:" in shown(app))
        listed = app.screen.query_one("#drafts-list", OptionList)
        listed.highlighted = listed.get_option_index("/old")
        with monkeypatch.context() as refused:
            refused.setattr(Path, "unlink", refuse(errno.EACCES))
            await pilot.press("x")
            await until(pilot, lambda: "once more" in shown(app))
            await pilot.press("x")
            await until(pilot, lambda: "could not be removed" in shown(app))
        assert {each.name for each in drafts.listing(app.settings)} == {"old", "support-agent"}


async def test_a_damaged_draft_is_listed_with_its_fault_and_can_be_neither_opened_nor_lost(
    tmp_path: Path, wired: Wired
) -> None:
    settings = Settings(state=tmp_path)
    damaged = drafts.save(settings, recipe(name="damaged"))
    damaged.write_text("name = 'damaged'\n[hyperparameters]\nepochs = \n")
    drafts.save(settings, recipe(name="whole", hyperparameters__epochs=9))
    app = wizard(tmp_path, "validation", settings=settings)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: "damaged" in shown(app) and "line 3" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.recipe.name == "whole", "the first that can be read is highlighted")
    assert "epochs = \n" in damaged.read_text()


# --- exports ---------------------------------------------------------------------------------------------------------


async def test_an_export_is_not_lost_by_a_file_that_cannot_be_written(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, there = wizard(tmp_path / "state", "project"), tmp_path / "there.toml"
    there.write_text("mine")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.run_action("export('recipe')")
        await until(pilot, lambda: "support-agent" in shown(app) and "Write to a file" in shown(app))
        await pilot.press("w")
        for path, said in (
            (str(there), "exists; choose another name."),
            ("/proc/no/such", "Not written: "),
            ("~no-such-user/x", "home"),
        ):
            await fill(pilot, "#plain-file", path)
            await until(pilot, lambda said=said: said in shown(app))  # type: ignore[misc]  # bound now
        with monkeypatch.context() as full:
            full.setattr("screens.plain_text.write_private", refuse(errno.ENOSPC))
            await fill(pilot, "#plain-file", str(tmp_path / "new.toml"))
            await until(pilot, lambda: "Not written: the disk is full." in shown(app))
        await fill(pilot, "#plain-file", str(tmp_path / "new.toml"))
        await until(pilot, lambda: "Written " in shown(app))
    assert there.read_text() == "mine"
    assert recipes.load(tmp_path / "new.toml") == app.wizard.recipe


async def test_code_that_takes_long_is_shown_when_it_is_there_and_keeps_no_key_meanwhile(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slowly(*arguments: object) -> str:
        gate.wait(60)
        return "az ml job create"

    monkeypatch.setattr("screens.exports.code_of", slowly)
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.run_action("export('cli')")
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "model")
        gate.set()
        await until(pilot, lambda: "az ml job create" in shown(app))


async def test_code_that_cannot_be_written_says_why_and_is_asked_for_again(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(recipe: object, model: object) -> str:
        raise UsageError("This engine has no such code.", next_step="Choose another.")

    app = wizard(tmp_path, "review")
    async with app.run_test(size=(80, 24)) as pilot:
        with monkeypatch.context() as broken:
            broken.setattr(backend.export, "as_cli", fails)
            await app.run_action("export('cli')")
            await until(pilot, lambda: "This engine has no such code." in shown(app))
            await pilot.press("escape", "right", "right", "right")
            await until(pilot, lambda: "Choose another." in shown(app), "the review's own view says it too")
            await pilot.press("escape")
        await until(pilot, lambda: "Choose another." not in shown(app))
        await pilot.press("left", "right")
        await until(pilot, lambda: "az ml job create" in shown(app))


# --- conversion ------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file of another shape."""
    made = tmp_path / "faq.csv"
    made.write_text("Question,Answer\n" + "".join(f"How far is {i}?,It is {i} km.\n" for i in range(60)))
    return made


async def converting(pilot: Pilot[Any]) -> None:
    """Open the dialog of the file on the data page."""
    app: Any = pilot.app
    await until(pilot, lambda: "E137" in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: "m shows what it can be converted to" in shown(app))
    await pilot.press("escape", "m")


async def test_a_slow_conversion_is_stopped_by_escape_and_leaves_nothing(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    def slowly(source: Path, target: Path, *, shape: Any, progress: Any) -> Any:
        for done in range(10**6):
            progress(done)  # raises where a stop was asked for
            threading.Event().wait(0.01)

    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(table)))
    async with app.run_test(size=(80, 24)) as pilot:
        await converting(pilot)
        await until(pilot, lambda: "Below" in shown(app))
        with monkeypatch.context() as slow:
            slow.setattr(convert, "convert", slowly)
            await pilot.press("enter")
            await until(pilot, lambda: "Esc stops it" in shown(app))
            await pilot.press("escape")
            await until(pilot, lambda: not app.tasks.running(), "it goes on unseen")
    assert app.wizard.recipe.data.train == str(table)
    assert not [name for name in os.listdir(tmp_path) if "chat" in name]


async def test_a_conversion_that_cannot_be_written_says_why_and_is_tried_again(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch, table: Path
) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(table)))
    async with app.run_test(size=(80, 24)) as pilot:
        await converting(pilot)
        await until(pilot, lambda: "Below" in shown(app))
        await fill(pilot, "#conversion-out", str(tmp_path / "there.jsonl"))
        await until(pilot, lambda: "exists; give another name." in shown(app))
        await fill(pilot, "#conversion-out", str(tmp_path / ("x" * 300)))
        await until(pilot, lambda: "File name too long" in shown(app))
        await fill(pilot, "#conversion-out", str(tmp_path / "nowhere" / "new.jsonl"))
        await until(pilot, lambda: "Not written: there is no such file or folder." in shown(app))
        await fill(pilot, "#conversion-out", str(tmp_path / "new.jsonl"))
        await until(pilot, lambda: app.wizard.facts.report is not None and app.wizard.facts.report.ok)
    assert (tmp_path / "there.jsonl").read_text() == "mine"
