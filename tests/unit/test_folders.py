"""What is in a folder, as the picker lists it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from tui import folders
from tui.folders import Entry, listing
from tui.services.errors import Cancelled
from tui.services.progress import Cancel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder."""
    made = tmp_path / "rows"
    made.mkdir()
    return made


def test_folders_come_first_then_rows_and_what_cannot_be_looked_at_is_left_out(folder: Path) -> None:
    (folder / "zoo").mkdir()
    (folder / "b.jsonl").write_text("{}\n\n{}\n")
    (folder / "a.txt").write_text("text")
    (folder / ".hidden.jsonl").write_text("{}\n")
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere.jsonl").symlink_to("absent")
    assert listing(folder, Cancel()) == [
        Entry("zoo", str(folder / "zoo"), None),
        Entry("b.jsonl", str(folder / "b.jsonl"), 7, 2),
        Entry("a.txt", str(folder / "a.txt"), 4),
    ]


def test_a_file_that_goes_while_the_folder_is_read_does_not_take_the_others_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        (folder / name).write_text("{}\n")
    scan = os.scandir

    def scanned(path: Path) -> object:
        with scan(path) as found:
            seen = list(found)
        (folder / "b.jsonl").unlink()
        return nullcontext(seen)

    monkeypatch.setattr(folders.os, "scandir", scanned)
    assert [each.name for each in listing(folder, Cancel())] == ["a.jsonl", "c.jsonl"]


def test_rows_of_large_files_and_of_too_many_are_not_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_COUNTED_FILE", 6)
    monkeypatch.setattr(folders, "_COUNTED", 8)
    for name, rows in (("a", 2), ("b", 3), ("c", 2), ("d", 1)):
        (folder / f"{name}.jsonl").write_text("{}\n" * rows)
    assert [each.rows for each in listing(folder, Cancel())] == [2, None, None, None]


def test_it_can_be_stopped(folder: Path) -> None:
    (folder / "a.jsonl").write_text("{}\n")
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        listing(folder, cancel)
