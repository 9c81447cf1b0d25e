"""Mending a file says how far it is, and takes no answer before the question."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from run_fakes import shown, until
from wizard_fakes import Wired, recipe, wizard

from tui.dataset import fix


async def test_the_search_for_remedies_says_how_far_it_is(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "a.jsonl"
    data.write_text('{"messages": [{"role": "Human", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    seen, look = threading.Event(), fix.remedies

    def slow(*given: Any, progress: Any, **more: Any) -> Any:
        progress(1)
        assert seen.wait(60)
        return look(*given, **more)

    monkeypatch.setattr(fix, "remedies", slow)
    app = wizard(tmp_path, "data", of=recipe(data__train=str(data)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.facts.report is not None)
        app.screen.action_fix()
        await until(pilot, lambda: "reading 1 of 1 rows" in shown(app), "how far it is")
        await pilot.press("w")
        assert "Nothing is chosen" not in shown(app)
        seen.set()
        await until(pilot, lambda: "What is to be put right" in shown(app))
        assert "reading" not in shown(app)
        await pilot.press("w")
        await until(pilot, lambda: app.wizard.recipe.data.train.endswith("a-mended.jsonl"))
        await until(pilot, lambda: "Good to train on" in shown(app))
        assert "The file has errors" not in shown(app)
