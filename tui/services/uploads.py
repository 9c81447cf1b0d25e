"""Data assets: a file goes to the project's datastore in parallel blocks, resumably, once, and is registered as `Data`.

The SDK's own upload is not used: it has no progress, no cancel, no resumption, and a signature that ends after an hour.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import parse_qs

from tui.messages import t
from tui.services.clients import load_sdk
from tui.services.errors import NotFound, PhiftError, UsageError
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient

    from tui.services.clients import Azure
    from tui.services.projects import Workspace

API = "2024-10-01"
_T = TypeVar("_T")

_DATASTORE = "workspaceblobstore"
_SAS_HOURS = 8
_RENEW_BEFORE = timedelta(minutes=5)
BLOCK = 4 * 1024 * 1024
"""Bytes of a block; 50,000 of them make 195 GiB, the service's limit on their number."""
CONCURRENCY = 8
_READ_AHEAD = 8
"""Blocks of a file that are in memory while it is hashed."""
_RATE_WINDOW = 5.0


@dataclass(frozen=True)
class DataAsset:
    """A registered data file."""

    name: str
    version: str
    id: str
    """Resource id of the asset's version, as a job takes it."""
    uri: str
    """`azureml://datastores/…/paths/…`."""
    bytes: int
    reused: bool
    """Whether the same bytes were there already, so that nothing was sent."""


@dataclass(frozen=True)
class Datastore:
    """The project's blob container."""

    account_url: str
    container: str
    keyless: bool
    """Whether it is opened by identity."""


def upload(
    azure: Azure,
    workspace: Workspace,
    path: Path,
    name: str,
    *,
    journal: Journal,
    report: Report | None = None,
    cancel: Cancel | None = None,
    concurrency: int = CONCURRENCY,
) -> DataAsset:
    """Send a file and register it as a data asset whose version is made from its content.

    The same content is never sent twice: its place in the datastore is its digest. An upload that was cut off goes on
    with the blocks that are missing.

    Args:
        azure: the connection.
        workspace: the project.
        path: the file.
        name: name of the data asset.
        journal: where the registration is noted.
        report: told of bytes, rate and time left, at most twice a second.
        cancel: stops after the blocks under way; what was sent stays for the next time.
        concurrency: blocks under way at once.

    Raises:
        UsageError: the file cannot be read, is empty, or changes while it is sent.
        PhiftError: Azure refused.
    """
    cancel = cancel or Cancel()
    try:
        with path.open("rb") as file, _pool(concurrency) as pool:
            opening = pool.submit(_Store, azure, workspace, report, cancel)
            content = _Content(file, path.name, pool, report, cancel)
            place = f"phift/{content.digest}.jsonl"
            target = _Target(opening.result(), place)
            made, waiting = target.blocks()
            reused = made == content.blocks
            if not reused:
                _send(target, content, dict(waiting), pool, concurrency, report, cancel)
    except OSError as error:
        raise UsageError(t("{path} cannot be read: {reason}.", path=path, reason=error.strerror or error)) from None
    version = content.digest[:16]
    asset_path = f"{workspace.id}/data/{name}/versions/{version}"
    uri = f"azureml://datastores/{_DATASTORE}/paths/{place}"
    if report:
        report(Progress(t("Registering the data"), content.size, content.size, "bytes", name))
    try:
        azure.rest("GET", asset_path, api_version=API, report=report, cancel=cancel)
    except NotFound:
        with journal.intent("data", name, workspace.id, asset_path, API, version=version):
            _register(azure, workspace, name, version, uri, report, cancel)
    return DataAsset(name, version, asset_path, uri, content.size, reused)


class _Content:
    """An open file's blocks, each named by its position and what is in it, and the digest of the whole.

    The digest is the SHA-256 of the blocks' digests, so that the file is hashed once, by as many threads as there are.
    """

    def __init__(
        self, file: BinaryIO, name: str, pool: ThreadPoolExecutor, report: Report | None, cancel: Cancel
    ) -> None:
        self.file = file
        self.name = name
        self._state = self._stat()
        self.size = self._state[0]
        if not self.size:
            raise UsageError(t("{name} is empty.", name=name), next_step=t("Choose a file with chat rows."))
        self.blocks: list[tuple[str, int]] = []
        self._whole = hashlib.sha256()
        self._done = 0
        under_way: deque[tuple[int, Future[bytes]]] = deque()
        while data := file.read(BLOCK):
            cancel.check()
            under_way.append((len(data), pool.submit(_sha256, data)))
            if len(under_way) >= _READ_AHEAD:
                self._add(*under_way.popleft(), report)
        for length, digest in under_way:
            cancel.check()
            self._add(length, digest, report)
        self.digest = self._whole.hexdigest()

    def _add(self, length: int, hashing: Future[bytes], report: Report | None) -> None:
        digest = hashing.result()
        self._whole.update(digest)
        self.blocks.append((f"{len(self.blocks):06d}-{digest.hex()[:24]}", length))
        self._done += length
        if report:
            report(Progress(t("Reading the file"), self._done, self.size, "bytes", self.name))

    def _stat(self) -> tuple[int, int]:
        found = os.fstat(self.file.fileno())
        return found.st_size, found.st_mtime_ns

    def read(self) -> Iterator[tuple[str, bytes]]:
        """The blocks with their ids.

        Raises:
            UsageError: the file is no longer the one that was hashed.
        """
        self.file.seek(0)
        for block, length in self.blocks:
            yield block, self.file.read(length)
        if self._stat() != self._state:
            raise UsageError(
                t("{name} changed while it was being sent.", name=self.name),
                code="FileChanged",
                next_step=t("Repeat when nobody writes to it."),
            )


