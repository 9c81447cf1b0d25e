"""Sign in: who the program is on Azure, by which way."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from screens.page import Step
from tui import actions


class SignInScreen(Step):
    """The first step."""

    PLACE = "sign_in"
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("sign_in"))

    def content(self) -> ComposeResult:
        """The state of the connection."""
        yield Static("hello", markup=False)
