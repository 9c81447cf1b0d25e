"""Equal rows, rows that say nearly the same, and prompts with conflicting answers, within a file and between two."""

from __future__ import annotations

import hashlib
import heapq
import struct
from array import array
from operator import add
from typing import TYPE_CHECKING

from tui.dataset.report import KEPT_PER_CODE, Finding
from tui.dataset.said import said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tui.dataset.report import Collector
    from tui.dataset.said import Said
    from tui.dataset.structure import Message

NEAR_ROWS = 250_000
"""Rows of each file that are searched for near duplicates; it bounds the temporary file to 70 MB."""
NEAR = 0.75
"""Estimated Jaccard similarity of word pairs from which two rows are near duplicates."""

_BUCKETS = 256
_BUCKET_SHIFT = 56
_PRINT = struct.Struct("<QQIB")
_PERMUTATIONS = 64
_BANDS = 16
_ROWS_A_BAND = _PERMUTATIONS // _BANDS
_SEED = 42
_FEWEST_WORDS = 8
_CANDIDATES = 4
_SIGNATURE_BYTES = 4 * _PERMUTATIONS
_TRAIN, _VALIDATION = 0, 1


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class Prints:
    """Fingerprints of the rows of one stretch of a file, small enough to be sent between processes.

    Attributes:
        buckets: Records of (prompt, answer, line in the stretch, file) by the first bits of the prompt.
        near_keys: Fingerprint of each row that has a signature.
        near_lines: Its line in the stretch.
        signatures: Their MinHash signatures, one after the other.
    """

    def __init__(self) -> None:
        self.buckets: dict[int, bytearray] = {}
        self.near_keys = array("Q")
        self.near_lines = array("I")
        self.signatures = bytearray()

    def add(self, line: int, row: Sequence[Message]) -> int:
        """Take the fingerprint of a row and return it; 0 for one without an answer, which is at fault already."""
        last = next((i for i in range(len(row) - 1, -1, -1) if row[i].role == "assistant"), len(row))
        if not any(m.content for m in row[last:]):
            return 0
        prompt = _digest("\x1e".join([f"{m.role}\x1f{m.content}" for m in row[:last]]))
        answer = _digest("\x1e".join([f"{m.role}\x1f{m.content}" for m in row[last:]]))
        if not any(m.role == "user" for m in row[:last]):
            # Without a question there is nothing that two answers could contradict each other about.
            prompt ^= answer
        bucket = self.buckets.get(prompt >> _BUCKET_SHIFT)
        if bucket is None:
            bucket = self.buckets[prompt >> _BUCKET_SHIFT] = bytearray()
        bucket += _PRINT.pack(prompt, answer, line, 0)
        return prompt ^ answer

    def sign(self, rows: list[tuple[int, int, list[str]]]) -> None:
        """Take the MinHash signatures of rows given as (line, fingerprint, words)."""
        import rensa

        kept = [item for item in rows if len(item[2]) >= _FEWEST_WORDS]
        if not kept:
            return
        pairs = [list(map(add, words, words[1:])) for _, _, words in kept]
        for (line, key, _), digest in zip(
            kept, rensa.RMinHash.digests_from_token_sets(pairs, _PERMUTATIONS, _SEED), strict=True
        ):
            self.near_keys.append(key)
            self.near_lines.append(line)
            self.signatures += array("I", digest).tobytes()


