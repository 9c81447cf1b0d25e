"""Where the user was in each draft: kept as it changes, and taken up when the draft is opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.messages import t
from tui.preferences import Left
from tui.services import drafts
from tui.wizard import BY_NAME, PLACES, Mark

if TYPE_CHECKING:
    from tui.app import PhiftApp

_SIGN_IN = PLACES[0].name


def note(program: PhiftApp) -> None:
    """Take down where the user is in the draft being edited."""
    wizard, kept = program.wizard, program.preferences.left.get(program.wizard.recipe.name)
    left = Left(
        place=wizard.left_at or program.current_mode,
        done=tuple(sorted(name for name, mark in wizard.marks.items() if mark.state == "done" and name != _SIGN_IN)),
        job=wizard.facts.job,
        sandbox=program.sandbox,
    )
    if left != kept and (kept or left.place != _SIGN_IN):
        program.preferences = program.preferences.with_left(wizard.recipe.name, left)


def open_draft(program: PhiftApp, name: str) -> None:
    """Go on with a draft where it was left.

    Raises:
        UsageError: there is no such draft, or it cannot be read.
    """
    left = program.preferences.left.get(name)
    draft = drafts.load(program.settings, name)
    program.autosave.opened(draft)
    program.wizard.take(draft)
    go_on(program, left)


def go_on(program: PhiftApp, left: Left | None) -> None:
    """Go where the draft was left, at once or after the sign-in; its job is the one that the monitor shows."""
    wizard = program.wizard
    if left is None or left.sandbox != program.sandbox or left.place not in BY_NAME:
        wizard.learn(job="")
        return
    wizard.learn(job=left.job)
    for step in left.done:
        wizard.marks.setdefault(step, Mark("done"))
    if left.place == _SIGN_IN:
        wizard.changed()
    elif wizard.facts.azure is None:
        wizard.left_at = left.place
        wizard.changed()
        place = t(BY_NAME[left.place].title)
        program.notify(
            t("Goes on at {place}, where this draft was left, once you are signed in.", place=place), markup=False
        )
    else:
        program.call_later(program.go, left.place)  # when the dialog that asked for it is gone
