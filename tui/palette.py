"""The command palette: every place, action, draft, theme and language; all its texts are the program's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from tui import actions, choices
from tui.messages import t
from tui.wizard import PLACES

if TYPE_CHECKING:
    from tui.app import PhiftApp


class Commands(Provider):
    """What the palette lists."""

    async def startup(self) -> None:
        """Gather the commands once, not for each letter typed."""
        self._found = list(self._commands())

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        """Title, help, and what is done."""
        app = cast("PhiftApp", self.app)
        for place in PLACES:
            yield t("Go to {place}", place=t(place.title)), "", partial(app.go, place.name)
        for action in actions.for_place(app.current_mode):
            if action.palette:
                run = partial(app.run_action, action.action, self.screen)
                keys = f"  {actions.key_names(action)}" if actions.keys_of(action) else ""
                yield t(action.title), t(action.help) + keys, run
        for name, draft in choices.drafts_of(app):
            yield t("Draft: {name}", name=name), t("Go on with this draft; the present one is kept."), draft
        for name, theme in choices.themes_of(app):
            yield t("Theme: {name}", name=name), t("Take this theme, and keep it."), theme
        for name, language in choices.languages_of(app):
            yield t("Language: {name}", name=name), t("Texts in this language from the next start on."), language

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """Everything, before anything is typed."""
        for title, help_line, run in self._found:
            yield DiscoveryHit(title, run, help=help_line)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        nothing = True
        for title, help_line, run in self._found:
            score = max(matcher.match(title), 0.8 * matcher.match(help_line))
            if score > 0:
                nothing = False
                yield Hit(score, matcher.highlight(title), run, help=help_line)
        if nothing:  # Textual would say so in English
            yield Hit(1.0, t("Nothing matches"), lambda: None)


class Palette(CommandPalette):
    """The palette with its prompt in the person's language."""

    def __init__(self) -> None:
        super().__init__(placeholder=t("Find anything by its name"), id="--command-palette")
