"""Reading a file in blocks of whole lines, with a bound on what is held in memory."""

from __future__ import annotations

import codecs
import os
import re
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 1 << 17
"""Bytes read at a time: what is made of them stays in the processor's cache."""

LONGEST_LINE = 32 << 20
"""Bytes of the longest line that is read whole; no model's context holds a tenth of it."""

WINDOWS = "phift-windows-1252"
"""Name of the way to decode bytes that are no UTF-8, one by one, as Windows-1252: what Excel and old editors write."""

_CP1252 = {byte: bytes([byte]).decode("cp1252") for byte in range(256) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]{4,}")
_HEAD = 1 << 20
UTF8_BOM = b"\xef\xbb\xbf"


def blocks(stream: BinaryIO, end: int, newline: bytes = b"\n") -> Iterator[tuple[bytes, int]]:
    """Yield pieces of whole lines from the stream's position up to the byte `end`.

    Args:
        stream: A binary file, positioned at the start of a line.
        end: Byte where to stop; the start of a line or the end of the file.
        newline: What ends a line.

    Yields:
        (lines with their ends, bytes consumed so far from where the stream stood). A line longer than LONGEST_LINE is
        given alone, as its first LONGEST_LINE + 1 bytes. What follows the last line end is given where it is not empty.
    """
    begun = at = stream.tell()
    rest: list[bytes] = []
    waiting = 0
    while at < end:
        data = stream.read(min(BLOCK, end - at))
        if not data:
            break
        at += len(data)
        if waiting > LONGEST_LINE:
            cut = data.find(newline)
            if cut < 0:
                continue
            yield b"".join(rest)[: LONGEST_LINE + 1], at - begun
            data = data[cut + 1 :]
            rest, waiting = [], 0
        cut = data.rfind(newline) + 1
        if cut:
            yield b"".join([*rest, memoryview(data)[:cut]]), at - begun
            data = data[cut:]
            rest, waiting = [], 0
        if data:
            rest.append(data)
            waiting += len(data)
    if rest:
        yield b"".join(rest)[: LONGEST_LINE + 1], at - begun


def lines_of(block: bytes, newline: bytes = b"\n") -> list[bytes]:
    """Return the lines of a block; LF stays at their ends, since readers of JSON pass over it."""
    if newline == b"\n":
        return BytesIO(block).readlines()
    return block.removesuffix(newline).split(newline)


def newline_of(path: Path) -> bytes:
    """Return what ends the lines of a file: CR where its first megabyte has CR and no LF, else LF."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    return b"\r" if b"\n" not in head and b"\r" in head.rstrip(b"\r\n \t") else b"\n"


def numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without its end or byte order mark) of every line, blank ones included.

    Raises:
        OSError: The file cannot be read.
    """
    newline = newline_of(path)
    number = 0
    with path.open("rb") as stream:
        if stream.read(len(UTF8_BOM)) != UTF8_BOM:
            stream.seek(0)
        for block, _ in blocks(stream, path.stat().st_size, newline):
            for line in lines_of(block, newline):
                number += 1
                yield number, line.removesuffix(b"\n")


def is_blank(line: bytes) -> bool:
    """Whether a line holds no row."""
    return not line.strip(b" \t\r")


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # Windows-1252 leaves five bytes undefined; they become control characters, as in browsers.
    bad = error.object[error.start : error.end]
    return "".join(_CP1252.get(byte, chr(byte)) for byte in bad), error.end


codecs.register_error(WINDOWS, _as_windows)


def is_windows(data: bytes) -> bool:
    """Whether bytes may be UTF-8 with Windows-1252 in it, whose languages have few letters beyond ASCII in a row.

    In Cyrillic, Chinese or Japanese encodings whole words are beyond ASCII.
    """
    return all(_is_utf8(word.group()) for word in _BEYOND_ASCII.finditer(data))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_bom(path: Path) -> bool:
    """Whether a file starts with the UTF-8 byte order mark."""
    with path.open("rb") as stream:
        return stream.read(len(UTF8_BOM)) == UTF8_BOM


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a binary stream whose contents become the file `path` at the end, or not at all.

    The file is readable by its owner only. On an exception the former file is left as it was.

    Raises:
        OSError: The folder cannot be written.
    """
    import tempfile  # which the check's helper process need not wait for

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
