"""Mending a dataset: what can be put right by rule, shown first and written to a new file only."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.dataset.characters import CONTROL, INVISIBLE, SEPARATORS, TEMPLATE_TOKENS
from tui.dataset.content import SEPARATOR
from tui.dataset.jsontext import MAX_DEPTH, JsonFault, infinities, parse
from tui.dataset.lines import (
    LONGEST_LINE,
    UTF8_BOM,
    WINDOWS,
    has_bom,
    is_blank,
    is_windows,
    newline_of,
    numbered,
    replacing,
)
from tui.dataset.mending import ROW_REMEDIES, SURROGATE, as_row, dump, repair, values
from tui.dataset.personal import may_hold_any, mentions
from tui.dataset.rules import DOCUMENTED
from tui.dataset.scan import Scanner
from tui.dataset.structure import check_row
from tui.messages import t

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from tui.dataset.rules import Rules
    from tui.dataset.structure import Message

REST = "rest"
"""The remedy that leaves out the rows which still have errors after the others."""

_EXAMPLE = 300


class FixError(ValueError):
    """The file cannot be mended as asked."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing that can be put right.

    Attributes:
        code: Code of the fault it mends, or REST.
        title: What it does, as a choice to offer.
        rows: Rows it touches.
        example_before: The first of them, shortened.
        example_after: The same row afterwards, "" where it is left out.
        line: Where that row stands.
    """

    code: str
    title: str
    rows: int
    example_before: str
    example_after: str
    line: int


@dataclass(frozen=True, slots=True)
class FixResult:
    """What was written.

    Attributes:
        rows_read: Rows of the original.
        rows_written: Rows of the new file.
        rows_changed: Rows that differ from the original.
        rows_dropped: Rows left out.
        applied: Rows touched by each remedy.
    """

    rows_read: int
    rows_written: int
    rows_changed: int
    rows_dropped: int
    applied: dict[str, int]


TITLES = {
    "E101": "repair JSON that was written as Python or with commas, comments, raw tabs or NaN in the wrong place",
    "E102": "make rows of lists of messages, and of rows that were encoded twice",
    "E103": "keep the last of duplicate keys",
    "E104": "read what is not UTF-8 as Windows-1252",
    "E111": "write the roles of other formats (human, ai, chatbot, model) as those of the chat format",
    "E112": "write roles in small letters",
    "E114": "make tool calls of function_call, their former kind",
    "E116": "remove empty system messages",
    "E117": "join text parts into one string, and make tool calls and messages of tool blocks",
    "E120": "cut what follows the last assistant turn",
    "E121": "join consecutive assistant turns",
    "E122": "move system messages to the start and join them",
    "E124": "encode tool arguments once",
    "E126": "write tool definitions of other services as those of the chat format",
    "E128": "remove weights that mean nothing",
    "E129": "replace lone surrogates by U+FFFD",
    "E130": "remove NUL characters",
    "E139": "remove the byte order mark",
    "E140": "remove byte order marks inside the file",
    "E141": "end lines with LF",
    "E142": "put each value on its own line",
    "W201": "add the byte order mark",
    "W202": "remove blank lines",
    "W203": "remove fields that training does not use",
    "W204": "remove control characters",
    "W205": "remove bidirectional and invisible characters",
    "W206": "replace Unicode line separators by line breaks",
    "W208": "remove chat template tokens",
    "W209": "keep one of equal rows",
    "W217": "replace e-mail addresses by [EMAIL]",
    "W218": "replace phone numbers by [PHONE]",
    "W219": "replace card numbers by [CARD]",
    "W220": "replace secrets by [SECRET]",
    "W223": "join consecutive user turns",
    "W225": "strip answers",
    "W226": "leave out content that is null",
    "W227": "remove schema keywords that validators refuse",
    "W228": "replace identifiers by [ID]",
    REST: "leave out rows that still have errors",
}
"""What each remedy does, by its code."""
_WHOLE_FILE = ("E139", "E141", "W201")


def _cannot_be_written(value: Any) -> bool:
    text = dump(value)
    return "\\u0000" in text or SURROGATE.search(text) is not None or bool(infinities(value))


_IN_TEXT = (CONTROL, INVISIBLE, SEPARATORS, TEMPLATE_TOKENS)


def _is_clean(messages: Sequence[Message]) -> bool:
    """Whether no remedy changes the text of these messages."""
    whole = SEPARATOR.join([message.content for message in messages])
    if any(pattern.search(whole) for pattern in _IN_TEXT):
        return False
    if any(message.role == "assistant" and message.content != message.content.strip() for message in messages):
        return False
    # Message by message: two numbers may together look like neither.
    return not (
        may_hold_any(whole, whole.split()) and any(True for message in messages for _ in mentions(message.content))
    )


def _digest(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def remedies(
    path: Path,
    rules: Rules = DOCUMENTED,
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Remedy]:
    """Return what can be mended in a file, with the rows each remedy touches and an example.

    Args:
        path: The file.
        rules: What the model and the engine accept.
        progress: Called with the rows done, every thousand rows; may raise to stop.

    Raises:
        OSError: The file cannot be read.
    """
    counts: dict[str, int] = {}
    examples: dict[str, tuple[int, str, str]] = {}
    for code, before, after in _whole_file(path, rules):
        counts[code] = 1
        examples[code] = (0, before, after)
    with closing(_Mender(rules, frozenset(TITLES))) as mender:
        for done, (number, line) in enumerate(numbered(path)):
            before = _start(line)
            for code, after in mender.mend(line).steps:
                counts[code] = counts.get(code, 0) + 1
                if code not in examples:
                    examples[code] = (number, *_around(before, after))
                before = after
            if progress is not None and done % 1000 == 999:
                progress(done + 1)
    return [
        Remedy(code, t(TITLES[code]), counts[code], examples[code][1], examples[code][2], examples[code][0])
        for code in TITLES
        if code in counts
    ]


def apply(
    path: Path,
    out: Path,
    chosen: Collection[str] | None = None,
    rules: Rules = DOCUMENTED,
    *,
    progress: Callable[[int], None] | None = None,
) -> FixResult:
    """Write a mended copy of a file; the original is never changed.

    Args:
        path: The file.
        out: The new file, replaced where it exists.
        chosen: Codes of the remedies to use; None for all that mend an error, with REST, and the byte order mark.
        rules: What the model and the engine accept.
        progress: Called with the rows done, every thousand rows; may raise to stop, and nothing is written then.

    Returns:
        What was written.

    Raises:
        FixError: `out` is the original, a code names no remedy, or no row would be left.
        OSError: A file cannot be read or written.
    """
    if path.resolve() == out.resolve():
        raise FixError(t("the new file must not be the original"))
    codes = frozenset(
        chosen if chosen is not None else (c for c in TITLES if c[0] == "E" or c in (REST, "W201", "W202"))
    )
    unknown = sorted(codes - TITLES.keys())
    if unknown:
        raise FixError(t("there is no remedy for {codes}", codes=", ".join(unknown)))
    applied: dict[str, int] = {code: 1 for code, _, _ in _whole_file(path, rules) if code in codes}
    read = written = changed = dropped = 0
    mark = has_bom(path)
    mark = (mark or "W201" in applied) and "E139" not in applied
    end = b"\n" if newline_of(path) == b"\n" or "E141" in codes else b"\r"
    with replacing(out) as stream, closing(_Mender(rules, codes)) as mender:
        stream.write(UTF8_BOM if mark else b"")
        for _, line in numbered(path):
            read += not is_blank(line)
            mended = mender.mend(line)
            for code in {code for code, _ in mended.steps}:
                applied[code] = applied.get(code, 0) + 1
            for piece in mended.lines:
                stream.write(piece + end)
                written += not is_blank(piece)
            if not mended.lines:
                dropped += not is_blank(line)
            elif mended.steps:
                changed += 1
            if progress is not None and read % 1000 == 999:
                progress(read)
        if not written:
            raise FixError(t("no row of {file} can be mended; nothing was written", file=path.name))
    return FixResult(read, written, changed, dropped, applied)


def _whole_file(path: Path, rules: Rules) -> Iterator[tuple[str, str, str]]:
    mark = has_bom(path)
    if mark and rules.bom == "refused":
        yield "E139", t("UTF-8 with a byte order mark"), "UTF-8"
    if not mark and rules.bom == "asked":
        yield "W201", "UTF-8", t("UTF-8 with a byte order mark")
    if newline_of(path) == b"\r":
        yield "E141", t("lines end with CR"), t("lines end with LF")


def _start(line: bytes) -> str:
    return line[: 64 * 1024].decode(errors="replace")


def _around(before: str, after: str) -> tuple[str, str]:
    """Return the two texts cut to the place where they differ."""
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, same - _EXAMPLE // 3)
    lead = "…" if start else ""

    def cut(text: str) -> str:
        return lead + text[start : start + _EXAMPLE] + ("…" if len(text) > start + _EXAMPLE else "") if text else ""

    return cut(before), cut(after)


@dataclass(slots=True)
class _Mended:
    """The lines that a line becomes, and each remedy used with the text after it."""

    lines: list[bytes]
    steps: list[tuple[str, str]]


class _Mender:
    """Applies chosen remedies to one line after the other."""

    def __init__(self, rules: Rules, codes: frozenset[str]) -> None:
        self._rules = rules
        self._codes = codes
        self._scanner = Scanner(rules, None, near=False)
        # On disk, so that memory stays the same however many rows there are.
        self._seen = sqlite3.connect("")
        self._seen.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def close(self) -> None:
        """Give the temporary database back."""
        self._seen.close()

    def _is_new(self, value: Any) -> bool:
        """Whether no equal row came before."""
        return self._seen.execute("INSERT OR IGNORE INTO seen VALUES (?)", (_digest(value),)).rowcount > 0

    def mend(self, line: bytes) -> _Mended:
        """Return what a line becomes."""
        steps: list[tuple[str, str]] = []
        if is_blank(line):
            if "W202" in self._codes:
                return _Mended([], [("W202", "")])
            return _Mended([line], steps)
        if len(line) > LONGEST_LINE:
            return self._rest([line], steps, faulty=True)
        if (row := self._in_order(line)) is not None:
            # As most rows are; to try every remedy on it would take twenty times as long.
            value = {"messages": [{"role": message.role, "content": message.content} for message in row]}
            is_new = "W209" not in self._codes or self._is_new(value)
            return _Mended([line], []) if is_new else _Mended([], [("W209", "")])
        text = self._decoded(line, steps)
        if text is None:
            return self._rest([line], steps, faulty=True)
        if text.startswith("\ufeff") and "E140" in self._codes:
            text = text.lstrip("\ufeff")
            steps.append(("E140", text[: 64 * 1024]))
        pieces = self._pieces(text, steps)
        made: list[bytes] = []
        dropped = False
        for piece in pieces:
            kept = self._row(piece, steps)
            if kept is None:
                dropped = True
            else:
                made.append(kept if steps else line)
        if not made and not dropped:
            made = [line]
        return _Mended(made, steps)

    def _in_order(self, line: bytes) -> Sequence[Message] | None:
        """The messages of a row that no remedy would change; None: it is worth trying them."""
        row = self._scanner.plain(line)
        return row if row is not None and _is_clean(row) else None

    def _rest(self, lines: list[bytes], steps: list[tuple[str, str]], *, faulty: bool) -> _Mended:
        if faulty and REST in self._codes:
            steps.append((REST, ""))
            return _Mended([], steps)
        return _Mended(lines, steps)

    def _decoded(self, line: bytes, steps: list[tuple[str, str]]) -> str | None:
        try:
            return line.decode()
        except UnicodeDecodeError:
            # Text of another encoding would be garbled, and pass the check.
            if "E104" not in self._codes or not is_windows(line):
                return None
        text = line.decode(errors=WINDOWS)
        steps.append(("E104", text[: 64 * 1024]))
        return text

    def _pieces(self, text: str, steps: list[tuple[str, str]]) -> list[str]:
        try:
            parse(text)
            return [text]
        except JsonFault as fault:
            if "E142" in self._codes and fault.is_second_value:
                found = values(text)
                if found is not None:
                    steps.append(("E142", "\n".join(found)[: 64 * 1024]))
                    return found
        if "E101" in self._codes and (repaired := repair(text)) is not None:
            steps.append(("E101", repaired[: 64 * 1024]))
            return [repaired]
        return [text]

    def _row(self, text: str, steps: list[tuple[str, str]]) -> bytes | None:
        try:
            parsed = parse(text)
        except JsonFault:
            if REST in self._codes:
                steps.append((REST, ""))
                return None
            return text.encode()
        value = parsed.value
        if "E102" in self._codes and (made := as_row(value)) is not None:
            value = made
            steps.append(("E102", dump(value)))
        if parsed.depth > MAX_DEPTH:
            if REST in self._codes:
                steps.append((REST, ""))
                return None
            return text.encode()
        changed = value is not parsed.value
        if parsed.duplicates and "E103" in self._codes:
            changed = True
            steps.append(("E103", dump(value)))
        for code, mend in ROW_REMEDIES:
            if code in self._codes and isinstance(value, dict) and mend(value):
                changed = True
                steps.append((code, dump(value)))
        faults: list[str] = [] if changed or not parsed.duplicates else ["E103"]
        check_row(value, self._rules, lambda code, path, message: faults.append(code))
        if REST in self._codes and (any(code[0] == "E" for code in faults) or _cannot_be_written(value)):
            steps.append((REST, ""))
            return None
        if "W209" in self._codes and not self._is_new(value):
            steps.append(("W209", ""))
            return None
        # An infinity has no JSON: where its row is not left out, it stays as it stood.
        return dump(value).encode() if changed and not infinities(value) else text.encode()
