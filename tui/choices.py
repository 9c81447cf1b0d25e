"""What the palette offers by name beside actions: the drafts, the themes, the languages, each with what takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from tui import messages, resuming, text, themes
from tui.messages import t
from tui.services import drafts
from tui.services.errors import PhiftError

if TYPE_CHECKING:
    from tui.app import PhiftApp

Choice = tuple[str, Callable[[], None]]
"""A name as it is shown, and what takes it."""

THEMES = {
    "phift-dark": "Dark",
    "phift-light": "Light",
    "phift-contrast": "High contrast",
    "phift-safe": "Safe for colour-blind eyes",
    "ansi-dark": "Your terminal's own colours, dark",
    "ansi-light": "Your terminal's own colours, light",
}
"""How the themes are called; not translated yet."""

LANGUAGES = {"en": "English", "bg": "Български"}
"""Names of the languages, each in its own."""


def drafts_of(app: PhiftApp) -> Iterator[Choice]:
    """The drafts that can be read, but for the one being edited."""
    for draft in drafts.listing(app.settings):
        if not draft.error and draft.name != app.wizard.recipe.name:
            yield text.clean_line(draft.name, limit=60), partial(_take, app, draft.name)


def _take(app: PhiftApp, name: str) -> None:
    try:
        app.autosave.now()
        resuming.open_draft(app, name)
    except PhiftError as error:
        app.show_error(error)


def themes_of(app: PhiftApp) -> Iterator[Choice]:
    """The themes; none where the terminal is to have no colours."""
    if not app.no_color:
        for name in themes.NAMES:
            yield t(THEMES[name]), partial(_use, app, name)


def _use(app: PhiftApp, theme: str) -> None:
    app.theme = theme
    app.remember(theme=theme)


def languages_of(app: PhiftApp) -> Iterator[Choice]:
    """The languages."""
    for code in messages.languages():
        yield LANGUAGES[code], partial(_speak, app, code)


def _speak(app: PhiftApp, code: str) -> None:
    app.remember(language=code)
    app.notify(t("Texts are in {language} from the next start on.", language=LANGUAGES[code]), markup=False)
