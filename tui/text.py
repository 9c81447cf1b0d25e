"""The only door for untrusted text: control characters made visible, lengths bounded, markup never parsed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tui.messages import n

if TYPE_CHECKING:
    from textual.content import Content

REPLACEMENT = "�"

# C0 but tab and newline, DEL, C1, bidirectional controls (Unicode TR9), zero-width, line separators, tags, surrogates.
UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
"""What a terminal must not be sent, as a regular expression's class holds it."""
LONGEST = 20_000
"""Characters that are shown of a text unless a caller says otherwise."""
_UNSAFE = re.compile(f"[{UNSAFE}]")
_LINE_BREAKS = re.compile(r"\r\n?|\n")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else REPLACEMENT


def clean(text: object, *, limit: int = LONGEST) -> str:
    """Text that a terminal cannot act on: controls shown as symbols, at most `limit` characters, line breaks kept.

    C0 controls become Unicode's control pictures (ESC is shown as ␛), all others U+FFFD.
    """
    raw = str(text)
    shortened = raw[: limit + 1]
    safe = _UNSAFE.sub(_visible, _LINE_BREAKS.sub("\n", shortened).replace("\t", "    "))
    if len(raw) <= limit:
        return safe
    return safe[:limit] + n("… ({count} more character)", "… ({count} more characters)", len(raw) - limit)


def clean_line(text: object, *, limit: int = 500) -> str:
    """The same on one line, line breaks shown as ⏎, cut with an ellipsis after `limit` characters."""
    raw = str(text)
    safe = _UNSAFE.sub(_visible, _LINE_BREAKS.sub("⏎", raw[: limit + 1]).replace("\t", " "))
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def content(text: object, style: str = "") -> Content:
    """Cleaned text as Textual content, never parsed as markup."""
    from textual.content import Content

    return Content.styled(clean(text), style) if style else Content(clean(text))


def line(text: object, style: str = "", *, limit: int = 500) -> Content:
    """Cleaned text on one line as Textual content, never parsed as markup."""
    from textual.content import Content

    safe = clean_line(text, limit=limit)
    return Content.styled(safe, style) if style else Content(safe)
