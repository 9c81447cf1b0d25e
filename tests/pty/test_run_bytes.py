"""What the monitor costs on the wire, in a terminal of 120 by 40."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_terminal import Terminal

HERE = Path(__file__).parent
MOST = 8_000
"""Bytes for an answer that moves six metrics, their curves, the progress and the log."""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The program at the monitor."""
    environment = {
        **os.environ, "HOME": str(tmp_path), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8",
        "PYTHONPATH": str(HERE.parent / "ui"),
    }  # fmt: skip
    child = (str(HERE / "watched_program.py"),)
    started = Terminal([str(tmp_path)], environment, 120, 40, program=child)
    yield started
    started.close()


def test_the_same_answer_costs_nothing_and_another_one_little(tmp_path: Path, terminal: Terminal) -> None:
    def asked() -> int:
        return (tmp_path / "polls").stat().st_size

    terminal.wait_for("40 of 1,600")
    terminal.wait_for("gradient norm")
    terminal.quiet()
    before, sent = asked(), len(terminal.raw)
    terminal.wait_for(lambda _: asked() >= before + 4)
    assert len(terminal.raw) == sent
    (tmp_path / "moving").touch()
    before = asked()
    terminal.wait_for(lambda _: asked() >= before + 6)
    assert sent < len(terminal.raw) <= sent + 7 * MOST
