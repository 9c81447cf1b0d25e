"""A strict JSON reader that says where a text stops being JSON, finds duplicate keys, and cannot be made to recurse."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tui.dataset.said import Said, said
from tui.messages import mark

MAX_DEPTH = 64
"""Levels of nesting that every reader on the way accepts (System.Text.Json and Newtonsoft stop at 64 by default)."""

_SPACE = re.compile(r"[ \t\n\r]*+")
_STRING_BODY = re.compile(r'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_LITERAL = re.compile(r"true|false|null")
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"[^\s,:\[\]{}\"']{1,40}")
BAD_WORDS = {
    "NaN": "NaN is not JSON; write null or a number",
    "Infinity": "Infinity is not JSON; write null or a number",
    "-Infinity": "-Infinity is not JSON; write null or a number",
    "True": "True is Python; JSON writes true",
    "False": "False is Python; JSON writes false",
    "None": "None is Python; JSON writes null",
    "undefined": "undefined is JavaScript; JSON writes null",
}
_TYPOGRAPHIC = "“”„«»‘’"
RAW_CHARACTERS = {
    "\t": "a raw tab (write \\t) inside a string",
    "\r": "a raw carriage return (write \\r) inside a string",
    "\0": "a raw NUL character inside a string",
}
UNCLOSED = mark("a string that is never closed; the line may be cut off or hold a raw line break")
_LONGEST_EXACT_NUMBER = 300
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SHOWN_KEY = 64


def member(path: str, key: str) -> str:
    """Return the JSON path of a member of the object at `path`: `a.b`, or `a['b c']` where the key is no plain name."""
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{key[:_SHOWN_KEY]!a}]"


class JsonFault(ValueError):
    """The text is not JSON.

    Attributes:
        position: Index of the first character that cannot be right, in characters from the start of the text.
        path: JSON path of the value being read there, "" for the outermost one.
        said: What is wrong; `message` has it in the language in use.
        is_second_value: Whether what stands there begins another value after a complete one.
    """

    def __init__(self, position: int, path: str, text: Said, *, is_second_value: bool = False) -> None:
        super().__init__(text)
        self.position = position
        self.path = path
        self.said = text
        self.is_second_value = is_second_value

    @property
    def message(self) -> str:
        """What is wrong, one line, in the language in use."""
        return str(self.said)


@dataclass(slots=True)
class Parsed:
    """A JSON text as Python values.

    Attributes:
        value: The value; objects keep the last of duplicate keys, and what lies deeper than MAX_DEPTH is None.
        duplicates: Path and position of each key that its object already had.
        depth: Deepest nesting, 0 for a bare scalar.
    """

    value: Any
    duplicates: list[tuple[str, int]] = field(default_factory=list)
    depth: int = 0


def infinities(value: Any) -> list[str]:
    """Return the JSON paths of numbers that are too large for a double-precision number."""
    found: list[str] = []
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        path, node = pending.pop()
        if isinstance(node, float) and math.isinf(node):
            found.append(path)
        elif isinstance(node, dict):
            pending.extend((member(path, key), inner) for key, inner in reversed(node.items()))
        elif isinstance(node, list):
            pending.extend((f"{path}[{index}]", inner) for index, inner in reversed(list(enumerate(node))))
    return found


class _Duplicate(Exception):
    """Two equal keys in one object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Duplicate
    return made


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities, for `parse_constant` of the standard library's reader.

    Raises:
        ValueError: Always.
    """
    raise ValueError(name)


def integer(digits: str) -> int | float:
    """Return a whole number, as a float where it has so many digits that Python refuses to read it."""
    return int(digits) if len(digits) <= _LONGEST_EXACT_NUMBER else float(digits)


_quick = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=refuse_constant)


def parse(text: str) -> Parsed:
    """Read one JSON text (RFC 8259: no NaN, no comments, no trailing commas, nothing after the value).

    Args:
        text: The text, without a byte order mark.

    Returns:
        The value, its duplicate keys and its depth.

    Raises:
        JsonFault: The text is not JSON.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        # The standard library's reader is strict with these hooks and fast; the one below explains and locates.
        try:
            return Parsed(_quick.decode(text))
        except (_Duplicate, ValueError, RecursionError):
            pass
    return _Reader(text).read()


