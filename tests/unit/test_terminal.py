"""What is known of the terminal, and how it is called."""

from __future__ import annotations

import pytest
from rich.color import Color as TerminalColour
from rich.color import ColorSystem
from rich.color_triplet import ColorTriplet
from textual.theme import Theme

from tui import terminal, themes


@pytest.mark.parametrize(
    ("said", "light"),
    [("0;15", True), ("15;0", False), ("0;default;7", True), ("12;8", False), ("", None), ("15;default", None)],
)
def test_the_background_that_colorfgbg_tells(monkeypatch: pytest.MonkeyPatch, said: str, light: bool | None) -> None:
    monkeypatch.setenv("COLORFGBG", said)
    assert terminal.background_is_light() is light


@pytest.mark.parametrize(
    ("light", "few_colours", "theme"),
    [
        (None, False, "phift-dark"),
        (True, False, "phift-light"),
        (None, True, "ansi-dark"),
        (True, True, "ansi-light"),
    ],
)
def test_the_theme_that_fits_the_terminal(light: bool | None, few_colours: bool, theme: str) -> None:
    assert themes.fitting(light, few_colours=few_colours) == theme


@pytest.mark.parametrize("theme", themes.for_few_colours(), ids=lambda theme: theme.name)
def test_every_text_is_readable_on_every_surface_in_sixteen_colours(theme: Theme) -> None:
    rows = [theme.variables[f"block-cursor-{kind}background"] for kind in ("", "blurred-")]
    surfaces = [theme.background, theme.surface, theme.panel, theme.variables["boost"], *rows]
    texts = [colour for name, colour in theme.variables.items() if name.startswith("text-")]
    pairs = [(text, each) for text in [*texts, theme.foreground, theme.error] for each in surfaces]
    pairs += [(theme.background, theme.warning)]  # the badge
    assert {pair: ratio for pair in pairs if (ratio := _contrast(*pair)) < 4} == {}


def _contrast(*colours: str | None) -> float:
    """The ratio of WCAG 2.2 between two colours as a terminal of sixteen shows them."""
    shown = [TerminalColour.parse(each or "").downgrade(ColorSystem.STANDARD).get_truecolor() for each in colours]
    dark, light = sorted(_luminance(each) for each in shown)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: ColorTriplet) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_a_call_can_be_off_a_bell_or_a_notification_of_which_nothing_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    assert terminal.notification("", "ended") == ""
    assert terminal.notification("bell", "ended") == "\x07"
    called = terminal.notification("desktop", "\x1b]52;c;aGk=\x07\u202e\x9bended")
    assert called.startswith("\x1b]9;")
    assert called.endswith("ended\x07\x07")
    assert not set(called[4:-2]) & {"\x1b", "\x07", "\u202e", "\x9b"}
