"""The real program in a real terminal: start, quit, drafts, signals, size, silence, bytes, hostile input, a crash."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulated_terminal import Terminal
from ways import at_project

from tui import actions, recipe
from tui.recipe import Recipe
from tui.themes import NAMES
from tui.wizard import PLACES

Start = Callable[..., Terminal]

FIRST = "Sign in"
NOBODY = {"PATH": "/nonexistent"}  # no `az` to sign in with: the first screen stays as it is
LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"
QUIT, NEXT, HELP, TAB = b"\x11", b"\x1b[19~", b"\x1bOP", b"\t"
REDRAW, PREVIOUS = b"\x0c", b"\x1b[18~"
ESCAPE = b"\x1b"
MOST_BYTES = 4_000
"""Bytes that a key press may cost at 120x40."""
SILENT_SECONDS = 5.0


def drafts(state: Path) -> dict[str, Recipe]:
    """The drafts on disk by name."""
    return {path.stem: recipe.load(path) for path in (state / "drafts").glob("*.toml")}


def test_starts_and_quits_with_the_terminal_as_it_was(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    terminal.wait_for(FIRST)
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert LEAVES_ALTERNATE_SCREEN in terminal.raw


def test_a_recipe_that_cannot_be_read_is_told_on_the_terminal_as_it_was(start: Start, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[hyperparameters]\nepochs = 0\n")
    terminal = start("--recipe", str(wrong), env=NOBODY)
    assert terminal.wait() == 2
    told = terminal.raw.rpartition(LEAVES_ALTERNATE_SCREEN)[2].decode()
    assert "hyperparameters.epochs" in told


def test_the_first_start_shows_the_tour_once_and_can_be_quit_over_it(start: Start) -> None:
    terminal = start(env=NOBODY)
    terminal.wait_for("Welcome")
    terminal.send(QUIT)
    assert terminal.wait() == 0
    again = start(env=NOBODY)
    again.wait_for(FIRST)
    again.quiet()
    assert "Welcome" not in again.text


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_leaves_the_last_keystroke_and_a_sane_terminal(start: Start, state: Path, number: int) -> None:
    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.send(b"-kept")
    terminal.wait_for("phift-hub-kept")
    terminal.signal(number)
    assert terminal.wait() == 128 + number
    assert LEAVES_ALTERNATE_SCREEN in terminal.raw
    assert drafts(state)["untitled"].target.hub == "phift-hub-kept"


def test_a_killed_program_offers_its_draft_at_the_next_start(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.send(b"-kept")
    terminal.wait_for(lambda _: any(draft.target.hub == "phift-hub-kept" for draft in drafts(state).values()))
    assert not terminal.is_sane()
    terminal.signal(signal.SIGKILL)
    assert terminal.wait() == 128 + signal.SIGKILL
    terminal.wait_for_rest("Your choices are saved")
    assert terminal.is_sane()
    for left in (LEAVES_ALTERNATE_SCREEN, b"\x1b[?25h", b"\x1b[?2004l", b"\x1b[<u", b"\x1b[?7h"):
        assert left in terminal.raw
    again = start(env=NOBODY)
    again.wait_for("untitled")
    again.wait_for("Drafts")
    again.send(b"\r")
    again.wait_for(lambda text: "Drafts" not in text)
    at_project(again)
    again.wait_for("phift-hub-kept")
    assert [path.name for path in (state / "drafts").iterdir()] == ["untitled.toml"]


def test_a_lost_connection_ends_the_program(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    terminal.wait_for(FIRST)
    terminal.hang_up()
    assert terminal.exit_code == 128 + signal.SIGHUP


@pytest.fixture
def hung() -> Iterator[tuple[str, threading.Event]]:
    """A proxy that takes connections and never answers, and whether somebody has come."""
    came, taken = threading.Event(), []
    server = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        while True:
            try:
                taken.append(server.accept()[0])
            except OSError:
                return
            came.set()

    threading.Thread(target=take, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", came
    server.close()
    for connection in taken:
        connection.close()


def test_a_service_that_hangs_does_not_keep_the_program_from_ending(
    start: Start, state: Path, hung: tuple[str, threading.Event]
) -> None:
    proxy, came = hung
    terminal = start(
        env={
            "HTTPS_PROXY": proxy,
            "PHIFT_PROFILES": '{"default": {"method": "environment"}}',
            # Longer than this test waits for the end: nothing but quitting ends the call.
            "PHIFT_READ_TIMEOUT": "600",
            "PHIFT_CONNECT_TIMEOUT": "600",
            "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
            "AZURE_CLIENT_ID": "22222222-2222-2222-2222-222222222222",
            "AZURE_CLIENT_SECRET": "not-a-secret",
        }
    )
    terminal.wait_for(lambda _: came.is_set())
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert LEAVES_ALTERNATE_SCREEN in terminal.raw
    assert b"not-a-secret" not in terminal.raw


def test_a_job_that_azure_does_not_tell_of_does_not_keep_the_program_from_ending(start: Start, tmp_path: Path) -> None:
    here = Path(__file__).parent
    fakes = f"{here.parent / 'ui'}:{os.environ.get('PYTHONPATH', '')}"
    terminal = start(str(tmp_path), script=here / "watched_program.py", env={"PYTHONPATH": fakes})
    terminal.wait_for("40 of 1,600")
    (tmp_path / "hung").touch()
    asked = (tmp_path / "polls").stat().st_size
    terminal.wait_for(lambda _: (tmp_path / "polls").stat().st_size > asked)
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert LEAVES_ALTERNATE_SCREEN in terminal.raw


CRASHING = """
from tui.__main__ import main
from tui.app import PhiftApp

