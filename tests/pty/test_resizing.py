"""The terminal changes its size, once and in a storm of changes, as a tiling window manager or tmux makes them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from emulated_terminal import Terminal
from ways import at_project

from tui import recipe

Start = Callable[..., Terminal]

REDRAW, QUIT = b"\x0c", b"\x11"
SIZES = ((1, 1), (80, 24), (59, 17), (200, 60), (2, 500), (60, 18), (500, 2), (120, 40), (80, 1), (1, 24))


def test_a_storm_of_sizes_leaves_the_screen_right_and_the_draft_whole(start: Start, state: Path) -> None:
    terminal = start(env={"PATH": "/nonexistent"})
    at_project(terminal)
    for number in range(200):
        terminal.resize(*SIZES[number % len(SIZES)])
        if number % 50 == 25:
            terminal.send(b"-%d" % number)
            terminal.read(0.01)
    for columns, rows in ((59, 17), (1, 1), (200, 60)):
        terminal.resize(columns, rows)
        if columns > 1:
            terminal.wait_for("smaller than 60 by 18" if columns < 60 else "phift-hub-25-75-125-175")
        terminal.quiet(0.1)
        seen = terminal.cells()
        terminal.send(REDRAW)
        terminal.quiet(0.1)
        assert terminal.cells() == seen, f"{columns} by {rows}"
    terminal.send(b"-more")
    terminal.wait_for("phift-hub-25-75-125-175-more")
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert terminal.is_sane()
    (draft,) = (state / "drafts").glob("*.toml")
    assert recipe.load(draft).target.hub == "phift-hub-25-75-125-175-more"


def test_a_size_that_came_and_went_unseen_leaves_nothing_behind(start: Start, state: Path) -> None:
    terminal = start(env={"PATH": "/nonexistent"})
    at_project(terminal)
    seen = terminal.cells()
    terminal.signal(signal.SIGSTOP)
    for columns, rows in ((1, 1), (80, 24)):
        terminal.resize(columns, rows)
    assert terminal.cells() != seen, "the terminal has cut what was on it"
    terminal.signal(signal.SIGCONT)
    terminal.wait_for(lambda _: terminal.cells() == seen)
