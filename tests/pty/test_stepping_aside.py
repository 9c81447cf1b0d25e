"""The program steps aside for the shell and for the user's editor: the terminal is theirs, and nothing is lost."""

from __future__ import annotations

import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from emulated_terminal import Terminal
from ways import at_project

from tui import recipe

Start = Callable[..., Terminal]

EDIT, ESCAPE, QUIT, SUSPEND = b"\x1bOR", b"\x1b", b"\x11", b"\x1a"
EDIT_PROMPT = b"\x07"
GIVEN_BACK = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[<u", b"\x1b[?7h")
TAKEN = (b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[?2004h")


def is_stopped(terminal: Terminal) -> bool:
    """Whether the program has stopped, as at a shell's prompt."""
    return Path(f"/proc/{terminal.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_suspended_it_gives_the_terminal_back_and_comes_back_as_it_was(start: Start, state: Path) -> None:
    terminal = start(env={"PATH": "/nonexistent"})
    at_project(terminal)
    terminal.send(b"-kept")
    terminal.wait_for("phift-hub-kept")
    terminal.quiet()
    seen, before = terminal.cells(), len(terminal.raw)
    for _ in range(2):
        assert not terminal.is_sane()
        terminal.send(SUSPEND)
        terminal.wait_for(lambda _: is_stopped(terminal))
        terminal.read(0.1)
        assert terminal.is_sane()
        for each in GIVEN_BACK:
            assert each in terminal.raw[before:]
        (draft,) = (state / "drafts").glob("*.toml")
        assert recipe.load(draft).target.hub == "phift-hub-kept"
        before = len(terminal.raw)
        terminal.signal(signal.SIGCONT)
        terminal.wait_for(lambda _, before=before: all(each in terminal.raw[before:] for each in TAKEN))  # type: ignore[misc]  # bound now
        terminal.wait_for("phift-hub-kept")
        terminal.quiet()
        assert terminal.cells() == seen
    terminal.send(b"-more")
    terminal.wait_for("phift-hub-kept-more")
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert terminal.is_sane()


@pytest.fixture
def editor(home: Path) -> Callable[[str], Path]:
    """Make the editor do something else from now on: a line of shell, `$1` being the file."""
    path = home / "editor"

    def does(line: str) -> Path:
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o700)
        return path

    return does


def test_the_editor_has_the_terminal_and_a_private_file_and_what_it_writes_is_taken(
    start: Start, state: Path, home: Path, editor: Callable[[str], Path]
) -> None:
    path = editor(
        'command -p stty -a > "$HOME/modes"; command -p cp -p "$1" "$HOME/given"; echo "$1" > "$HOME/name"\n'
        'command -p sed -i s/phift-hub-kept/from-the-editor/ "$1"'
    )
    terminal = start(env={"EDITOR": str(path)})
    at_project(terminal)
    terminal.send(b"-kept" + EDIT)
    terminal.wait_for("from-the-editor")
    modes = (home / "modes").read_text().split()
    assert {"isig", "icanon", "echo"} <= set(modes)
    assert stat.S_IMODE((home / "given").stat().st_mode) == 0o600
    given = Path((home / "name").read_text().strip())
    assert not given.parent.exists()
    terminal.send(QUIT)
    assert terminal.wait() == 0
    (draft,) = (state / "drafts").glob("*.toml")
    assert recipe.load(draft).target.hub == "from-the-editor"


RUBBISH = (
    ("exit 3", "ended with code 3", False),
    ('echo "# mine" >> "$1"; exit 4', "ended with code 4", True),
    (': > "$1"', "", False),
    (r'printf "\n\377" >> "$1"', "is not UTF-8", True),
    (r'printf "# \000" > "$1"', "not TOML", True),
    (r'printf "[hyperparameters]\nepochs = \"\033]0;hostile\007\"\n" > "$1"', "not TOML", True),
    (r'printf "[hyperparameters]\nepochs = 0\n" > "$1"', "hyperparameters.epochs", True),
    ('command -p head -c 300000 /dev/zero > "$1"', "longer than", True),
    (': > "$1"', "", False),
    ('command -p rm "$1"', "No such file", False),
    ("#", "", False),
)
"""What an editor does, what is told of it, and whether its text is kept for the next time."""


def test_an_editor_that_fails_or_writes_rubbish_loses_nothing_and_is_told(
    start: Start, state: Path, home: Path, editor: Callable[[str], Path]
) -> None:
    kept, runs = state / "not-taken-recipe.toml", home / "runs"
    path = editor("exit 3")
    terminal = start(env={"EDITOR": str(path), "PATH": "/usr/bin:/bin"}, columns=120, rows=40)
    at_project(terminal)
    terminal.send(b"-kept")
    terminal.wait_for("phift-hub-kept")
    for count, (does, told, is_kept) in enumerate(RUBBISH, 1):
        editor(f'echo >> "$HOME/runs"\n{does}')
        terminal.send(EDIT)
        if told:
            terminal.wait_for(told)
            terminal.send(ESCAPE)
        terminal.wait_for(lambda _, count=count: runs.exists() and runs.read_text().count("\n") == count)  # type: ignore[misc]  # bound now
        terminal.wait_for(lambda text: "phift-hub-kept" in text and "not taken" not in text and not terminal.is_sane())
        terminal.wait_for(lambda _, is_kept=is_kept: kept.exists() == is_kept)  # type: ignore[misc]  # bound now
        assert not kept.exists() or stat.S_IMODE(kept.stat().st_mode) == 0o600
    path.unlink()
    terminal.send(EDIT)
    terminal.wait_for("could not be started")
    terminal.send(ESCAPE)
    terminal.wait_for(lambda text: "could not be started" not in text)
    terminal.send(b"-more")
    terminal.wait_for("phift-hub-kept-more")
    assert b"\x1b]0;hostile" not in terminal.raw
    assert [*state.glob("edit-*")] == []
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert terminal.is_sane()


def test_what_was_not_taken_is_opened_again(
    start: Start, state: Path, home: Path, editor: Callable[[str], Path]
) -> None:
    path = editor(r'printf "[target]\nhub = \"reopened\"\n[hyperparameters]\nepochs = 0\n" > "$1"')
    terminal = start(env={"EDITOR": str(path)})
    at_project(terminal)
    terminal.send(EDIT)
    terminal.wait_for("hyperparameters.epochs")
    terminal.send(ESCAPE)
    terminal.wait_for(lambda text: "not taken" not in text)
    editor('command -p sed -i "s/epochs = 0/epochs = 2/" "$1"')
    terminal.send(EDIT)
    terminal.wait_for("reopened")
    assert not (state / "not-taken-recipe.toml").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_the_editor_and_the_program(
    start: Start, state: Path, home: Path, editor: Callable[[str], Path], number: int
) -> None:
    path = editor('echo > "$HOME/started"; exec command -p sleep 600')
    terminal = start(env={"EDITOR": str(path)})
    at_project(terminal)
    terminal.send(b"-kept" + EDIT)
    terminal.wait_for(lambda _: (home / "started").exists())
    terminal.send(b"\x03")
    terminal.signal(number)
    assert terminal.wait() == 128 + number
    assert terminal.is_sane()
    (draft,) = (state / "drafts").glob("*.toml")
    assert recipe.load(draft).target.hub == "phift-hub-kept"


ASKING = f"""
import sys
sys.path.append({str(Path(__file__).parents[1] / "ui")!r})
from pathlib import Path
from types import SimpleNamespace
from run_fakes import endpoint, program
from tui import backend
backend.deployments = SimpleNamespace(listing=lambda azure, workspace: [endpoint()])
program(Path.home() / "state", "playground").run(mouse=False)
"""


def test_a_prompt_can_have_lines_from_the_editor_and_no_controls(
    start: Start, home: Path, editor: Callable[[str], Path]
) -> None:
    path = editor(r'command -p cp "$1" "$HOME/given"; printf "first line\n\033second\001 line\n" > "$1"')
    script = home / "asking.py"
    script.write_text(ASKING)
    terminal = start(script=script, env={"EDITOR": str(path), "PYTHONPATH": str(Path(__file__).parents[2])})
    terminal.wait_for("Ask the model")
    terminal.quiet(0.1)
    terminal.send(b"typed" + EDIT_PROMPT)
    terminal.wait_for("first line⏎second line")
    assert (home / "given").read_text() == "typed"
