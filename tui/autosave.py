"""Writes the recipe being edited to its draft, and what is remembered, soon after each change and at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.timer import Timer

from tui import backend, preferences, resuming
from tui.messages import t

if TYPE_CHECKING:
    from tui.app import PhiftApp

_SAVE_AFTER = 0.02  # seconds; a person's next key comes later, so that a kill loses the last one at most
_TASK = "draft.save"


class Autosave:
    """The draft of the program's recipe, and the preferences."""

    def __init__(self, program: PhiftApp) -> None:
        self._program = program
        self._timer: Timer | None = None
        self._saved = program.wizard.recipe
        self._kept = program.preferences

    def changed(self) -> None:
        """The recipe, where the user is or a preference may have changed: write it soon, in the background."""
        program = self._program
        if not program.is_running:
            return
        resuming.note(program)
        if self._timer is None and not (self.is_written and program.preferences is self._kept):
            self._timer = program.set_timer(_SAVE_AFTER, self._soon)

    @property
    def is_written(self) -> bool:
        """Whether the draft is the recipe."""
        return self._program.wizard.recipe is self._saved

    def count_as_written(self) -> None:
        """The recipe as it is now needs no draft."""
        self._saved = self._program.wizard.recipe

    def _soon(self) -> None:
        self._timer = None
        if self._program.tasks.of(_TASK):  # two at once could end in the wrong order
            self._timer = self._program.set_timer(_SAVE_AFTER, self._soon)
            return
        write = self._writing()
        self._program.tasks.start(_TASK, t("Saving the draft"), lambda report, cancel: write(), quiet=True)

    def _writing(self) -> Callable[[], None]:
        """What writes all that is not written; it counts as written from now on."""
        settings, recipe, remembered = self._program.settings, self._program.wizard.recipe, self._program.preferences
        saved, kept = self._saved, self._kept
        self._saved, self._kept = recipe, remembered

        def write() -> None:
            if remembered is not kept:
                preferences.save(remembered, settings.state)
            if recipe is not saved:
                backend.drafts.save(settings, recipe)

        return write

    def now(self) -> None:
        """Write now what is not written.

        Raises:
            PhiftError: the draft cannot be written.
        """
        self._writing()()
