"""Values that a terminal, a markup parser or a layout could be hurt by, and what must not be on a screen."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any

from textual.app import App

SEQUENCES = (
    "evil\x1b[31m\x1b[2J\x1b]0;owned\x07\x1b]8;;https://evil.example\x1b\\go\x1b]8;;\x07\x1b]52;c;aGk=\x07\x1bPq\x1b\\"
    "\x9b31m\x9d0;owned\x9c\x00\x08\x0b\x0e\x7f\r\n\t"
)
ORDER = "\u202egpj\u202d\u2066x\u2069\u200f\u061c\u200b\u2060\u2028\u2029\ufeff\ufff9\U000e0041"
MARKUP = "[red]r[/red][@click=app.quit]q[/][link=https://evil.example]l[/link][/][/x][b[$primary]:smile: {x} %s \\"
WIDE = "界🏴\u200d☠\ufe0fe\u0301\u0301\u0301ﷺ\ud83d\udcff"  # the last two are halves of characters
EVERY = SEQUENCES + ORDER + WIDE + MARKUP
"""All of it in one value."""
MEGABYTE = EVERY + "x" * 900_000 + "界" * 50_000 + EVERY
"""A line that long."""

SCROLL_BAR = {"grab", "release", "scroll_up", "scroll_down", "scroll_left", "scroll_right"}
"""What a click on a scroll bar does."""
_RAW = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def raw_in(text: str) -> set[str]:
    """The characters of a text that a terminal acts on, or that turn the order of others."""
    return set(_RAW.findall(text))


def harm(app: App[Any]) -> list[str]:
    """What of the screen, as it is sent, is raw, a link, or does something when it is clicked."""
    found = []
    for y, strip in enumerate(app.screen._compositor.render_strips()):
        for segment in strip:
            meta = segment.style.meta if segment.style else {}
            if raw_in(segment.text):
                found.append(f"line {y}: {segment.text!r}")
            if segment.style and segment.style.link:
                found.append(f"line {y}: a link to {segment.style.link}")
            if any(key.startswith("@") and does not in SCROLL_BAR for key, does in meta.items()):
                found.append(f"line {y}: {segment.text!r} does {meta}")
    return found


def poisoned(value: Any, poison: str, *, keep: frozenset[str]) -> Any:
    """The value with every text in it, at whatever depth, ended by the poison; fields named in `keep` are left."""
    if isinstance(value, str):
        return f"{value}{poison}"
    if is_dataclass(value) and not isinstance(value, type):
        made = object.__new__(type(value))
        for name, each in vars(value).items():
            known = name in {field.name for field in fields(value)}
            changed = poisoned(each, poison, keep=keep) if known and name not in keep else each
            object.__setattr__(made, name, changed)
        return made
    if isinstance(value, dict):
        return {poisoned(key, poison, keep=keep): poisoned(each, poison, keep=keep) for key, each in value.items()}
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(poisoned(each, poison, keep=keep) for each in value)
    return value
