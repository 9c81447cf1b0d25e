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
        self._seen: dict[str, Recipe] = {}
        """What this program knows the drafts on disk to be, by name."""
        self._moved: dict[str, str] = {}
        """The names under which drafts go on whose file another program writes too."""
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

    def opened(self, recipe: Recipe) -> None:
        """That draft is what the disk has under its name: it goes on there."""
        self._seen[recipe.name] = recipe
        self._moved.pop(recipe.name, None)

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

        def done(name: str) -> None:
            self._tell(refused=False)
            if name != recipe.name == self._program.wizard.recipe.name:
                self._program.wizard.change(name=name)
                said = "There is another draft {old} on the disk by now. What you do here goes on as {new}."
                self._program.notify(t(said, old=recipe.name, new=name), markup=False, timeout=15)

        self._program.tasks.start(
            _TASK, title, lambda report, cancel: self._write(recipe, remembered),
            done=done, failed=failed, quiet=True,
        )  # fmt: skip

    def _tell(self, *, refused: bool) -> None:
        """Show whether the draft is written."""
        before, self.refused = self.refused, refused
        if before != refused:
            self._program.state_signal.publish(None)

    def _write(self, recipe: Recipe, remembered: Preferences) -> str:
        """Write what differs from what is on the disk; one at a time, or two could end in the wrong order.

        Returns:
            The draft's name: another than the recipe's where another program has changed the draft of that name.
        """
        settings = self._program.settings
        with self._disk:
            if remembered is not self._kept:
                preferences.save(remembered, settings.state, since=self._kept)
                self._kept = remembered
            name = self._moved.get(recipe.name, recipe.name)
            if recipe is not self._saved:
                kept = backend.drafts.save_apart(settings, recipe.with_(name=name), self._seen.get(name))
                if kept.name != name:
                    name = self._moved[recipe.name] = kept.name
                self._seen[name], self._saved = kept, recipe
            return name

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
