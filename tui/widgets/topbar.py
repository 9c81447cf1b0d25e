"""The top bar: program, draft, who is signed in, and in sandbox mode a badge that cannot be missed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from tui import text
from tui.messages import t
from tui.wizard import Wizard

if TYPE_CHECKING:
    from tui.services.identity import Identity

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
BADGE = "SANDBOX — not Azure; a 1.4 M-parameter stand-in trains"
SMALL_BADGE = "SANDBOX — not Azure; a 135 M-parameter stand-in trains"


def short_name(identity: Identity) -> str:
    """Who is signed in and by which method; of an application that has no name, the beginning of its id."""
    name = identity.name
    if _ID.fullmatch(name):
        name = t("application {id}…", id=name[:8])
    return f"{name} ({identity.method})"


class TopBar(Horizontal):
    """One row, two in the sandbox on a narrow terminal."""

    def __init__(self, *, sandbox: bool) -> None:
        super().__init__(id="topbar", classes="-sandbox" if sandbox else "")
        self._shown: tuple[str, str, str, bool] | None = None

    def compose(self) -> ComposeResult:
        """The three parts."""
        yield Static(id="topbar-title", markup=False)
        yield Static(id="topbar-identity", markup=False)
        yield Static(t(BADGE), id="topbar-badge", markup=False)

    def sync(self, wizard: Wizard, *, sandbox: bool) -> None:
        """Show the draft's name, the identity in use, and whether it is the sandbox's; draws only what changed."""
        azure = wizard.facts.azure
        who = short_name(azure.identity) if azure else t("not signed in")
        shown = (wizard.recipe.name, who, azure.stand_in if azure else "", sandbox)
        if shown == self._shown:
            return
        self._shown = shown
        title = Content.assemble((" phift-tui ", "bold $text-primary"), (text.clean_line(shown[0], limit=60), ""))
        self.query_one("#topbar-title", Static).update(title)
        self.query_one("#topbar-identity", Static).update(text.line(who, limit=48))
        self.set_class(sandbox, "-sandbox")
        if sandbox:
            self.query_one("#topbar-badge", Static).update(t(SMALL_BADGE if shown[2] == "small" else BADGE))