def crash(self, name):
    token = "-".join(("sentinel", "of", "a", "secret"))
    raise RuntimeError(f"a mistake with {len(token)} characters")

PhiftApp.action_show = crash
raise SystemExit(main([]))
"""


def test_a_crash_shows_no_local_variable_and_leaves_the_terminal_sane(start: Start, state: Path, home: Path) -> None:
    script = home / "crashing.py"
    script.write_text(CRASHING)
    terminal = start(env=NOBODY, script=script)
    terminal.wait_for(FIRST)
    terminal.send(HELP)
    assert terminal.wait() == 1
    after = terminal.raw.partition(LEAVES_ALTERNATE_SCREEN)[2]
    assert b"RuntimeError" in after
    assert b"sentinel-of-a-secret" not in terminal.raw
    log = state / "phift-tui.log"
    assert not log.exists() or "sentinel-of-a-secret" not in log.read_text()


def test_follows_the_size_of_the_terminal(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    terminal.wait_for(FIRST)
    terminal.quiet()
    terminal.resize(50, 12)
    terminal.wait_for("smaller than 60 by 18")
    terminal.resize(120, 40)
    terminal.wait_for(lambda text: FIRST in text and "smaller than" not in text)


def test_is_silent_while_nothing_changes(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    terminal.wait_for("Azure CLI not found")
    terminal.quiet()
    assert terminal.read(SILENT_SECONDS) == 0


IN_FIELDS = {
    "letter": b"x", "backspace": b"\x7f", "tab": TAB, "back": b"\x1b[Z", "down": b"\x1b[B", "up": b"\x1b[A",
    "right": b"\x1b[C", "left": b"\x1b[D", "page down": b"\x1b[6~", "page up": b"\x1b[5~",
}  # fmt: skip
BYTES_OF = {
    **{f"f{number}": f"\x1bO{letter}".encode() for number, letter in enumerate("PQRS", 1)},
    **{f"f{number}": f"\x1b[{number + 10 + (number > 5) + (number > 10)}~".encode() for number in range(5, 13)},
    **{f"ctrl+{letter}": bytes([ord(letter) - 96]) for letter in "lop"},
    "question_mark": b"?", "slash": b"/", "space": b" ", "escape": ESCAPE,
}  # fmt: skip
NOT_PRESSED = {"forward", "quit", "quit_letter", "suspend", "edit_recipe", "edit_prompt", "redraw", "submit"}
"""Actions that lead out of the program or on to another page, and the one that is there to send everything."""
FULLEST = "data"
"""The page with most on it, where the keys that are the same everywhere are pressed."""
COSTLIEST = {"next", "plain"}
"""Of those keys the ones that change most of the screen, pressed on every page."""


@pytest.mark.parametrize("setup", [True, False], ids=["setup", "run"])
def test_no_key_costs_much_and_the_screen_is_right_after_all(start: Start, state: Path, setup: bool) -> None:
    broken = Path(__file__).parents[2] / "assets" / "samples" / "support-broken.jsonl"
    # Behind a bare Esc the program waits, shorter than `press` does, whether it is the beginning of another key.
    environment = {**NOBODY, "COLORTERM": "truecolor", "ESCDELAY": "20"}
    terminal = start("--data", str(broken), columns=120, rows=40, env=environment)
    cost: dict[str, int] = {}

    def press(name: str, key: bytes) -> None:
        before = len(terminal.raw)
        terminal.send(key)
        terminal.quiet(0.05)
        cost[name] = len(terminal.raw) - before

    terminal.wait_for(FIRST)
    terminal.quiet()
    for place in (each for each in PLACES if each.setup is setup):
        terminal.send(BYTES_OF["ctrl+o"])
        terminal.wait_for("Jump to a field")
        press(f"jump to {place.name}", place.key.encode())
        fullest = place.name == FULLEST
        for name, key in IN_FIELDS.items() if fullest else ():
            press(name, key)
        press(f"leave the field of {place.name}", ESCAPE)
        for action in actions.for_place(place.name):
            if action.id not in NOT_PRESSED and (fullest or action.scope == place.name or action.id in COSTLIEST):
                key = BYTES_OF.get(action.key) or action.key.encode()
                press(f"{action.id} at {place.name}", key)
                # What it opened is closed; where it led to another page, there is nothing to close.
                press(f"{action.id} closed", {"back": NEXT, "next": PREVIOUS}.get(action.id, ESCAPE))
        if fullest:
            press("appearance opened", BYTES_OF["f4"])
            for theme in NAMES[1:]:
                press(f"{theme} tried", IN_FIELDS["down"])
            press("the theme before", ESCAPE)
        terminal.quiet(0.1)
        seen = terminal.cells()
        terminal.send(REDRAW)
        terminal.quiet(0.1)
        assert terminal.cells() == seen, place.name
    assert {name: spent for name, spent in cost.items() if spent >= MOST_BYTES} == {}


def test_keys_typed_ahead_over_a_slow_line_are_all_heeded(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    terminal.wait_for(FIRST)
    terminal.quiet()
    terminal.send(NEXT * 3)
    terminal.wait_for("Arrows look at a model")
    terminal.send(PREVIOUS + b"-ahead")
    terminal.wait_for("phift-hub-ahead")


def test_a_byte_that_is_no_text_does_not_end_the_program(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.send(b"\xff\xfe\xc3(-kept")
    terminal.wait_for("-kept")
    terminal.send(QUIT)
    assert terminal.wait() == 0


def test_a_hostile_file_name_reaches_the_terminal_harmless(start: Start, state: Path, home: Path) -> None:
    path = home / "\x1b]52;c;aGk=\x07\x1b[31m[red]\u202e.jsonl"
    path.write_text('{"messages": []}\n')
    terminal = start("--data", str(path), env=NOBODY)
    terminal.wait_for(FIRST)
    terminal.quiet()
    assert b"\x1b]52" not in terminal.raw
    assert "\u202e".encode() not in terminal.raw


def test_no_colour_is_sent_under_no_color(start: Start, state: Path) -> None:
    terminal = start(env={**NOBODY, "NO_COLOR": "1"})
    terminal.wait_for(FIRST)
    terminal.quiet()
    assert b"38;" not in terminal.raw
    assert b"48;" not in terminal.raw


def test_without_a_terminal_it_says_what_to_do(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home)},
        check=False,
    )
    assert done.returncode == 2
    assert "terminal" in done.stderr
    assert "phift-tui run" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("answer", "background"), [(b"\x1b]11;rgb:fafa/fafa/f0f0\x1b\\", "fbfaf7"), (b"\x1b]11;rgb:10/10/10\x07", "131518")]
)
def test_the_theme_follows_the_background_that_the_terminal_tells(
    start: Start, state: Path, answer: bytes, background: str
) -> None:
    terminal = start(env={**NOBODY, "COLORTERM": "truecolor"})
    terminal.wait_for(FIRST)
    assert b"\x1b]11;?" in terminal.raw
    for piece in (answer[:9], answer[9:]):
        terminal.send(piece)
    terminal.wait_for(lambda _: terminal.cells()[3][40][-1] == background)
    terminal.quiet()
    assert "11;rgb" not in terminal.text, "the answer is not typed into a field"


def test_keys_of_ones_own_are_shown_and_work_and_a_clash_is_said_at_the_start(start: Start, state: Path) -> None:
    terminal = start(env={**NOBODY, "PHIFT_KEYS": '{"next": "ctrl+n", "help": "f11"}'}, columns=120)
    terminal.wait_for(lambda text: "^N Next" in text and "F11 Help" in text)
    terminal.send(b"\x0e")
    terminal.wait_for("Access")
    terminal.wait_for("^N Next")
    clash = start(env={**NOBODY, "PHIFT_KEYS": '{"next": "f7"}'})
    assert clash.wait() == 2
    assert "f7" in clash.text
    assert "next" in clash.text
