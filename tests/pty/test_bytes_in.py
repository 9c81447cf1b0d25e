"""What comes on the program's input besides keys: pastes of any size, and bytes that nobody typed."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from emulated_terminal import Terminal
from ways import at_project

Start = Callable[..., Terminal]

NOBODY = {"PATH": "/nonexistent"}
HELP, ESCAPE, QUIT = b"\x1bOP", b"\x1b", b"\x11"
WHOLE = (
    b"\xff\xfe\xc3\xa7\x80", b"\x00\x1c\x1d", "\x9b31m\x9d0;q\x9c\x90q\x9c\x85".encode(),
    b"\x1b]52;c;cQ==\x07", b"\x1b]8;;https://q.example\x1b\\", b"\x1bPq\x1b\\", b"\x1b_q\x1b\\", b"\x1b]0;q\x18",
    b"\x1b[I", b"\x1b[O", b"\x1b[<0;20;5M\x1b[<0;20;5m", b"\x1b[M !!", b"\x1b[M\xff\xff\xff", b"\x1b[32;20;5M",
    b"\x1b[48;500;500;0;0t", b"\x1b[?62;4c", b"\x1b[6;5R", b"\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1q",
    b"\x1b[1114112u", b"\x1b[99999999999u", b"\x1b[55296u", b"\x1b[:u", b"\x1b[97;1:1u",
    b"\x1b[<1;99999999999999999999;1M", b"\x1b[201~", b"\x1b[200~q\x1b\x1bq\x1b" + b"q" * 40 + b"\x11\r\x1b[201~",
)  # fmt: skip
# After half a second the rest is not waited for.
UNFINISHED = (b"\x1b[12", b"\x1b]0;q", b"\x1bPq", b"\x1bO")


def answers(terminal: Terminal) -> None:
    """See that the program answers a key."""
    terminal.send(HELP)
    terminal.wait_for("Esc Close")
    terminal.send(ESCAPE)
    terminal.wait_for(lambda text: "Esc Close" not in text)


def test_bytes_that_nobody_typed_do_nothing_where_letters_are_keys(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.send(ESCAPE)
    terminal.wait_for("Project")
    terminal.quiet()
    seen = terminal.text
    for sent in WHOLE:
        terminal.send(sent)
    answers(terminal)
    for sent in UNFINISHED:
        terminal.send(sent)
        terminal.quiet(0.3)
        answers(terminal)
    assert terminal.text == seen
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert terminal.is_sane()


def test_a_paste_that_never_ends_keeps_no_key_for_ever(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.send(b"\x1b[200~-begun")
    terminal.wait_for("phift-hub-begun")
    answers(terminal)


def test_what_is_pasted_into_a_field_is_text(start: Start, state: Path) -> None:
    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.send(b"\x1b[200~-one\x1b[18~\x00\x1b\x1b]0;q\x07\x11\r\ntwo\r\x1b[201~-typed")
    terminal.wait_for("-one[18~]0;q two-typed")


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not marked as a paste"])
def test_a_huge_paste_is_cut_and_told_and_the_next_key_is_answered(start: Start, state: Path, marked: bool) -> None:
    def memory() -> int:
        """The most that the program ever took, in kB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{terminal.pid}/status").read_text())
        assert found
        return int(found[1])

    terminal = start(env=NOBODY)
    at_project(terminal)
    terminal.quiet()
    before = memory()
    body = b"some words of a line\r" * 500_000
    sent = b"\x1b[200~%s\x1b[201~-typed" % body if marked else body
    writer = threading.Thread(target=lambda: os.write(terminal.file, sent))
    writer.start()
    terminal.wait_for("10,500,000 characters were")
    writer.join()
    if not marked:
        terminal.send(b"-typed")
    terminal.wait_for("-typed")
    assert memory() - before < 16_000
    terminal.send(QUIT)
    assert terminal.wait() == 0
