"""Recognising what a file is when it is not chat JSON Lines."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from tui.dataset.documents import DocumentFault, chunks, elements, wraps
from tui.dataset.jsontext import UNCLOSED, JsonFault, parse
from tui.dataset.lines import UTF8_BOM, WINDOWS, is_windows
from tui.dataset.said import Said, said
from tui.messages import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Container = Literal["jsonl", "json", "csv", "parquet", "text", "binary"]
Records = Literal["chat", "turns", "pair", "preference", "unknown"]

_HEAD = 1 << 20
_TAR_MAGIC = slice(257, 262)
_DOCUMENT_LINES = 50
_ARRAY_OF_OBJECTS = re.compile(r"\[\s*\{")
_ROW_START = re.compile(r"\{|\[\s*(?:$|[\[{\"\d-])")
_ROWS_LOOKED_AT = 20
_TABLE_ROWS = 4
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n')
"""The first line that Excel takes the separator from."""
MAGIC: tuple[tuple[bytes, Literal["parquet", "text", "binary"], str], ...] = (
    (b"PAR1", "parquet", mark("Parquet")),
    (b"\x1f\x8b", "binary", mark("a gzip archive")),
    (b"PK\x03\x04", "binary", mark("a ZIP archive or an Excel workbook")),
    (b"\x28\xb5\x2f\xfd", "binary", mark("a Zstandard archive")),
    (b"BZh", "binary", mark("a bzip2 archive")),
    (b"\xfd7zXZ\x00", "binary", mark("an xz archive")),
    (b"%PDF-", "binary", mark("a PDF document")),
    (b"SQLite format 3\x00", "binary", mark("an SQLite database")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "binary", mark("an Office document of the old kind")),
    (b"ARROW1\x00\x00", "binary", mark("an Arrow file")),
    (b"\xff\xff\xff\xff", "binary", mark("an Arrow file")),
    (b"Obj\x01", "binary", mark("an Avro file")),
    (b"7z\xbc\xaf\x27\x1c", "binary", mark("a 7-Zip archive")),
    (b"Rar!\x1a\x07", "binary", mark("a RAR archive")),
    (b"\x89PNG\r\n", "binary", mark("a picture")),
    (b"\xff\xd8\xff", "binary", mark("a picture")),
    (b"{\\rtf", "text", mark("an RTF document")),
    (b"version https://git-lfs.github.com/spec/", "text", mark("a pointer of Git LFS, not the file itself")),
)
_PARTS_OF_ZIP = (
    (b"xl/workbook", mark("an Excel workbook")),
    (b"word/document", mark("a Word document")),
)
_KINDS_OF_MARKUP = (
    (re.compile(r"\s*<!doctype html|\s*<html[\s>]", re.IGNORECASE), mark("an HTML page")),
    (re.compile(r"\s*<\?xml\s"), mark("an XML document")),
)
_YAML_LINE = re.compile(r"(?:- )?[\w\"'./-]+ ?:(?:\s|$)|- |#|---")
_MARKDOWN_LINE = re.compile(r"#{1,6} \S|```")
_NEARLY_ALL = 0.9
_LINES_LOOKED_AT = 200
_FEWEST_LINES = 3
_TEXT_BYTES = 1 << 16
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

DELIMITERS = (
    (",", mark("CSV")),
    ("\t", mark("tab-separated values")),
    (";", mark("CSV with semicolons")),
    ("|", mark("CSV with bars")),
)

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "output"),
    ("prompt", "chosen"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("instruction", "completion"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("input", "output"),
    ("input", "response"),
    ("source", "target"),
    ("user", "assistant"),
    ("human", "assistant"),
    ("q", "a"),
)
"""Names of the two fields that hold a question and its answer, in the order in which they are looked for."""
EXTRAS = {"instruction": ("input", "context"), "question": ("context",), "prompt": ("context",)}
"""Fields that are put below the question, where they are not empty."""
LISTS = (
    "conversations",
    "conversation",
    "messages",
    "contents",
    "chat_messages",
    "items",
    "turns",
    "dialog",
    "dialogue",
    "chat",
    "chosen",
    "chosen_messages",
)
"""Names of the field that holds the turns of a conversation."""
SPEAKERS = ("role", "from", "sender", "speaker", "type")
"""Names of the field that says whose turn it is."""
SYSTEM = ("system", "system_prompt", "system_message", "systeminstruction", "system_instruction")
"""Names of the field that holds a system message."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file holds.

    Attributes:
        container: How records are kept in the file.
        encoding: Its text encoding.
        said: What to call it; `title` has it in the language in use.
        records: `chat`, `turns` (ShareGPT and the like), `pair` (question and answer), `preference` (a conversation
            with a preferred and another answer) or `unknown`.
        columns: Names of the fields in use: `turns`, or `question` and `answer`, and `system`, `extra` where there are
            such; none for `chat` and `preference`.
        delimiter: What separates the columns of a CSV file.
    """

    container: Container
    encoding: str
    said: Said
    records: Records = "unknown"
    columns: dict[str, str] = field(default_factory=dict)
    delimiter: str = ","

    @property
    def title(self) -> str:
        """What to call it."""
        return str(self.said)

    @property
    def is_chat(self) -> bool:
        """Whether the file is chat JSON Lines in UTF-8 already."""
        return self.container == "jsonl" and self.encoding == "utf-8" and self.records == "chat"

    @property
    def is_convertible(self) -> bool:
        """Whether it can be made into chat JSON Lines."""
        return not self.is_chat and self.container not in ("text", "binary") and self.records != "unknown"


def container_of(path: Path) -> Shape:
    """Return how a file keeps its records, from its first megabyte; its records are looked at by `shape_of`.

    Raises:
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    for magic, container, title in MAGIC:
        if head.startswith(magic):
            if magic.startswith(b"PK"):
                title = next((what for name, what in _PARTS_OF_ZIP if name in head), title)
            return Shape(container, "", said(title))
    if head[_TAR_MAGIC].startswith(b"ustar"):
        return Shape("binary", "", said("a tar archive"))
    encoding = encoding_of(head)
    if encoding != "utf-8":
        text = head[: len(head) // 4 * 4].decode(encoding, errors="replace").lstrip("\ufeff")
        inner = _text_container(text, size > len(head), lambda: chunks(path, encoding))
        what = said("{encoding} {what}", encoding=encoding.upper(), what=inner.said)
        return Shape(inner.container, encoding, what, delimiter=inner.delimiter)
    body = head.removeprefix(UTF8_BOM)
    if b"\0" in head[:_TEXT_BYTES] and body.lstrip(b" \t\r\n")[:1] not in (b"{", b"[", b'"'):
        return Shape("binary", "", said("data of an unknown kind, not text"))
    found = _text_container(body.decode(errors=WINDOWS), size > len(head), lambda: chunks(path, "utf-8"))
    if found.container in ("csv", "json") and not _is_utf8(head):
        if not is_windows(body):
            return Shape("text", "", said("{what} in an encoding that is not known; save it as UTF-8", what=found.said))
        return replace(found, said=said("{what} in Windows-1252", what=found.said))
    return found


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _text_container(text: str, is_cut: bool, pieces: Callable[[], Iterator[str]]) -> Shape:
    """Return the container of a text from its head, from the whole of it where it is not cut, and from its pieces."""
    if text.lstrip(" \t\r\n")[:1] in ("[", "{"):
        what = _document(text.strip(" \t\r\n"), is_cut, pieces)
        if what is None and not text.lstrip(" \t\r\n").startswith("{") and (prose := _prose(text[:_TEXT_BYTES])):
            return Shape("text", "utf-8", said(prose))
        return Shape("json", "utf-8", what) if what else Shape("jsonl", "utf-8", said("JSON Lines"))
    if separator := SEPARATOR_LINE.match(text):
        titles = dict(DELIMITERS)
        return Shape("csv", "utf-8", said(titles.get(separator[1], titles[","])), delimiter=separator[1])
    for delimiter, title in DELIMITERS:
        names = _header(text, delimiter)
        if len(names) > 1 and _fields(dict.fromkeys(names, ""))[0] != "unknown":
            return Shape("csv", "utf-8", said(title), delimiter=delimiter)
    for delimiter, title in DELIMITERS:
        if names := _table(text, delimiter):
            columns = said("{title} with the columns {names}", title=said(title), names=", ".join(names)[:200])
            return Shape("csv", "utf-8", columns, delimiter=delimiter)
    if prose := _prose(text[:_TEXT_BYTES]):
        return Shape("text", "utf-8", said(prose))
    return Shape("jsonl", "utf-8", said("JSON Lines"))


def _prose(text: str) -> str:
    """Return what a text is none of whose first lines could be a row, "" where one could.

    One or two lines are left to the reader of rows, which names the column.
    """
    for pattern, title in _KINDS_OF_MARKUP:
        if pattern.match(text):
            return title
    lines = [line for line in map(str.strip, text.splitlines()[:_LINES_LOOKED_AT]) if line]
    rows = sum(map(bool, map(_ROW_START.match, lines)))
    if len(lines) < _FEWEST_LINES or _ROW_START.match(lines[0]) or 2 * rows >= len(lines):
        return ""
    if sum(map(bool, map(_YAML_LINE.match, lines))) >= _NEARLY_ALL * len(lines):
        return mark("YAML")
    if any(map(_MARKDOWN_LINE.match, lines)):
        return mark("a Markdown text")
    return mark("plain text")


def _table(text: str, delimiter: str) -> list[str]:
    """Return the column names of a text that is a table, though none of them is known; none where it is no table."""
    try:
        rows = list(islice(csv.reader(io.StringIO(text[:65536], newline=""), delimiter=delimiter), _TABLE_ROWS))
    except csv.Error:
        return []
    names = [name.strip() for name in rows[0]] if rows else []
    if len(rows) < _TABLE_ROWS or len(names) < 2 or not all(names) or len(set(names)) < len(names):
        return []
    if any(len(row) != len(names) for row in rows) or any(name[0] in "{[\"'" for name in names):
        return []
    return [ascii(name)[1:-1][:40] for name in names]


def _document(text: str, is_cut: bool, pieces: Callable[[], Iterator[str]]) -> Said | None:
    """Return what to call a text that is one or more JSON values which are not one a line; None for any other."""
    first, _, rest = text.partition("\n")
    if not rest and wraps(first, is_record):
        return said("a JSON object around its records")
    if not rest and is_cut:
        return said("a JSON array on one line") if _ARRAY_OF_OBJECTS.match(first) else None
    if "\r" in first.rstrip("\r"):
        return None
    try:
        value = parse(first).value
    except JsonFault as fault:
        if not rest or fault.said.text == UNCLOSED:
            return None
        goes_on = fault.position >= len(first.rstrip())
    else:
        # One line with a list of objects is an array; a list of anything else is a faulty row.
        is_array = not rest and isinstance(value, list) and bool(value) and all(isinstance(i, dict) for i in value)
        return said("a JSON array") if is_array else None
    lines = [line for line in islice(rest.split("\n"), _DOCUMENT_LINES) if line.strip()]
    rows = sum(map(_is_object, lines))
    if 2 * rows > len(lines):
        return None
    values = 0
    try:
        for is_inside, _ in islice(elements(pieces(), is_record), _ROWS_LOOKED_AT):
            if is_inside and text.startswith("{"):
                return said("a JSON object around its records")
            values += 1
    except DocumentFault:
        # What is wrong in it is found when its records are read.
        if rows or not goes_on:
            return None
    if text.startswith("["):
        return said("a JSON array")
    return said("pretty-printed JSON objects") if values > 1 else said("one pretty-printed JSON object")


def _is_object(line: str) -> bool:
    try:
        return isinstance(parse(line).value, dict)
    except JsonFault:
        return False


def _header(text: str, delimiter: str) -> list[str]:
    try:
        return [
            name.strip() for name in next(csv.reader(io.StringIO(text[:65536], newline=""), delimiter=delimiter), [])
        ]
    except csv.Error:
        return []


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text from its first bytes: utf-8, utf-16 and utf-32, with -le or -be where unmarked."""
    for first, name in _MARKS:
        if head.startswith(first):
            return name
    piece = head[:4096]
    if len(piece) >= 4 and b"\0" in piece:
        odd, even = piece[1::2], piece[0::2]
        if even.count(0) < len(even) // 8 and odd.count(0) * 2 > len(odd):
            return "utf-32-le" if piece[2:4] == b"\0\0" and piece[1] == 0 and piece[0] else "utf-16-le"
        if odd.count(0) < len(odd) // 8 and even.count(0) * 2 > len(even):
            return "utf-16-be"
        if piece[:3] == b"\0\0\0" and piece[3]:
            return "utf-32-be"
        if piece[1:4] == b"\0\0\0" and piece[0]:
            return "utf-32-le"
    return "utf-8"


def shape_of(path: Path) -> Shape:
    """Return what a file holds, from its container and its first records.

    Raises:
        OSError: The file cannot be read.
        ConvertError: The records cannot be read, for instance because a library is missing.
    """
    from tui.dataset.convert import records

    found = container_of(path)
    if found.container in ("text", "binary"):
        return found
    votes: dict[tuple[Records, tuple[tuple[str, str], ...]], int] = {}
    for number, (_, record) in enumerate(records(path, found)):
        kind, columns = fields_of(record)
        key = (kind, tuple(sorted(columns.items())))
        votes[key] = votes.get(key, 0) + 1
        if number + 1 >= _ROWS_LOOKED_AT:
            break
    known = {key: count for key, count in votes.items() if key[0] != "unknown"}
    if not known:
        return found
    kind, pairs = max(known, key=lambda key: known[key])
    columns = dict(pairs)
    names = {
        "chat": said("chat"),
        "preference": said("preference pairs"),
        "turns": said("conversations under {field}", field=repr(columns.get("turns"))),
        "pair": said(
            "{question} and {answer}", question=repr(columns.get("question")), answer=repr(columns.get("answer"))
        ),
    }[kind]
    return Shape(
        found.container,
        found.encoding,
        said("{container}: {records}", container=found.said, records=names),
        kind,
        columns,
        found.delimiter,
    )


def _has_system_apart(record: dict[str, Any], turns: list[Any]) -> bool:
    """Whether a conversation has its system message beside the turns, as Anthropic and Amazon Bedrock write it."""
    own = record.get("system")
    if any(isinstance(turn, dict) and turn.get("role") in ("system", "developer") for turn in turns):
        return False
    return "schemaVersion" in record or (isinstance(own, str | list) and bool(own))


def is_record(value: Any) -> bool:
    """Whether a value is a record of a known kind."""
    return fields_of(value)[0] != "unknown"


def fields_of(record: Any) -> tuple[Records, dict[str, str]]:
    """Return (kind of record, fields in use) as in `Shape.records` and `Shape.columns`."""
    return _fields(record) if isinstance(record, dict) else ("unknown", {})


def _fields(record: dict[str, Any]) -> tuple[Records, dict[str, str]]:
    names: dict[str, str] = {}
    for name in record:
        names.setdefault(str(name).strip().lower(), name)
    columns: dict[str, str] = {}
    if own := next((names[name] for name in SYSTEM if name in names), None):
        columns["system"] = own
    for name in LISTS:
        if name in names:
            value = record[names[name]]
            turns = value if isinstance(value, list) else []
            # A table has the list as text, and the header of one nothing.
            if not isinstance(value, list) and (not isinstance(value, str) or value.lstrip()[:1] not in ("", "[")):
                continue
            if (
                name == "messages"
                and names[name] == "messages"
                and (not turns or all("role" in t for t in turns if isinstance(t, dict)))
                and isinstance(value, list)
                and not _has_system_apart(record, turns)
            ):
                return "chat", {}
            if not turns or any(isinstance(turn, dict) and not turn.keys().isdisjoint(SPEAKERS) for turn in turns):
                return "turns", {**columns, "turns": names[name]}
    asked = record.get("input")
    if isinstance(asked, dict) and "messages" in asked and "preferred_output" in record:
        return "preference", {}
    for question, answer in PAIRS:
        if question in names and answer in names and not _are_columns(record[names[question]], record[names[answer]]):
            for extra in EXTRAS.get(question, ()):
                if extra in names:
                    columns["extra"] = names[extra]
            return "pair", {**columns, "question": names[question], "answer": names[answer]}
    return "unknown", {}


def _are_columns(question: Any, answer: Any) -> bool:
    """Whether two fields hold a whole column each, by the number of the row, as pandas writes a table."""
    return (
        isinstance(question, dict) and isinstance(answer, dict) and bool(question) and question.keys() == answer.keys()
    )
