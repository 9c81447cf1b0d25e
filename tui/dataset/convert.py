"""Making chat JSON Lines of other shapes: question and answer, Alpaca, ShareGPT, CSV, Parquet, JSON arrays, UTF-16."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

from tui.dataset.blocks import Conversation, messages_from, text_of, tool_call, tools_from
from tui.dataset.documents import DocumentFault, chunks, elements
from tui.dataset.jsontext import JsonFault, parse
from tui.dataset.lines import UTF8_BOM, WINDOWS, is_blank, is_windows, numbered, replacing
from tui.dataset.roles import ROLES
from tui.dataset.shape import SEPARATOR_LINE, SPEAKERS, Shape, is_record, shape_of
from tui.messages import grouped, t

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_FIELD_LIMIT = 64 << 20
_SKIPPED_KEPT = 20
_SEPARATOR_LENGTH = 16
_TOO_MANY = "more fields than columns"


class ConvertError(ValueError):
    """The file cannot be converted.

    Attributes:
        fault: Where it stops being JSON, None where that is not why.
    """

    def __init__(self, message: str, fault: DocumentFault | None = None) -> None:
        super().__init__(message)
        self.fault = fault


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
        progress: Called with the records read, every thousand records; may raise to stop, and nothing is written then.

    Returns:
        What was written.

    Raises:
        ConvertError: The file is none of the known shapes, or no record of it makes a row.
        OSError: A file cannot be read or written.
    """
    if path.resolve() == out.resolve():
        raise ConvertError(t("the new file must not be the original"))
    shape = shape or shape_of(path)
    if shape.container in ("text", "binary") or shape.records == "unknown":
        raise ConvertError(
            t("{file} is {shape}, and its records have none of the known fields", file=path.name, shape=shape.title)
        )
    rows = skipped = 0
    reasons: list[tuple[int, str]] = []
    with replacing(out) as stream:
        stream.write(UTF8_BOM)
        for number, record in records(path, shape):
            made = row_of(record, shape, system)
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
            if not reasons:
                raise ConvertError(t("{file} has no record", file=path.name))
            number, reason = reasons[0]
            raise ConvertError(
                t(
                    "no record of {file} makes a row; record {number} {reason}",
                    file=path.name,
                    number=number,
                    reason=reason,
                )
            )
    return ConvertResult(rows, skipped, tuple(reasons), shape)


def preview(path: Path, shape: Shape, most: int = 3) -> list[tuple[str, str]]:
    """Return the first records of a file as (text of the record, text of its chat row or why there is none).

    Raises:
        ConvertError: The file cannot be read as what it was taken for.
        OSError: The file cannot be read.
    """
    shown = []
    for _, record in islice(records(path, shape), most):
        made = row_of(record, shape)
        before = json.dumps(record, ensure_ascii=False, default=str)
        shown.append((before, made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)))
    return shown


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
                encoding="utf-8-sig" if shape.encoding == "utf-8" else shape.encoding,
                errors=WINDOWS if shape.encoding == "utf-8" else "replace",
                newline="",
            ) as text:
                if not SEPARATOR_LINE.match(text.readline(_SEPARATOR_LENGTH).lstrip("\ufeff")):
                    text.seek(0)
                reader = csv.DictReader(text, delimiter=shape.delimiter, skipinitialspace=True)
                for number, record in enumerate(reader, 1):
                    named = {
                        str(name).lstrip("\ufeff").strip(): value for name, value in record.items() if name is not None
                    }
                    # Of a comma without quotation marks around its text, nobody knows where it belongs.
                    yield number, named if None not in record else _TOO_MANY
        except csv.Error as error:
            raise ConvertError(f"{path.name}: {error}") from error
        finally:
            csv.field_size_limit(previous)
    elif shape.container == "json":
        yield from _document(path, shape.encoding)
    elif shape.encoding != "utf-8":
        with path.open(encoding=shape.encoding, errors="replace", newline="\n") as text:
            for number, line in enumerate(text, 1):
                if line.strip():
                    yield number, _parsed(line.lstrip("\ufeff"))
    else:
        for number, raw in numbered(path):
            if not is_blank(raw):
                yield number, _parsed(raw.decode(errors=WINDOWS).lstrip("\ufeff")) if is_windows(raw) else None


def _parsed(text: str) -> Any:
    try:
        return parse(text).value
    except JsonFault:
        return None


def _document(path: Path, encoding: str) -> Iterator[tuple[int, Any]]:
    number = 0
    try:
        for number, record in enumerate(elements(chunks(path, encoding), is_record), 1):
            yield number, record[1]
    except DocumentFault as fault:
        place = t("line {line}", line=grouped(fault.line)), t("column {column}", column=grouped(fault.column))
        told = {"file": path.name, "place": " ".join(place), "reason": fault.said}
        raise ConvertError(
            t("{file} cannot be converted at {place}: {reason}", **told)
            if fault.is_json
            else t("{file} is not JSON at {place}: {reason}", **told),
            fault,
        ) from fault
    if not number:
        raise ConvertError(t("{file} is not one JSON document", file=path.name))


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConvertError(
            t("reading Parquet needs the extra: {command}", command="pip install 'phift-tui[parquet]'")
        ) from None
    try:
        number = 0
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except pyarrow.ArrowException as error:
        raise ConvertError(t("{file} is not readable as Parquet: {reason}", file=path.name, reason=error)) from error


