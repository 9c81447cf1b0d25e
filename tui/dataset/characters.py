"""Characters in the text of a row that harm training, readers or the person who looks at it."""

from __future__ import annotations

import re

from tui.dataset.said import Said, said
from tui.messages import mark

CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
"""C0 and C1 controls but tab, line feed, carriage return, NUL (an error of its own) and NEL (a line separator)."""

INVISIBLE = re.compile("[\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
"""Overrides and isolates of text direction, zero-width characters without use in a script, tag characters."""

SEPARATORS = re.compile("[\x85\u2028\u2029]")
"""NEL, LINE SEPARATOR, PARAGRAPH SEPARATOR: text to JSON, line ends to some readers."""

MOJIBAKE = re.compile("[ÃÂ][\x80-\xbf]|â€[\x80-\xbf™œžŸ¦“”˜š]|ï»¿|\ufffd")
"""UTF-8 that was read as Windows-1252, and the replacement character that a failed decoding leaves."""

TEMPLATE_TOKENS = re.compile(
    r"<\|(?:/?(?:tool|tool_call|tool_response)|system|user|assistant|end|endoftext|im_start|im_sep|im_end|dummy_\d+|placeholder\d+)\|>"
)
"""Special tokens of the chat templates of Phi-3 and Phi-4."""

_ANY = re.compile(
    "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufffdÃÂâï\U000e0000-\U000e007f]"
)
_ANY_ASCII = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")

NAMES = {
    0x202A: mark("left-to-right embedding"),
    0x202B: mark("right-to-left embedding"),
    0x202C: mark("pop directional formatting"),
    0x202D: mark("left-to-right override"),
    0x202E: mark("right-to-left override"),
    0x2066: mark("left-to-right isolate"),
    0x2067: mark("right-to-left isolate"),
    0x2068: mark("first strong isolate"),
    0x2069: mark("pop directional isolate"),
    0x200B: mark("zero-width space"),
    0xFEFF: mark("byte order mark"),
    0x2028: mark("line separator"),
    0x2029: mark("paragraph separator"),
    0x85: mark("next line"),
}


def described(char: str) -> Said:
    """Return a character as `U+202E right-to-left override`."""
    code, name = f"U+{ord(char):04X}", NAMES.get(ord(char))
    return said("{code} {name}", code=code, name=said(name)) if name else said("{code}", code=code)


def _at(what: object, start: int) -> Said:
    return said("{what} at character {position}", what=what, position=start + 1)


def faults(text: str) -> list[tuple[str, Said]]:
    """Return (code, message) for each kind of harmful character in a text, at its first place."""
    found: list[tuple[str, Said]] = []
    if (_ANY_ASCII if text.isascii() else _ANY).search(text):
        for code, pattern in (("W204", CONTROL), ("W205", INVISIBLE), ("W206", SEPARATORS)):
            if place := pattern.search(text):
                found.append((code, _at(described(place.group()), place.start())))
        if place := MOJIBAKE.search(text):
            found.append(("W207", _at(ascii(place.group()), place.start())))
    if "<|" in text and (place := TEMPLATE_TOKENS.search(text)):
        found.append(("W208", _at(place.group(), place.start())))
    return found
