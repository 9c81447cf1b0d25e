"""What reaches the terminal at the user's end through tmux: the clipboard, and the call when a job has ended."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated_terminal import Terminal

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")

COPIED = re.compile(rb"\x1b\]52;[a-z0-9]*;([A-Za-z0-9+/=]+)(\x07|\x1b\\)")
PLAIN_TEXT, COPY = b"\x1b[21~", b"c"
CALL = """
from tui import terminal
import sys
input("ready")
sys.stdout.write(terminal.notification("desktop", "job \\x1b]52;c;aGk=\\x07 has ended"))
sys.stdout.flush()
input("called")
"""


@pytest.fixture
def in_tmux(home: Path, tmp_path: Path) -> Iterator[Callable[[str, list[str]], Terminal]]:
    """Start a command in a tmux of its own with such options: `in_tmux(options, command)`; gives the outer terminal."""
    assert TMUX
    folder = tmp_path / "tmux"
    folder.mkdir(mode=0o700)
    environment = {
        **os.environ, "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8", "TMUX_TMPDIR": str(folder),
        "PATH": "/nonexistent", "SHELL": "/bin/sh",
    }  # fmt: skip
    started: list[Terminal] = []

    def run(options: str, command: list[str]) -> Terminal:
        (folder / "conf").write_text(f"set -g default-terminal tmux-256color\n{options}\n")
        home.mkdir(exist_ok=True)
        arguments = ["-f", str(folder / "conf"), "new-session", shlex.join(command)]
        started.append(Terminal(arguments, environment, program=(TMUX or "",), python=None))
        return started[-1]

    yield run
    subprocess.run([TMUX, "kill-server"], env=environment, capture_output=True, check=False)
    for terminal in started:
        terminal.close()


@pytest.mark.parametrize(
    "options",
    ["set -g allow-passthrough on\nset -g set-clipboard off", "set -g set-clipboard on"],
    ids=["passed through", "taken by tmux"],
)
def test_what_is_copied_reaches_the_outer_terminal(in_tmux: Callable[..., Terminal], state: Path, options: str) -> None:
    outer = in_tmux(options, [sys.executable, "-m", "tui"])
    outer.wait_for("Azure CLI not found")
    outer.send(PLAIN_TEXT)
    outer.wait_for("Write to a file")
    outer.send(COPY)
    outer.wait_for(lambda _: COPIED.search(outer.raw) is not None)
    found = COPIED.search(outer.raw)
    assert found
    assert "Everything that follows" in base64.b64decode(found.group(1)).decode()


def test_the_call_at_the_end_of_a_job_reaches_the_outer_terminal_and_carries_nothing_raw(
    in_tmux: Callable[..., Terminal],
) -> None:
    outer = in_tmux("set -g allow-passthrough on\nset -g set-clipboard off", [sys.executable, "-c", CALL])
    # tmux passes nothing on while it draws a window for the first time, so the call waits until it has.
    outer.wait_for("ready")
    outer.send(b"\r")
    outer.wait_for("called")
    outer.wait_for(lambda _: b"\x1b]9;job " in outer.raw)
    called = outer.raw.partition(b"\x1b]9;")[2].partition(b"\x07")[0]
    assert b"has ended" in called
    assert b"\x1b" not in called
    assert not COPIED.search(outer.raw)
