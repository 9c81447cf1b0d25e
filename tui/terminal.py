"""What the terminal can and how to reach it besides drawing: clipboard sequences, the editor, the encoding."""

from __future__ import annotations

import base64
import locale
import os
import re
import shlex
import shutil
from typing import Literal

from tui.messages import grouped, t
from tui.text import clean_line

CLIPBOARD_LIMIT = 74_000
"""Bytes of text that terminals take by OSC 52 (xterm's and tmux's limit on the encoded form is about 100 kB)."""

ERASE = "\x1b[2J"
"""The sequence that empties the screen; `tui.frames` then counts on nothing being there."""

ASK_BACKGROUND = "\x1b]11;?\x1b\\"
"""The sequence that asks the terminal for its background colour."""
_BACKGROUND = re.compile(r"11;rgba?:([0-9a-fA-F]{1,8})/([0-9a-fA-F]{1,8})/([0-9a-fA-F]{1,8})(/[0-9a-fA-F]{1,8})?")


def background_in(answer: str) -> bool | None:
    """Whether the answer to `ASK_BACKGROUND`, without ESC and end, tells a light background; None: it is another."""
    found = _BACKGROUND.fullmatch(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / ((1 << 4 * len(part)) - 1) for part in found.groups()[:3])
    # The weights of ITU-R BT.601 for the lightness that eyes see.
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5


def background_is_light() -> bool | None:
    """What the terminal says of its background in COLORFGBG (rxvt, Konsole and others); None: nothing."""
    number = os.environ.get("COLORFGBG", "").rpartition(";")[2]
    return number == "7" or 9 <= int(number) <= 15 if number.isdecimal() else None


def answers_questions() -> bool:
    """Whether the terminal can be asked by OSC: the Linux console has no such answers."""
    return os.environ.get("TERM", "") not in ("", "linux", "dumb")


def osc52(text: str) -> str:
    """The sequence that puts `text` on the clipboard of the terminal at the user's end of the line.

    Inside tmux it is wrapped so that tmux hands it on (needs `allow-passthrough on`), and given plain too
    (needs `set-clipboard on`): whichever is set takes effect.

    Raises:
        ValueError: the text is larger than terminals take.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) > CLIPBOARD_LIMIT:
        raise ValueError(
            t(
                "{size} bytes are more than terminals take ({limit})",
                size=grouped(len(raw)),
                limit=grouped(CLIPBOARD_LIMIT),
            )
        )
    plain = f"\x1b]52;c;{base64.b64encode(raw).decode('ascii')}\x07"
    return plain + _through_tmux(plain)


def notification(kind: Literal["", "bell", "desktop"], text: str) -> str:
    """The sequence that calls the user: a bell, or the desktop's notification by OSC 9 with a bell for the others."""
    if not kind:
        return ""
    if kind == "bell":
        return "\x07"
    plain = f"\x1b]9;{clean_line(text, limit=120)}\x07"
    return (_through_tmux(plain) or plain) + "\x07"


def _through_tmux(sequence: str) -> str:
    """The same for the terminal that tmux runs in (needs `allow-passthrough on`); empty outside tmux."""
    if not os.environ.get("TMUX"):
        return ""
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"


def editor() -> list[str]:
    """The user's editor as a command: $VISUAL, $EDITOR, else the first usual one that is installed; empty: none."""
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if chosen:
        return shlex.split(chosen)
    return next(([found] for name in ("nano", "vim", "vi") if (found := shutil.which(name))), [])


def speaks_unicode() -> bool:
    """Whether the locale's encoding has box-drawing characters."""
    return locale.getpreferredencoding(False).lower().replace("-", "") in {"utf8", "utf16", "utf32"}


def erases_in_colour() -> bool:
    """Whether the terminal erases with the background colour that is set; tmux does, though its terminfo is silent."""
    if os.environ.get("TMUX"):
        return True
    try:
        import curses
    except ImportError:  # a Python built without it
        return False
    try:
        curses.setupterm()
    except curses.error:  # a terminal that terminfo does not know
        return False
    return curses.tigetflag("bce") == 1
