"""One pass over the lines of a file: structure, content and numbers of each row."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, field
from itertools import chain, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from tui.dataset.describe import Describer
from tui.dataset.duplicates import Prints
from tui.dataset.jsontext import MAX_DEPTH, JsonFault, infinities, member, parse
from tui.dataset.lines import LONGEST_LINE, blocks, lines_of
from tui.dataset.report import Collector
from tui.dataset.rules import Rules
from tui.dataset.said import Grouped, Said, said
from tui.dataset.structure import Message, check_order, check_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tui.dataset.tokens import Counter

_PATTERNS_KEPT = 4096
_MAY_OVERFLOW = re.compile(r"[eE]\+?[0-9]{3}|[0-9]{309}")
_LONGEST_KEPT = 20
_FEWEST_TURNS, _MOST_TURNS = 2, 64


class _PlainMessage(Message, forbid_unknown_fields=True, frozen=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, msgspec.Meta(min_length=1)]


class _PlainRow(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    messages: Annotated[list[_PlainMessage], msgspec.Meta(min_length=1)]


_ROLE = attrgetter("role")
_decoder = msgspec.json.Decoder(_PlainRow)
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines
_ROW_ENDS = (b"]}\n", b"]}\r\n")


def _decode_or_none(line: bytes) -> _PlainRow | None:
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _decode_all(block: bytes, lines: list[bytes]) -> list[_PlainRow] | None:
    """Return the plain rows of a block, one of each of its lines; None where a line is not one."""
    try:
        # A raw line end stands in no string, so a line with this end holds the end of a row: as many rows as lines are
        # then one a line. Decoding them together saves a call a line.
        if all(map(bytes.endswith, lines, repeat(_ROW_ENDS))):
            rows = _decode_lines(block)
            return rows if len(rows) == len(lines) else None
        return list(map(_decode, lines))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _has_no_duplicate_key(line: bytes, quotes: int, fewest: int, messages: int) -> bool:
    """Whether a line that decoded as a plain row surely has no duplicate key (False: look closer).

    Quotation marks above the fewest possible are in duplicate keys or in the text. A second "messages" would bring
    roles of its own, and keys that are written with escapes would begin with \\u00.
    """
    return quotes == fewest or (line.count(b'"role"') == messages == line.count(b'"content"') and b"\\u00" not in line)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a file from the start of a line to the end of one, and how to judge it.

    Attributes:
        path: The file.
        start: First byte.
        end: Byte after the last.
        newline: What ends a line.
        rules: What the model and the engine accept.
        counter: What counts tokens; None for a look at the structure alone.
        near: Whether to take signatures for the search of near duplicates.
    """

    path: str
    start: int
    end: int
    newline: bytes
    rules: Rules
    counter: Counter | None
    near: bool = True


@dataclass(slots=True)
class Partial:
    """What a stretch amounts to; lines are counted from its start."""

    lines: int = 0
    rows: int = 0
    collector: Collector = field(default_factory=Collector)
    describer: Describer = field(default_factory=Describer)
    prints: Prints = field(default_factory=Prints)
    longest: list[tuple[int, int]] = field(default_factory=list)
    """(tokens, line) of the longest rows."""


def scan_stretch(stretch: Stretch, each_block: Callable[[int], None] = lambda consumed: None) -> Partial:
    """Judge a stretch.

    Args:
        stretch: What to judge.
        each_block: Called with the bytes judged so far after every block; may raise to stop.

    Returns:
        What it amounts to.

    Raises:
        OSError: The file cannot be read.
    """
    scanner = Scanner(stretch.rules, stretch.counter, near=stretch.near)
    with open(stretch.path, "rb") as stream:
        stream.seek(stretch.start)
        for block, consumed in blocks(stream, stretch.end, stretch.newline):
            scanner.scan(block, stretch.newline)
            each_block(consumed)
    return scanner.partial


