"""The lines of keys: what is left out where not all fits, and how a text longer than its dialog is read on."""

from __future__ import annotations

from pathlib import Path

from run_fakes import shown, until
from wizard_fakes import Wired, wizard


async def test_on_a_small_terminal_the_pages_own_keys_stay_and_the_way_out(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(60, 18)) as pilot:
        await until(pilot, lambda: "More keys" in shown(app).splitlines()[-1])
        bar = shown(app).splitlines()[-1]
        assert "Enter Continue" in bar
        assert "F6 Pick file" in bar
        assert "^Q Quit" in bar
        assert "F8 Next" not in bar


async def test_on_the_rail_the_bar_says_that_arrows_choose_and_enter_goes(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#rail").focus()
        await until(pilot, lambda: "Enter Go there  ← → Choose a page" in shown(app))
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.current_mode == "validation")


async def test_a_text_longer_than_its_dialog_is_scrolled_by_the_arrows(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "deploy")
    async with app.run_test(size=(60, 18)) as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: "Help: Deploy" in shown(app) and "↑ ↓ Scroll" in shown(app))
        assert "An endpoint makes" in shown(app)
        await pilot.press("pagedown", "down")
        await until(pilot, lambda: "An endpoint makes" not in shown(app))
        await pilot.press("pageup", "up")
        await until(pilot, lambda: "An endpoint makes" in shown(app))
