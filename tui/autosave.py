"""Writes the recipe being edited to its draft, and what is remembered, soon after each change and at the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from textual.timer import Timer

from tui import backend, preferences, resuming
from tui.messages import t
from tui.services.errors import PhiftError
from tui.tasks import as_phift_error, within

if TYPE_CHECKING:
    from tui.app import PhiftApp
    from tui.preferences import Preferences
    from tui.recipe import Recipe

_SAVE_AFTER = 0.02  # seconds; a person's next key comes later, so that a kill loses the last one at most
_PATIENCE = 0.7  # seconds that the end waits for a disk
_TASK = "draft.save"


class Autosave:
    """The draft of the program's recipe, and the preferences."""

    def __init__(self, program: PhiftApp) -> None:
        self._program = program
        self._timer: Timer | None = None
        self._disk = threading.Lock()
        self._saved = program.wizard.recipe
        self._kept = program.preferences
        self.refused = False
        """Whether the disk did not take the draft the last time."""

    def changed(self) -> None:
        """The recipe, where the user is or a preference may have changed: write it soon, in the background."""
        program = self._program
        if not program.is_running:
            return
        resuming.note(program)
        if self._timer is None and self._pending:
            self._timer = program.set_timer(_SAVE_AFTER, self._soon)

    @property
    def is_written(self) -> bool:
        """Whether the draft is the recipe."""
        return self._program.wizard.recipe is self._saved

    @property
    def _pending(self) -> bool:
        return not (self.is_written and self._program.preferences is self._kept)

    def count_as_written(self) -> None:
        """The recipe as it is now needs no draft."""
        self._saved = self._program.wizard.recipe

    def _soon(self) -> None:
        self._timer = None
        if self._program.tasks.of(_TASK):
            self._timer = self._program.set_timer(_SAVE_AFTER, self._soon)
            return
        if not self._pending:
            return
        recipe, remembered, title = self._program.wizard.recipe, self._program.preferences, t("Saving the draft")

        def failed(error: PhiftError) -> None:
            if not self.refused:  # else each letter would be interrupted
                self._program.show_error(error, title)
            self._tell(refused=True)

        def done(_: None) -> None:
            self._tell(refused=False)

        self._program.tasks.start(
            _TASK, title, lambda report, cancel: self._write(recipe, remembered),
            done=done, failed=failed, quiet=True,
        )  # fmt: skip

    def _tell(self, *, refused: bool) -> None:
        """Show whether the draft is written."""
        before, self.refused = self.refused, refused
        if before != refused:
            self._program.state_signal.publish(None)

    def _write(self, recipe: Recipe, remembered: Preferences) -> None:
        """Write what differs from what is on the disk; one at a time, or two could end in the wrong order."""
        settings = self._program.settings
        with self._disk:
            if remembered is not self._kept:
                preferences.save(remembered, settings.state)
                self._kept = remembered
            if recipe is not self._saved:
                backend.drafts.save(settings, recipe)
                self._saved = recipe

    def now(self) -> None:
        """Write now what is not written.

        Raises:
            PhiftError: the draft cannot be written, or the disk does not answer.
        """
        if not self._pending:
            return
        recipe, remembered = self._program.wizard.recipe, self._program.preferences
        try:
            within(_PATIENCE, lambda: self._write(recipe, remembered))
        except TimeoutError:
            raise self._no_answer() from None
        except Exception as error:
            raise as_phift_error(error) from None

    def _no_answer(self) -> PhiftError:
        return PhiftError(
            t("The disk does not answer: {path}.", path=self._program.settings.drafts),
            code="DraftNotSaved",
            meaning=t("The choices are kept while the program runs."),
            next_step=t("Look after that disk; the next change tries again."),
        )
