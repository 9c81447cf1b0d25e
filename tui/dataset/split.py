"""Splitting a dataset into training and validation rows: the same split for the same file and seed on every machine."""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from bisect import bisect_left
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tui.dataset.lines import UTF8_BOM, has_bom, is_blank, numbered, replacing
from tui.dataset.scan import messages_of
from tui.messages import n, t

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


_Key = Literal["prompt", "whole"]
# A group is at home in the stratum of its first row: SQLite takes it from the row that has the minimum.
_GROUPS: dict[_Key, str] = {
    "prompt": "CREATE TABLE groups AS SELECT prompt AS name, count(*) AS size, min(rowid), stratum"
    " FROM rows GROUP BY prompt",
    "whole": "CREATE TABLE groups AS SELECT whole AS name, count(*) AS size, min(rowid), stratum"
    " FROM rows GROUP BY whole",
}
_NAMES: dict[_Key, str] = {
    "prompt": "SELECT prompt FROM rows ORDER BY rowid",
    "whole": "SELECT whole FROM rows ORDER BY rowid",
}


class SplitError(ValueError):
    """The file cannot be split as asked."""


@dataclass(frozen=True, slots=True)
class Split:
    """The outcome of a split.

    Attributes:
        train_rows: Rows written to the training file.
        validation_rows: Rows written to the validation file.
        strata: Combinations of system prompt and length over which the share was kept.
        kept_together: Rows that share their prompt with another row and so went to the same side as it.
    """

    train_rows: int
    validation_rows: int
    strata: int
    kept_together: int


def _digest(*parts: bytes) -> int:
    made = hashlib.blake2b(digest_size=8)
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return int.from_bytes(made.digest(), "big")


def _keys(line: bytes) -> tuple[int, int, int]:
    """Return (stratum, prompt, whole row) of a line as 64-bit digests."""
    messages = messages_of(line)
    if not messages:
        whole = _digest(line.strip())
        return 0, whole, whole
    system = messages[0].content if messages[0].role == "system" else ""
    last = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "assistant"), len(messages))
    parts = [
        f"{message.role}\n{' '.join(message.content.casefold().split())}".encode(errors="surrogatepass")
        for message in messages
    ]
    stratum = _digest(system.encode(errors="surrogatepass"), bytes([len(line).bit_length()]))
    return stratum, _digest(*parts[:last]), _digest(*parts)


