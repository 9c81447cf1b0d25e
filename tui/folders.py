"""What is in a folder, for a person who chooses a file; to be read in the background, since a disk may be far away."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tui.services.progress import Cancel

_ENTRIES = 2_000  # names taken of one folder
_COUNTED_FILE = 4 << 20  # bytes of a file whose rows are counted; those of a larger one are the check's business
_COUNTED = 32 << 20  # bytes of all files of a folder whose rows are counted


@dataclass(frozen=True)
class Entry:
    """A file or a folder."""

    name: str
    path: str
    size: int | None
    """Bytes; None: a folder."""
    rows: int | None = None
    """Lines that are not blank; None: not counted."""


def listing(folder: Path, cancel: Cancel) -> list[Entry]:
    """What is in a folder, but for what is hidden: folders, then `.jsonl` files, then others, each by name.

    Raises:
        OSError: the folder cannot be read.
        Cancelled: a stop was asked for.
    """
    with os.scandir(folder) as scan:
        names = [each for each in islice(scan, _ENTRIES) if not each.name.startswith(".")]
    entries, left = [], _COUNTED
    found = [(not _is_folder(each), not each.name.endswith(".jsonl"), each.name, each) for each in names]
    for is_file, _, _, each in sorted(found, key=lambda row: row[:3]):
        cancel.check()
        if not is_file:
            entries.append(Entry(each.name, each.path, None))
            continue
        try:
            size = each.stat().st_size
        except OSError:
            continue  # removed since the folder was read, or a link to nowhere or to itself
        rows = None
        if each.name.endswith(".jsonl") and size <= min(_COUNTED_FILE, left):
            left -= size
            rows = _rows(Path(each.path))
        entries.append(Entry(each.name, each.path, size, rows))
    return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _rows(path: Path) -> int | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return sum(1 for line in data.splitlines() if line.strip())
