"""Data assets: sent once, in blocks that survive an interruption, whatever happens to the signature."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobClient

from tui.services import uploads
from tui.services.clients import Azure
from tui.services.errors import Cancelled, PermissionDenied, ServiceError, Unreachable, UsageError
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress
from tui.services.projects import Workspace

Upset = Callable[..., None]
BLOBS = "PUT *.blob.core.windows.net/*"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a test file has many."""
    monkeypatch.setattr(uploads, "BLOCK", 500)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the blocks that were really sent."""
    ids: list[str] = []
    put = uploads._Target.put

    def counted(self: uploads._Target, block_id: str, data: bytes) -> None:
        put(self, block_id, data)
        ids.append(block_id)

    monkeypatch.setattr(uploads._Target, "put", counted)
    return ids


def stored(azure: Azure, project: Workspace, asset: uploads.DataAsset) -> bytes:
    """What the asset's place in the datastore holds."""
    store = uploads.datastore(azure, project)
    place = asset.uri.partition("/paths/")[2]
    client = BlobClient(store.account_url, store.container, place, credential=uploads._signature(azure, project))
    return client.download_blob().readall()


def test_a_file_arrives_whole_and_is_registered(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path]
) -> None:
    path = chats(40, "whole")
    told: list[Progress] = []
    asset = uploads.upload(azure, project, path, "whole", journal=journal, report=told.append)
    assert not asset.reused
    assert stored(azure, project, asset) == path.read_bytes()
    body = azure.rest("GET", asset.id, api_version=uploads.API)["properties"]
    assert body["dataType"] == "uri_file"
    assert body["dataUri"].endswith(asset.uri.partition("/datastores/")[2])
    assert azure.ml(project).data.get("whole", asset.version).id.endswith(asset.version)
    uploading = [progress for progress in told if progress.stage == "Uploading"]
    assert (uploading[-1].done, uploading[-1].total) == (asset.bytes, asset.bytes)
    assert "MB/s" in uploading[-1].detail
    assert [(entry.kind, entry.outcome) for entry in journal.recent()] == [("data", "done")]


def test_the_same_content_is_never_sent_twice(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], sent: list[str]
) -> None:
    first = uploads.upload(azure, project, chats(20, "same"), "same", journal=journal)
    blocks = len(sent)
    assert blocks > 1
    other = chats(20, "same", name="copy.jsonl")
    again = uploads.upload(azure, project, other, "another-name", journal=journal)
    assert len(sent) == blocks
    assert again.reused
    assert (again.uri, again.version) == (first.uri, first.version)
    assert uploads.upload(azure, project, other, "another-name", journal=journal) == again
    assert len(journal.recent()) == 2


