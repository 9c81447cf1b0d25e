"""The end says what goes on without the program, and what is billed until somebody removes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from run_fakes import put
from wizard_fakes import WORKSPACE, Wired, wizard

from tui.farewell import farewell
from tui.services.journal import DONE, Journal


@pytest.fixture
def journal(tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """The journal of the program, with an endpoint of the project that stands and one that was removed."""
    put(monkeypatch, journal={"Journal": Journal})
    made = Journal(tmp_path / "journal.sqlite")
    for name in ("gone", "ember-kettles"):
        made.finish(made.begin("endpoint", name, WORKSPACE.id, {"id": f"/{name}"}), DONE)
    made.removed("/gone", datetime.now(UTC))
    return made


def test_a_job_and_an_endpoint_are_named_with_what_ends_them(tmp_path: Path, journal: Journal) -> None:
    app = wizard(tmp_path, workspace=WORKSPACE, job="phift-tuned-1", sandbox=False)
    assert farewell(app).splitlines() == [
        "What runs on Azure goes on. To follow it: phift-tui jobs watch phift-tuned-1",
        "Endpoint ember-kettles is billed by the hour until it is removed: phift-tui deployments delete ember-kettles",
    ]


def test_in_the_sandbox_nothing_is_billed_and_the_commands_ask_the_sandbox(tmp_path: Path, journal: Journal) -> None:
    app = wizard(tmp_path, workspace=WORKSPACE)
    assert farewell(app) == (
        "Endpoint ember-kettles stays until it is removed: phift-tui deployments delete ember-kettles --sandbox"
    )


def test_nothing_is_said_where_no_project_is_known(tmp_path: Path, journal: Journal) -> None:
    assert farewell(wizard(tmp_path)) == ""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Another program that holds the journal."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_the_end_does_not_wait_for_a_journal_that_is_being_written(tmp_path: Path, journal: Journal) -> None:
    app = wizard(tmp_path, workspace=WORKSPACE, job="phift-tuned-1")
    with writing(journal.path):
        assert farewell(app) == (
            "What runs on Azure goes on. To follow it: phift-tui jobs watch phift-tuned-1 --sandbox"
        )
