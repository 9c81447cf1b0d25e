"""The journal: what was about to be created or bought, and what came of it.

An intent is written, under the name chosen here, before the call that creates or costs something; the outcome after it.
A program killed in between leaves an open intent, which `reconcile` settles by asking Azure for that name.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.messages import mark, t
from tui.services.errors import Cancelled, NotFound, PhiftError, Throttled, Unreachable

if TYPE_CHECKING:
    from tui.services.clients import Azure

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    workspace TEXT NOT NULL,
    detail TEXT NOT NULL,
    begun TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    ended TEXT,
    outcome TEXT
);
CREATE INDEX IF NOT EXISTS open_entries ON entries (id) WHERE outcome IS NULL;
"""

_OF_A_REGISTRY = "azureml://registries/"

DONE = "done"
FAILED = "failed"
FOUND = "found"
"""Left open, and Azure has it."""
ABSENT = "absent"
"""Left open, and Azure does not have it: the call never took effect, so it may be made again."""

OUTCOMES: dict[str | None, str] = {
    DONE: mark("it is there"),
    FOUND: mark("it is there"),
    FAILED: mark("it failed"),
    ABSENT: mark("it is not there"),
    None: mark("not known yet"),
}
"""The outcomes in words, not translated yet; None: open."""


@dataclass(frozen=True)
class Entry:
    """One intent and what came of it."""

    id: int
    kind: str
    """`hub`, `project`, `data`, `job`, `endpoint`, `delete`, …"""
    name: str
    """The name chosen here."""
    workspace: str
    """Resource id of the workspace it belongs to; empty above workspaces."""
    begun: datetime
    ended: datetime | None = None
    outcome: str | None = None
    """`done`, `failed`, `found`, `absent`; None: open."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What else is known: `id` is the resource id, `api_version` how to ask for it."""


