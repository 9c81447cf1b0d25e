"""One pass over the lines of a file: structure and numbers of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from tui.dataset.describe import Describer
from tui.dataset.jsontext import MAX_DEPTH, JsonFault, parse
from tui.dataset.lines import LONGEST_LINE
from tui.dataset.report import Collector, Finding
from tui.dataset.rules import Rules
from tui.dataset.structure import Message, check_order, check_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.dataset.tokens import Counter

_PATTERNS_KEPT = 4096


class _PlainMessage(Message, forbid_unknown_fields=True, frozen=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, msgspec.Meta(min_length=1)]


class _PlainRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    messages: Annotated[list[_PlainMessage], msgspec.Meta(min_length=1)]


_decode = msgspec.json.Decoder(_PlainRow).decode


def _decode_or_none(line: bytes) -> _PlainRow | None:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _has_one_of_each_key(line: bytes, messages: int) -> bool:
    """Whether a line that decoded as a plain row surely has no duplicate key (False: look closer)."""
    if b"\\" not in line:
        # Without escapes every quotation mark delimits: one key a row, two keys and two values a message.
        return line.count(b'"') == 2 + 8 * messages
    return (
        line.count(b'"role"') == messages == line.count(b'"content"')
        and b'"messages"' in line
        and b"\\u006" not in line
        and b"\\u007" not in line
    )


class Scanner:
    """Judges lines and gathers what they amount to."""

    def __init__(self, rules: Rules, counter: Counter | None) -> None:
        self.rules = rules
        self.collector = Collector()
        self.describer = Describer()
        self.lines = 0
        self.rows = 0
        self._counter = counter
        self._clean: dict[tuple[str, ...], bool] = {}
        self._plain_roles = frozenset({"system", "user", "assistant"}) <= rules.roles

    def scan(self, lines: list[bytes]) -> None:
        """Judge a block of lines, the next ones of the file."""
        try:
            rows: Sequence[_PlainRow | None] = list(map(_decode, lines))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rows = [_decode_or_none(line) for line in lines]
        kept: list[tuple[int, Sequence[Message]]] = []
        number = self.lines
        for line, row in zip(lines, rows, strict=True):
            number += 1
            if row is not None and self._is_plain(line, row.messages):
                kept.append((number, row.messages))
            elif (messages := self.judge(line, number)) is not None:
                kept.append((number, messages))
        self.lines = number
        self.rows += len(kept)
        if self._counter is not None:
            self._describe(kept)

    def _is_plain(self, line: bytes, messages: list[_PlainMessage]) -> bool:
        pattern = tuple([message.role for message in messages])
        clean = self._clean.get(pattern)
        if clean is None:
            faults: list[str] = []
            check_order(messages, lambda code, path, message: faults.append(code))
            if len(self._clean) >= _PATTERNS_KEPT:
                self._clean.clear()
            clean = self._clean[pattern] = not faults and self._plain_roles
        if not clean or not _has_one_of_each_key(line, len(messages)):
            return False
        for message in messages:
            content = message.content
            if content.isspace() or "\0" in content:
                return False
        return True

    def _describe(self, rows: list[tuple[int, Sequence[Message]]]) -> None:
        assert self._counter is not None  # noqa: S101 - the caller looked
        counts = self._counter.count([row for _, row in rows])
        for (number, row), tokens in zip(rows, counts, strict=True):
            if not row:
                continue
            self.describer.add(row, tokens)
            limit = self.rules.context_tokens
            if limit is not None and tokens[0] > limit:
                if self._counter.is_estimate:
                    self.add("W224", number, "", f"about {tokens[0]:,} tokens; the model's context is {limit:,}")
                else:
                    self.add("E131", number, "", f"{tokens[0]:,} tokens; the model's context is {limit:,}")

    def add(self, code: str, line: int, path: str, message: str, column: int | None = None) -> None:
        """Note a finding."""
        self.collector.add(Finding(code, line, path, message, column))

    def judge(self, line: bytes, number: int) -> list[Message] | None:
        """Judge one line thoroughly.

        Args:
            line: The line without its end.
            number: Its number from 1.

        Returns:
            Its messages, empty where none could be made out; None for a blank line.
        """
        if len(line) > LONGEST_LINE:
            self.add("E145", number, "", f"the line is longer than {LONGEST_LINE >> 20} MB and was not read")
            return []
        is_utf8 = True
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            is_utf8 = False
            column = len(line[: error.start].decode()) + 1
            self.add(
                "E104", number, "", f"byte 0x{line[error.start]:02x} at byte {error.start + 1} of the line: {error.reason}",
                column,
            )
            text = line.decode(errors="replace")
        if not text.strip(" \t\r"):
            self.add("W202", number, "", "the line is blank")
            return None
        shift = 0
        while text.startswith("\ufeff"):
            shift += 1
            text = text[1:]
        if shift:
            self.add("E140", number, "", "a byte order mark at the start of the line", 1)
        try:
            parsed = parse(text)
        except JsonFault as fault:
            if is_utf8:
                code = "E142" if fault.message.startswith("a second value") else "E101"
                self.add(code, number, fault.path, fault.message, fault.position + 1 + shift)
            return []
        for path, position in parsed.duplicates:
            self.add("E103", number, path, "the object already has this key", position + 1 + shift)
        if parsed.depth > MAX_DEPTH:
            self.add("E144", number, "", f"{parsed.depth} levels; readers stop at {MAX_DEPTH}")
        if "\\u" in text:
            self._check_characters(parsed.value, number)
        return check_row(parsed.value, self.rules, lambda code, path, message: self.add(code, number, path, message))

    def _check_characters(self, value: Any, number: int) -> None:
        pending: list[tuple[str, Any]] = [("", value)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, str):
                if "\0" in node:
                    self.add("E130", number, path, f"at character {node.index(chr(0)) + 1}")
                try:
                    node.encode()
                except UnicodeEncodeError as error:
                    self.add("E129", number, path, f"U+{ord(node[error.start]):04X} at character {error.start + 1}")
            elif isinstance(node, dict):
                for key, inner in reversed(node.items()):
                    name = key if key.isidentifier() and key.isascii() else f"[{ascii(key[:40])}]"
                    pending.append((f"{path}.{name}".lstrip(".").replace(".[", "["), inner))
                    if not key.isascii() or "\0" in key:
                        pending.append((f"{path} key", key))
            elif isinstance(node, list):
                pending.extend((f"{path}[{index}]", inner) for index, inner in reversed(list(enumerate(node))))


def messages_of(line: bytes) -> Sequence[Message]:
    """Return the messages of a line, empty where it holds none; faults are passed over."""
    row = _decode_or_none(line)
    if row is not None:
        return row.messages
    if len(line) > LONGEST_LINE:
        return []
    try:
        value = parse(line.decode(errors="replace").lstrip("\ufeff")).value
    except JsonFault:
        return []
    return check_row(value, Rules(parts=True), lambda code, path, message: None)
