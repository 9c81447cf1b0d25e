"""Appearance: the theme, tried as it is highlighted; and which profile is in use."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.dialog import Dialog, Key
from tui import choices, text, themes
from tui.messages import t


class Appearance(Dialog[None]):
    """Arrows try, Enter keeps, Esc goes back to the theme before."""

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    def heading(self) -> str:
        """What can be chosen."""
        return t("Appearance")

    def content(self) -> ComposeResult:
        """The themes; the profile."""
        yield OptionList(*(Option(t(choices.THEMES[name]), name) for name in themes.NAMES), id="themes", markup=False)
        yield Static("")
        settings = self.program.settings
        profile = Content.assemble((t("Profile") + " ", "$text-quiet"), text.clean_line(settings.profile))
        names = ", ".join(sorted(settings.profiles))
        yield Static(profile, markup=False)
        known = t("Known: {names}. Start with --profile NAME for another.", names=names)
        yield Static(text.line(known), classes="quiet", markup=False)

    def keys(self) -> Sequence[Key]:
        """Keep or not."""
        return [("↑ ↓", t("Try")), ("Enter", t("Keep"))]

    def on_mount(self) -> None:
        """Start at the theme in use."""
        self._before = self.program.theme
        listing = self.query_one("#themes", OptionList)
        if self._before in themes.NAMES:
            listing.highlighted = themes.NAMES.index(self._before)

    @on(OptionList.OptionHighlighted)
    def _try(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id and self._before and not self.program.no_color:
            self.program.theme = event.option_id

    @on(OptionList.OptionSelected)
    def _keep(self, event: OptionList.OptionSelected) -> None:
        if event.option_id:
            self.program.remember(theme=event.option_id)
        self.dismiss(None)

    def action_close(self) -> None:
        """Back to the theme before."""
        self.program.theme = self._before
        self.dismiss(None)
