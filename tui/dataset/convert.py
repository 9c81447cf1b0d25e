"""Making chat JSON Lines of other shapes: question and answer, Alpaca, ShareGPT, CSV, Parquet, JSON arrays, UTF-16."""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.dataset.jsontext import JsonFault, documents, parse
from tui.dataset.lines import UTF8_BOM, is_blank, numbered, replacing
from tui.dataset.shape import Shape, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LARGEST_DOCUMENT = 512 << 20
_FIELD_LIMIT = 64 << 20
_SKIPPED_KEPT = 20
_ROLES = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "developer": "developer",
}


class ConvertError(ValueError):
    """The file cannot be converted."""


@dataclass(frozen=True, slots=True)
class ConvertResult:
    """What was written.

    Attributes:
        rows: Rows of the new file.
        skipped: Records that could not be made into a row.
        reasons: (record from 1, why) of the first of them.
        shape: What the file was taken for.
    """

    rows: int
    skipped: int
    reasons: tuple[tuple[int, str], ...]
    shape: Shape


def recognise(path: Path) -> Shape:
    """Return what a file holds; `.is_chat` where nothing is to be done, `.is_convertible` where `convert` can.

    Raises:
        OSError: The file cannot be read.
        ConvertError: It is Parquet and the reader is not installed.
    """
    return shape_of(path)


def convert(
    path: Path,
    out: Path,
    *,
    shape: Shape | None = None,
    system: str = "",
    progress: Callable[[int], None] | None = None,
) -> ConvertResult:
    """Write a file as chat JSON Lines, UTF-8 with a byte order mark as the service's documentation asks.

    Args:
        path: The file; it is not changed.
        out: The new file, replaced where it exists.
        shape: What the file holds, None to recognise it; other columns can be chosen with it.
        system: A system message for rows that have none.
        progress: Called with the records read, every thousand records.

    Returns:
        What was written.

    Raises:
        ConvertError: The file is none of the known shapes, or no record of it makes a row.
        OSError: A file cannot be read or written.
    """
    if path.resolve() == out.resolve():
        raise ConvertError("the new file must not be the original")
    shape = shape or shape_of(path)
    if shape.container == "binary" or shape.records == "unknown":
        raise ConvertError(f"{path.name} is {shape.title}, and its records have none of the known fields")
    rows = skipped = 0
    reasons: list[tuple[int, str]] = []
    with replacing(out) as stream:
        stream.write(UTF8_BOM)
        for number, record in records(path, shape):
            made = _row(record, shape, system)
            if isinstance(made, str):
                skipped += 1
                if len(reasons) < _SKIPPED_KEPT:
                    reasons.append((number, made))
            else:
                stream.write(json.dumps(made, ensure_ascii=False).encode(errors="replace") + b"\n")
                rows += 1
            if progress is not None and number % 1000 == 0:
                progress(number)
        if not rows:
            first = f": record {reasons[0][0]} {reasons[0][1]}" if reasons else ""
            raise ConvertError(f"no record of {path.name} makes a row{first}")
    return ConvertResult(rows, skipped, tuple(reasons), shape)


def records(path: Path, shape: Shape) -> Iterator[tuple[int, Any]]:
    """Yield (number from 1, record) of a file; a number is a line for JSON Lines.

    Raises:
        ConvertError: The container cannot be read.
        OSError: The file cannot be read.
    """
    if shape.container == "parquet":
        yield from _parquet(path)
    elif shape.container == "csv":
        previous = csv.field_size_limit(min(_FIELD_LIMIT, sys.maxsize))
        try:
            with path.open(
                encoding="utf-8-sig" if shape.encoding == "utf-8" else shape.encoding, errors="replace", newline=""
            ) as text:
                reader = csv.DictReader(text, delimiter=shape.delimiter, skipinitialspace=True)
                for number, record in enumerate(reader, 1):
                    yield (
                        number,
                        {
                            str(name).lstrip("\ufeff").strip(): value
                            for name, value in record.items()
                            if name is not None
                        },
                    )
        except csv.Error as error:
            raise ConvertError(f"{path.name}: {error}") from error
        finally:
            csv.field_size_limit(previous)
    elif shape.container == "json":
        yield from _document(path, shape.encoding)
    elif shape.encoding != "utf-8":
        with codecs.open(str(path), "r", shape.encoding, errors="replace") as text:
            for number, line in enumerate(io.StringIO(text.read(), newline="\n"), 1):
                if line.strip():
                    yield number, _parsed(line.lstrip("\ufeff"))
    else:
        for number, raw in numbered(path):
            if not is_blank(raw):
                yield number, _parsed(raw.decode(errors="replace").lstrip("\ufeff"))


