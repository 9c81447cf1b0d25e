"""A field of the sign-in page, which says as it is left what is wrong with it."""

from __future__ import annotations

import re

from textual import events

from tui.messages import t
from tui.paths import expanded
from tui.widgets.labelled_input import LabelledInput


class SignInField(LabelledInput):
    """Tenant (`tenant`), application (`client_id`) or certificate (`certificate`), by its input's id."""

    @property
    def error(self) -> str:
        """What is wrong, and what to do; empty: nothing that can be told before signing in."""
        typed = self.editor.value.strip()
        if self.editor.id == "certificate":
            missing = typed and not expanded(typed).is_file()
            return t("There is no such file; give the application's PEM or PFX file.") if missing else ""
        if re.fullmatch(r"[0-9A-Za-z.-]*", typed):  # what azure-identity takes
            return ""
        if self.editor.id == "tenant":
            return t("A tenant is an id of 36 letters, digits and hyphens, or a domain like contoso.com.")
        return t("An application id has 36 letters, digits and hyphens; the portal's app registration shows it.")

    def show_error(self) -> str:
        """Say what is wrong, or no longer; returns it."""
        error = self.error
        self.tell(error)
        return error

    def on_input_changed(self) -> None:
        """What is put right is no longer called wrong."""
        if self.has_class("-wrong"):
            self.show_error()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Say what is wrong as the field is left."""
        self.show_error()