def test_an_upload_that_was_cut_off_goes_on(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], sent: list[str]
) -> None:
    path = chats(60, "cut off")
    cancel = Cancel()

    def stop(progress: Progress) -> None:
        if len(sent) >= 3:
            cancel.set()

    with pytest.raises(Cancelled):
        uploads.upload(azure, project, path, "cut", journal=journal, report=stop, cancel=cancel, concurrency=1)
    assert journal.recent() == []
    before = list(sent)
    asset = uploads.upload(azure, project, path, "cut", journal=journal)
    assert not set(before) & set(sent[len(before) :])
    assert len(sent) == -(-path.stat().st_size // 500)
    assert stored(azure, project, asset) == path.read_bytes()


@pytest.mark.parametrize("kind", ["expired-sas", "503", "reset-before", "reset-after"])
def test_what_passes_on_the_way_is_lived_with(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset, kind: str
) -> None:
    path = chats(20, kind)
    upset(BLOBS, kind, count=1, skip=1, seconds=0)
    asset = uploads.upload(azure, project, path, "rough", journal=journal)
    assert stored(azure, project, asset) == path.read_bytes()


def test_a_signature_near_its_end_is_renewed(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    fetch = uploads._signature

    def counted(*arguments: Any) -> str:
        given.append("")
        return fetch(*arguments)

    monkeypatch.setattr(uploads, "_signature", counted)
    monkeypatch.setattr(uploads, "_SAS_HOURS", 1)
    monkeypatch.setattr(uploads, "_RENEW_BEFORE", uploads.timedelta(hours=2))
    uploads.upload(azure, project, chats(10, "renewed"), "renewed", journal=journal)
    assert len(given) > 2


def test_where_keys_are_forbidden_the_identity_is_used(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset
) -> None:
    upset(storage={"account_keys": "forbidden"})
    path = chats(10, "keyless")
    with pytest.raises(PermissionDenied) as raised:
        uploads.upload(azure, project, path, "keyless", journal=journal)
    assert raised.value.code == "AuthorizationPermissionMismatch"
    assert "Storage Blob Data Contributor" in raised.value.next_step
    upset(access={"role": "Owner", "data_role": "Storage Blob Data Contributor"})
    assert not uploads.upload(azure, project, path, "keyless", journal=journal).reused


def test_where_keys_become_forbidden_on_the_way_every_block_goes_on_by_the_identity(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    upset(access={"role": "Owner", "data_role": "Storage Blob Data Contributor"})
    given: list[str] = []
    fetch, put = uploads._signature, uploads._Target.put
    together = threading.Barrier(4, action=lambda: upset(storage={"account_keys": "forbidden"}), timeout=60)

    def four_at_once(self: uploads._Target, block_id: str, data: bytes) -> None:
        if int(block_id[:6]) < 4:
            together.wait()
        put(self, block_id, data)

    monkeypatch.setattr(uploads, "_signature", lambda *rest: given.append("") or fetch(*rest))
    monkeypatch.setattr(uploads._Target, "put", four_at_once)
    asset = uploads.upload(azure, project, chats(60, "forbidden"), "keyless", journal=journal, concurrency=4)
    assert not asset.reused
    assert len(given) == 1


def test_a_lost_registration_is_found_and_not_repeated(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset
) -> None:
    path = chats(5, "lost")
    upset("PUT management.azure.com/*/data/lost/*", "reset-after", count=8)
    with pytest.raises(Unreachable):
        uploads.upload(azure, project, path, "lost", journal=journal)
    assert [entry.outcome for entry in journal.reconcile(azure)] == ["found"]
    assert uploads.upload(azure, project, path, "lost", journal=journal).reused


def test_a_file_that_changes_meanwhile_is_refused(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path]
) -> None:
    path = chats(10, "changing")

    def change(progress: Progress) -> None:
        if progress.stage == "Reading the file" and progress.done == progress.total:
            path.write_bytes(path.read_bytes().replace(b"number", b"NUMBER"))

    with pytest.raises(UsageError) as raised:
        uploads.upload(azure, project, path, "changing", journal=journal, report=change)
    assert raised.value.code == "FileChanged"


@pytest.mark.parametrize("content", [b"", None])
def test_nothing_to_send_is_told(
    azure: Azure, project: Workspace, journal: Journal, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "file.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"file\.jsonl"):
        uploads.upload(azure, project, path, "nothing", journal=journal)


def test_storage_that_stays_away_is_told(
    azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset
) -> None:
    upset(BLOBS, "403", count=50)
    with pytest.raises((ServiceError, PermissionDenied)):
        uploads.upload(azure, project, chats(5, "away"), "away", journal=journal)
    assert journal.recent() == []


@pytest.mark.parametrize(
    ("path", "name"), [("my data (1).jsonl", "my-data-1"), ("train.jsonl", "train"), ("данни.jsonl", "data")]
)
def test_an_assets_name_is_made_from_the_files(path: str, name: str) -> None:
    assert uploads.asset_name(Path(path)) == name
    assert uploads.asset_name(Path(path), "chosen") == "chosen"
