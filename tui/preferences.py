"""What the program remembers of a user by itself: theme, language, files, the tour, where each draft was left."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tui.recipe import write_private

RECENT_FILES = 10
DRAFTS_LEFT = 50


class Left(BaseModel):
    """Where the user was in a draft."""

    model_config = ConfigDict(frozen=True)

    place: str
    """Name of the page."""
    done: tuple[str, ...] = ()
    """Steps that were done."""
    job: str = ""
    """The job that the monitor showed."""
    sandbox: bool = False
    """Whether all that was in the sandbox."""


class Preferences(BaseModel):
    """Kept in the state folder; a file that cannot be read counts as none, because nothing in it is work."""

    model_config = ConfigDict(frozen=True)

    theme: str = ""
    """Theme chosen in the program; a theme in the settings wins."""
    language: str = ""
    """Language chosen in the program; a language in the settings wins."""
    recent_files: tuple[str, ...] = ()
    """Data files used before, the last first."""
    tour_seen: bool = False
    """Whether the tour was shown at the first start."""
    left: dict[str, Left] = {}
    """Where each draft was left, by its name; the last draft last."""

    def with_file(self, path: Path) -> Preferences:
        """The same with `path` as the last file used."""
        others = tuple(each for each in self.recent_files if each != str(path))
        return self.model_copy(update={"recent_files": (str(path), *others)[:RECENT_FILES]})

    def with_left(self, draft: str, left: Left) -> Preferences:
        """The same with a draft left somewhere else."""
        others = [(name, where) for name, where in self.left.items() if name != draft]
        return self.model_copy(update={"left": dict([*others, (draft, left)][-DRAFTS_LEFT:])})


def load(state: Path) -> Preferences:
    """The preferences in the state folder."""
    try:
        return Preferences.model_validate_json(_path(state).read_bytes())
    except (OSError, ValidationError):
        return Preferences()


def save(preferences: Preferences, state: Path) -> None:
    """Write them; where the folder cannot be written they last as long as the program."""
    text = json.dumps(preferences.model_dump(), indent=1, ensure_ascii=False)
    with contextlib.suppress(OSError):
        write_private(_path(state), text)


def _path(state: Path) -> Path:
    return state / "preferences.json"
