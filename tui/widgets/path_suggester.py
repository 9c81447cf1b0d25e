"""Completes a path as it is typed."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
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
        """The whole path, or None; the disk, which may be far away, is asked in a thread that nothing waits for."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def look() -> None:
            found = self.completed(value)
            with suppress(RuntimeError):  # the program has ended meanwhile
                loop.call_soon_threadsafe(take, found)

        def take(found: str | None) -> None:
            if not answer.done():  # it is when a newer letter has made this one's answer old
                answer.set_result(found)

        threading.Thread(target=look, daemon=True).start()
        return await answer

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
