"""Reading JSON that is not one value a line, an array or values over several lines, piece by piece."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

from tui.dataset.jsontext import UNCLOSED, JsonFault, integer, parse, refuse_constant
from tui.dataset.lines import WINDOWS
from tui.dataset.said import Said, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

CHUNK = 1 << 20
"""Bytes read at a time."""

_LONGEST_VALUE = 32 << 20
_END = 64
_SPACE = re.compile(r"[ \t\n\r\ufeff]*+")
_LIST_OF_OBJECTS = re.compile(r"\[[ \t\n\r]*+(?=\{)")
_GOES_ON = re.compile(r"(?:\.|[eE][+-]?)?\Z")
"""What may be left of the text where a number is cut off: nothing, or the beginning of its fraction or exponent."""
_decoder = json.JSONDecoder(parse_constant=refuse_constant, parse_int=integer)


class DocumentFault(ValueError):
    """The document is not JSON from a place on.

    Attributes:
        line: Line of the place, from 1.
        column: Character of the line, from 1.
        said: What is wrong there.
        is_json: Whether it is JSON all the same.
    """

    def __init__(self, line: int, column: int, text: Said, *, is_json: bool = False) -> None:
        super().__init__(text)
        self.line = line
        self.column = column
        self.said = text
        self.is_json = is_json


def chunks(path: Path, encoding: str) -> Iterator[str]:
    """Yield the text of a file in pieces, without its byte order mark; what is no UTF-8 is read as Windows-1252.

    Raises:
        OSError: The file cannot be read.
    """
    decoder = codecs.getincrementaldecoder(encoding)(errors=WINDOWS if encoding == "utf-8" else "replace")
    is_first = True
    with path.open("rb") as stream:
        while data := stream.read(CHUNK):
            text = decoder.decode(data)
            yield text.removeprefix("\ufeff") if is_first else text
            is_first = False
    yield decoder.decode(b"", final=True)


def elements(pieces: Iterable[str], is_record: Callable[[Any], bool]) -> Iterator[tuple[bool, Any]]:
    """Yield (whether it is in an array, value) of an array's elements, or of the values that follow one another.

    Where the text starts with an object that has a list of records, as exports have it beside their version and date,
    the elements of that list take the object's place.

    Args:
        pieces: The text.
        is_record: Whether a value is a record.

    Raises:
        DocumentFault: The text is not JSON from a place on; what is before it was yielded.
    """
    text = _Text(pieces)
    first = text.peek()
    if first == "{" and text.wraps(is_record):
        for value in _wrapped(text, is_record):
            yield True, value
    while first := text.peek():
        if first == "[":
            for value in _array(text):
                yield True, value
        else:
            yield False, text.value()


def wraps(text: str, is_record: Callable[[Any], bool]) -> bool:
    """Whether a text starts with an object that has a list of records."""
    start = _Text([text])
    return start.peek() == "{" and start.wraps(is_record)


def _array(text: _Text) -> Iterator[Any]:
    text.skip()
    if text.peek() == "]":
        text.skip()
        return
    while True:
        yield text.value()
        after = text.peek()
        if after not in (",", "]"):
            text.fail(said("a comma is missing between two values") if after else said("the array is never closed"))
        text.skip()
        if after == "]":
            return
        if text.peek() == "]":
            text.fail(said("a comma before the closing bracket; remove it"))


def _wrapped(text: _Text, is_record: Callable[[Any], bool]) -> Iterator[Any]:
    """Yield the records in a list of the object that starts here; its other members are passed over."""
    is_found = False
    after = ","
    text.skip()
    while after == ",":
        if text.peek() != '"':
            text.fail(said("{what} where a key should be", what=ascii(text.peek())))
        text.value()
        if text.peek() != ":":
            text.fail(said("a colon is missing after the key"))
        text.skip()
        if text.peek() == "[" and text.has_records(is_record):
            if is_found:
                text.fail(said("a second list of records; give each list a file of its own"), is_json=True)
            is_found = True
            yield from _array(text)
        else:
            text.value()
        after = text.peek()
        if after not in (",", "}"):
            text.fail(said("a comma is missing between two values") if after else said("the object is never closed"))
        text.skip()


class _Text:
    """A text that is read piece by piece, and the place reached in it."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._before = 0

    def _more(self) -> bool:
        """Read on, forgetting what is passed; False at the end."""
        known = self._buffer[self._at :]
        pieces: list[str] = []
        # As much again as there is, or a long value would be tried too often.
        while sum(map(len, pieces)) <= len(known) and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
        self._line, self._before = self._place(self._at)
        self._buffer = "".join([known, *pieces])
        self._at = 0
        return bool(pieces)

    def _place(self, at: int) -> tuple[int, int]:
        """Return (line from 1, characters of it before) of a place in the buffer."""
        lines = self._buffer.count("\n", 0, at)
        return self._line + lines, at - self._buffer.rfind("\n", 0, at) - 1 if lines else self._before + at

    def peek(self) -> str:
        """Return the next character that is no white space, "" at the end."""
        while True:
            self._at = self._passed(self._at)
            if self._at < len(self._buffer) or not self._more():
                return self._buffer[self._at : self._at + 1]

    def has_records(self, is_record: Callable[[Any], bool]) -> bool:
        """Whether the list that starts here has a record as its first element."""
        self._fill()
        return self._has_records(self._at, is_record)

    def _has_records(self, at: int, is_record: Callable[[Any], bool]) -> bool:
        found = _LIST_OF_OBJECTS.match(self._buffer, at)
        try:
            return found is not None and is_record(_decoder.raw_decode(self._buffer, found.end())[0])
        except (ValueError, RecursionError):
            return False

    def wraps(self, is_record: Callable[[Any], bool]) -> bool:
        """Whether the object that starts here is no record and has a list of them, as far as is read."""
        self._fill()
        own: dict[str, Any] = {}
        at = self._at
        after = ","
        try:
            while after == ",":
                at = self._passed(at + 1)
                if not self._buffer.startswith('"', at):
                    return False
                name, at = _decoder.raw_decode(self._buffer, at)
                at = self._passed(self._passed(at) + 1)
                if self._has_records(at, is_record):
                    return not is_record(own)
                own[name], at = _decoder.raw_decode(self._buffer, at)
                at = self._passed(at)
                after = self._buffer[at : at + 1]
        except (ValueError, RecursionError):
            return False
        return False

    def _fill(self) -> None:
        while len(self._buffer) - self._at < CHUNK and self._more():
            pass

    def _passed(self, at: int) -> int:
        found = _SPACE.match(self._buffer, at)
        return found.end() if found else at

    def skip(self) -> None:
        """Pass the character that was looked at."""
        self._at += 1

    def fail(self, text: Said, further: int = 0, *, is_json: bool = False) -> None:
        """Say what is wrong, some characters further on.

        Raises:
            DocumentFault: Always.
        """
        line, before = self._place(self._at + further)
        raise DocumentFault(line, before + 1, text, is_json=is_json)

    def value(self) -> Any:
        """Read the value that starts here.

        Raises:
            DocumentFault: There is none.
        """
        while True:
            try:
                value, end = _decoder.raw_decode(self._buffer, self._at)
            except RecursionError:
                self.fail(said("nested too deeply"))
            except ValueError:
                if len(self._buffer) - self._at > _LONGEST_VALUE:
                    self.fail(said("a value of more than {most} MB", most=_LONGEST_VALUE >> 20))
                rest = self._buffer[self._at :]
                try:
                    value, end = parse(rest).value, len(self._buffer)
                except JsonFault as fault:
                    # At the end of what is read so far, a value is cut off rather than wrong.
                    is_cut = fault.position >= len(rest) - _END or fault.said.text == UNCLOSED
                    if not is_cut or not self._more():
                        self.fail(fault.said, fault.position)
                    continue
            if not _GOES_ON.match(self._buffer, end) or not self._more():
                self._at = end
                return value
