"""What is known of the terminal, and how it is called."""

from __future__ import annotations

import pytest

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


def test_a_call_can_be_off_a_bell_or_a_notification_of_which_nothing_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    assert terminal.notification("", "ended") == ""
    assert terminal.notification("bell", "ended") == "\x07"
    called = terminal.notification("desktop", "\x1b]52;c;aGk=\x07\u202e\x9bended")
    assert called.startswith("\x1b]9;")
    assert called.endswith("ended\x07\x07")
    assert not set(called[4:-2]) & {"\x1b", "\x07", "\u202e", "\x9b"}
