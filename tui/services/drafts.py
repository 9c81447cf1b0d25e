"""Drafts: recipes being edited, one TOML file each, written on every change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tui import recipe as recipes
from tui.messages import t
from tui.recipe import Recipe, RecipeError
from tui.services.errors import PhiftError, UsageError
from tui.settings import Settings
from tui.wording import system_words


@dataclass(frozen=True)
class Draft:
    """A draft on disk."""

    name: str
    path: Path
    changed: datetime
    error: str = ""
    """Why it cannot be read; empty: it can."""


def save(settings: Settings, recipe: Recipe) -> Path:
    """Write the draft under its name, atomically.

    Raises:
        PhiftError: the state folder cannot be written or the disk is full; the draft on disk is the one before.
    """
    path = _path(settings, recipe.name)
    try:
        recipes.save(recipe, path)
    except OSError as error:
        raise PhiftError(
            t("The draft could not be written to {path}: {reason}.", path=path, reason=system_words(error)),
            code="DraftNotSaved",
            meaning=t("The choices are kept while the program runs."),
            next_step=t("Free space or mend the folder's permissions; the next change tries again."),
        ) from None
    return path


def save_apart(settings: Settings, recipe: Recipe, known: Recipe | None) -> Recipe:
    """Write the draft, under another name where another program or an editor has written the one of its name.

    Args:
        settings: the settings in force.
        recipe: the draft.
        known: what the draft of its name is on disk, as far as this program knows; None: there is none.

    Returns:
        The recipe as it is written: its name may be another one.

    Raises:
        PhiftError: as `save`.
    """
    path = _path(settings, recipe.name)
    try:
        others = recipes.load(path) not in (recipe, known)
    except RecipeError:  # also where there is none
        others = path.exists()
    if others:
        recipe = recipe.with_(name=free_name(recipe.name, {draft.name for draft in listing(settings)}))
    save(settings, recipe)
    return recipe


def free_name(name: str, taken: set[str]) -> str:
    """A draft's name that is not taken: `name`, with a number behind it where it is."""
    if name not in taken:
        return name
    stem = name[:56]
    number = next(number for number in range(2, len(taken) + 3) if f"{stem} {number}" not in taken)
    return f"{stem} {number}"


def listing(settings: Settings) -> list[Draft]:
    """All drafts, the last changed first; one that cannot be read is listed with the reason."""
    found = []
    for path in settings.drafts.glob("*.toml"):
        try:
            recipes.load(path)
            error = ""
        except RecipeError as reason:
            error = str(reason)
        try:
            changed = path.stat().st_mtime
        except FileNotFoundError:
            continue  # removed by another run of the program since the folder was listed
        found.append(Draft(path.stem, path, datetime.fromtimestamp(changed, UTC), error))
    return sorted(found, key=lambda draft: draft.changed, reverse=True)


def latest(settings: Settings) -> Recipe | None:
    """The draft that was changed last and can be read; None where there is none."""
    for draft in listing(settings):
        if not draft.error:
            return load(settings, draft.name)
    return None


def load(settings: Settings, name: str) -> Recipe:
    """The draft called `name`.

    Raises:
        UsageError: there is no such draft, or it cannot be read; the message names the place.
    """
    path = _path(settings, name)
    try:
        return recipes.load(path)
    except RecipeError as error:
        raise UsageError(
            t("The draft cannot be read: {error}.", error=error),
            next_step=t("Mend the file in an editor, or remove the draft."),
        ) from None


def remove(settings: Settings, name: str) -> None:
    """Remove the draft called `name`; no error where there is none.

    Raises:
        PhiftError: the folder does not let it be removed.
    """
    path = _path(settings, name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise PhiftError(
            t("The draft {path} could not be removed: {reason}.", path=path, reason=system_words(error)),
            code="DraftNotRemoved",
            next_step=t("Mend the folder's permissions, or remove the file by hand."),
        ) from None


def _path(settings: Settings, name: str) -> Path:
    # A recipe's name has no character that a file name may not have; a name from elsewhere may.
    if not name or "/" in name or "\0" in name or name.startswith("."):
        raise UsageError(t("{name!r} cannot be the name of a draft.", name=name))
    return settings.drafts / f"{name}.toml"
