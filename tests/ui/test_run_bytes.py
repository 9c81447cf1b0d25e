"""What the monitor costs on the wire, in a real terminal of 120 by 40."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_terminal import Terminal

_MOST = 8_000  # bytes for an answer that moves six metrics, their curves, the progress and the log


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The program at the monitor."""
    child = Path(__file__).with_name("watched_program.py")
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
    started = Terminal([sys.executable, str(child), str(tmp_path)], 120, 40, environment)
    yield started
    started.process.send_signal(signal.SIGKILL)
    started.process.wait()
    os.close(started.master)


def polls(tmp_path: Path) -> int:
    """How often the job was asked for."""
    return (tmp_path / "polls").stat().st_size


def test_the_same_answer_costs_nothing_and_another_one_little(tmp_path: Path, terminal: Terminal) -> None:
    terminal.shows("40 of 1,600")
    terminal.shows("gradient norm")
    terminal.quiet()
    asked, sent = polls(tmp_path), len(terminal.output)
    terminal.until(lambda: polls(tmp_path) >= asked + 4, "the job is not asked for")
    assert len(terminal.output) == sent
    (tmp_path / "moving").touch()
    asked = polls(tmp_path)
    terminal.until(lambda: polls(tmp_path) >= asked + 6, "the job is not asked for")
    assert sent < len(terminal.output) <= sent + 7 * _MOST
