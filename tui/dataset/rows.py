"""Single rows of a file of any size: one by its line, a screenful, or those that hold a text."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tui.dataset.lines import BLOCK, LONGEST_LINE, UTF8_BOM, is_blank, newline_of
from tui.dataset.scan import messages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tui.dataset.structure import Message

_STEP = 256
_SHOWN_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file.

    Attributes:
        line: Its number from 1, as in the findings of a check.
        raw: Its text as it stands, undecodable bytes replaced, at most a megabyte of it.
        messages: Its messages, empty where the line holds no conversation.
    """

    line: int
    raw: str
    messages: Sequence[Message]


@lru_cache(maxsize=8)
def _offsets(path: str, size: int, changed: int) -> tuple[array[int], int, bytes]:
    """Return (byte offset of every 256th line, number of lines, line end); the file's size and time make it stale."""
    newline = newline_of(Path(path))
    offsets = array("Q", [0])
    lines = at = 0
    last = newline
    with Path(path).open("rb") as stream:
        while data := stream.read(BLOCK):
            found = data.find(newline)
            while found >= 0:
                lines += 1
                if lines % _STEP == 0:
                    offsets.append(at + found + 1)
                found = data.find(newline, found + 1)
            at += len(data)
            last = data[-1:]
    return offsets, lines + (last != newline), newline


def _index(path: Path) -> tuple[array[int], int, bytes]:
    status = path.stat()
    return _offsets(str(path), status.st_size, status.st_mtime_ns)


def count(path: Path) -> int:
    """Return how many lines a file has."""
    return _index(path)[1]


def _from(path: Path, line: int) -> Iterator[tuple[int, bytes]]:
    """Yield (number, text) of the lines from `line` on."""
    offsets, lines, newline = _index(path)
    if line > lines:
        return
    slot = (line - 1) // _STEP
    number = slot * _STEP
    with path.open("rb") as stream:
        stream.seek(offsets[slot])
        if newline == b"\n":
            while text := stream.readline(LONGEST_LINE):
                whole = text.endswith(b"\n")
                while not whole and (more := stream.readline(BLOCK)):
                    whole = more.endswith(b"\n")
                number += 1
                if number >= line:
                    yield number, text.removesuffix(b"\n").removeprefix(UTF8_BOM if number == 1 else b"")
        else:
            rest = b""
            while data := stream.read(BLOCK):
                *pieces, rest = (rest + data).split(newline)
                for text in pieces:
                    number += 1
                    if number >= line:
                        yield number, text.removeprefix(UTF8_BOM if number == 1 else b"")
            if rest and number + 1 >= line:
                yield number + 1, rest


def _row(number: int, line: bytes) -> Row:
    return Row(number, line[:_SHOWN_BYTES].decode(errors="replace").rstrip("\r"), messages_of(line))


def row(path: Path, line: int) -> Row:
    """Return the row on a line, numbered from 1 as in findings.

    Raises:
        IndexError: The file has fewer lines.
        OSError: The file cannot be read.
    """
    found = next(_from(path, line), None) if line >= 1 else None
    if found is None:
        raise IndexError(f"{path.name} has {count(path)} lines; there is no line {line}")
    return _row(*found)


def search(
    path: Path, text: str, *, start: int = 1, limit: int = 100, cancelled: Callable[[], bool] | None = None
) -> list[Row]:
    """Return up to `limit` rows from the line `start` on whose messages hold a text, whatever its case."""
    wanted = text.casefold()
    found: list[Row] = []
    for number, line in _from(path, max(1, start)):
        if number % 4096 == 0 and cancelled is not None and cancelled():
            break
        if is_blank(line):
            continue
        messages = messages_of(line)
        holds = (
            any(wanted in message.content.casefold() for message in messages)
            if messages
            else wanted in line.decode(errors="replace").casefold()
        )
        if holds:
            found.append(_row(number, line))
            if len(found) >= limit:
                break
    return found
