"""The plain mode in a real terminal, a narrow and dumb one; and the mouse, which is only there when asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from emulated_terminal import Terminal

from assets import ROOT
from tui import recipe
from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo

Start = Callable[..., Terminal]

NOBODY = {"PATH": "/nonexistent"}  # no `az` to sign in with
MOUSE = b"\x1b[?1000h"


def test_a_dumb_terminal_is_asked_line_by_line_and_told_why_signing_in_failed(start: Start, state: Path) -> None:
    terminal = start(env={**NOBODY, "TERM": "dumb"})
    terminal.wait_for("Way of signing in")
    terminal.send(b"\n")
    terminal.wait_for("Next:")
    terminal.send(b"q\n")
    assert terminal.wait() == 0
    assert b"\x1b" not in terminal.raw


@pytest.mark.parametrize("language", ["en", "bg"])
def test_ctrl_c_at_a_question_ends_with_130_and_keeps_the_answers(
    start: Start, state: Path, sandbox: SandboxInfo, language: str
) -> None:
    terminal = start(
        "--sandbox",
        "--plain",
        columns=40,
        env={"PHIFT_SANDBOX_STATE": sandbox.state, "TERM": "dumb", "LANGUAGE": language, "LANG": "C.UTF-8"},
    )
    terminal.wait_for("[phift-rg]")
    terminal.send(b"my-group\n")
    terminal.wait_for("[eastus2]")
    terminal.send(b"?\n")
    terminal.wait_for(lambda text: text.count("[eastus2]") == 2)
    terminal.send(b"\x1b]52;c;aGk=\x07\n")
    terminal.wait_for(lambda text: "␛" in text and text.count("[eastus2]") == 3)
    terminal.send(b"\x03")
    assert terminal.wait() == 130
    (draft,) = (state / "drafts").glob("*.toml")
    assert recipe.load(draft).target.resource_group == "my-group"
    said = terminal.raw.replace(b"^[]52;c;aGk=^G", b"")  # the terminal's own echo of what was typed
    assert not set(said) & {*range(10), 11, 12, *range(14, 32), 127}
    assert all(len(line) <= 40 for line in said.decode().replace("\r", "").split("\n"))


TELLS_OF_ECHO = """
import sys, termios
from tui.commands import output

said = output.say

def say(line=""):
    if "Secret or passphrase" in line:
        print("shown as typed:", bool(termios.tcgetattr(0)[3] & termios.ECHO), file=sys.stderr)
    said(line)

output.say = say
from tui.__main__ import main
sys.exit(main(["--plain"]))
"""


def test_what_is_typed_is_hidden_before_the_secret_is_asked_for(start: Start, state: Path, tmp_path: Path) -> None:
    script = tmp_path / "tells.py"
    script.write_text(TELLS_OF_ECHO)
    profile = {"METHOD": "service-principal", "TENANT": "contoso.com", "CLIENT_ID": "app-1"}
    terminal = start(env={**NOBODY, **{f"PHIFT_PROFILES__DEFAULT__{k}": v for k, v in profile.items()}}, script=script)
    for asked in ("[service-principal]", "[contoso.com]", "[app-1]"):
        terminal.wait_for(asked)
        terminal.send(b"\n")
    terminal.wait_for("shown as typed: False")
    terminal.wait_for("Secret or passphrase")
    terminal.send(b"letmein\x03")
    assert terminal.wait() == 130
    assert b"letmein" not in terminal.raw
    assert terminal.is_sane()


def test_ctrl_c_at_the_last_question_before_the_submit_ends_at_once(
    start: Start, state: Path, sandbox: SandboxInfo, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    recipe.save(Recipe(name="asked").with_(data__train=str(ROOT / "samples" / "support-train.jsonl")), path)
    environment = {"PHIFT_SANDBOX_STATE": sandbox.state, "TERM": "dumb"}
    terminal = start("run", str(path), "--sandbox", env=environment)
    terminal.wait_for("[y/N]")
    terminal.send(b"\x03")
    assert terminal.wait() == 130
    assert "Interrupted" in terminal.text


def test_the_mouse_is_left_to_the_terminal_unless_asked_for(start: Start, state: Path) -> None:
    without, with_mouse = start(env=NOBODY), start("--mouse", env=NOBODY)
    for terminal in (without, with_mouse):
        terminal.wait_for("Sign in")
        terminal.quiet()
    assert MOUSE not in without.raw
    assert MOUSE in with_mouse.raw