class Scanner:
    """Judges lines one after the other."""

    def __init__(self, rules: Rules, counter: Counter | None, *, near: bool = True) -> None:
        self.partial = Partial()
        self._rules = rules
        self._counter = counter
        self._near = near
        self._quotes_in_text = False
        self._clean: dict[tuple[str, ...], bool] = {}
        self._turns: dict[int, str] = {}
        self._plain_roles = frozenset({"system", "user", "assistant"}) <= rules.roles

    def scan(self, block: bytes, newline: bytes = b"\n") -> None:
        """Judge a block of whole lines, the next ones of the file."""
        partial = self.partial
        begun = partial.lines
        lines = lines_of(block, newline)
        kept: Iterable[tuple[int, Sequence[Message]]]
        rows = _decode_all(block, lines)
        if rows is None:
            kept = self._judge_each(lines, map(_decode_or_none, lines))
        else:
            conversations = [row.messages for row in rows]
            if self._are_plain(lines, conversations, block):
                partial.rows += len(rows)
                kept = enumerate(conversations, begun + 1)
            else:
                kept = self._judge_each(lines, rows)
        partial.lines = begun + len(lines)
        if self._counter is not None:
            self._look_into(list(kept), self._counter)

    def plain(self, line: bytes) -> Sequence[Message] | None:
        """The messages of a line with whose structure nothing is wrong; None: it is worth a closer look."""
        row = _decode_or_none(line)
        return row.messages if row is not None and self._are_plain([line], [row.messages]) else None

    def _are_plain(self, lines: list[bytes], conversations: list[list[_PlainMessage]], block: bytes = b"") -> bool:
        """Whether nothing is wrong with the structure of any line that decoded as these messages.

        All of it is done without a loop of the interpreter but the quickest, which would take longer than the decoding.
        `block` is the lines in one piece, where there is such.
        """
        messages = list(chain.from_iterable(conversations))
        if not self._take_turns(conversations, messages):
            for pattern in set(map(tuple, map(map, repeat(_ROLE), conversations))):
                if not self._is_clean(pattern):
                    return False
        contents = [message.content for message in messages]
        if any(map(str.isspace, contents)) or "\0" in "".join(contents):
            return False
        # A plain row has in quotation marks one key of its own, and two keys and two values a message.
        if block and not self._quotes_in_text:
            if block.count(b'"') == 2 * len(conversations) + 8 * len(contents):
                return True
            self._quotes_in_text = True
        quotes = list(map(bytes.count, lines, repeat(b'"')))
        fewest = [2 + 8 * len(messages) for messages in conversations]
        return quotes == fewest or all(map(_has_no_duplicate_key, lines, quotes, fewest, map(len, conversations)))

    def _take_turns(self, conversations: list[list[_PlainMessage]], messages: list[_PlainMessage]) -> bool:
        """Whether in all conversations user and assistant take turns, after a system message where the count is odd.

        Most files hold nothing else. The roles follow from the lengths then and are compared in one piece, which costs
        less than to look at the roles of each row: no role is the beginning of another, so that equal pieces have equal
        roles.
        """
        lengths = list(map(len, conversations))
        for length in set(lengths) - self._turns.keys():
            if not self._plain_roles or not _FEWEST_TURNS <= length <= _MOST_TURNS:
                return False
            self._turns[length] = "system" * (length % 2) + "userassistant" * (length // 2)
        return "".join([message.role for message in messages]) == "".join([self._turns[n] for n in lengths])

    def _judge_each(self, lines: list[bytes], rows: Iterable[_PlainRow | None]) -> list[tuple[int, Sequence[Message]]]:
        """Judge lines one by one and return (number, messages) of those with a conversation."""
        kept: list[tuple[int, Sequence[Message]]] = []
        for number, (line, row) in enumerate(zip(lines, rows, strict=True), self.partial.lines + 1):
            if row is not None and self._are_plain([line], [row.messages]):
                self.partial.rows += 1
                kept.append((number, row.messages))
            elif (found := self.judge(line, number)) is not None:
                self.partial.rows += 1
                if found:
                    kept.append((number, found))
        return kept

    def _is_clean(self, pattern: tuple[str, ...]) -> bool:
        """Whether roles are in a good order; remembered, since few patterns recur in a file."""
        clean = self._clean.get(pattern)
        if clean is None:
            faults: list[str] = []
            check_order(pattern, lambda code, path, message: faults.append(code))
            if len(self._clean) >= _PATTERNS_KEPT:
                self._clean.clear()
            clean = self._clean[pattern] = not faults and self._plain_roles
        return clean

    def _look_into(self, rows: list[tuple[int, Sequence[Message]]], counter: Counter) -> None:
        # Their patterns take time to compile, and a look at the structure does without.
        from tui.dataset.content import SEPARATOR, check_content

        partial = self.partial
        limit = self._rules.context_tokens
        signed: list[tuple[int, int, list[str]]] = []
        for (number, row), tokens in zip(rows, counter.count([row for _, row in rows]), strict=True):
            whole = SEPARATOR.join([message.content for message in row])
            words = whole.lower().split()

            def add(code: str, path: str, message: str | Said, line: int = number) -> None:
                self.add(code, line, path, message)

            check_content(row, whole, words, add)
            partial.describer.add(row, tokens, number)
            key = partial.prints.add(number, row)
            if self._near:
                system = len(row[0].content.split()) if row[0].role in ("system", "developer") else 0
                signed.append((number, key, words[system:]))
            item = (tokens[0], -number)
            if len(partial.longest) < _LONGEST_KEPT:
                heapq.heappush(partial.longest, item)
            elif item > partial.longest[0]:
                heapq.heapreplace(partial.longest, item)
            if limit is not None and tokens[0] * (1 + counter.row_error) > limit:
                code = "E131" if tokens[0] * (1 - counter.row_error) > limit else "W224"
                text = (
                    said(
                        "about {tokens} tokens; the model's context is {limit}",
                        tokens=Grouped(tokens[0]),
                        limit=Grouped(limit),
                    )
                    if counter.is_estimate
                    else said(
                        "{tokens} tokens; the model's context is {limit}",
                        tokens=Grouped(tokens[0]),
                        limit=Grouped(limit),
                    )
                )
                add(code, "", text)
        if signed:
            partial.prints.sign(signed)

    def add(self, code: str, line: int, path: str, message: str | Said, column: int | None = None) -> None:
        """Note a finding."""
        self.partial.collector.note(code, line, path, message, column)

    def judge(self, line: bytes, number: int) -> list[Message] | None:
        """Judge one line thoroughly.

        Args:
            line: The line; an LF at its end does not matter.
            number: Its number from 1.

        Returns:
            Its messages, empty where none could be made out; None for a blank line.
        """
        line = line.removesuffix(b"\n")
        if len(line) > LONGEST_LINE:
            self.add(
                "E145", number, "", said("the line is longer than {most} MB and was not read", most=LONGEST_LINE >> 20)
            )
            return []
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode()) + 1
            place = said(
                "byte {byte} at byte {position} of the line: {reason}",
                byte=f"0x{line[error.start]:02x}",
                position=error.start + 1,
                reason=error.reason,
            )
            self.add("E104", number, "", place, column)
            # Not U+FFFD, which would be reported as if it stood in the file.
            text = line.decode(errors="replace").replace("\ufffd", "?")
        if not text.strip(" \t\r"):
            self.add("W202", number, "", said("the line is blank"))
            return None
        shift = len(text) - len(text.lstrip("\ufeff"))
        if shift:
            self.add("E140", number, "", said("a byte order mark at the start of the line"), 1)
            text = text[shift:]
        try:
            parsed = parse(text)
        except JsonFault as fault:
            code = "E142" if fault.is_second_value else "E101"
            self.add(code, number, fault.path, fault.said, fault.position + 1 + shift)
            return []
        for path, position in parsed.duplicates:
            self.add("E103", number, path, said("the object already has this key"), position + 1 + shift)
        if parsed.depth > MAX_DEPTH:
            self.add(
                "E144", number, "", said("{depth} levels; readers stop at {most}", depth=parsed.depth, most=MAX_DEPTH)
            )
        whole = "\\u" not in text or self._check_characters(parsed.value, number)
        if _MAY_OVERFLOW.search(text):
            for path in infinities(parsed.value):
                self.add("E146", number, path, said("the number is larger than readers can hold"))
        found = check_row(parsed.value, self._rules, lambda code, path, message: self.add(code, number, path, message))
        return found if whole else _encodable(found)

    def _check_characters(self, value: Any, number: int) -> bool:
        """Report NUL characters and lone surrogates; True where there is none of the latter."""
        whole = True
        pending: list[tuple[str, Any]] = [("", value)]
        while pending:
            path, node = pending.pop()
            if isinstance(node, str):
                if "\0" in node:
                    self.add("E130", number, path, said("at character {position}", position=node.index("\0") + 1))
                try:
                    node.encode()
                except UnicodeEncodeError as error:
                    whole = False
                    place = said(
                        "{what} at character {position}",
                        what=f"U+{ord(node[error.start]):04X}",
                        position=error.start + 1,
                    )
                    self.add("E129", number, path, place)
            elif isinstance(node, dict):
                for key, inner in reversed(node.items()):
                    pending.append((member(path, key), inner))
                    if not key.isascii() or "\0" in key:
                        pending.append((member(path, key), key))
            elif isinstance(node, list):
                pending.extend((f"{path}[{index}]", inner) for index, inner in reversed(list(enumerate(node))))
        return whole


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
    found = check_row(value, Rules(parts=True), lambda code, path, message: None)
    return _encodable(found) if b"\\u" in line else found


def _encodable(messages: Sequence[Message]) -> list[Message]:
    """Return messages without half characters, which nothing that comes after could encode."""
    return [Message(*(text.encode(errors="replace").decode() for text in (m.role, m.content))) for m in messages]