def send_folder(
    azure: Azure, workspace: Workspace, place: str, files: dict[str, bytes], *, cancel: Cancel | None = None
) -> str:
    """Put small files below a place in the datastore.

    Args:
        azure: the connection.
        workspace: the project.
        place: path in the datastore.
        files: contents by relative path.
        cancel: stops between two files.

    Returns:
        Address of the place.
    """
    cancel = cancel or Cancel()
    store = _Store(azure, workspace, None, cancel)
    for name, content in files.items():
        cancel.check()
        _Target(store, f"{place}/{name}").put_whole(content)
    return f"{store.account_url}/{store.container}/{place}"


def asset_name(path: Path, chosen: str = "") -> str:
    """The name of a file's data asset: the one chosen, or the file's stem with what Azure does not take replaced."""
    if chosen:
        return chosen
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return (stem or "data")[:200]


def _register(
    azure: Azure, workspace: Workspace, name: str, version: str, uri: str, report: Report | None, cancel: Cancel
) -> None:
    load_sdk(azure.settings)
    from azure.ai.ml.entities import Data

    client = azure.ml(workspace)
    with azure.sdk(report, cancel):
        client.data.create_or_update(Data(name=name, version=version, type="uri_file", path=uri))


class _Store:
    """The project's datastore, opened by a credential that is renewed before it ends.

    A signature is made with the account's key; where the account forbids keys, the signed-in identity is used instead.
    """

    def __init__(self, azure: Azure, workspace: Workspace, report: Report | None, cancel: Cancel) -> None:
        self._azure = azure
        self._cancel = cancel
        self._workspace = workspace
        self._report = report
        self._lock = threading.Lock()
        self._signature: Any = None
        self._ends: datetime | None = None
        store = datastore(azure, workspace, report, cancel)
        self.account_url, self.container = store.account_url, store.container
        if not store.keyless:
            self._renew()

    def client(self, place: str) -> BlobClient:
        """The client of a blob, with the credential that is used now."""
        from azure.storage.blob import BlobClient, ExponentialRetry

        return BlobClient(
            self.account_url,
            self.container,
            place,
            credential=self._signature or self._azure.credential,
            transport=self._azure.transport,
            retry_policy=ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=4, random_jitter_range=1),
        )

    def _renew(self) -> None:
        from azure.core.credentials import AzureSasCredential

        token = _signature(self._azure, self._workspace, self._report, self._cancel)
        self._ends = _end_of(token)
        if self._signature is None:
            self._signature = AzureSasCredential(token)
        else:
            self._signature.update(token)

    def call(self, action: Callable[[], _T]) -> _T:
        """Call the SDK, the signature renewed before where it is near its end; any thread may."""
        with self._lock:
            if self._ends is not None and self._azure.now() > self._ends - _RENEW_BEFORE:
                self._renew()
        with self._azure.sdk(self._report, self._cancel):
            return action()

    @property
    def token(self) -> str:
        """The signature that is used now; empty: the identity is."""
        return str(self._signature.signature) if self._signature else ""

    def mend(self, code: str, refused: str) -> bool:
        """After a refusal: another signature, or the identity where keys are forbidden; False where neither helps.

        Args:
            code: Azure's code.
            refused: the `token` that was used; where it is another by now, a call in another thread has mended it.
        """
        with self._lock:
            if not refused:
                return False
            if self.token != refused:
                return True
            if code == "KeyBasedAuthenticationNotPermitted":
                self._signature = self._ends = None
            else:
                self._renew()
            return True