class Index:
    """The fingerprints of whole files, kept on disk, and what they tell."""

    def __init__(self) -> None:
        import tempfile  # which the check's helper process need not wait for

        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        # Of each bucket's pieces the place in the file, the length, the lines before it, and whose it is; as numbers
        # in a row, since they grow with the files.
        self._pieces = [array("Q") for _ in range(_BUCKETS)]
        self._near_file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._near_keys = array("Q")
        self._near_lines = array("I")
        self._near_files = array("B")
        self._near_rows = [0, 0]
        self.skipped_near = 0

    def close(self) -> None:
        """Give the temporary files back."""
        self._file.close()
        self._near_file.close()

    def add(self, prints: Prints, lines: int, *, validation: bool) -> None:
        """Add the fingerprints of a stretch that starts after `lines` lines of its file."""
        file = _VALIDATION if validation else _TRAIN
        for number, bucket in prints.buckets.items():
            self._pieces[number].extend((self._file.tell(), len(bucket), lines, file))
            self._file.write(bucket)
        room = max(0, NEAR_ROWS - self._near_rows[file])
        count = min(room, len(prints.near_keys))
        self.skipped_near += len(prints.near_keys) - count
        self._near_rows[file] += count
        self._near_keys.extend(prints.near_keys[:count])
        self._near_lines.extend(array("I", [line + lines for line in prints.near_lines[:count]]))
        self._near_files.extend([file] * count)
        self._near_file.write(prints.signatures[: count * _SIGNATURE_BYTES])

    def report(self, train: Collector, validation: Collector | None, cancelled: Callable[[], None]) -> None:
        """Add to the collectors of the two files what is equal, contradicts or is nearly equal."""
        found = _Found()
        for pieces in self._pieces:
            cancelled()
            self._bucket(pieces, found)
        self._near(found, cancelled)
        found.into(train, validation)

    def _records(self, pieces: array[int], wanted: int) -> Iterator[tuple[int, int, int, int]]:
        for at in range(0, len(pieces), 4):
            start, length, lines, file = pieces[at : at + 4]
            if file != wanted:
                continue
            self._file.seek(start)
            for prompt, answer, line, _ in _PRINT.iter_unpack(self._file.read(length)):
                yield prompt, answer, line + lines, file

    def _bucket(self, pieces: array[int], found: _Found) -> None:
        rows: dict[tuple[int, int, int], int] = {}
        prompts: dict[tuple[int, int], tuple[int, int]] = {}
        # Training rows come first, whatever order the files were read in.
        for wanted in (_TRAIN, _VALIDATION):
            for prompt, answer, line, file in self._records(pieces, wanted):
                first = rows.setdefault((prompt, answer, file), line)
                if first != line:
                    found.add("W209", file, line, said("the same as line {line}", line=first))
                before = prompts.setdefault((prompt, file), (answer, line))
                if before[0] != answer and first == line:
                    found.add(
                        "W211", file, line, said("line {line} answers the same prompt differently", line=before[1])
                    )
                if file == _VALIDATION and first == line and (known := prompts.get((prompt, _TRAIN))):
                    same = rows.get((prompt, answer, _TRAIN))
                    text = (
                        said("the same as training line {line}", line=same)
                        if same
                        else said("the prompt of training line {line}", line=known[1])
                    )
                    found.add("W212", file, line, text)

    def _near(self, found: _Found, cancelled: Callable[[], None]) -> None:
        count = len(self._near_keys)
        if not count:
            return
        candidates: dict[int, tuple[int, ...]] = {}
        band_bytes = 4 * _ROWS_A_BAND
        for band in range(_BANDS):
            owners: dict[bytes, int] = {}
            self._near_file.seek(0)
            for index in range(count):
                if index % 4096 == 0:
                    cancelled()
                    block = self._near_file.read(4096 * _SIGNATURE_BYTES)
                start = (index % 4096) * _SIGNATURE_BYTES + band * band_bytes
                owner = owners.setdefault(block[start : start + band_bytes], index)
                if owner != index and self._near_keys[owner] != self._near_keys[index]:
                    known = candidates.get(index, ())
                    if owner not in known and len(known) < _CANDIDATES:
                        candidates[index] = (*known, owner)
            del owners
        for index, known in sorted(candidates.items()):
            if index % 4096 == 0:
                cancelled()
            similarity, owner = max((self._similarity(index, owner), -owner) for owner in known)
            owner = -owner
            if similarity < NEAR:
                continue
            file = self._near_files[index]
            line, other = self._near_lines[index], self._near_lines[owner]
            if file == self._near_files[owner]:
                found.add(
                    "W210", file, line, said("{share} the same as line {line}", share=f"{similarity:.0%}", line=other)
                )
            else:
                text = said("{share} the same as training line {line}", share=f"{similarity:.0%}", line=other)
                found.add("W213", file, line, text)

    def _similarity(self, one: int, other: int) -> float:
        signatures = []
        for index in (one, other):
            self._near_file.seek(index * _SIGNATURE_BYTES)
            signatures.append(array("I", self._near_file.read(_SIGNATURE_BYTES)))
        same = sum(a == b for a, b in zip(*signatures, strict=True))
        return float(same) / _PERMUTATIONS


class _Found:
    """Findings in any order, of which the first lines are kept."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._kept: dict[tuple[str, int], list[tuple[int, int, Said]]] = {}

    def add(self, code: str, file: int, line: int, text: Said) -> None:
        """Note a finding."""
        key = (code, file)
        self._counts[key] = self._counts.get(key, 0) + 1
        kept = self._kept.setdefault(key, [])
        # The count tells entries of one line apart, since sentences have no order.
        item = (-line, self._counts[key], text)
        if len(kept) < KEPT_PER_CODE:
            heapq.heappush(kept, item)
        elif -line > kept[0][0]:
            heapq.heapreplace(kept, item)

    def into(self, train: Collector, validation: Collector | None) -> None:
        """Add what was noted to the collectors."""
        for (code, file), kept in sorted(self._kept.items()):
            collector = validation if file == _VALIDATION else train
            if collector is not None:
                first = [Finding(code, -line, "", text) for line, _, text in sorted(kept, reverse=True)]
                collector.extend(code, self._counts[(code, file)], first)
