"""Blobs on disk: containers, blobs made of segment files, uncommitted blocks, and the rules for changing them."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from tui.sandbox.errors import ServiceError

log = logging.getLogger(__name__)

BlobKind = Literal["BlockBlob", "AppendBlob"]
CONTAINER_NAME = re.compile(r"\$root|\$logs|[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]")
MAX_BLOCKS = 50_000  # Put Block List reference: "A block blob can include a maximum of 50,000 committed blocks."
READ_SIZE = 1 << 20
EPOCH = datetime(1, 1, 1, tzinfo=UTC)

SCHEMA = """
CREATE TABLE IF NOT EXISTS containers(
  account TEXT, name TEXT, etag TEXT NOT NULL, modified REAL NOT NULL, metadata TEXT NOT NULL,
  PRIMARY KEY(account, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs(
  account TEXT, container TEXT, name TEXT, body BLOB NOT NULL,
  PRIMARY KEY(account, container, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks(
  account TEXT, container TEXT, blob TEXT, block TEXT, size INTEGER NOT NULL, file TEXT NOT NULL,
  PRIMARY KEY(account, container, blob, block)) WITHOUT ROWID;
"""


class Segment(msgspec.Struct, frozen=True):
    """One run of a blob's bytes: its block id ("" for a whole put), its length, and the file that holds it."""

    block: str
    size: int
    file: str


class Blob(msgspec.Struct, frozen=True):
    """A committed blob: its properties as HTTP headers, its metadata, and the segments its bytes are read from."""

    kind: BlobKind
    etag: str
    created: float
    modified: float
    headers: dict[str, str]
    metadata: dict[str, str]
    segments: tuple[Segment, ...]
    live: str | None = None  # a file another process still writes to: its length is read anew each time

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(segment.size for segment in self.segments)


class Container(msgspec.Struct, frozen=True):
    """A container's name and properties."""

    name: str
    etag: str
    modified: float
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a blob lies: account, container and name (case-sensitive, up to 1,024 characters)."""

    account: str
    container: str
    name: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a request, times in seconds since 1970."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: float | None = None
    if_unmodified_since: float | None = None

    def check(self, blob: Blob | None, *, reading: bool) -> None:
        """Refuse the request when its conditions do not hold for `blob` (None when there is none).

        Raises:
            ServiceError: 304 for a read of an unchanged blob, 409 BlobAlreadyExists for a write with
                `If-None-Match: *`, 412 ConditionNotMet else.
        """
        failed = ServiceError(
            412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met."
        )
        if blob is None:
            if self.if_match is not None:
                raise failed
            return
        if self.if_match not in (None, "*", blob.etag):
            raise failed
        if self.if_unmodified_since is not None and int(blob.modified) > self.if_unmodified_since:
            raise failed
        unchanged = self.if_none_match in ("*", blob.etag) or (
            self.if_modified_since is not None and int(blob.modified) <= self.if_modified_since
        )
        if not unchanged:
            return
        if reading:
            raise ServiceError(304, "ConditionNotMet", "The blob has not changed.")
        if self.if_none_match == "*":
            raise ServiceError(409, "BlobAlreadyExists", "The specified blob already exists.")
        raise failed


def not_found(code: str) -> ServiceError:
    """The 404 of the blob service for `code`: AccountNotFound, ContainerNotFound or BlobNotFound."""
    noun = code.removesuffix("NotFound").lower()
    return ServiceError(404, code, f"The specified {noun} does not exist.")


def check_blob_name(name: str) -> None:
    """Refuse names that Azure refuses or that would climb out of a folder when a client downloads them.

    Raises:
        ServiceError: 400 InvalidUri.
    """
    climbs = ".." in name.replace("\\", "/").split("/")
    if (
        not name
        or len(name) > 1024
        or climbs
        or name.startswith("/")
        or any(ord(c) < 32 or ord(c) == 127 for c in name)
    ):
        raise ServiceError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


class Upload:
    """One file being received: write pieces, then `seal` it to stable storage, or `discard` it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._file = path.open("xb", buffering=0)

    def write(self, piece: bytes) -> None:
        """Append one piece."""
        view = memoryview(piece)
        while view:
            view = view[self._file.write(view) :]
        self.size += len(piece)

    def seal(self) -> None:
        """Return once the bytes and the directory entry are on stable storage."""
        os.fsync(self._file.fileno())
        self._file.close()
        sync_folder(self.path.parent)

    def discard(self) -> None:
        """Close and delete what was received."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Return once new and removed names in `folder` are on stable storage."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class BlobStore:
    """All storage accounts of one sandbox.

    Blob contents are files that are never rewritten, so a reader is not disturbed by a writer, and committing a
    block list moves no bytes. Metadata is in SQLite with full synchronisation: what returned is durable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "segments"
        self.files.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.RLock()
        self._database = sqlite3.connect(folder / "blobs.sqlite", check_same_thread=False, isolation_level=None)
        os.chmod(folder / "blobs.sqlite", 0o600)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(SCHEMA)
        self._last_tick = 0
        self._drop_orphans()

    def _drop_orphans(self) -> None:
        """Delete files that a killed process left without an owner."""
        owned = {file for (file,) in self._database.execute("SELECT file FROM blocks")}
        for (body,) in self._database.execute("SELECT body FROM blobs"):
            owned.update(segment.file for segment in msgspec.msgpack.decode(body, type=Blob).segments)
        for path in self.files.iterdir():
            if path.name not in owned:
                path.unlink()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def _stamp(self) -> tuple[str, float]:
        """A new ETag, unlike all before it, and the time it stands for."""
        now = datetime.now(UTC)
        tick = max(int((now - EPOCH).total_seconds() * 10_000_000), self._last_tick + 1)
        self._last_tick = tick
        return f'"0x{tick:X}"', now.timestamp()

    # containers

    def accounts(self) -> list[str]:
        """Names of the accounts that have a container."""
        with self._lock:
            return [name for (name,) in self._database.execute("SELECT DISTINCT account FROM containers")]

    def containers(self, account: str) -> list[Container]:
        """All containers of an account, by name."""
        with self._lock:
            rows = self._database.execute(
                "SELECT name, etag, modified, metadata FROM containers WHERE account=? ORDER BY name", (account,)
            ).fetchall()
        return [Container(name, etag, modified, msgspec.json.decode(raw)) for name, etag, modified, raw in rows]

    def container(self, account: str, name: str) -> Container:
        """One container.

        Raises:
            ServiceError: 404 ContainerNotFound.
        """
        with self._lock:
            row = self._database.execute(
                "SELECT name, etag, modified, metadata FROM containers WHERE account=? AND name=?", (account, name)
            ).fetchone()
        if row is None:
            raise not_found("ContainerNotFound")
        return Container(row[0], row[1], row[2], msgspec.json.decode(row[3]))

    def create_container(
        self, account: str, name: str, metadata: dict[str, str], *, exist_ok: bool = False
    ) -> Container:
        """Create a container, or return the present one when `exist_ok`.

        Raises:
            ServiceError: 400 InvalidResourceName, 409 ContainerAlreadyExists.
        """
        if not CONTAINER_NAME.fullmatch(name):
            raise ServiceError(400, "InvalidResourceName", "The specified resource name contains invalid characters.")
        etag, modified = self._stamp()
        with self._transaction() as database:
            changed = database.execute(
                "INSERT OR IGNORE INTO containers VALUES(?,?,?,?,?)",
                (account, name, etag, modified, msgspec.json.encode(metadata).decode()),
            ).rowcount
        if not changed and not exist_ok:
            raise ServiceError(409, "ContainerAlreadyExists", "The specified container already exists.")
        return self.container(account, name)

    def set_container_metadata(self, account: str, name: str, metadata: dict[str, str]) -> Container:
        """Replace a container's metadata."""
        self.container(account, name)
        etag, modified = self._stamp()
        with self._transaction() as database:
            database.execute(
                "UPDATE containers SET etag=?, modified=?, metadata=? WHERE account=? AND name=?",
                (etag, modified, msgspec.json.encode(metadata).decode(), account, name),
            )
        return self.container(account, name)

    def delete_container(self, account: str, name: str) -> None:
        """Delete a container with all it holds."""
        self.container(account, name)
        with self._transaction() as database:
            files = self._files_under(database, account, name)
            database.execute("DELETE FROM containers WHERE account=? AND name=?", (account, name))
            database.execute("DELETE FROM blobs WHERE account=? AND container=?", (account, name))
            database.execute("DELETE FROM blocks WHERE account=? AND container=?", (account, name))
        self._remove(files)

    def delete_account(self, account: str) -> None:
        """Delete every container of an account."""
        for container in self.containers(account):
            self.delete_container(account, container.name)

    @staticmethod
    def _files_under(database: sqlite3.Connection, account: str, container: str) -> set[str]:
        place = (account, container)
        files = {f for (f,) in database.execute("SELECT file FROM blocks WHERE account=? AND container=?", place)}
        for (body,) in database.execute("SELECT body FROM blobs WHERE account=? AND container=?", place):
            files.update(segment.file for segment in msgspec.msgpack.decode(body, type=Blob).segments)
        return files

    # blobs

    def get(self, address: Address) -> Blob:
        """A committed blob.

        Raises:
            ServiceError: 404 ContainerNotFound or BlobNotFound.
        """
        blob = self.find(address)
        if blob is None:
            self.container(address.account, address.container)
            raise not_found("BlobNotFound")
        return blob

    def find(self, address: Address) -> Blob | None:
        """A committed blob, or None."""
        with self._lock:
            row = self._database.execute(
                "SELECT body FROM blobs WHERE account=? AND container=? AND name=?",
                (address.account, address.container, address.name),
            ).fetchone()
        return None if row is None else self._decode(row[0])

    @staticmethod
    def _decode(body: bytes) -> Blob:
        blob = msgspec.msgpack.decode(body, type=Blob)
        if blob.live is None:
            return blob
        path = Path(blob.live)
        if not path.exists():
            return blob
        status = path.stat()
        tick = int((datetime.fromtimestamp(status.st_mtime, UTC) - EPOCH).total_seconds() * 10_000_000)
        return msgspec.structs.replace(
            blob,
            segments=(Segment("", status.st_size, blob.live),),
            modified=status.st_mtime,
            etag=f'"0x{tick + status.st_size:X}"',
        )

    def page(self, account: str, container: str, prefix: str, after: str, limit: int) -> list[tuple[str, Blob]]:
        """Up to `limit` blobs in name order whose name starts with `prefix` and is greater than `after`."""
        self.container(account, container)
        with self._lock:
            rows = self._database.execute(
                "SELECT name, body FROM blobs WHERE account=? AND container=? AND name>? AND name>=? "
                "AND substr(name,1,?)=? ORDER BY name LIMIT ?",
                (account, container, after, prefix, len(prefix), prefix, limit),
            ).fetchall()
        return [(name, self._decode(body)) for name, body in rows]

    def begin_upload(self) -> Upload:
        """A new, still nameless file to write to."""
        return Upload(self.files / uuid.uuid4().hex)

    def put(
        self,
        address: Address,
        upload: Upload,
        headers: dict[str, str],
        metadata: dict[str, str],
        conditions: Conditions,
        kind: BlobKind = "BlockBlob",
    ) -> Blob:
        """Make a sealed upload the whole content of a blob; uncommitted blocks of that name are dropped."""
        segments = (Segment("", upload.size, upload.path.name),) if upload.size else ()
        blob = self._commit(address, segments, headers, metadata, conditions, kind)
        if not segments:
            upload.discard()
        return blob

    def put_block(self, address: Address, block: str, upload: Upload) -> None:
        """Keep a sealed upload as an uncommitted block; a block of the same id is replaced.

        Raises:
            ServiceError: 404 ContainerNotFound, 400 InvalidBlobOrBlock when the id's length differs from the others'.
        """
        self.container(address.account, address.container)
        place = (address.account, address.container, address.name)
        with self._transaction() as database:
            other = database.execute(
                "SELECT block FROM blocks WHERE account=? AND container=? AND blob=? LIMIT 1", place
            ).fetchone()
            if other is not None and len(other[0]) != len(block):
                raise ServiceError(400, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
            before = database.execute(
                "SELECT file FROM blocks WHERE account=? AND container=? AND blob=? AND block=?", (*place, block)
            ).fetchone()
            database.execute(
                "INSERT OR REPLACE INTO blocks VALUES(?,?,?,?,?,?)", (*place, block, upload.size, upload.path.name)
            )
        if before is not None:
            self._remove({before[0]})

    def uncommitted(self, address: Address) -> dict[str, Segment]:
        """Uncommitted blocks of a blob by id, in id order."""
        with self._lock:
            rows = self._database.execute(
                "SELECT block, size, file FROM blocks WHERE account=? AND container=? AND blob=? ORDER BY block",
                (address.account, address.container, address.name),
            ).fetchall()
        return {block: Segment(block, size, file) for block, size, file in rows}

    def put_block_list(
        self,
        address: Address,
        blocks: list[tuple[str, str]],
        headers: dict[str, str],
        metadata: dict[str, str],
        conditions: Conditions,
    ) -> Blob:
        """Commit `blocks` as the content: pairs of where to look (Committed, Uncommitted, Latest) and block id.

        Raises:
            ServiceError: 400 InvalidBlockList for an unknown block, BlockCountExceedsLimit for more than 50,000.
        """
        if len(blocks) > MAX_BLOCKS:
            raise ServiceError(
                400, "BlockListTooLong", f"The block list may not contain more than {MAX_BLOCKS:,} blocks."
            )
        fresh = self.uncommitted(address)
        present = self.find(address)
        old = {segment.block: segment for segment in present.segments if segment.block} if present else {}
        chosen = []
        for where, block in blocks:
            segment = {
                "Committed": old.get(block),
                "Uncommitted": fresh.get(block),
                "Latest": fresh.get(block) or old.get(block),
            }[where]
            if segment is None:
                raise ServiceError(400, "InvalidBlockList", "The specified block list is invalid.")
            chosen.append(segment)
        return self._commit(address, tuple(chosen), headers, metadata, conditions, "BlockBlob")

    def append(
        self, address: Address, upload: Upload, conditions: Conditions, position: int | None
    ) -> tuple[Blob, int]:
        """Append a sealed upload to an append blob; returns the blob and the offset written at.

        Raises:
            ServiceError: 409 InvalidBlobType, 412 AppendPositionConditionNotMet.
        """
        with self._lock:
            blob = self.get(address)
            conditions.check(blob, reading=False)
            if blob.kind != "AppendBlob":
                raise ServiceError(409, "InvalidBlobType", "The blob type is invalid for this operation.")
            if position is not None and position != blob.size:
                raise ServiceError(
                    412, "AppendPositionConditionNotMet", "The append position condition specified was not met."
                )
            grown = replace_content(blob, (*blob.segments, Segment("", upload.size, upload.path.name)), self._stamp())
            with self._transaction() as database:
                self._store(database, address, grown)
            return grown, blob.size

    def link(self, address: Address, path: Path, content_type: str, *, growing: bool = False) -> Blob:
        """Make a file outside the store readable as a blob, without copying it.

        Args:
            path: absolute path of the file; it belongs to its maker, and deleting the blob leaves it.
            growing: the file is still being appended to, so its length is read anew each time.
        """
        segments = () if growing else (Segment("", path.stat().st_size, str(path)),)
        etag, now = self._stamp()
        headers = {"content-type": content_type}
        kind: BlobKind = "AppendBlob" if growing else "BlockBlob"
        blob = Blob(kind, etag, now, now, headers, {}, segments, str(path) if growing else None)
        with self._transaction() as database:
            self._store(database, address, blob)
        return blob

    def change(
        self,
        address: Address,
        conditions: Conditions,
        *,
        headers: dict[str, str] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Blob:
        """Replace a blob's HTTP headers or its metadata."""
        with self._lock:
            blob = self.get(address)
            conditions.check(blob, reading=False)
            etag, modified = self._stamp()
            changed = msgspec.structs.replace(
                blob,
                etag=etag,
                modified=modified,
                headers=blob.headers if headers is None else headers,
                metadata=blob.metadata if metadata is None else metadata,
            )
            with self._transaction() as database:
                self._store(database, address, changed)
            return changed

    def delete(self, address: Address, conditions: Conditions) -> None:
        """Delete a blob and its uncommitted blocks.

        Raises:
            ServiceError: 404 BlobNotFound, 412 ConditionNotMet.
        """
        with self._lock:
            blob = self.get(address)
            conditions.check(blob, reading=False)
            files = {segment.file for segment in blob.segments}
            files |= {segment.file for segment in self.uncommitted(address).values()}
            place = (address.account, address.container, address.name)
            with self._transaction() as database:
                database.execute("DELETE FROM blobs WHERE account=? AND container=? AND name=?", place)
                database.execute("DELETE FROM blocks WHERE account=? AND container=? AND blob=?", place)
        self._remove(files)

    def _commit(
        self,
        address: Address,
        segments: tuple[Segment, ...],
        headers: dict[str, str],
        metadata: dict[str, str],
        conditions: Conditions,
        kind: BlobKind,
    ) -> Blob:
        with self._lock:
            self.container(address.account, address.container)
            present = self.find(address)
            conditions.check(present, reading=False)
            etag, modified = self._stamp()
            created = present.created if present else modified
            blob = Blob(kind, etag, created, modified, headers, metadata, segments)
            stale = {segment.file for segment in self.uncommitted(address).values()}
            if present:
                stale |= {segment.file for segment in present.segments}
            place = (address.account, address.container, address.name)
            with self._transaction() as database:
                self._store(database, address, blob)
                database.execute("DELETE FROM blocks WHERE account=? AND container=? AND blob=?", place)
        self._remove(stale - {segment.file for segment in segments})
        return blob

    @staticmethod
    def _store(database: sqlite3.Connection, address: Address, blob: Blob) -> None:
        database.execute(
            "INSERT OR REPLACE INTO blobs VALUES(?,?,?,?)",
            (address.account, address.container, address.name, msgspec.msgpack.encode(blob)),
        )

    def _remove(self, files: set[str]) -> None:
        """Unlink the store's own files; linked files (absolute paths) belong to others."""
        for file in files:
            if not os.path.isabs(file):
                (self.files / file).unlink(missing_ok=True)

    # content

    def read(self, blob: Blob, start: int, length: int) -> Iterator[bytes]:
        """The blob's bytes from `start`, `length` of them, in pieces of at most 1 MiB."""
        for segment in blob.segments:
            if length <= 0:
                return
            if start >= segment.size:
                start -= segment.size
                continue
            with (self.files / segment.file).open("rb") as file:
                file.seek(start)
                remaining = min(length, segment.size - start)
                while remaining > 0:
                    piece = file.read(min(READ_SIZE, remaining))
                    if not piece:
                        return
                    remaining -= len(piece)
                    length -= len(piece)
                    yield piece
            start = 0

    def copy_to(self, blob: Blob, path: Path) -> None:
        """Make a file at `path`, which must not be written to, with the blob's content.

        A blob in one segment shares its bytes with the file, as segments are never rewritten.
        """
        if len(blob.segments) == 1 and blob.live is None:
            try:
                os.link(self.files / blob.segments[0].file, path)
            except OSError as error:
                log.info("%s is copied, as it cannot be linked: %s", path, error.strerror)
            else:
                return
        with path.open("wb") as out:
            for segment in blob.segments:
                with (self.files / segment.file).open("rb") as file:
                    shutil.copyfileobj(file, out, READ_SIZE)


def replace_content(blob: Blob, segments: tuple[Segment, ...], stamp: tuple[str, float]) -> Blob:
    """The same blob with other segments, changed at `stamp`."""
    return msgspec.structs.replace(blob, segments=segments, etag=stamp[0], modified=stamp[1])
