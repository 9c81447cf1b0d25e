"""The answers of a comparison while it is made, on disk as they come: one that breaks off is not paid for twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_WEEK = 7 * 24 * 3600.0  # seconds after which a comparison that nobody went on with is forgotten
_log = logging.getLogger("phift")


class KeptAnswers:
    """The answers of one comparison, by endpoint and row; safe to use from several threads."""

    def __init__(self, folder: Path, identity: Any) -> None:
        """Read what is kept.

        Args:
            folder: where comparisons are written; made with the first answer.
            identity: all that an answer depends on, as JSON; another comparison has another.
        """
        named = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]
        self._path = folder / f"unfinished-{named}.jsonl"
        self._lock = threading.Lock()
        self.given: dict[tuple[int, int], str | None] = {}
        """By the place of the endpoint and of the row; None: refused by content safety."""
        for old in folder.glob("unfinished-*.jsonl"):
            with suppress(FileNotFoundError):  # another program was quicker
                if old.stat().st_mtime < time.time() - _WEEK:
                    old.unlink()
        try:
            lines = self._path.read_text("utf-8").split("\n")
        except FileNotFoundError:
            return
        for line in lines:
            try:
                endpoint, row, answer = json.loads(line)
            except ValueError:  # the program was killed while it wrote this one
                continue
            self.given[endpoint, row] = answer

    def keep(self, endpoint: int, row: int, answer: str | None) -> None:
        """Take an answer; where the disk does not, the comparison goes on without."""
        line = json.dumps([endpoint, row, answer])
        with self._lock:
            self.given[endpoint, row] = answer
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with open(self._path, "a", encoding="utf-8", opener=_private) as file:
                    file.write(f"\n{line}")  # first: what stands before may have broken off
            except OSError as error:
                _log.warning("an answer is not kept: %s", error)

    def forget(self) -> None:
        """The comparison is whole."""
        self._path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
