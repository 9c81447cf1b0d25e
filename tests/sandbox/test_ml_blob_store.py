"""The blob store against a model of it in memory, and across the death of its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tui.sandbox.blob_store import Address, BlobStore, Conditions
from tui.sandbox.errors import ServiceError

ANY = Conditions()
NAMES = st.sampled_from(["a", "a/b", "ä b", "A"])
BLOCKS = st.sampled_from(["MDE=", "MDI=", "MDM="])
CONTENT = st.binary(max_size=20)


def address(name: str) -> Address:
    return Address("account", "container", name)


class Stores(RuleBasedStateMachine):
    """Puts, blocks, block lists, deletes and restarts leave what a dictionary would hold."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        self.store = BlobStore(Path(self.folder.name))
        self.store.create_container("account", "container", {})
        self.blobs: dict[str, bytes] = {}
        self.committed: dict[str, dict[str, bytes]] = {}
        self.fresh: dict[str, dict[str, bytes]] = {}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(name=NAMES, content=CONTENT)
    def put(self, name: str, content: bytes) -> None:
        upload = self.store.begin_upload()
        upload.write(content)
        upload.seal()
        self.store.put(address(name), upload, {}, {}, ANY)
        self.blobs[name] = content
        self.committed[name] = {}
        self.fresh.pop(name, None)

    @rule(name=NAMES, block=BLOCKS, content=CONTENT)
    def put_block(self, name: str, block: str, content: bytes) -> None:
        upload = self.store.begin_upload()
        upload.write(content)
        upload.seal()
        self.store.put_block(address(name), block, upload)
        self.fresh.setdefault(name, {})[block] = content

    @rule(name=NAMES, blocks=st.lists(BLOCKS, max_size=4))
    def put_block_list(self, name: str, blocks: list[str]) -> None:
        known = {**self.committed.get(name, {}), **self.fresh.get(name, {})}
        listed = [("Latest", block) for block in blocks]
        if any(block not in known for block in blocks):
            with pytest.raises(ServiceError, match="InvalidBlockList"):
                self.store.put_block_list(address(name), listed, {}, {}, ANY)
            return
        self.store.put_block_list(address(name), listed, {}, {}, ANY)
        self.blobs[name] = b"".join(known[block] for block in blocks)
        self.committed[name] = {block: known[block] for block in blocks}
        self.fresh.pop(name, None)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name not in self.blobs:
            with pytest.raises(ServiceError, match="BlobNotFound"):
                self.store.delete(address(name), ANY)
            return
        self.store.delete(address(name), ANY)
        del self.blobs[name]
        self.committed.pop(name)
        self.fresh.pop(name, None)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = BlobStore(Path(self.folder.name))

    @rule(name=NAMES, start=st.integers(0, 20), length=st.integers(0, 20))
    def read(self, name: str, start: int, length: int) -> None:
        blob = self.store.find(address(name))
        if blob is not None:
            read = b"".join(self.store.read(blob, start, length))
            assert read == self.blobs[name][start : start + length]

    @invariant()
    def holds_the_same(self) -> None:
        page = self.store.page("account", "container", "", "", 100)
        assert {name: b"".join(self.store.read(blob, 0, blob.size)) for name, blob in page} == self.blobs
        for name in ("a", "a/b", "ä b", "A"):
            sizes = {block: segment.size for block, segment in self.store.uncommitted(address(name)).items()}
            assert sizes == {block: len(content) for block, content in self.fresh.get(name, {}).items()}

    @invariant()
    def keeps_no_file_without_an_owner(self) -> None:
        owned = {
            segment.file
            for _, blob in self.store.page("account", "container", "", "", 100)
            for segment in blob.segments
        }
        for name in ("a", "a/b", "ä b", "A"):
            owned |= {segment.file for segment in self.store.uncommitted(address(name)).values()}
        assert {path.name for path in self.store.files.iterdir()} == owned


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)

WRITER = """
import os, sys
from pathlib import Path
from tui.sandbox.blob_store import Address, BlobStore, Conditions
store = BlobStore(Path(sys.argv[1]))
store.create_container("account", "container", {})
for number in range(1000):
    upload = store.begin_upload()
    upload.write(b"x" * number)
    upload.seal()
    store.put(Address("account", "container", f"{number:04}"), upload, {}, {}, Conditions())
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(25)]
    writer.kill()
    acknowledged += [int(line) for line in writer.stdout.read().splitlines() if line.isdigit()]
    writer.wait()
    writer.stdout.close()
    store = BlobStore(tmp_path)
    found = {name: blob.size for name, blob in store.page("account", "container", "", "", 5000)}
    assert all(found[f"{number:04}"] == number for number in acknowledged)
    held = {segment.file for _, blob in store.page("account", "container", "", "", 5000) for segment in blob.segments}
    assert held == {path.name for path in store.files.iterdir()}
    store.close()


def test_a_linked_file_is_read_as_it_grows_and_stays_when_its_blob_goes(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "store")
    store.create_container("account", "container", {})
    log = tmp_path / "log.txt"
    log.write_text("one")
    store.link(address("log"), log, "text/plain", growing=True)
    before = store.get(address("log"))
    with log.open("a") as file:
        file.write(" two")
    after = store.get(address("log"))
    assert (before.size, after.size) == (3, 7)
    assert after.etag != before.etag
    assert b"".join(store.read(after, 3, 4)) == b" two"
    store.delete(address("log"), ANY)
    assert log.read_text() == "one two"
    store.close()


def test_files_of_the_store_are_private(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "store")
    assert os.stat(tmp_path / "store" / "blobs.sqlite").st_mode & 0o777 == 0o600
    assert os.stat(store.files).st_mode & 0o777 == 0o700
    store.close()
