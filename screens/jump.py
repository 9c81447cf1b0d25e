"""Jump mode: a letter at every field and every place; pressing it goes there."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Offset
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from screens.dialog import Key, KeyLine, Overlay
from screens.page import Page
from tui.messages import t
from tui.widgets.field import Field
from tui.widgets.rail import Rail
from tui.wizard import PLACES


def _places() -> list[Key]:
    return [(place.key, t(place.title)) for place in PLACES]


class Jump(Overlay[None]):
    """An overlay of letters; any other key closes it."""

    def __init__(self) -> None:
        super().__init__(id="jump")
        self._below: Screen[Any] = self.app.screen
        self._widgets: dict[str, Widget] = dict(self._lettered())
        self._drawn_in = self.app.size

    def _lettered(self) -> Iterator[tuple[str, Widget]]:
        places = {place.key for place in PLACES}
        letters = (letter for letter in ascii_lowercase if letter not in places)
        shown = (each for each in self._below.focus_chain if not isinstance(each, Rail) and each.region.area)
        return zip(letters, shown, strict=False)

    def _out_of_sight(self, widget: Widget) -> bool:
        size = self.app.size
        # The places, the line above them, their title, and a row for the fields that are out of sight.
        bar = KeyLine(_places()).get_content_height(size, size, size.width - 2) + 3
        return widget.region.y >= size.height - bar or any(
            widget.region.y not in each.region.line_range
            for each in widget.ancestors
            if isinstance(each, VerticalScroll)
        )

    def compose(self) -> ComposeResult:
        """A letter at each field; above, the places, and the fields that the page would have to be scrolled to."""
        below = []
        for letter, widget in self._widgets.items():
            if self._out_of_sight(widget):
                below += [(letter, each.label) for each in widget.ancestors if isinstance(each, Field)]
                continue
            label = Static(f" {letter} ", classes="jump-label", markup=False)
            label.styles.offset = Offset(max(widget.region.x - 1, 0), widget.region.y)
            yield label
        with Vertical(id="jump-places"):
            yield Static(t("Jump to a field by its letter, or to:"), markup=False)
            yield KeyLine([*_places(), *below], name="jump-keys")

    def on_resize(self) -> None:
        """Put the letters where the fields are in a terminal of another size."""
        if self._drawn_in != self.app.size:
            self._drawn_in = self.app.size
            self._below.call_after_refresh(self._draw_anew)

    def _draw_anew(self) -> None:
        if self.is_attached:
            self._widgets = dict(self._lettered())
            self.refresh(recompose=True)

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
