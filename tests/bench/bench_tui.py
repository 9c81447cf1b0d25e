"""The program beside a bare Textual program, and beside harlequin and posting from PyPI, in one run.

Start and quit are medians of several rounds, taken in turn, so that what else the machine does meets all alike; so are
their ratios, each made within one round.
harlequin and posting are installed into `.venv/bench` at the first run, each into an environment of its own, since they
want different Textuals; without the registry they are left out with a message.
"""

from __future__ import annotations

import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "pty")]

from emulated_terminal import Terminal  # noqa: E402  # the path comes first

from tui import preferences  # noqa: E402
from tui.preferences import Preferences  # noqa: E402

ROUNDS = 9
KEYS = 60
CTRL_Q, F8, TAB = b"\x11", b"\x1b[19~", b"\t"
CTRL_C = b"\x03"
PEERS = {"harlequin": ("Run Query", CTRL_Q), "posting": ("Collection", CTRL_C)}
"""Programs to compare with, what their first frame shows, and the key that quits them."""
BESIDE = {"posting": ["tree-sitter<0.26"]}
"""What else a program wants: posting 2.11.1 dies at its start with tree-sitter 0.26.1."""
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("hello there")
Hello().run(mouse=False)
"""


def peer(name: str) -> Path | None:
    """The script of a program from PyPI, installed now if it is not there; None: it cannot be."""
    folder = ROOT / ".venv" / "bench" / name
    script = folder / "bin" / name
    if not script.exists():
        print(f"installing {name} into {folder}", flush=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--upgrade"]
        wanted = (["pip"], [name, *BESIDE.get(name, [])])
        if made.returncode or any(subprocess.run([*pip, *what], check=False).returncode for what in wanted):
            print(f"{name} cannot be installed: left out")
            return None
    return script


def started(make: Callable[[], Terminal], shows: str, quits: bytes) -> tuple[float, float]:
    """Seconds from the start to the text on screen, and from the key that quits to the end."""
    began = time.perf_counter()
    terminal = make()
    terminal.wait_for(shows, every=0.005)
    shown = time.perf_counter()
    terminal.read(0.5)
    ended = quit_time(terminal, quits)
    terminal.close()
    return shown - began, ended


def quit_time(terminal: Terminal, key: bytes = CTRL_Q) -> float:
    """Seconds from the key to the end of the process."""
    asked = time.perf_counter()
    terminal.send(key)
    terminal.wait()
    return time.perf_counter() - asked


def answer_time(terminal: Terminal, key: bytes) -> float:
    """Milliseconds from a key to the first byte that it brings."""
    began, before = time.perf_counter(), len(terminal.raw)
    terminal.send(key)
    while len(terminal.raw) == before:
        select.select([terminal.file], [], [], 5)
        terminal.read(0.001)
    return (time.perf_counter() - began) * 1000


def peak_megabytes(pid: int) -> float:
    """The most memory that a process has had resident."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1024 if found else 0.0


@contextmanager
def sandbox(environment: dict[str, str]) -> Iterator[Callable[..., str]]:
    """A sandbox of its own; gives a function that runs one of its commands."""

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "tui", "sandbox", *words]
        return subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    run("start")
    try:
        yield run
    finally:
        run("stop")


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


class Bounds:
    """What was measured beside what is wanted."""

    def __init__(self) -> None:
        self.missed = 0

    def tell(self, name: str, value: float, bound: float, unit: str = "") -> None:
        """Print one line."""
        kept = value <= bound
        self.missed += not kept
        print(
            f"{'ok  ' if kept else 'MISS'} {name}: {value:,.2f} (wanted at most {bound:g}) {unit}".rstrip(), flush=True
        )


