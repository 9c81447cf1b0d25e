"""Everything the sandbox remembers: one SQLite file of resources, settings and operations, and a folder of files."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui.sandbox.errors import not_found
from tui.sandbox.paths import name_of, parent_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    created INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE COLLATE NOCASE,
    type TEXT NOT NULL COLLATE NOCASE,
    parent TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    body TEXT NOT NULL,
    etag TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS resources_by_parent ON resources (parent, type, created);
CREATE INDEX IF NOT EXISTS resources_by_type ON resources (type, name);
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    started REAL NOT NULL,
    due REAL NOT NULL,
    ended REAL,
    error TEXT
);
CREATE INDEX IF NOT EXISTS operations_due ON operations (status, due);
"""


class State:
    """The durable state under one folder; an acknowledged write has reached the disk.

    Bodies are the JSON objects exactly as the services answer them. Identifiers, types and names compare without
    regard to case, as in Azure. Methods may be called from any thread. Code inside `transaction` must not await:
    another request on the same thread would join the transaction.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.folder = folder
        self._lock = threading.RLock()
        self._depth = 0
        path = folder / "state.sqlite"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        self.settings = Settings(self)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside reach the disk together or not at all; an inner one can fail without the outer."""
        with self._lock:
            outermost = self._depth == 0
            self._db.execute("BEGIN IMMEDIATE" if outermost else f"SAVEPOINT level{self._depth}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                self._db.execute("ROLLBACK" if outermost else f"ROLLBACK TO level{self._depth}")
                raise
            self._depth -= 1
            self._db.execute("COMMIT" if outermost else f"RELEASE level{self._depth}")

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return all its rows."""
        with self._lock:
            return self._db.execute(sql, parameters).fetchall()

    def get(self, resource_id: str) -> dict[str, Any] | None:
        """Return the body of a resource, or None where there is none."""
        rows = self.execute("SELECT body FROM resources WHERE id = ?", (resource_id,))
        return _object(rows[0][0]) if rows else None

    def require(self, resource_id: str) -> dict[str, Any]:
        """Return the body of a resource; raises the service's 404 where there is none."""
        body = self.get(resource_id)
        if body is None:
            raise not_found(resource_id)
        return body

    def etag(self, resource_id: str) -> str | None:
        """Return the entity tag of a resource, quotes included, or None where there is none."""
        rows = self.execute("SELECT etag FROM resources WHERE id = ?", (resource_id,))
        return str(rows[0][0]) if rows else None

    def put(self, resource_id: str, type_: str, body: dict[str, Any]) -> str:
        """Create or replace a resource; returns its new entity tag. A replaced resource keeps its place in lists."""
        etag = f'"{uuid.uuid4()}"'
        with self.transaction():
            self.execute(
                "INSERT INTO resources (id, type, parent, name, body, etag) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET type = excluded.type, body = excluded.body, etag = excluded.etag",
                (
                    resource_id,
                    type_,
                    parent_of(resource_id),
                    name_of(resource_id),
                    json.dumps(body, separators=(",", ":")),
                    etag,
                ),
            )
        return etag

    def delete(self, resource_id: str) -> bool:
        """Remove one resource, not what lives in it; returns whether there was one."""
        with self.transaction():
            return bool(self.execute("DELETE FROM resources WHERE id = ? RETURNING id", (resource_id,)))

    def delete_tree(self, resource_id: str) -> None:
        """Remove a resource and everything whose identifier begins with its own."""
        with self.transaction():
            self.execute("DELETE FROM resources WHERE id = ?", (resource_id,))
            self.execute(
                "DELETE FROM resources WHERE id >= ? COLLATE NOCASE AND id < ? COLLATE NOCASE",
                (resource_id + "/", resource_id + "0"),  # "0" is the character after "/"
            )

    def children(
        self, parent_id: str, type_: str, *, offset: int = 0, limit: int = -1, newest_first: bool = False
    ) -> list[dict[str, Any]]:
        """Return the bodies of the direct children of one type, in the order of their creation."""
        order = "DESC" if newest_first else "ASC"
        rows = self.execute(
            f"SELECT body FROM resources WHERE parent = ? AND type = ? ORDER BY created {order} LIMIT ? OFFSET ?",  # noqa: S608 - one of two fixed words
            (parent_id, type_, limit, offset),
        )
        return [_object(row[0]) for row in rows]

    def inside(self, resource_id: str) -> list[dict[str, Any]]:
        """Return the bodies of all resources whose identifiers begin with that of `resource_id`, itself left out."""
        rows = self.execute(
            "SELECT body FROM resources WHERE id >= ? COLLATE NOCASE AND id < ? COLLATE NOCASE ORDER BY created",
            (resource_id + "/", resource_id + "0"),  # "0" is the character after "/"
        )
        return [_object(row[0]) for row in rows]

    def count(self, parent_id: str, type_: str) -> int:
        """Return how many direct children of one type there are."""
        return int(
            self.execute("SELECT count(*) FROM resources WHERE parent = ? AND type = ?", (parent_id, type_))[0][0]
        )

    def of_type(self, type_: str, name: str | None = None) -> list[dict[str, Any]]:
        """Return the bodies of all resources of a type, wherever they live, or of those with a given name."""
        if name is None:
            rows = self.execute("SELECT body FROM resources WHERE type = ? ORDER BY created", (type_,))
        else:
            rows = self.execute(
                "SELECT body FROM resources WHERE type = ? AND name = ? ORDER BY created", (type_, name)
            )
        return [_object(row[0]) for row in rows]


class Settings:
    """Single values by key, any JSON."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        rows = self._state.execute("SELECT value FROM settings WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else default

    def set(self, key: str, value: Any) -> None:
        """Store `value` under `key`."""
        with self._state.transaction():
            self._state.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, json.dumps(value)),
            )

    def delete(self, key: str) -> None:
        """Forget `key`."""
        with self._state.transaction():
            self._state.execute("DELETE FROM settings WHERE key = ?", (key,))


def _object(text: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(text)
    return body
