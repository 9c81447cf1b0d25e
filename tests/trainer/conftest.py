"""A warm worker for the session, and jobs that are trained through it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support_chats import support_chats, write_jsonl
from trainkit import Job, WorkerProcess


@pytest.fixture(scope="session")
def worker() -> Iterator[WorkerProcess]:
    """The session's warm worker."""
    with tempfile.TemporaryDirectory(prefix="phift-trainer-") as folder:  # a socket's path has to be short
        process = WorkerProcess(Path(folder))
        yield process
        process.end()


@pytest.fixture
def make_job(tmp_path: Path, worker: WorkerProcess) -> Callable[..., Job]:
    """Makes jobs of 16 training and 4 validation rows, or of the rows given."""

    def make(name: str = "job", **files: list[Any]) -> Job:
        folder = tmp_path / name
        folder.mkdir()
        train, validation = support_chats(16, 4)
        contents: Mapping[str, list[Any]] = {"train": train, "validation": validation, **files}
        for file, rows in contents.items():
            write_jsonl(folder / f"{file}.jsonl", rows)
        return Job(folder, worker)

    return make