def _parsed(text: str) -> Any:
    try:
        return parse(text).value
    except JsonFault:
        return None


def _document(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    if path.stat().st_size > _LARGEST_DOCUMENT:
        raise ConvertError(
            f"{path.name} is one JSON document of more than {_LARGEST_DOCUMENT >> 20} MB; export it as JSON Lines"
        )
    text = path.read_bytes().decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace").lstrip("\ufeff")
    found = documents(text)
    if not found:
        raise ConvertError(f"{path.name} is not one JSON document")
    value = found[0] if len(found) == 1 else found
    if isinstance(value, dict) and not ({"messages", "conversations"} & value.keys()):
        lists = [inner for inner in value.values() if isinstance(inner, list) and inner and isinstance(inner[0], dict)]
        value = lists[0] if len(lists) == 1 else value
    yield from enumerate(value if isinstance(value, list) else [value], 1)


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConvertError("reading Parquet needs the extra: pip install 'phift-tui[parquet]'") from None
    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except pyarrow.ArrowException as error:
        raise ConvertError(f"{path.name} is not readable as Parquet: {error}") from error


def _row(record: Any, shape: Shape, system: str) -> dict[str, Any] | str:
    """Return the row of a record, or why there is none."""
    if not isinstance(record, dict):
        return "is not an object"
    if shape.records == "chat":
        return record if isinstance(record.get("messages"), list) else "has no messages"
    if shape.records == "preference":
        asked, preferred = record.get("input"), record.get("preferred_output")
        before = asked.get("messages") if isinstance(asked, dict) else None
        if not isinstance(before, list) or not isinstance(preferred, list):
            return "has no input.messages or no preferred_output"
        return {"messages": [*before, *preferred]}
    messages: list[dict[str, Any]] = []
    own = record.get(shape.columns.get("system", ""))
    if isinstance(own, str) and own.strip():
        messages.append({"role": "system", "content": own.strip()})
    if shape.records == "turns":
        turns = record.get(shape.columns["turns"])
        if isinstance(turns, str):
            turns = _parsed(turns)
        if not isinstance(turns, list) or not turns:
            return f"has no turns under {shape.columns['turns']!r}"
        for turn in turns:
            if not isinstance(turn, dict):
                return "has a turn that is not an object"
            said = turn.get("role", turn.get("from"))
            role = _ROLES.get(str(said).strip().lower())
            if role is None:
                return f"has a turn from {ascii(said)[:40]}"
            if role in ("system", "developer") and messages:
                continue
            content = next(
                (turn[name] for name in ("content", "value", "text") if isinstance(turn.get(name), str)), None
            )
            if content is None:
                return "has a turn without text"
            messages.append({"role": role, "content": content})
    else:
        question, answer = (_text(record.get(shape.columns[name])) for name in ("question", "answer"))
        extra = _text(record.get(shape.columns.get("extra", "")))
        if not question and not extra:
            return f"has no {shape.columns['question']}"
        if not answer:
            return f"has no {shape.columns['answer']}"
        messages += [
            {"role": "user", "content": "\n\n".join(text for text in (question, extra) if text)},
            {"role": "assistant", "content": answer},
        ]
    if system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages}


def _text(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value.strip()
    return "" if value is None or isinstance(value, list | dict | bool) else str(value)
