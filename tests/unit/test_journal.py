"""The journal: intents survive anything, and are settled by what Azure says."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.services.clients import Azure
from tui.services.errors import Cancelled, Conflict, NotFound, PhiftError, Unreachable
from tui.services.journal import ABSENT, DONE, FAILED, FOUND, Journal

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/p"


class Cloud:
    """What Azure has, by resource id; an exception in place of a body is raised."""

    def __init__(self, **resources: dict[str, Any] | PhiftError) -> None:
        self.resources = resources

    def rest(self, method: str, path: str, *, api_version: str) -> dict[str, Any]:
        found = self.resources.get(path, NotFound("no such thing"))
        if isinstance(found, PhiftError):
            raise found
        return found


def azure(**resources: dict[str, Any] | PhiftError) -> Azure:
    return cast(Azure, Cloud(**resources))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.sqlite")


def intend(journal: Journal, name: str = "job-1", resource: str = "id-1") -> int:
    return journal.begin("job", name, WORKSPACE, {"id": resource, "api_version": "v"})


def test_file_and_folder_are_private(journal: Journal) -> None:
    intend(journal)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    beside = [path for path in journal.path.parent.iterdir() if path != journal.path]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in beside)


def test_outcome_closes_an_intent(journal: Journal) -> None:
    entry = intend(journal)
    assert [one.id for one in journal.open()] == [entry]
    journal.finish(entry, DONE, {"status": "Running"})
    assert journal.open() == []
    (found,) = journal.recent()
    assert (found.outcome, found.detail["status"], found.detail["id"]) == (DONE, "Running", "id-1")
    assert found.ended is not None
    assert found.ended >= found.begun


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Conflict("taken"), FAILED),
        (Unreachable("answer lost"), None),
        (Cancelled("stopped"), None),
        (None, DONE),
    ],
)
def test_intent_stays_open_exactly_where_the_effect_is_not_known(
    journal: Journal, error: PhiftError | None, outcome: str | None
) -> None:
    def call() -> None:
        with journal.intent("job", "job-1", WORKSPACE, "id-1", "v") as learnt:
            learnt["seen"] = True
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            call()
    else:
        call()
    assert journal.recent()[0].outcome == outcome


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"properties": {"status": "Running"}}, FOUND),
        (NotFound("gone"), ABSENT),
        (Unreachable("no network"), None),
    ],
)
def test_reconcile_asks_and_closes_what_has_an_answer(
    journal: Journal, answer: dict[str, Any] | PhiftError, outcome: str | None
) -> None:
    intend(journal)
    (settled,) = journal.reconcile(azure(**{"id-1": answer}))
    assert settled.outcome == outcome
    assert len(journal.open()) == (outcome is None)


def test_reconcile_leaves_the_intents_of_a_running_program_alone(journal: Journal) -> None:
    entry = intend(journal)
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with sqlite3.connect(journal.path) as database:
            database.execute("UPDATE entries SET pid = ? WHERE id = ?", (running.pid, entry))
        assert journal.reconcile(azure()) == []
        assert [one.id for one in journal.open()] == [entry]
    finally:
        running.communicate(b"\n")
    (settled,) = journal.reconcile(azure())
    assert settled.outcome == ABSENT


def test_entry_without_a_resource_is_not_asked_for(journal: Journal) -> None:
    journal.begin("run", "job-1", WORKSPACE, {"fingerprint": "f"})
    assert journal.reconcile(azure()) == []
    assert [entry.kind for entry in journal.open()] == ["run"]


def test_what_stands_and_bills_by_the_hour_was_made_and_not_removed_since(journal: Journal) -> None:
    def made(name: str, outcome: str, kind: str = "endpoint", **detail: str) -> None:
        journal.finish(journal.begin(kind, name, WORKSPACE, {"id": f"/{name}", **detail}), outcome)

    made("again", DONE)
    journal.removed("/again", datetime.now(UTC))
    made("again", FOUND)
    made("gone", DONE)
    journal.removed("/gone", datetime.now(UTC))
    made("refused", FAILED)
    made("job-1", DONE, "job")
    made("by-token", DONE, model="azureml://registries/azureml/models/Phi-4")
    made("on-a-gpu", DONE, model="azureml://registries/azureml/models/Phi-4", instance="Standard_NC24ads_A100_v4")
    assert journal.standing(WORKSPACE.upper()) == ["again", "on-a-gpu"]


def test_find_gives_the_newest_entry_of_a_name(journal: Journal) -> None:
    intend(journal)
    newest = intend(journal)
    found = journal.find("job", "job-1", WORKSPACE.upper())
    assert found is not None
    assert found.id == newest
    assert journal.find("job", "other", WORKSPACE) is None


@pytest.mark.parametrize("damage", ["not a database at all" * 100, None])
def test_unusable_journal_says_so(tmp_path: Path, damage: str | None) -> None:
    path = tmp_path / "journal.sqlite"
    if damage:
        path.write_text(damage)
    else:
        path.mkdir()
    with pytest.raises(PhiftError) as raised:
        Journal(path)
    assert raised.value.code == "JournalUnusable"
    assert str(path) in raised.value.message


def test_threads_may_write_at_once(journal: Journal) -> None:
    threads = [threading.Thread(target=lambda: [intend(journal) for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.open()) == 40


WRITER = """
import sys
from pathlib import Path
from tui.services.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    entry = journal.begin("job", f"job-{number}", "w", {"id": str(number), "api_version": "v"})
    print("begun", number, flush=True)
    journal.finish(entry, "done")
    print("ended", number, flush=True)
    number += 1
