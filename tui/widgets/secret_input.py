"""An input for secrets: shows dots, and gives nothing to any clipboard."""

from __future__ import annotations

from textual.widgets import Input


class SecretInput(Input):
    """A password field whose text can be neither copied nor cut."""

    def __init__(self, placeholder: str = "", *, id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, password=True, id=id)

    def action_copy(self) -> None:
        """Refuse: the plain text would go to the terminal's clipboard."""
        self.app.bell()

    def action_cut(self) -> None:
        """Refuse: the plain text would go to the terminal's clipboard."""
        self.app.bell()
