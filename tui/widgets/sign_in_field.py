"""A field of the sign-in page: what is typed, and beside it, as it is left, what is wrong with it."""

from __future__ import annotations

import re

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from tui.messages import t
from tui.paths import expanded


class SignInField(Vertical):
    """Tenant, application or certificate; named `row-…`, the input in it as what it asks for."""

    def __init__(self, name: str, label: str, value: str) -> None:
        """Show the value.

        Args:
            name: `tenant`, `client_id` or `certificate`.
            label: what a person calls it.
            value: what it is so far.
        """
        super().__init__(id=f"row-{name}", classes="field")
        self._asks = name
        self._label = label
        self._value = value

    def compose(self) -> ComposeResult:
        """Label, input, and a place for what is wrong."""
        with Horizontal(classes="field-row"):
            yield Static(self._label, classes="field-label", markup=False)
            yield Input(self._value, id=self._asks, select_on_focus=False)
        note = Static("", classes="field-note", markup=False)
        note.display = False
        yield note

    @property
    def error(self) -> str:
        """What is wrong, and what to do; empty: nothing that can be told before signing in."""
        typed = self.query_one(Input).value.strip()
        if self._asks == "certificate":
            missing = typed and not expanded(typed).is_file()
            return t("There is no such file; give the application's PEM or PFX file.") if missing else ""
        if re.fullmatch(r"[0-9A-Za-z.-]*", typed):  # what azure-identity takes
            return ""
        if self._asks == "tenant":
            return t("A tenant is an id of 36 letters, digits and hyphens, or a domain like contoso.com.")
        return t("An application id has 36 letters, digits and hyphens; the portal's app registration shows it.")

    def show_error(self) -> str:
        """Say what is wrong, or no longer; returns it."""
        note, error = self.query_one(".field-note", Static), self.error
        self.set_class(bool(error), "-wrong")
        note.display = bool(error)
        note.update(Content.assemble(("! ", "bold"), error))
        return error

    def on_input_changed(self) -> None:
        """What is put right is no longer called wrong."""
        if self.has_class("-wrong"):
            self.show_error()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Say what is wrong as the field is left."""
        self.show_error()
