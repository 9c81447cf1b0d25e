"""Reading a file in blocks of whole lines, with a bound on what is held in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 1 << 20
"""Bytes read at a time."""

LONGEST_LINE = 32 << 20
"""Bytes of the longest line that is read whole; no model's context holds a tenth of it."""

UTF8_BOM = b"\xef\xbb\xbf"


def blocks(stream: BinaryIO, end: int, newline: bytes = b"\n") -> Iterator[tuple[list[bytes], int]]:
    """Yield lists of whole lines from the stream's position up to the byte `end`.

    Args:
        stream: A binary file, positioned at the start of a line.
        end: Byte where to stop; the start of a line or the end of the file.
        newline: What ends a line.

    Yields:
        (lines without their ends, bytes consumed so far from where the stream stood). A line longer than LONGEST_LINE
        is given as its first LONGEST_LINE + 1 bytes. The piece after the last line end is given where it is not empty.
    """
    begun = at = stream.tell()
    rest = b""
    dropping = False
    while at < end:
        data = stream.read(min(BLOCK, end - at))
        if not data:
            break
        at += len(data)
        if dropping:
            cut = data.find(newline)
            if cut < 0:
                continue
            data = data[cut + 1 :]
            dropping = False
            yield [rest], at - begun
            rest = b""
        lines = data.split(newline)
        lines[0] = rest + lines[0]
        rest = lines.pop()
        if lines:
            yield lines, at - begun
        if len(rest) > LONGEST_LINE:
            rest = rest[: LONGEST_LINE + 1]
            dropping = True
    if rest:
        yield [rest], at - begun


def newline_of(path: Path) -> bytes:
    """Return what ends the lines of a file: CR where its first megabyte has CR and no LF, else LF."""
    with path.open("rb") as stream:
        head = stream.read(BLOCK)
    return b"\r" if b"\n" not in head and b"\r" in head.rstrip(b"\r\n \t") else b"\n"
