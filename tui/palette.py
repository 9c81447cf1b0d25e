"""The command palette: every action that can be done here, and every place; all its texts are the program's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider

from tui import actions
from tui.messages import t
from tui.wizard import PLACES

if TYPE_CHECKING:
    from tui.app import PhiftApp


class Commands(Provider):
    """What the palette lists."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        app = cast("PhiftApp", self.app)
        for place in PLACES:
            yield t("Go to {place}", place=t(place.title)), "", partial(app.go, place.name)
        for action in actions.for_place(app.current_mode):
            if action.palette:
                run = partial(app.run_action, action.action, self.screen)
                yield t(action.title), f"{t(action.help)}  {actions.key_names(action)}", run

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        """Everything, before anything is typed."""
        for title, help_line, run in self._commands():
            yield DiscoveryHit(title, run, help=help_line)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        nothing = True
        for title, help_line, run in self._commands():
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
