"""The palette finds drafts, themes, languages and exports by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from run_fakes import shown, until
from textual.pilot import Pilot
from wizard_fakes import Wired, recipe, wizard

from tui import messages, preferences
from tui.services import drafts
from tui.settings import Settings


async def choose(pilot: Pilot[Any], typed: str, expected: str) -> None:
    """Type into the palette, wait for the entry, take it."""
    await pilot.press("ctrl+p")
    await pilot.press(*typed)
    await until(pilot, lambda: expected in shown(pilot.app), expected)
    await pilot.press("enter")


async def test_a_draft_is_opened_and_the_present_one_kept(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "sign_in")
    drafts.save(app.settings, recipe(name="kettle-helpdesk", hyperparameters__epochs=7))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("escape")  # the offer of drafts
        app.wizard.change(hyperparameters__epochs=2)
        before = app.wizard.recipe.name
        await choose(pilot, "kettle", "Draft: kettle-helpdesk")
        await until(pilot, lambda: app.wizard.recipe.name == "kettle-helpdesk")
    assert app.wizard.recipe.hyperparameters.epochs == 7
    assert drafts.load(app.settings, before).hyperparameters.epochs == 2


async def test_a_theme_is_taken_and_kept(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "sign_in")
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "high contrast", "Theme: High contrast")
        await until(pilot, lambda: app.theme == "phift-contrast")
    assert preferences.load(app.settings.state).theme == "phift-contrast"


async def test_a_language_is_kept_for_the_next_start(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "sign_in")
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "българ", "Language: Български")
        await until(pilot, lambda: app.preferences.language == "bg")
    try:
        again = wizard(tmp_path, "sign_in")
        async with again.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Вход" in shown(again))
    finally:
        messages.use("en")


async def test_the_run_is_exported_from_any_page(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "export the rec", "Export the recipe")
        await until(pilot, lambda: 'name = "support-agent"' in shown(app))
        await pilot.press("escape")
        await choose(pilot, "export az", "Export az commands")
        await until(pilot, lambda: "az ml job create" in shown(app))
        await pilot.press("escape")
        await choose(pilot, "export bic", "Export Bicep")
        await until(pilot, lambda: "Bicep" in shown(app) and "Write to a file" in shown(app))


async def test_what_only_the_palette_has_gets_a_key_by_the_settings(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path, keys={"export_recipe": "f11"})
    app = wizard(tmp_path, "model", settings=settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f11")
        await until(pilot, lambda: "[model]" in shown(app))
        await pilot.press("escape", "ctrl+p", *"export the")
        await until(pilot, lambda: "F11" in shown(app), "the key beside the name")
