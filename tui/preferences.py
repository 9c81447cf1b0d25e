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


def save(preferences: Preferences, state: Path, *, since: Preferences | None = None) -> None:
    """Write them; where the folder cannot be written they last as long as the program.

    Args:
        preferences: what to write.
        state: the state folder.
        since: what they were when this program last had them from the disk: only what is different from that is
            written, since another program may have written the rest; None: all of it.
    """
    if since is not None:
        preferences = _changed(load(state), since, preferences)
    text = json.dumps(preferences.model_dump(), indent=1, ensure_ascii=False)
    with contextlib.suppress(OSError):
        write_private(_path(state), text)


def _changed(there: Preferences, before: Preferences, after: Preferences) -> Preferences:
    plain = ("theme", "language", "tour_seen")
    changed = {name: getattr(after, name) for name in plain if getattr(after, name) != getattr(before, name)}
    there = there.model_copy(update=changed)
    if after.recent_files != before.recent_files and after.recent_files:
        there = there.with_file(Path(after.recent_files[0]))
    for draft, left in after.left.items():
        if left != before.left.get(draft):
            there = there.with_left(draft, left)
    return there


def _path(state: Path) -> Path:
    return state / "preferences.json"
