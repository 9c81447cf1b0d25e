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

    with path.open("rb") as file:
        content = uploads._Content(file, path.name, None, Cancel())
        target = uploads._Target(account, WORKSPACE, "phift/rows.jsonl", cancel)
        with pytest.raises(Cancelled):
            uploads._send(target, content, 2, stop, cancel)
        again = uploads._Target(account, WORKSPACE, "phift/rows.jsonl", Cancel())
        assert 0 < len(again.uncommitted()) < len(content.blocks)
        uploads._send(again, content, 4, None, Cancel())
        assert again.holds(content)
    assert stored(account, "phift/rows.jsonl") == path.read_bytes()
