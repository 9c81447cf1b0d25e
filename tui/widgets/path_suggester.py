"""Completes a path as it is typed."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from textual.suggester import Suggester

from tui.paths import expanded

_LOOKED_AT = 2_000  # names of a folder that are looked at, so that a huge one does not delay a key


class PathSuggester(Suggester):
    """Offers the first file or folder that begins with what is typed; folders and `.jsonl` files before others."""

    def __init__(self, base: Path) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._base = base

    async def get_suggestion(self, value: str) -> str | None:
        """The whole path, or None."""
        return self.completed(value)

    def completed(self, value: str) -> str | None:
        """`value` completed by one name, or None; a folder that cannot be read completes nothing."""
        folder_part, slash, beginning = value.rpartition("/")
        folder = self._base / expanded(folder_part + slash or ".")
        try:
            with os.scandir(folder) as entries:
                found = [
                    (not (each.is_dir() or each.name.endswith(".jsonl")), each.name, each.is_dir())
                    for each in islice(entries, _LOOKED_AT)
                    if each.name.startswith(beginning) and (beginning or not each.name.startswith("."))
                ]
        except OSError:
            return None
        if not value or not found:
            return None
        _, name, is_folder = min(found)
        return value[: len(value) - len(beginning)] + name + ("/" if is_folder else "")