class Journal:
    """The journal in one SQLite file, mode 0600; every call opens it anew, so any thread may use it."""

    def __init__(self, path: Path) -> None:
        """Open the journal at `path`, made with its folder where it does not exist.

        Raises:
            PhiftError: the file cannot be written, or is not a journal.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        with self._database() as database:
            database.executescript(_SCHEMA)

    def _unusable(self, reason: object) -> PhiftError:
        return PhiftError(
            t("The journal {path} cannot be used: {reason}.", path=self.path, reason=reason),
            code="JournalUnusable",
            meaning=t("Without it, a submit after a lost connection could be paid for twice, so nothing is submitted."),
            next_step=t("Free space on the disk, or move the file away; a new one is made."),
        )

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as database:
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA journal_mode=WAL")
                database.execute("PRAGMA synchronous=FULL")
                yield database
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def begin(self, kind: str, name: str, workspace: str, detail: dict[str, Any]) -> int:
        """Write an intent; when this returns it is on the disk.

        Returns:
            The entry's number, for `finish`.
        """
        with self._database() as database:
            cursor = database.execute(
                "INSERT INTO entries (kind, name, workspace, detail, begun, host, pid) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (kind, _whole(name), _whole(workspace), json.dumps(detail), _now(), platform.node(), os.getpid()),
            )
            return int(cursor.lastrowid or 0)

    def finish(self, entry: int, outcome: str, detail: dict[str, Any] | None = None) -> None:
        """Write the outcome of an intent, `detail` added to what is known."""
        with self._database() as database:
            database.execute(
                "UPDATE entries SET ended = ?, outcome = ?, detail = json_patch(detail, ?) WHERE id = ?",
                (_now(), outcome, json.dumps(detail or {}), entry),
            )

    @contextmanager
    def intent(
        self, kind: str, name: str, workspace: str, resource_id: str, api_version: str, **detail: Any
    ) -> Iterator[dict[str, Any]]:
        """Run a creating call between its intent and its outcome.

        What the block puts into the dictionary it is given is kept with the outcome. When the call was refused, the
        entry ends as `failed`; when its answer was lost, or the program dies, it stays open for `reconcile`.
        """
        entry = self.begin(kind, name, workspace, {"id": resource_id, "api_version": api_version, **detail})
        learnt: dict[str, Any] = {}
        try:
            yield learnt
        except (Unreachable, Throttled, Cancelled):
            raise
        except PhiftError as error:
            self.finish(entry, FAILED, {**learnt, "error": error.to_json()})
            raise
        self.finish(entry, DONE, learnt)

    def open(self) -> list[Entry]:
        """The intents without an outcome, oldest first."""
        return self._entries("WHERE outcome IS NULL ORDER BY id")

    def recent(self, limit: int = 100) -> list[Entry]:
        """The last entries, newest first."""
        return self._entries("ORDER BY id DESC LIMIT ?", limit)

    def of(self, workspace: str) -> list[Entry]:
        """All entries of a workspace, oldest first."""
        return self._entries("WHERE workspace = ? COLLATE NOCASE ORDER BY id", _whole(workspace))

    def removed(self, resource_id: str, moment: datetime) -> None:
        """Note with what was made that it is there no longer, since what it cost ended then."""
        with self._database() as database:
            # An older entry of the same id is of an endpoint that went before this one was made.
            database.execute(
                "UPDATE entries SET detail = json_patch(detail, ?) WHERE id = (SELECT max(id) FROM entries WHERE "
                "outcome IN (?, ?) AND kind = 'endpoint' AND json_extract(detail, '$.id') = ? COLLATE NOCASE)",
                (json.dumps({"removed": moment.isoformat()}), DONE, FOUND, resource_id),
            )

    def standing(self, workspace: str) -> list[str]:
        """Names of the endpoints billed by the hour that were made from this machine and not removed from it.

        A model of a registry that is served without machines of one's own is billed by the token.

        Args:
            workspace: resource id of the project.
        """
        last = {entry.name: entry for entry in self.of(workspace) if entry.kind == "endpoint"}
        found = []
        for entry in last.values():
            by_token = str(entry.detail.get("model", "")).startswith(_OF_A_REGISTRY) and "instance" not in entry.detail
            if entry.outcome in (DONE, FOUND) and "removed" not in entry.detail and not by_token:
                found.append(entry.name)
        return found

    def find(self, kind: str, name: str, workspace: str) -> Entry | None:
        """The newest entry for that name, where there is one."""
        found = self._entries(
            "WHERE kind = ? AND name = ? AND workspace = ? COLLATE NOCASE ORDER BY id DESC LIMIT 1",
            kind,
            _whole(name),
            _whole(workspace),
        )
        return found[0] if found else None

    def _entries(self, where: str, *values: object) -> list[Entry]:
        with self._database() as database:
            rows = database.execute(f"SELECT * FROM entries {where}", values).fetchall()  # noqa: S608  # constants above
        return [_entry(row) for row in rows]

    def reconcile(self, azure: Azure) -> list[Entry]:
        """Ask Azure what became of every open intent, and close those that have an answer.

        Intents of a program that still runs on this machine are left alone, and those of a subscription that this
        identity does not see: it may be another account's, or the sandbox's.

        Returns:
            The entries that were open, with the outcome they have now; None where Azure could not be asked.
        """
        settled = []
        for entry in self.open():
            # An entry without a resource (a whole run) is closed by who opened it, or who goes on with it.
            if "id" not in entry.detail or self._in_progress(entry.id):
                continue
            try:
                outcome, learnt = _ask(azure, entry)
            except _Elsewhere:
                continue
            if outcome:
                self.finish(entry.id, outcome, learnt)
            settled.append(self._entries("WHERE id = ?", entry.id)[0])
        return settled

    def _in_progress(self, entry: int) -> bool:
        with self._database() as database:
            row = database.execute("SELECT host, pid FROM entries WHERE id = ?", (entry,)).fetchone()
        if row["host"] != platform.node() or row["pid"] == os.getpid():
            return False
        try:
            os.kill(row["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class _Elsewhere(Exception):
    """The resource's subscription is not to be seen from here."""


def _ask(azure: Azure, entry: Entry) -> tuple[str | None, dict[str, Any]]:
    try:
        body = azure.rest("GET", entry.detail["id"], api_version=entry.detail["api_version"])
    except NotFound as error:
        if error.code == "SubscriptionNotFound":
            raise _Elsewhere from None
        return ABSENT, {}
    except PhiftError as error:
        # Not an answer about the resource: the entry stays open and is asked for again at the next start.
        return None, {"error": error.to_json()}
    properties = body.get("properties") or {}
    state = properties.get("status") or properties.get("provisioningState") or ""
    return FOUND, {"state": state}


def _entry(row: sqlite3.Row) -> Entry:
    ended = row["ended"]
    return Entry(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        workspace=row["workspace"],
        detail=json.loads(row["detail"]),
        begun=datetime.fromisoformat(row["begun"]),
        ended=datetime.fromisoformat(ended) if ended else None,
        outcome=row["outcome"],
    )


def _whole(text: str) -> str:
    """The text as a database takes it: JSON can escape halves of characters, which UTF-8 cannot write."""
    return text.encode("utf-8", "replace").decode()


def _now() -> str:
    return datetime.now(UTC).isoformat()
