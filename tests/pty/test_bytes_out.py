"""Hostile values from files and services: of all the bytes that the real program writes, none is theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from emulated_terminal import Terminal
from hostile import EVERY, raw_in

from tui.wizard import PLACES

Start = Callable[..., Terminal]

HERE = Path(__file__).parent
JUMP, PICK, PLAIN_TEXT, ESCAPE, DOWN, QUIT = b"\x0f", b"\x1b[17~", b"\x1b[21~", b"\x1b", b"\x1b[B", b"\x11"
OWN = re.compile(
    r"\x1b\[[\d;]*[HmKXCDB]"  # places, styles, erasing, moving
    r"|\x1b\[\?\d+([hl]|\$p)|\x1b\[>\d+u|\x1b\[<u"  # modes
    r"|\x1b\]11;\?\x1b\\"  # the question about the background
    r"|[\r\n\b\x07]"
)
"""All that the program writes besides text."""


def assert_harmless(terminal: Terminal) -> None:
    """Nothing that reached the terminal acts on it but what the program means."""
    sent = terminal.raw.decode("utf-8")
    assert raw_in(OWN.sub("", sent)) == set()
    assert "\x1b[31m" not in sent
    assert "evil.example" not in "".join(re.findall(r"\x1b\].*?(?:\x07|\x1b\\)", sent))


def test_a_hostile_file_under_a_hostile_name_in_a_hostile_folder(start: Start, state: Path, home: Path) -> None:
    folder = home / "\x1b]0;evil\x07\x9b31m[@click=app.quit]q"
    folder.mkdir(parents=True)
    (folder / "other\x1b[31m\x1b[2J\n\u202e.jsonl").write_text("{}\n")
    path = folder / "evil\x1b[31m\x1b]52;c;aGk=\x07\x1b]8;;https:evil.example\x1b\\\u202e[red]q[x].jsonl"
    row = {"messages": [{"role": "user", "content": EVERY}, {"role": f"assistant{EVERY}", EVERY: EVERY}]}
    path.write_text(f"{json.dumps(row)}\n{EVERY}\n" * 3, encoding="utf-8", errors="surrogatepass")
    terminal = start("--data", str(path), env={"PATH": "/nonexistent"}, columns=120, rows=40)
    terminal.wait_for("Sign in")
    terminal.quiet(0.2)
    terminal.send(JUMP)
    terminal.wait_for("Jump to a field")
    terminal.send(next(place.key for place in PLACES if place.name == "data").encode())
    terminal.wait_for("E1")
    terminal.send(ESCAPE)
    for keys, shown in ((b"r", "evil"), (b"n", "oken"), (b"m", "evil"), (PICK, "other"), (PLAIN_TEXT, "evil")):
        terminal.quiet(0.2)
        terminal.send(keys)
        terminal.wait_for(lambda text, shown=shown: "Esc Close" in text and shown in text)  # type: ignore[misc]  # bound now
        terminal.send(DOWN)
        terminal.quiet(0.2)
        terminal.send(ESCAPE)
        terminal.wait_for(lambda text: "Esc Close" not in text)
    terminal.send(QUIT)
    assert terminal.wait() == 0
    assert_harmless(terminal)


def test_a_hostile_job_at_the_monitor(start: Start, home: Path) -> None:
    for name in ("hostile", "moving"):
        (home / name).touch()
    child = {"env": {"PYTHONPATH": str(HERE.parent / "ui"), "COLORTERM": "truecolor"}, "columns": 120, "rows": 40}
    terminal = start(str(home), script=HERE / "watched_program.py", **child)
    terminal.wait_for("1,600")
    for key, opened in ((b"l", ""), (b"l", ""), (b"v", "Esc Close"), (PLAIN_TEXT, "Esc Close")):
        terminal.quiet(0.2)
        terminal.send(key)
        terminal.quiet(0.2)
        terminal.wait_for(lambda text, opened=opened: opened in text and "evil" in text)  # type: ignore[misc]  # bound now
        terminal.send(ESCAPE)
        terminal.wait_for(lambda text: "Esc Close" not in text)
    terminal.quiet(0.2)
    assert_harmless(terminal)
