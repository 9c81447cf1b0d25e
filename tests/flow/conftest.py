"""Runs the real program without a screen against the session's sandbox: whole commands, or a run that is cut off."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from program_kit import Ended, Program

from assets import ROOT
from tui import recipe as recipes
from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo

ROWS = 12


@pytest.fixture
def environment(sandbox: SandboxInfo) -> dict[str, str]:
    """The program's environment: the session's sandbox, and the test's own folders."""
    return {**os.environ, "PHIFT_SANDBOX_STATE": sandbox.state, "COLUMNS": "80"}


@pytest.fixture
def cli(environment: dict[str, str]) -> Callable[..., Ended]:
    """Run a command to its end: `cli("jobs", "list", place=recipe, json=True, stdin="…")`."""

    def run(*arguments: object, place: Recipe | None = None, stdin: str = "", **env: str) -> Ended:
        where = []
        if place:
            where = ["--sandbox", "--resource-group", place.target.resource_group, "--project", place.target.project]
        done = subprocess.run(
            [sys.executable, "-m", "tui", *map(str, arguments), *where],
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            env={**environment, **env},
            check=False,
        )
        ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ended.out + ended.err
        return ended

    return run


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., Program]]:
    """Start `run RECIPE --sandbox --yes --json …`."""
    started: list[Program] = []

    def run(path: Path, *arguments: str, **env: str) -> Program:
        program = Program(["run", str(path), "--sandbox", "--yes", "--json", *arguments], {**environment, **env})
        started.append(program)
        return program

    yield run
    for program in started:
        program.kill()


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., tuple[Path, Recipe]]:
    """Write a recipe of a dozen rows and one epoch, in a project of the test's own; changes as `Recipe.with_` takes."""

    def make(**changes: Any) -> tuple[Path, Recipe]:
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[5:29].strip("-")
        rows = (ROOT / "samples" / "support-train.jsonl").read_text("utf-8").splitlines()[:ROWS]
        (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
        made = Recipe().with_(
            name="small",
            target__resource_group=f"rg-{name}",
            target__hub=f"hub-{name}",
            target__project=f"prj-{name}",
            data__train="rows.jsonl",
            hyperparameters__epochs=1,
            evaluation__questions=2,
            evaluation__max_tokens=8,
            output__model=name,
            **changes,
        )
        path = tmp_path / "recipe.toml"
        recipes.save(made, path)
        return path, made

    return make
