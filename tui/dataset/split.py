"""Splitting a dataset into training and validation rows: the same split for the same file and seed on every machine."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.dataset.lines import UTF8_BOM, has_bom, is_blank, numbered, replacing
from tui.dataset.scan import messages_of
from tui.messages import n, t

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


_STEPS = 100_000
"""Instructions of the database, some milliseconds of its work, after which it is asked whether to go on."""


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
    """Return (stratum, prompt, prompt and answers) of a line as 64-bit digests."""
    messages = messages_of(line)
    if not messages:
        own = _digest(line.strip())
        return 0, own, own
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
            written; in between, while the rows are drawn, with the first half. May raise to stop, and nothing is
            written then.

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
    size = path.stat().st_size
    told = progress or (lambda done, total: None)
    with closing(_Rows()) as rows:
        rows.read(_lines(path, told, 0, size))
        with rows.asking(lambda: told(size, 2 * size)):
            _choose(path, rows, share, seed)
        return _write(_lines(path, told, size, size), has_bom(path), rows, out_train, out_validation)


def _choose(path: Path, rows: _Rows, share: float, seed: int) -> None:
    rows.count_rows()
    if rows.count < 2:
        raise SplitError(
            n(
                "{file} has {count} row; a split needs at least two",
                "{file} has {count} rows; a split needs at least two",
                rows.count,
                file=path.name,
            )
        )
    if not rows.choose(share, seed):
        # Where one prompt holds all rows, only equal rows can be kept together.
        rows.group_by_whole()
        if not rows.choose(share, seed):
            raise SplitError(t("all rows are equal; there is nothing to hold out"))


def _lines(path: Path, told: Callable[[int, int], None], before: int, size: int) -> Iterator[bytes]:
    done = before
    for number, line in numbered(path):
        done += len(line) + 1
        if number % 1000 == 0:
            told(done, 2 * size)
        if not is_blank(line):
            yield line


def _write(lines: Iterator[bytes], is_marked: bool, rows: _Rows, out_train: Path, out_validation: Path) -> Split:
    train_rows = validation_rows = 0
    with replacing(out_train) as train, replacing(out_validation) as validation:
        for stream in (train, validation):
            stream.write(UTF8_BOM if is_marked else b"")
        for line, is_held in zip(lines, rows.sides(), strict=True):
            if is_held:
                validation.write(line + b"\n")
                validation_rows += 1
            else:
                train.write(line + b"\n")
                train_rows += 1
    return Split(train_rows, validation_rows, rows.strata, rows.kept_together)


class _Rows:
    """What is to be known of the rows of a file, in a temporary database: memory stays the same however many there are.

    Rows of one name form a group, which is held out as a whole or not at all.

    Attributes:
        count: Rows.
        strata: Strata among them.
        kept_together: Rows that are not alone in their group, once the groups to hold out are chosen.
    """

    def __init__(self) -> None:
        # Without a name, and so gone with the connection.
        self._database = sqlite3.connect("")
        self._database.execute("CREATE TABLE rows (stratum INTEGER, name INTEGER, whole INTEGER)")
        self._database.execute("CREATE TABLE held (name INTEGER PRIMARY KEY)")
        self.count = self.strata = self.kept_together = 0

    def close(self) -> None:
        """Give the temporary database back."""
        self._database.close()

    def read(self, lines: Iterator[bytes]) -> None:
        """Take in the rows of a file; those with one prompt have one name."""
        keys = (tuple(map(_signed, _keys(line))) for line in lines)
        self._database.executemany("INSERT INTO rows VALUES (?, ?, ?)", keys)

    def count_rows(self) -> None:
        """Count the rows that were read, and their strata."""
        self.count, self.strata = self._database.execute(
            "SELECT count(*), count(DISTINCT stratum) FROM rows"
        ).fetchone()

    @contextmanager
    def asking(self, ask: Callable[[], None]) -> Iterator[None]:
        """Ask every few milliseconds of the database's work whether to go on; what `ask` raises ends the work."""
        raised: list[BaseException] = []

        def is_stopped() -> bool:
            try:
                ask()
            except BaseException as error:  # the database would swallow it
                raised.append(error)
            return bool(raised)

        self._database.set_progress_handler(is_stopped, _STEPS)
        try:
            yield
        except sqlite3.OperationalError:
            if raised:
                raise raised[0] from None
            raise
        finally:
            self._database.set_progress_handler(None, 0)

    def choose(self, share: float, seed: int) -> bool:
        """Choose the groups to hold out; False where there is only one."""
        database, salt = self._database, str(seed).encode()
        database.create_function("draw", 1, lambda name: _signed(_digest(salt, _unsigned(name))))
        database.execute("DROP TABLE IF EXISTS groups")
        # A group is at home in the stratum of its first row: SQLite takes it from the row that has the minimum.
        database.execute(
            "CREATE TABLE groups AS SELECT name, count(*) AS size, min(rowid), stratum FROM rows GROUP BY name"
        )
        groups, self.kept_together = database.execute(
            "SELECT count(*), coalesce(sum(size) FILTER (WHERE size > 1), 0) FROM groups"
        ).fetchone()
        wanted = min(max(1, round(share * self.count)), self.count - 1)
        # Systematic sampling along the order: every stretch of it, and so every stratum, gives its share.
        owed = _digest(salt, b"start") % self.count
        held = 0
        nearest: tuple[int, int] | None = None
        for name, size in database.execute("SELECT name, size FROM groups ORDER BY stratum, draw(name), name"):
            if nearest is None or abs(size - wanted) < nearest[0]:
                nearest = abs(size - wanted), name
            owed += size * wanted
            if owed >= self.count and held < groups - 1 and owed >= size * self.count / 2:
                database.execute("INSERT INTO held VALUES (?)", (name,))
                held += 1
                owed -= size * self.count
        if not held and groups > 1 and nearest is not None:
            database.execute("INSERT INTO held VALUES (?)", (nearest[1],))
        return bool(groups > 1)

    def group_by_whole(self) -> None:
        """Make groups of the rows that are equal, not of those with one prompt."""
        self._database.execute("UPDATE rows SET name = whole")

    def sides(self) -> Iterator[bool]:
        """Yield of each row in its order whether it is held out."""
        for (is_held,) in self._database.execute("SELECT name IN (SELECT name FROM held) FROM rows ORDER BY rowid"):
            yield bool(is_held)


def _signed(digest: int) -> int:
    """Return a digest as the database holds it, in the same order."""
    return digest - (1 << 63)


def _unsigned(number: int) -> bytes:
    """Return the bytes of a digest that the database holds."""
    return (number + (1 << 63)).to_bytes(8, "big")