class _Reader:
    """One pass over a text with its own stack."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._containers: list[Any] = []
        self._kinds = bytearray()
        self._keys: list[str | int] = []
        self._duplicates: list[tuple[str, int]] = []
        self._depth = 0

    def read(self) -> Parsed:
        """Return the parsed text."""
        text, end = self._text, len(self._text)
        root: Any = None
        at = self._skip(0)
        while True:
            # A value starts here.
            char = text[at : at + 1]
            value: Any
            if char in ("[", "{") and char:
                is_object = char == "{"
                value = {} if is_object else []
                self._push(value, is_object)
                at = self._skip(at + 1)
                if text[at : at + 1] == ("}" if is_object else "]"):
                    at += 1
                    value = self._pop()
                else:
                    if is_object:
                        at = self._key(at)
                    continue
            else:
                value, at = self._scalar(at)
            # A value has ended here: store it, close what closes.
            while True:
                if not self._kinds:
                    root = value
                    at = self._skip(at)
                    if at < end:
                        if text[at] in "{[":
                            second = said("a second value on the line; each line holds one")
                            raise JsonFault(at, "", second, is_second_value=True)
                        self._fail(at, self._after(at))
                    return Parsed(root, self._duplicates, self._depth)
                self._store(value)
                at = self._skip(at)
                char = text[at : at + 1]
                is_object = self._kinds[-1] == 1
                if char == ",":
                    comma = at
                    at = self._skip(at + 1)
                    if text[at : at + 1] == ("}" if is_object else "]"):
                        self._fail(comma, said("a comma before the closing bracket; remove it"))
                    if is_object:
                        at = self._key(at)
                    elif len(self._keys) == len(self._kinds):
                        self._keys[-1] = int(self._keys[-1]) + 1
                    break
                if char == ("}" if is_object else "]"):
                    at += 1
                    value = self._pop()
                    continue
                self._fail(at, self._missing_comma(at, is_object=is_object))

    def _push(self, value: Any, is_object: bool) -> None:
        self._kinds.append(1 if is_object else 0)
        self._depth = max(self._depth, len(self._kinds))
        if len(self._kinds) <= MAX_DEPTH:
            self._containers.append(value)
            self._keys.append("" if is_object else 0)

    def _pop(self) -> Any:
        deep = len(self._kinds) > MAX_DEPTH
        self._kinds.pop()
        if deep:
            return None
        self._keys.pop()
        return self._containers.pop()

    def _store(self, value: Any) -> None:
        if len(self._kinds) > MAX_DEPTH:
            return
        container = self._containers[-1]
        if isinstance(container, dict):
            container[self._keys[-1]] = value
        else:
            container.append(value)

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _key(self, at: int) -> int:
        text = self._text
        if text[at : at + 1] != '"':
            self._fail(at, self._bad_key(at))
        name, after = self._string(at)
        if len(self._kinds) <= MAX_DEPTH:
            self._keys[-1] = name
            if name in self._containers[-1]:
                self._duplicates.append((self.path(), at))
        after = self._skip(after)
        if text[after : after + 1] != ":":
            colon = said("a colon is missing after the key")
            self._fail(after, colon if after < len(text) else said("the line ends after a key"))
        return self._skip(after + 1)

    def _string(self, at: int) -> tuple[str, int]:
        text = self._text
        body = _STRING_BODY.match(text, at + 1)
        end = body.end() if body else at + 1
        if text[end : end + 1] == '"':
            return str(json.loads(text[at : end + 1])), end + 1
        if end >= len(text):
            self._fail(at, said(UNCLOSED))
        char = text[end]
        if char == "\\":
            shown = text[end : end + 2]
            if end + 1 >= len(text):
                self._fail(end, said("the line ends inside an escape"))
            if shown == "\\u":
                self._fail(end, said("\\u needs four hexadecimal digits"))
            escape = ascii(shown)[1:-1].replace("\\\\", "\\")
            self._fail(end, said("{escape} is not a JSON escape; a backslash is written \\\\", escape=escape))
        if char in RAW_CHARACTERS:
            self._fail(end, said(RAW_CHARACTERS[char]))
        self._fail(end, said("a raw control character {code} inside a string", code=f"U+{ord(char):04X}"))

    def _scalar(self, at: int) -> tuple[Any, int]:
        text = self._text
        if text[at : at + 1] == '"':
            return self._string(at)
        if found := _LITERAL.match(text, at):
            if (word := _WORD.match(text, at)) and word.end() > found.end():
                self._fail(at, said("{word} is not a JSON value", word=ascii(word.group())))
            return _LITERALS[found.group()], found.end()
        if found := _NUMBER.match(text, at):
            if (word := _WORD.match(text, at)) and word.end() > found.end():
                self._fail(at, self._bad_value(at))
            digits = found.group()
            return integer(digits) if digits.lstrip("-").isdigit() else float(digits), found.end()
        self._fail(at, self._bad_value(at))

    def _bad_value(self, at: int) -> Said:
        text = self._text
        if at >= len(text):
            return said("the line ends where a value should be") if at else said("nothing here: an empty value")
        char = text[at]
        if char == "'":
            return said("a single-quoted string; JSON strings take double quotes")
        if char in _TYPOGRAPHIC:
            return said('a typographic quote; JSON strings take the plain "')
        if char == "\ufeff":
            return said("a byte order mark in the middle of the file; files were joined without removing it")
        if text.startswith(("//", "/*", "#"), at):
            return said("a comment; JSON has none")
        word = _WORD.match(text, at)
        if word is None:
            return said("{what} where a value should be", what=ascii(char))
        shown = word.group()
        if shown in BAD_WORDS:
            return said(BAD_WORDS[shown])
        if char.isdigit() or char in "-+.":
            return said("{word} is not a JSON number", word=ascii(shown))
        return said("{word} is not a JSON value; text takes double quotes", word=ascii(shown))

    def _bad_key(self, at: int) -> Said:
        if at >= len(self._text):
            return said("the line ends inside an object")
        char = self._text[at]
        if char in _TYPOGRAPHIC:
            return said('a typographic quote; JSON strings take the plain "')
        if char == "'":
            return said("a single-quoted key; JSON keys take double quotes")
        if char == ",":
            return said("a comma where a key should be")
        if self._text.startswith(("//", "/*", "#"), at):
            return said("a comment; JSON has none")
        if char.isalpha() or char == "_":
            return said("a key without double quotes")
        return said("{what} where a key should be", what=ascii(char))

    def _missing_comma(self, at: int, *, is_object: bool) -> Said:
        if at >= len(self._text):
            if is_object:
                return said("the line ends inside an object; it may be cut off or continue on the next line")
            return said("the line ends inside an array; it may be cut off or continue on the next line")
        if self._text.startswith(("//", "/*", "#"), at):
            return said("a comment; JSON has none")
        char = self._text[at]
        if char in "]}":
            if is_object:
                return said("{bracket} closes an object that was opened with the other bracket", bracket=repr(char))
            return said("{bracket} closes an array that was opened with the other bracket", bracket=repr(char))
        if char in "\"'{[":
            return said("a comma is missing before {what}", what=ascii(char))
        return said("{what} where a comma should be", what=ascii(char))

    def _after(self, at: int) -> Said:
        char = self._text[at]
        if char == "\ufeff":
            return said("a byte order mark in the middle of the file; files were joined without removing it")
        if char in "]}":
            return said("{bracket} closes something that was never opened", bracket=repr(char))
        if char == ",":
            return said("a comma after the value; JSON Lines has none between rows")
        return said("{what} after the end of the value", what=ascii(char))

    def path(self) -> str:
        """Return the JSON path of the place being read."""
        path = ""
        for key in self._keys:
            path = f"{path}[{key}]" if isinstance(key, int) else member(path, key) if key else path
        return path

    def _fail(self, at: int, text: Said) -> NoReturn:
        raise JsonFault(at, self.path(), text)