class _Target:
    """One blob of the datastore."""

    def __init__(self, store: _Store, place: str) -> None:
        self._store = store
        self._place = place
        self._client = store.client(place)

    def call(self, action: Callable[[BlobClient], _T]) -> _T:
        """Do something with the blob, once more with another credential where the first was refused; any thread may."""
        from azure.core.exceptions import HttpResponseError

        def attempt() -> _T:
            used = self._store.token
            try:
                return action(self._client)
            except HttpResponseError as error:
                if error.status_code != 403 or not self._store.mend(str(getattr(error, "error_code", "")), used):
                    raise
                self._client = self._store.client(self._place)
                return action(self._client)

        return self._store.call(attempt)

    def blocks(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Ids and sizes of the blocks that the blob is made of, in their order, and of those that wait to be."""
        try:
            made, waiting = self.call(lambda client: client.get_block_list("all"))
        except NotFound:
            return [], []
        listed = [[(str(block.id), int(block.size)) for block in blocks] for blocks in (made, waiting)]
        return listed[0], listed[1]

    def put_whole(self, content: bytes) -> None:
        """Send a small blob at once, over one that is there."""
        self.call(lambda client: client.upload_blob(content, overwrite=True))

    def put(self, block_id: str, data: bytes) -> None:
        """Send one block; TLS guards it on the way."""
        self.call(lambda client: client.stage_block(block_id, data, length=len(data)))

    def commit(self, blocks: list[str]) -> None:
        """Make the blob of its blocks."""
        from azure.storage.blob import BlobBlock

        listed = [BlobBlock(block) for block in blocks]
        self.call(lambda client: client.commit_block_list(listed))


def _send(
    target: _Target,
    content: _Content,
    there: dict[str, int],
    pool: ThreadPoolExecutor,
    concurrency: int,
    report: Report | None,
    cancel: Cancel,
) -> None:
    """Send the blocks that are not `there`, make the blob of them, and look whether it is made of them."""
    meter = _Meter(content.name, content.size, report)
    under_way: dict[Future[None], int] = {}
    for block, data in content.read():
        cancel.check()
        if there.get(block) == len(data):
            meter.found(len(data))
            continue
        under_way[pool.submit(target.put, block, data)] = len(data)
        if len(under_way) >= concurrency:
            _collect(under_way, meter, cancel)
    while under_way:
        _collect(under_way, meter, cancel)
    cancel.check()
    target.commit([block for block, _ in content.blocks])
    made, _ = target.blocks()
    if made != content.blocks:
        raise PhiftError(
            t("{name} did not arrive whole.", name=content.name),
            code="UploadIncomplete",
            next_step=t("Repeat the upload."),
        )


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads, which take nothing more up when what they are for fails or is cancelled."""
    with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _collect(under_way: dict[Future[None], int], meter: _Meter, cancel: Cancel) -> None:
    """Take the blocks that have arrived, waiting for at least one."""
    while True:
        ended, _ = wait(under_way, timeout=0.25, return_when=FIRST_COMPLETED)
        cancel.check()
        if ended:
            break
    for future in ended:
        length = under_way.pop(future)
        future.result()
        meter.sent(length)


class _Meter:
    """Reports bytes, rate and time left, at most twice a second."""

    def __init__(self, name: str, size: int, report: Report | None) -> None:
        self._name, self._size, self._report = name, size, report
        self._done = 0
        self._told = 0.0
        self._recent: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._sent = 0

    def found(self, length: int) -> None:
        """Count a block that was there already."""
        self._done += length
        self._tell()

    def sent(self, length: int) -> None:
        """Count a block that was sent."""
        self._done += length
        self._sent += length
        now = time.monotonic()
        self._recent.append((now, self._sent))
        while len(self._recent) > 2 and now - self._recent[0][0] > _RATE_WINDOW:
            self._recent.popleft()
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if self._report is None or (now - self._told < 0.5 and self._done < self._size):
            return
        self._told = now
        (start, before), (end, after) = self._recent[0], self._recent[-1]
        rate = (after - before) / (end - start) if end > start else 0.0
        detail = self._name
        if rate:
            left = (self._size - self._done) / rate
            detail = t("{rate} MB/s, {seconds} s left", rate=f"{rate / 1e6:.1f}", seconds=f"{left:.0f}")
        self._report(Progress(t("Uploading"), self._done, self._size, "bytes", detail))


def datastore(
    azure: Azure, workspace: Workspace, report: Report | None = None, cancel: Cancel | None = None
) -> Datastore:
    """The project's default blob datastore."""
    path = f"{workspace.id}/datastores/{_DATASTORE}"
    body = azure.rest("GET", path, api_version=API, report=report, cancel=cancel)
    properties = body.get("properties") or {}
    endpoint = properties.get("endpoint") or azure.endpoints.storage
    return Datastore(
        account_url=f"{properties.get('protocol') or 'https'}://{properties['accountName']}.blob.{endpoint}",
        container=properties["containerName"],
        keyless=(properties.get("credentials") or {}).get("credentialsType") == "None",
    )


def _signature(azure: Azure, workspace: Workspace, report: Report | None = None, cancel: Cancel | None = None) -> str:
    body = azure.rest(
        "POST",
        f"{workspace.id}/datastores/{_DATASTORE}/listSecrets",
        api_version="2024-10-01-preview",
        body={"expirableSecret": True, "expireAfterHours": _SAS_HOURS},
        report=report,
        cancel=cancel,
    )
    token = str(body.get("sasToken") or "").lstrip("?")
    if not token:
        raise PhiftError(
            t("The datastore gives out no shared access signature."),
            code="NoSas",
            next_step=t("Ask for the datastore to use identity, and for the role Storage Blob Data Contributor."),
        )
    return token


def _end_of(token: str) -> datetime | None:
    ends = parse_qs(token).get("se", [""])[0]
    try:
        return datetime.fromisoformat(ends.replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return None
