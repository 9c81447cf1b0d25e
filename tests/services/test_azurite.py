"""The own block upload on a blob service that is not ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobClient
from azuritekit import CONTAINER, PROGRAM, WORKSPACE, Account, azurite

from tui.services import uploads
from tui.services.clients import Azure
from tui.services.errors import Cancelled
from tui.services.progress import Cancel, Progress

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(PROGRAM is None, reason="Azurite is not installed; scripts/test-clients installs it"),
]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Azure]:
    """A running Azurite."""
    with azurite(tmp_path) as found:
        yield found


def stored(account: Azure, place: str) -> bytes:
    assert isinstance(account, Account)
    client = BlobClient(account.url, CONTAINER, place, credential=account.signature())
    return client.download_blob().readall()


def test_a_file_arrives_whole_also_after_an_interruption(account: Azure, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(os.urandom(9 * uploads.BLOCK + 12345))
    cancel = Cancel()

    def stop(progress: Progress) -> None:
        if progress.stage == "Uploading":
            cancel.set()

    with path.open("rb") as file, uploads._pool(4) as pool:
        content = uploads._Content(file, path.name, pool, None, Cancel())
        target = uploads._Target(uploads._Store(account, WORKSPACE, None, cancel), "phift/rows.jsonl")
        with pytest.raises(Cancelled):
            uploads._send(target, content, {}, pool, 2, stop, cancel)
        again = uploads._Target(uploads._Store(account, WORKSPACE, None, Cancel()), "phift/rows.jsonl")
        made, waiting = again.blocks()
        assert made == []
        assert 0 < len(waiting) < len(content.blocks)
        uploads._send(again, content, dict(waiting), pool, 4, None, Cancel())
        assert again.blocks() == (content.blocks, [])
    assert stored(account, "phift/rows.jsonl") == path.read_bytes()
