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
ONE_ROW = 140
"""Columns from which the badge has no row of its own; as in the style sheet."""
_LEAST = 18
"""Cells that a long draft's name leaves for who is signed in."""
BADGE = "SANDBOX — not Azure; a 1.4 M-parameter stand-in trains"
SMALL_BADGE = "SANDBOX — not Azure; a 135 M-parameter stand-in trains"


def names(identity: Identity) -> tuple[str, ...]:
    """Who is signed in and by which method, and the same in shorter words, the longest first.

    Of an application that has no name, the beginning of its id.
    """
    name = text.clean_line(identity.name, limit=80)
    if _ID.fullmatch(name):
        name = t("application {id}…", id=name[:8])
    return f"{name} ({identity.method})", name, name.partition("@")[0]


def fitting(candidates: tuple[str, ...], width: int) -> str:
    """The first that fits in `width` cells; where none does, the last, cut."""
    for each in candidates:
        if Content(each).cell_length <= width:
            return each
    return Content(candidates[-1]).truncate(max(width, 1), ellipsis=True).plain


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

    def sync(self, wizard: Wizard, *, width: int, sandbox: bool, saved: bool) -> None:
        """Show the draft's name, the identity in use, and whether it is the sandbox's; draws only what changed.

        Args:
            wizard: has the draft and the connection.
            width: cells of the terminal.
            sandbox: whether Azure is the sandbox.
            saved: whether the disk took the draft.
        """
        azure = wizard.facts.azure
        stand_in = azure.stand_in if azure else ""
        badge = t(SMALL_BADGE if stand_in == "small" else BADGE)
        room = width - (Content(badge).cell_length + 2 if sandbox and width >= ONE_ROW else 0)
        title = Content.assemble(
            (" phift-tui ", "bold $text-primary"), (text.clean_line(wizard.recipe.name, limit=60), "")
        )
        if not saved:
            title = Content("  ").join([title, Content.styled(t("! not saved"), "bold $text-warning")])
        title = title.truncate(max(room - _LEAST, _LEAST), ellipsis=True)
        who = fitting(names(azure.identity) if azure else (t("not signed in"),), room - title.cell_length - 4)
        shown = (title.plain, who, badge, sandbox)
        if shown == self._shown:
            return
        self._shown = shown
        self.query_one("#topbar-title", Static).update(title)
        self.query_one("#topbar-identity", Static).update(Content(who))
        self.set_class(sandbox, "-sandbox")
        if sandbox:
            self.query_one("#topbar-badge", Static).update(badge)