def split(
    path: Path,
    share: float,
    seed: int,
    out_train: Path,
    out_validation: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Split:
    """Split a file by seed and share.

    Rows with the same prompt (whatever their case and spacing) go to one side. The share is kept within each system
    prompt and, there, within each length; which rows are taken depends on the seed and the text alone. Lines are
    copied as they are, in their order, and a byte order mark is kept.

    Args:
        path: The file.
        share: Part of the rows to hold out for validation, between 0 and 1.
        seed: Any whole number.
        out_train: Written with the rows to train on.
        out_validation: Written with the rows held out.
        progress: Called with (bytes done, bytes in all) every thousand rows, of the file twice: it is read, then
            written; may raise to stop, and nothing is written then.

    Returns:
        What went where.

    Raises:
        SplitError: The share is out of range, the rows are too few, or an output is the input.
        OSError: A file cannot be read or written.
    """
    if not 0 < share < 1:
        raise SplitError(t("the validation share is {share}; it must lie between 0 and 1", share=share))
    if len({path.resolve(), out_train.resolve(), out_validation.resolve()}) < 3:
        raise SplitError(t("the training file, the validation file and the source must be three different files"))
    whole = path.stat().st_size
    with closing(_Rows(_rows(path, progress, 0, 2 * whole))) as known:
        if known.count < 2:
            raise SplitError(
                n(
                    "{file} has {count} row; a split needs at least two",
                    "{file} has {count} rows; a split needs at least two",
                    known.count,
                    file=path.name,
                )
            )
        # Where one prompt holds all rows, only equal rows can be kept together.
        if not known.choose("prompt", share, seed) and not known.choose("whole", share, seed):
            raise SplitError(t("all rows are equal; there is nothing to hold out"))
        mark = UTF8_BOM if has_bom(path) else b""
        return _write(_rows(path, progress, whole, 2 * whole), mark, known, out_train, out_validation)


def _rows(path: Path, progress: Callable[[int, int], None] | None, before: int, total: int) -> Iterator[bytes]:
    done = before
    for number, line in numbered(path):
        done += len(line) + 1
        if progress is not None and number % 1000 == 0:
            progress(done, total)
        if not is_blank(line):
            yield line


def _write(rows: Iterator[bytes], mark: bytes, known: _Rows, out_train: Path, out_validation: Path) -> Split:
    train_rows = validation_rows = 0
    with replacing(out_train) as train, replacing(out_validation) as validation:
        train.write(mark)
        validation.write(mark)
        for line, is_held in zip(rows, known.sides(), strict=True):
            if is_held:
                validation.write(line + b"\n")
                validation_rows += 1
            else:
                train.write(line + b"\n")
                train_rows += 1
    return Split(train_rows, validation_rows, known.strata, known.together)


class _Rows:
    """What is to be known of the rows of a file, in a temporary database: memory stays the same however many there are.

    Attributes:
        count: Rows.
        strata: Strata among them.
        together: Rows that are not alone in their group, once the groups are chosen.
    """

    def __init__(self, rows: Iterator[bytes]) -> None:
        # Without a name, and so gone with the connection.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE rows (stratum INTEGER, prompt INTEGER, whole INTEGER)")
        keys = (tuple(map(_signed, _keys(line))) for line in rows)
        self._database.executemany("INSERT INTO rows VALUES (?, ?, ?)", keys)
        self.count, self.strata = self._one("SELECT count(*), count(DISTINCT stratum) FROM rows")
        self.together = 0
        self._held = array("q")
        self._by: _Key = "prompt"

    def close(self) -> None:
        """Give the temporary database back."""
        self._database.close()

    def _one(self, query: str) -> tuple[int, ...]:
        found: tuple[int, ...] = self._database.execute(query).fetchone()
        return found

    def choose(self, by: _Key, share: float, seed: int) -> bool:
        """Choose the groups to hold out, of rows equal in their prompt or whole; False where there is only one."""
        salt = str(seed).encode()
        self._database.create_function("draw", 1, lambda group: _signed(_digest(salt, _unsigned(group))))
        self._database.execute("DROP TABLE IF EXISTS groups")
        self._database.execute(_GROUPS[by])
        groups, most = self._one("SELECT count(*), coalesce(sum(size) FILTER (WHERE size > 1), 0) FROM groups")
        self.together, self._by = most, by
        wanted = min(max(1, round(share * self.count)), self.count - 1)
        # Systematic sampling along the order: every stretch of it, and so every stratum, gives its share.
        owed = _digest(salt, b"start") % self.count
        held = array("q")
        nearest: tuple[int, int] | None = None
        for name, size in self._database.execute("SELECT name, size FROM groups ORDER BY stratum, draw(name), name"):
            if nearest is None or abs(size - wanted) < nearest[0]:
                nearest = abs(size - wanted), name
            owed += size * wanted
            if owed >= self.count and len(held) < groups - 1 and owed >= size * self.count / 2:
                held.append(name)
                owed -= size * self.count
        if not held and groups > 1 and nearest is not None:
            held.append(nearest[1])
        self._held = array("q", sorted(held))
        return bool(held)

    def sides(self) -> Iterator[bool]:
        """Yield of each row in its order whether it is held out."""
        held = self._held
        for (name,) in self._database.execute(_NAMES[self._by]):
            at = bisect_left(held, name)
            yield at < len(held) and held[at] == name


def _signed(digest: int) -> int:
    """Return a digest as the database holds it, in the same order."""
    return digest - (1 << 63)


def _unsigned(number: int) -> bytes:
    """Return the bytes of a digest that the database holds."""
    return (number + (1 << 63)).to_bytes(8, "big")
