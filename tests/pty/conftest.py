"""Starts the program in an emulated terminal and ends it after the test."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated_terminal import Terminal

from tui import preferences
from tui.preferences import Preferences

sys.path.append(str(Path(__file__).parents[1] / "ui"))  # what is hostile is said there


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder that the program runs with."""
    return tmp_path / "home"


@pytest.fixture
def state(home: Path) -> Path:
    """The program's state folder, of a user who has seen the tour."""
    folder = home / "state" / "phift-tui"
    preferences.save(Preferences(tour_seen=True), folder)
    return folder


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Terminal]]:
    """Start the program: `start("--sandbox", columns=120, env={…}, script=path)`; a script takes its place."""
    started: list[Terminal] = []

    def run(
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str] | None = None,
        script: Path | None = None,
    ) -> Terminal:
        environment = {**os.environ, "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", **(env or {})}
        program = (str(script),) if script else ("-m", "tui")
        terminal = Terminal([*arguments], environment, columns, rows, program=program)
        started.append(terminal)
        return terminal

    yield run
    for terminal in started:
        terminal.close()