def starts(programs: dict[str, tuple[Callable[[], Terminal], str, bytes]], bounds: Bounds) -> None:
    """First frame and quit, side by side."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            taken[name].append(started(*program))
    medians = {
        name: [statistics.median(values) for values in zip(*rounds, strict=True)] for name, rounds in taken.items()
    }

    def ratio(name: str, other: str) -> float:
        """The median of what the first frames of two programs took beside each other."""
        return statistics.median(one[0] / two[0] for one, two in zip(taken[name], taken[other], strict=True))

    print(f"{'':14} {'first frame':>12} {'of bare':>8} {'quit':>8}")
    for name, (start, end) in medians.items():
        print(f"{name:14} {start:10.2f} s {ratio(name, 'bare Textual'):7.2f}x {end:6.2f} s")
    bounds.tell("first frame / bare Textual's", ratio("phift-tui", "bare Textual"), 1.25)
    for name in PEERS:
        if name in medians:
            bounds.tell(f"first page / {name}'s first frame", ratio("its first page", name), 1.0)
    bounds.tell("quit, nothing pending", medians["phift-tui"][1], 1.0, "s")


def bytes_sent(terminal: Terminal, bounds: Bounds) -> None:
    """Bytes while nothing changes, and for keys."""
    terminal.wait_for("Sign in")
    terminal.quiet()
    bounds.tell("bytes in 10 s while nothing changes", terminal.read(10.0), 0)
    terminal.send(F8)
    terminal.wait_for("Access")
    terminal.quiet()
    terminal.send(F8)
    terminal.wait_for("phift-hub")
    terminal.quiet()
    for name, keys in (("a letter in a field", b"x"), ("the next field", TAB), ("the next page", F8)):
        before = len(terminal.raw)
        terminal.send(keys)
        terminal.quiet()
        bounds.tell(f"bytes for {name}, 120x40", len(terminal.raw) - before, 4000)


def while_loading(make: Callable[..., Terminal], folder: Path, bounds: Bounds) -> None:
    """Lag and answers to keys while the Azure SDK is imported, and memory after it."""
    lags, answers = folder / "lags", []
    terminal = make(
        str(ROOT / "tests" / "bench" / "measured_program.py"), str(lags), "--recipe", str(folder / "r.toml")
    )
    terminal.wait_for("Sign in")
    for _ in range(2):
        terminal.send(F8)
        terminal.quiet()
    terminal.wait_for("phift-hub")
    while not lags.exists() and len(answers) < KEYS * 20:
        answers.append(answer_time(terminal, b"\x7f" if len(answers) % 2 else b"x"))
        terminal.read(0.03)
    found = [float(line) for line in lags.read_text().split()]
    bounds.tell(f"event-loop lag while the SDK loads, p95 of {len(found)}", p95(found), 30, "ms")
    bounds.tell(f"key answered while the SDK loads, p95 of {len(answers)}", p95(answers), 100, "ms")
    terminal.close()


def in_the_sandbox(make: Callable[..., Terminal], run: Callable[..., str], bounds: Bounds) -> None:
    """Memory after a walk with the SDK at work; quitting while a call to Azure hangs."""
    terminal = make("-m", "tui", "--sandbox")
    terminal.wait_for("application")
    for page in ("Access", "Project", "Model", "Data", "Validation", "Hyperparameters", "Review", "Monitor"):
        terminal.send(F8)
        terminal.wait_for(page)
        terminal.quiet()
    bounds.tell("peak memory in the sandbox, SDK at work", peak_megabytes(terminal.pid), 200, "MB")
    run("fault", "add", "* *", "slow", "--seconds", "600")
    terminal.send(b"\x1b[15~")
    terminal.read(1.0)
    bounds.tell("quit while a call to Azure hangs", quit_time(terminal), 1.0, "s")
    terminal.close()
    run("fault", "clear")


def main() -> int:
    """Print the figures; returns 1 where one is out of its bound."""
    bounds = Bounds()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "hello.py").write_text(HELLO)
        (home / "r.toml").write_text('name = "bench"\n')
        preferences.save(Preferences(tour_seen=True), home / "state" / "phift-tui")
        environment = {
            **os.environ, "HOME": name, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/nonexistent",
            "XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        environment.pop("COLORTERM", None)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled as for any user, and as the others are by pip

        def program(*command: str) -> Terminal:
            return Terminal([], environment, 120, 40, program=command)

        def outside(script: Path) -> Terminal:
            return Terminal([], {**environment, "PYTHONPATH": ""}, 120, 40, program=(str(script),), python=None)

        programs: dict[str, tuple[Callable[[], Terminal], str, bytes]] = {
            "bare Textual": (lambda: program(str(home / "hello.py")), "hello there", CTRL_Q),
            "phift-tui": (lambda: program("-m", "tui"), "phift-tui", CTRL_Q),
            "its first page": (lambda: program("-m", "tui"), "Sign in", CTRL_Q),
        }
        for peer_name, (shows, quits) in PEERS.items():
            script = peer(peer_name)
            if script:
                programs[peer_name] = (lambda script=script: outside(script), shows, quits)  # type: ignore[misc]  # a thunk
        starts(programs, bounds)
        terminal = program("-m", "tui")
        bytes_sent(terminal, bounds)
        terminal.close()
        while_loading(program, home, bounds)
        with sandbox(environment) as run:
            in_the_sandbox(program, run, bounds)
    return 1 if bounds.missed else 0


if __name__ == "__main__":
    sys.exit(main())