"""


def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    told = [writer.stdout.readline() for _ in range(41)]
    os.kill(writer.pid, signal.SIGKILL)
    told += writer.communicate()[0].splitlines(keepends=True)
    entries = {entry.name: entry.outcome for entry in Journal(path).recent(10_000)}
    for line in told:
        if line.endswith("\n"):
            what, number = line.split()
            assert f"job-{number}" in entries
            if what == "ended":
                assert entries[f"job-{number}"] == DONE


STEPS = st.lists(st.sampled_from(["begin", "finish", "lose", "refuse", "restart", "reconcile"]), max_size=25)


@settings(deadline=None, max_examples=12)
@given(STEPS)
def test_at_any_moment_open_is_what_has_no_outcome(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    journal = Journal(path)
    open_: dict[int, str] = {}
    number = 0

    def attempt(error: PhiftError) -> Callable[[], None]:
        def call() -> None:
            with journal.intent("job", f"job-{number}", WORKSPACE, f"id-{number}", "v"):
                raise error

        return call

    for step in steps:
        number += 1
        if step == "begin":
            open_[journal.begin("job", f"job-{number}", WORKSPACE, {"id": f"id-{number}", "api_version": "v"})] = step
        elif step == "finish" and open_:
            journal.finish(open_.popitem()[0], DONE)
        elif step == "lose":
            with pytest.raises(Unreachable):
                attempt(Unreachable("lost"))()
            open_[journal.recent(1)[0].id] = step
        elif step == "refuse":
            with pytest.raises(Conflict):
                attempt(Conflict("taken"))()
        elif step == "restart":
            journal = Journal(path)
        elif step == "reconcile":
            journal.reconcile(azure())
            open_.clear()
        assert {entry.id for entry in journal.open()} == set(open_)


def test_a_removal_is_noted_with_the_last_endpoint_of_that_id_that_was_made(journal: Journal) -> None:
    def make(outcome: str) -> None:
        journal.finish(journal.begin("endpoint", "bot", WORKSPACE, {"id": "/Endpoints/bot"}), outcome)

    first, again, second = (datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3))
    make(DONE)
    journal.removed("/endpoints/bot", first)
    journal.removed("/endpoints/bot", again)  # the first time, Azure did not carry it out
    make(FOUND)
    make(FAILED)
    journal.removed("/endpoints/bot", second)
    noted = [entry.detail.get("removed") for entry in journal.of(WORKSPACE)]
    assert noted == [again.isoformat(), second.isoformat(), None]
