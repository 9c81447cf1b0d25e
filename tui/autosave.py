"""Writes the recipe being edited to its draft, soon after each change and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.timer import Timer

from tui import backend
from tui.messages import t

if TYPE_CHECKING:
    from tui.app import PhiftApp

_SAVE_AFTER = 0.02  # seconds; a person's next key comes later, so that a kill loses the last one at most
_TASK = "draft.save"


class Autosave:
    """The draft of the program's recipe."""

    def __init__(self, program: PhiftApp) -> None:
        self._program = program
        self._timer: Timer | None = None
        self.saved = program.wizard.recipe
        """The recipe that needs no saving."""

    def changed(self) -> None:
        """The recipe may have changed: write it soon, in the background."""
        if self._program.wizard.recipe is not self.saved and self._timer is None:
            self._timer = self._program.set_timer(_SAVE_AFTER, self._soon)

    def _soon(self) -> None:
        self._timer = None
        if self._program.tasks.of(_TASK):  # two at once could end in the wrong order
            self._timer = self._program.set_timer(_SAVE_AFTER, self._soon)
            return
        settings, recipe = self._program.settings, self._program.wizard.recipe
        self.saved = recipe
        self._program.tasks.start(
            _TASK, t("Saving the draft"), lambda report, cancel: backend.drafts.save(settings, recipe), quiet=True
        )

    def now(self) -> None:
        """Write it now, if it is not written.

        Raises:
            PhiftError: it cannot be written.
        """
        if self._program.wizard.recipe is not self.saved:
            self.saved = self._program.wizard.recipe
            backend.drafts.save(self._program.settings, self.saved)
