"""How well what is on the screen can be read: the contrast of every text with what is behind it, in every theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.color import Color, ColorSystem
from rich.style import Style
from textual.pilot import Pilot

from tui.app import PhiftApp
from tui.themes import CONTRAST, THEMES

_EDGES = set("▎▏▌▐│─╭╮╰╯▁▂▃▄▅▆▇█")
"""What fields, bars and dialogs are drawn with; no text."""
_NEEDED = {"text": 4.5, "edge": 3.0}
"""The least ratios of WCAG 2.2, AA: https://www.w3.org/TR/WCAG22/#contrast-minimum and #non-text-contrast."""
_NEEDED_MORE = {"text": 7.0, "edge": 3.0}
"""Those of AAA, for the theme of high contrast: https://www.w3.org/TR/WCAG22/#contrast-enhanced."""


def _luminance(colour: tuple[int, ...]) -> float:
    red, green, blue = (
        value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _drawn(style: Style, system: ColorSystem) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colours of the text and of what is behind it, as a terminal of that colour system shows them."""
    assert style.color
    assert style.bgcolor
    front, behind = (
        tuple(Color.from_triplet(each.get_truecolor()).downgrade(system).get_truecolor())
        for each in (style.color, style.bgcolor)
    )
    if style.dim:
        front = tuple((one + other) // 2 for one, other in zip(front, behind, strict=True))
    return (behind, front) if style.reverse else (front, behind)


async def faint(pilot: Pilot[Any], app: PhiftApp) -> list[str]:
    """What cannot be read well: theme, colour system, ratio and text, in each theme with colours of its own."""
    found = []
    for theme in (each for each in THEMES if not each.ansi):
        app.theme = theme.name
        await pilot.pause()
        found += [f"{theme.name} {line}" for line in _faint(app, _NEEDED_MORE if theme is CONTRAST else _NEEDED)]
    return found


def _faint(app: PhiftApp, needed: dict[str, float]) -> Iterator[str]:
    for strip in app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if not text.strip() or style is None:
                continue
            kind = "edge" if set(text.strip()) <= _EDGES else "text"
            for system in (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT):
                light, dark = sorted((_luminance(each) for each in _drawn(style, system)), reverse=True)
                ratio = (light + 0.05) / (dark + 0.05)
                if ratio < needed[kind]:
                    yield f"{system.name} {ratio:.2f} {text.strip()}"
