"""The rail: all places with their state, as a column or, on a narrow terminal, as one line."""

from __future__ import annotations

from typing import ClassVar

from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.messages import t
from tui.wizard import PLACES, Place, State, Wizard

GLYPHS: dict[State, str] = {"done": "✓", "current": "▸", "attention": "!", "todo": "·"}
WORDS: dict[State, str] = {"done": "done", "current": "here", "attention": "fix", "todo": ""}
_STYLES: dict[State, str] = {
    "done": "$text-success",
    "current": "bold $text-primary",
    "attention": "bold $text-warning",
    "todo": "$text-quiet",
}


class Rail(Widget, can_focus=True):
    """Shows where the user is and what is done; arrows choose a place, Enter goes there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,left", "move(-1)", show=False),
        Binding("down,right", "move(1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    states: reactive[tuple[State, ...]] = reactive((), init=False)
    cursor: reactive[int] = reactive(0, init=False)

    class Chosen(Message):
        """The user wants to go to a place."""

        def __init__(self, place: str) -> None:
            super().__init__()
            self.place = place

    def __init__(self, here: str) -> None:
        super().__init__(id="rail")
        self.here = here
        self._here = next(index for index, place in enumerate(PLACES) if place.name == here)
        self.set_reactive(Rail.cursor, self._here)

    def sync(self, wizard: Wizard) -> None:
        """Take the states from the wizard; draws only if one changed."""
        self.states = tuple(wizard.state_of(place.name, self.here) for place in PLACES)

    def on_focus(self) -> None:
        """Start from where the user is."""
        self.cursor = self._here

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = min(max(self.cursor + by, 0), len(PLACES) - 1)

    def action_choose(self) -> None:
        """Go to the place under the cursor."""
        self.post_message(self.Chosen(PLACES[self.cursor].name))

    def render(self) -> RenderResult:
        """The column, or the line where there is room for one row only."""
        if not self.states:
            return Content("")
        return self._line() if self.size.height <= 1 else self._column()

    def _entry(self, index: int, place: Place, width: int) -> Content:
        state = self.states[index]
        title, word = t(place.title), t(WORDS[state])
        text = f" {GLYPHS[state]} {title}"
        text = f"{text:<{max(width - len(word) - 1, 0)}}{word} "
        style = "reverse" if self.has_focus and index == self.cursor else _STYLES[state]
        return Content.styled(text, style)

    def _column(self) -> Content:
        width = self.size.width
        rows = [Content.styled(" " + t("Set up"), "dim")]
        for index, place in enumerate(PLACES):
            if index and PLACES[index - 1].setup and not place.setup:
                if self.size.height > len(PLACES) + 2:
                    rows.append(Content(""))
                rows.append(Content.styled(" " + t("Run"), "dim"))
            rows.append(self._entry(index, place, width))
        return Content("\n").join(rows)

    def _line(self) -> Content:
        index = self.cursor if self.has_focus else self._here
        place = PLACES[index]
        steps = sum(1 for each in PLACES if each.setup)
        where = t("Step {number} of {steps}", number=index + 1, steps=steps) if place.setup else t("Run")
        state = self.states[index]
        word = t(WORDS[state]) if state != "current" else ""
        parts = [
            Content.styled(f" {where} ", "$text-quiet"),
            Content.styled(f" {t(place.title)} ", "reverse" if self.has_focus else "bold $text-primary"),
            Content.styled(f" {word} " if word else " ", _STYLES[state]),
        ]
        room = self.size.width - sum(part.cell_length for part in parts)
        gap = " " if 2 * len(PLACES) + 2 <= room else ""
        for each, other in enumerate(PLACES):
            style = _STYLES[self.states[each]]
            glyph = GLYPHS[self.states[each]]
            if other.setup is False and PLACES[each - 1].setup:
                parts.append(Content.styled(f"{gap}│", "$text-quiet"))
            parts.append(Content.styled(f"{gap}{glyph}", "reverse" if self.has_focus and each == index else style))
        return Content("").join(parts)
