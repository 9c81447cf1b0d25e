"""The program beside a bare Textual program, and beside harlequin and posting where they are installed, in one run.

Start and quit are the medians of several rounds, taken in turn, so that what else the machine does meets all alike.
harlequin and posting are looked for in `.venv/bench` (`python -m venv .venv/bench && .venv/bench/bin/pip install
harlequin posting`) and left out with a message where they are not.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "pty")]

from emulated_terminal import Terminal  # noqa: E402  # the path comes first

from tui import preferences  # noqa: E402
from tui.preferences import Preferences  # noqa: E402

ROUNDS = 5
CTRL_Q, F8 = b"\x11", b"\x1b[19~"
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("hello there")
Hello().run(mouse=False)
"""


def measured(make: Callable[[], Terminal], shows: str) -> tuple[float, float]:
    """Seconds from the start to the text on screen, and from ctrl+q to the end."""
    began = time.perf_counter()
    terminal = make()
    terminal.wait_for(shows)
    shown = time.perf_counter()
    terminal.read(0.5)
    asked = time.perf_counter()
    terminal.send(CTRL_Q)
    terminal.wait()
    ended = time.perf_counter()
    terminal.close()
    return shown - began, ended - asked


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        hello = home / "hello.py"
        hello.write_text(HELLO)
        preferences.save(Preferences(tour_seen=True), home / "state" / "phift-tui")
        environment = {
            **os.environ, "HOME": folder, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/nonexistent",
            "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"),
            "PYTHONPATH": str(ROOT),
        }  # fmt: skip

        def program(*command: str) -> Callable[[], Terminal]:
            return lambda: Terminal([], environment, 120, 40, program=command)

        programs = {
            "bare Textual": (program(str(hello)), "hello there"),
            "phift-tui": (program("-m", "tui"), "Sign in"),
        }
        for name, shows in (("harlequin", "Run Query"), ("posting", "Collection")):
            script = ROOT / ".venv" / "bench" / "bin" / name
            if script.exists():
                programs[name] = (program(str(script)), shows)
            else:
                print(f"{name} is not installed in .venv/bench: left out")
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, (make, shows) in programs.items():
                taken[name].append(measured(make, shows))
        bare = statistics.median(start for start, _ in taken["bare Textual"])
        print(f"{'':14} {'first frame':>12} {'of bare':>8} {'quit':>8}")
        for name, rounds in taken.items():
            start, end = (statistics.median(values) for values in zip(*rounds, strict=True))
            print(f"{name:14} {start:10.2f} s {start / bare:7.2f}x {end:6.2f} s")

        terminal = programs["phift-tui"][0]()
        terminal.wait_for("Sign in")
        terminal.quiet()
        print(f"bytes in 10 s while nothing changes: {terminal.read(10.0)}")
        terminal.send(F8)
        terminal.wait_for("Access")
        terminal.quiet()
        terminal.send(F8)
        terminal.wait_for("phift-hub")
        terminal.quiet()
        for name, keys in (("a letter in a field", b"x"), ("to the next field", b"\t"), ("to the next page", F8)):
            before = len(terminal.raw)
            terminal.send(keys)
            terminal.quiet()
            print(f"bytes for {name}, 120x40: {len(terminal.raw) - before:,}")
        terminal.close()


if __name__ == "__main__":
    main()
