"""Jump mode: a letter at every field and every place; pressing it goes there."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from screens.dialog import Overlay
from screens.page import Page
from tui.messages import t
from tui.widgets.rail import Rail
from tui.wizard import PLACES


class Jump(Overlay[None]):
    """An overlay of letters; any other key closes it."""

    def __init__(self) -> None:
        super().__init__(id="jump")
        self._below: Screen[Any] = self.app.screen
        self._widgets: dict[str, Widget] = dict(self._lettered())

    def _lettered(self) -> Iterator[tuple[str, Widget]]:
        places = {place.key for place in PLACES}
        letters = (letter for letter in ascii_lowercase if letter not in places)
        shown = (each for each in self._below.focus_chain if not isinstance(each, Rail) and each.region.area)
        return zip(letters, shown, strict=False)

    def compose(self) -> ComposeResult:
        """A letter at each field, the places in a line."""
        for letter, widget in self._widgets.items():
            label = Static(f" {letter} ", classes="jump-label", markup=False)
            label.styles.offset = Offset(max(widget.region.x - 3, 0), widget.region.y)
            yield label
        places = "  ".join(f"{place.key} {t(place.title)}" for place in PLACES)
        yield Static(t("Jump to a field below, or:  {places}", places=places), id="jump-places", markup=False)

    def on_key(self, event: events.Key) -> None:
        """Go where the key leads."""
        event.stop()
        event.prevent_default()
        if self._answered:
            return
        self.dismiss(None)
        key = event.character or event.key
        place = next((each.name for each in PLACES if each.key == key), "")
        if key in self._widgets:
            self._below.set_focus(self._widgets[key])
        elif place and isinstance(self._below, Page):
            self._below.program.call_after_refresh(self._below.program.go, place)
