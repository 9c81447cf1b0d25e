"""Runs the real program without a screen against the session's sandbox: whole commands, or a run that is cut off."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assets import ROOT
from tui import recipe as recipes
from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo

ROWS = 12


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The last object."""
        return self.events[-1]


class Program:
    """A running `phift-tui run --json`."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tui", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._out: list[str] = []
        self._err: list[str] = []
        assert self._process.stderr
        # Read all the time: a full pipe would stop the program.
        self._reader = threading.Thread(target=self._err.extend, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def until(self, step: str, status: str = "started", having: str = "") -> dict[str, Any]:
        """Wait for an event, one that has a certain field where one is named, and return it."""
        assert self._process.stdout
        for line in self._process.stdout:
            self._out.append(line)
            event: dict[str, Any] = json.loads(line)
            if (event["step"], event["status"]) == (step, status) and (not having or having in event):
                return event
        pytest.fail(f"never came: {step} {status}\n{''.join(self._out)}\n{''.join(self._err)}")

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def until_says(self, text: str) -> None:
        """Wait until it has said something on stderr."""
        while text not in "".join(self._err):
            assert self._process.poll() is None, f"ended without {text!r}"
            self._reader.join(0.01)

    def end(self) -> Ended:
        """Wait for its end."""
        assert self._process.stdout
        self._out.extend(self._process.stdout)
        self._process.wait()
        self._reader.join()
        found = Ended(self._process.returncode, "".join(self._out), "".join(self._err))
        assert "Traceback" not in found.out + found.err
        return found

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()


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
