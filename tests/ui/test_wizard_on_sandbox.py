"""The wizard on the sandbox, over the wire: Enter alone leads from the first page to a job that is followed."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_fakes import shown, until
from wizard_fakes import GOOD

from tui import preferences
from tui.app import PhiftApp
from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo
from tui.services import jobs
from tui.settings import Settings


@pytest.mark.slow
async def test_enter_alone_leads_to_a_job_that_is_followed(tmp_path: Path, sandbox: SandboxInfo) -> None:
    rows = GOOD.read_text(encoding="utf-8").splitlines(keepends=True)[:60]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(rows), encoding="utf-8")
    preferences.save(preferences.Preferences(tour_seen=True), tmp_path / "state")
    recipe = Recipe(name="walk").with_(
        data__train=str(file), target__project="walk", output__model="walk", hyperparameters__epochs=1
    )
    app = PhiftApp(Settings(state=tmp_path / "state", sandbox_state=Path(sandbox.state)), sandbox=True, recipe=recipe)
    async with app.run_test(size=(80, 24)) as pilot:
        visited = []
        while app.current_mode != "monitor":
            visited.append((app.current_mode, type(app.screen).__name__))
            assert len(visited) < 60, visited[-10:]
            await pilot.press("enter")
            await until(pilot, lambda: not app.tasks.running(), "a task did not end")
        facts = app.wizard.facts
        assert facts.job
        assert facts.azure is not None
        assert facts.workspace is not None
        await until(pilot, lambda: facts.job in shown(app), "the monitor does not show the job")
        assert all(mark.state == "done" for mark in app.wizard.marks.values())
        azure, workspace = facts.azure, facts.workspace
    found = jobs.get(azure, workspace, facts.job)
    assert found.model == "Phi-4-mini-instruct"
    if not found.terminal:
        jobs.cancel(azure, workspace, facts.job)
