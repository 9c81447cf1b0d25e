"""Help: what a place is for and its keys, the key map, the tour; all from the registry of actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from screens.dialog import Dialog, Key
from screens.help_texts import sections
from tui import actions
from tui.messages import t
from tui.wizard import BY_NAME


class KeyTable(Widget):
    """Keys and what they do, an action after the other; a longer sentence goes on below its beginning."""

    DEFAULT_CSS = "KeyTable { height: auto; }"

    def __init__(self, rows: Sequence[Key]) -> None:
        super().__init__()
        self._keys = tuple(rows)

    def _lines(self, width: int) -> list[Content]:
        left = max(cell_len(key) for key, _ in self._keys) + 2
        lines = []
        for key, what in self._keys:
            first, *rest = Content(what).wrap(max(width - left, 20))
            lines.append(Content.assemble((key, "bold $text-accent"), " " * (left - cell_len(key)), first))
            lines += [Content.assemble(" " * left, each) for each in rest]
        return lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the sentences need."""
        return len(self._lines(width))

    def render(self) -> RenderResult:
        """The rows."""
        return Content("\n").join(self._lines(self.content_size.width))


def key_table(found: Sequence[actions.Action]) -> KeyTable:
    """Keys of actions and what they do; keys that do the same stand together."""
    keys: dict[str, list[str]] = {}
    for action in found:
        keys.setdefault(action.help, []).append(actions.key_names(action))
    return KeyTable([(" ".join(names), t(what)) for what, names in keys.items()])


class Help(Dialog[None]):
    """What the place is for, and its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1,enter", "close", show=False)]

    def heading(self) -> str:
        """The place."""
        return t("Help: {place}", place=t(BY_NAME[self.program.current_mode].title))

    def content(self) -> ComposeResult:
        """What it is for; its keys; where the rest is."""
        place = self.program.current_mode
        for heading, said in sections(place):
            if heading:
                yield Static(heading, classes="heading", markup=False)
            yield Static(said, markup=False)
        yield Static(t("Keys"), classes="heading", markup=False)
        own = [action for action in actions.for_place(place) if action.scope != actions.EVERYWHERE]
        yield key_table(own)
        yield Static("")
        yield Static(t("? shows all keys, ^P finds anything by name. Letters are keys once Esc has left the field."),
                     classes="quiet", markup=False)  # fmt: skip


class KeyMap(Dialog[None]):
    """All keys that work here."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,enter", "close", show=False)]

    def heading(self) -> str:
        """That these are the keys."""
        return t("Keys")

    def content(self) -> ComposeResult:
        """By scope."""
        place = self.program.current_mode
        titles = ((place, t(BY_NAME[place].title)), (actions.PAGE, t("Every page")))
        for scope, title in (*titles, (actions.EVERYWHERE, t("Everywhere"))):
            found = actions.scoped(scope)
            if found:
                yield Static(title, classes="heading", markup=False)
                yield key_table(found)
        yield Static(t("In forms"), classes="heading", markup=False)
        yield KeyTable(
            [
                ("Tab ↑ ↓", t("next and previous field")),
                ("← → " + actions.key_name("space"), t("change a choice")),
                ("→", t("accept a completion")),
                ("Esc", t("leave the field; destroys nothing")),
            ]
        )


class Tour(Dialog[None]):
    """A few sentences at the first start."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "close", show=False)]

    def heading(self) -> str:
        """A welcome."""
        return t("Welcome to phift-tui")

    def content(self) -> ComposeResult:
        """What to know."""
        lines = (
            t("Eight steps lead to a fine-tuned Phi model; Enter goes through them with good defaults."),
            t("F7 and F8 move freely; nothing you typed is lost, and every change is on disk within half a second."),
            t("Your data is checked on this machine, and the price is shown, before anything is uploaded or billed."),
            t("A job goes on when you leave; start the program again and its monitor is there."),
            t("F1 explains the page you are on, ? lists the keys, ^P finds anything by name."),
        )
        parts = [Content.assemble(("▸ ", "$text-accent"), line) for line in lines]
        yield Static(Content("\n\n").join(parts), markup=False)

    def keys(self) -> Sequence[Key]:
        """Enter closes it too."""
        return [("Enter", t("Begin"))]