def row_of(record: Any, shape: Shape, system: str = "") -> dict[str, Any] | str:
    """Return the chat row that a record becomes, or why there is none."""
    if record is _TOO_MANY:
        return t("has more fields than there are columns; put text that holds the separator into quotation marks")
    if not isinstance(record, dict):
        return t("is not an object")
    if record.get("label") is False:
        return t("is an answer marked as bad")
    if shape.records == "chat":
        return record if isinstance(record.get("messages"), list) else t("has no messages")
    if shape.records == "preference":
        asked, preferred = record.get("input"), record.get("preferred_output")
        before = asked.get("messages") if isinstance(asked, dict) else None
        if not isinstance(before, list) or not isinstance(preferred, list):
            return t("has no input.messages or no preferred_output")
        return {"messages": [*before, *preferred]}
    messages: list[dict[str, Any]] = []
    own = record.get(shape.columns.get("system", ""))
    own = own.get("parts") if isinstance(own, dict) else own
    if isinstance(own, list) and None not in (texts := [text_of(part) for part in own]):
        own = "".join(filter(None, texts))
    if isinstance(own, str) and own.strip():
        messages.append({"role": "system", "content": own.strip()})
    turns = _turns(record, shape)
    if shape.records == "turns" or turns:
        if not isinstance(turns, list) or not turns:
            return t("has no turns under {field}", field=repr(shape.columns["turns"]))
        if shape.columns.get("turns") not in (None, "chosen") and isinstance(record.get("chosen"), dict):
            turns = [*turns, record["chosen"]]
        conversation = Conversation()
        for message in messages:
            conversation.add(message)
        for turn in turns:
            fault = _add_turn(turn, conversation)
            if fault:
                return fault
        messages = conversation.messages
    else:
        question, answer = (_text(record.get(shape.columns[name])) for name in ("question", "answer"))
        extra = _text(record.get(shape.columns.get("extra", "")))
        for name, missing in (("question", not question and not extra), ("answer", not answer)):
            if missing:
                return t("has no text under {field}", field=repr(shape.columns[name]))
        history = record.get("history") or []
        if not isinstance(history, list) or not all(_is_exchange(exchange) for exchange in history):
            return t("has a history that is not made of questions with their answers")
        for asked, answered in history:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        messages += [
            {"role": "user", "content": "\n\n".join(text for text in (question, extra) if text)},
            {"role": "assistant", "content": answer},
        ]
    if system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    tools = tools_from(_tools(record))
    return {"messages": messages, "tools": tools} if tools else {"messages": messages}


def _turns(record: dict[str, Any], shape: Shape) -> Any:
    """Return the turns of a record, also where a prompt and its answer are given as turns; None where it has none."""
    if shape.records == "turns":
        turns = record.get(shape.columns["turns"])
        turns = _parsed(turns) if isinstance(turns, str) else turns
        before = record.get("prompt")
        if shape.columns["turns"] == "chosen" and _are_turns(before) and _are_turns(turns):
            return turns if turns[: len(before)] == before else [*before, *turns]
        return turns
    if shape.records != "pair":
        return None
    given = [(role, record.get(shape.columns[name])) for role, name in (("user", "question"), ("assistant", "answer"))]
    if not any(_are_turns(value) for _, value in given) or not all(value for _, value in given):
        return None
    return [
        turn for role, value in given for turn in (value if _are_turns(value) else [{"role": role, "content": value}])
    ]


def _are_turns(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) and "role" in turn for turn in value)


def _is_exchange(value: Any) -> bool:
    """Whether a value is a question with its answer, as LLaMA-Factory writes the turns before the last."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)


def _add_turn(turn: Any, before: Conversation) -> str:
    """Add a turn to the messages before it; returns why it cannot be, "" where it was."""
    if not isinstance(turn, dict):
        return t("has a turn that is not an object")
    name = str(next((turn[key] for key in SPEAKERS if key in turn), None)).strip().lower()
    role = ROLES.get(name)
    if role is None:
        return t("has a turn from {name}", name=ascii(name)[:40])
    if role in ("system", "developer") and before.messages:
        return ""
    given = next((turn[key] for key in ("content", "value", "text", "parts") if turn.get(key) is not None), None)
    if isinstance(given, list):
        # A result is written by who gives it to the model: a function, or the user.
        by_blocks = messages_from("user" if role == "tool" else role, given, before)
        if by_blocks is None:
            return t("has a turn without text")
        for each in by_blocks:
            before.add(each)
        return ""
    if isinstance(turn.get("tool_calls"), list) and turn["tool_calls"]:
        text = {"content": given} if isinstance(given, str) else {}
        before.add({"role": role, **text, "tool_calls": turn["tool_calls"]})
        return ""
    if not isinstance(given, str):
        return t("has a turn without text")
    if name == "function_call":
        calls = _parsed(given)
        calls = calls if isinstance(calls, list) else [calls]
        if not all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in calls):
            return t("has a function call without a name")
        made = [
            tool_call(f"call_{len(before.messages)}_{number}", call["name"], call.get("arguments", {}))
            for number, call in enumerate(calls)
        ]
        before.add({"role": "assistant", "tool_calls": made})
        return ""
    message = {"role": role, "content": given}
    if role == "tool" and (answered := turn.get("tool_call_id") or next(iter(before.waiting), None)):
        message["tool_call_id"] = answered
    before.add(message)
    return ""


def _tools(record: dict[str, Any]) -> Any:
    """Return the tool definitions of a record, which some tools write as text and Bedrock a level deeper."""
    config = record.get("toolConfig")
    found = config.get("tools") if isinstance(config, dict) else record.get("tools")
    return _parsed(found) if isinstance(found, str) else found


def _text(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str) if value else ""
    return "" if value is None or isinstance(value, bool) else str(value)
