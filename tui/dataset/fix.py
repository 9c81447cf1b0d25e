"""Mending a dataset: what can be put right by rule, shown first and written to a new file only."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sqlite3
import warnings
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.dataset.blocks import Conversation, messages_from, tool_call, tools_from
from tui.dataset.characters import CONTROL, INVISIBLE, SEPARATORS, TEMPLATE_TOKENS
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
from tui.dataset.personal import redact
from tui.dataset.roles import ROLES
from tui.dataset.rules import DOCUMENTED, KNOWN_ROLES
from tui.dataset.structure import MESSAGE_FIELDS, ROW_FIELDS, check_row
from tui.messages import t

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tui.dataset.rules import Rules

REST = "rest"
"""The remedy that leaves out the rows which still have errors after the others."""

_EXAMPLE = 300
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL_ESCAPES = {"\t": "\\t", "\r": "\\r", "\n": "\\n", "\b": "\\b", "\f": "\\f"}
_REPAIRS = 64
_LONGEST_LITERAL = 1 << 20


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


def dump(value: Any) -> str:
    """Return a value as the one-line JSON that the data desk writes."""
    return json.dumps(value, ensure_ascii=False)


def repair(text: str) -> str | None:
    """Return the row that a text nearly is as JSON, None where it cannot be told.

    Understood are Python literals, trailing commas, a comma after the row, raw control characters in strings, comments
    at the end, NaN and infinities (they become null).
    """
    made = text.strip().removesuffix(",")
    for _ in range(_REPAIRS):
        try:
            return dump(parse(made).value)
        except JsonFault as fault:
            at = fault.position
            char = made[at : at + 1]
            if char == "," and fault.said.text.startswith("a comma before"):
                made = made[:at] + made[at + 1 :]
            elif fault.said.text.startswith("a raw ") and char:
                made = made[:at] + _CONTROL_ESCAPES.get(char, f"\\u{ord(char):04x}") + made[at + 1 :]
            elif found := re.compile(r"-?(?:NaN|Infinity)\b").match(made, at):
                made = made[:at] + "null" + made[found.end() :]
            elif made.startswith(("//", "#"), at) and "\n" not in made:
                made = made[:at].rstrip().removesuffix(",")
            else:
                break
    if len(text) > _LONGEST_LITERAL:
        return None
    try:
        with warnings.catch_warnings():
            # What Python would say of the text is written over the screen.
            warnings.simplefilter("ignore")
            value = ast.literal_eval(made)
        return dump(parse(json.dumps(value, allow_nan=False)).value) if isinstance(value, dict) else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, JsonFault):
        return None


def _values(text: str) -> list[str] | None:
    """Return the JSON texts that stand one after the other in a text, None where something else is between."""
    found: list[str] = []
    rest = text
    while rest := rest.strip(" \t\r"):
        try:
            parse(rest)
            found.append(rest)
            break
        except JsonFault as fault:
            if not fault.is_second_value:
                return None
            found.append(rest[: fault.position].rstrip())
            rest = rest[fault.position :]
    return found


def _messages(value: dict[str, Any]) -> list[dict[str, Any]]:
    messages = value.get("messages")
    return [m for m in messages if isinstance(m, dict)] if isinstance(messages, list) else []


def _roles(value: dict[str, Any]) -> bool:
    changed = False
    for message in _messages(value):
        role = message.get("role")
        if isinstance(role, str) and role not in KNOWN_ROLES and (plain := role.strip().lower()) in KNOWN_ROLES:
            message["role"] = plain
            changed = True
    return changed


# Of a call and its result a role of another name is not all that would have to change.
_SPEAKERS = {name: role for name, role in ROLES.items() if role != "tool" and name != "function_call"}


def _other_roles(value: dict[str, Any]) -> bool:
    changed = False
    for message in _messages(value):
        role = message.get("role")
        if isinstance(role, str) and role not in KNOWN_ROLES and (known := _SPEAKERS.get(role.strip().lower())):
            message["role"] = known
            changed = True
    return changed


def _rebuilt(value: dict[str, Any], made_of: Callable[[dict[str, Any], Conversation], list[Any] | None]) -> bool:
    """Put in each message's place what is made of it after the messages before, None to keep it; whether any was."""
    messages = value.get("messages")
    conversation = Conversation()
    changed = False
    for message in messages if isinstance(messages, list) else ():
        made = made_of(message, conversation) if isinstance(message, dict) else None
        changed |= made is not None
        for each in [message] if made is None else made:
            conversation.add(each)
    if changed:
        value["messages"] = conversation.messages
    return changed


def _former_calls(value: dict[str, Any]) -> bool:
    """Make tool calls of what OpenAI's format had before them: function_call, and the role function for its result."""

    def made_of(message: dict[str, Any], before: Conversation) -> list[Any] | None:
        call, role, waiting = message.get("function_call"), message.get("role"), before.waiting
        if isinstance(call, dict) and isinstance(call.get("name"), str) and role == "assistant":
            kept = {name: inner for name, inner in message.items() if name != "function_call" and inner is not None}
            made = tool_call(f"call_{len(before.messages)}", call["name"], call.get("arguments", "{}"))
            return [{**kept, "tool_calls": [made]}]
        if role == "function" and waiting:
            called = next((own for own, name in waiting.items() if name == message.get("name")), next(iter(waiting)))
            return [{**message, "role": "tool", "tool_call_id": called}]
        return None

    changed = _rebuilt(value, made_of)
    if changed and "tools" not in value and (tools := tools_from(value.get("functions"))):
        value["tools"] = tools
        del value["functions"]
    return changed


def _tools(value: dict[str, Any]) -> bool:
    made = tools_from(value.get("tools"))
    if not made or made == value["tools"]:
        return False
    value["tools"] = made
    return True


def _as_row(value: Any) -> dict[str, Any] | None:
    """Return the row that a list of messages or a row in a string is, None for anything else."""
    if isinstance(value, str):
        try:
            parsed = parse(value)
        except JsonFault:
            return None
        return parsed.value if isinstance(parsed.value, dict) and parsed.depth <= MAX_DEPTH else None
    if isinstance(value, list) and value and all(isinstance(turn, dict) and "role" in turn for turn in value):
        return {"messages": value}
    return None


def _is_empty(content: object) -> bool:
    return isinstance(content, str) and not content.strip()


def _empty_system(value: dict[str, Any]) -> bool:
    messages = value.get("messages")
    if not isinstance(messages, list):
        return False
    kept = [
        m
        for m in messages
        if not (isinstance(m, dict) and m.get("role") in ("system", "developer") and _is_empty(m.get("content")))
    ]
    value["messages"] = kept
    return len(kept) != len(messages)


def _parts(value: dict[str, Any]) -> bool:
    def made_of(message: dict[str, Any], before: Conversation) -> list[Any] | None:
        content: Any = message.get("content")
        role: Any = message.get("role")
        found = messages_from(role, content, before) if isinstance(content, list) else None
        kept = {name: inner for name, inner in message.items() if name not in ("role", "content")}
        return found and [{**each, **kept} if each["role"] == role else each for each in found]

    return _rebuilt(value, made_of)


def _tail(value: dict[str, Any]) -> bool:
    messages = value.get("messages")
    if not isinstance(messages, list):
        return False
    last = next(
        (
            i
            for i in range(len(messages) - 1, -1, -1)
            if isinstance(messages[i], dict) and messages[i].get("role") == "assistant"
        ),
        None,
    )
    if last is None or last == len(messages) - 1:
        return False
    if not any(isinstance(message, dict) and message.get("role") == "user" for message in messages[:last]):
        return False  # what would be left is an answer to nothing
    del messages[last + 1 :]
    return True


def _joined(role: str) -> Callable[[dict[str, Any]], bool]:
    def mend(value: dict[str, Any]) -> bool:
        messages = value.get("messages")
        if not isinstance(messages, list):
            return False
        made: list[Any] = []
        for message in messages:
            before = made[-1] if made else None
            if (
                isinstance(message, dict)
                and isinstance(before, dict)
                and message.get("role") == before.get("role") == role
                and isinstance(message.get("content"), str)
                and isinstance(before.get("content"), str)
                and "tool_calls" not in before
            ):
                both = {**before, **message, "content": f"{before['content']}\n\n{message['content']}"}
                if "weight" in before or "weight" in message:
                    both["weight"] = max(before.get("weight", 1), message.get("weight", 1), key=lambda w: w == 1)
                made[-1] = both
            else:
                made.append(message)
        value["messages"] = made
        return len(made) != len(messages)

    return mend


def _system_first(value: dict[str, Any]) -> bool:
    messages = value.get("messages")
    if not isinstance(messages, list):
        return False
    system = [m for m in messages if isinstance(m, dict) and m.get("role") in ("system", "developer")]
    if not system or (len(system) == 1 and messages[0] is system[0]):
        return False
    if not all(isinstance(m.get("content"), str) for m in system):
        return False
    first = {**system[0], "content": "\n\n".join(m["content"] for m in system)}
    value["messages"] = [first, *(m for m in messages if not any(m is s for s in system))]
    return True


def _calls(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for message in _messages(value):
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("function"), dict):
                yield call["function"]


def _arguments(value: dict[str, Any]) -> bool:
    changed = False
    for function in _calls(value):
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            function["arguments"] = dump(arguments)
            changed = True
        elif isinstance(arguments, str):
            inner: Any = arguments
            for _ in range(4):
                if not isinstance(inner, str):
                    break
                try:
                    inner = parse(inner).value
                except JsonFault:
                    break
            if isinstance(inner, dict) and (once := dump(inner)) != arguments and not _is_object(arguments):
                function["arguments"] = once
                changed = True
    return changed


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse(text).value, dict)
    except JsonFault:
        return False


def _weights(value: dict[str, Any]) -> bool:
    changed = False
    for message in _messages(value):
        if "weight" in message and (
            message.get("role") != "assistant" or isinstance(message["weight"], bool) or message["weight"] not in (0, 1)
        ):
            del message["weight"]
            changed = True
    return changed


def _fields(value: dict[str, Any]) -> bool:
    changed = False
    for owner, known in ((value, ROW_FIELDS), *((m, MESSAGE_FIELDS) for m in _messages(value))):
        for name in [name for name in owner if name not in known]:
            del owner[name]
            changed = True
    return changed and "messages" in value


def _null_content(value: dict[str, Any]) -> bool:
    changed = False
    for message in _messages(value):
        if message.get("tool_calls") and "content" in message and message["content"] is None:
            del message["content"]
            changed = True
    return changed


def _schemas(value: dict[str, Any]) -> bool:
    changed = False
    tools = value.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        parameters = function.get("parameters") if isinstance(function, dict) else None
        if isinstance(parameters, dict):
            changed |= _plain_schema(parameters)
    return changed


def _plain_schema(schema: dict[str, Any]) -> bool:
    changed = False
    pending: list[Any] = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        if not isinstance(node, dict):
            continue
        if isinstance(node.get("title"), str):
            del node["title"]
            changed = True
        if "default" in node and node["default"] is None:
            del node["default"]
            changed = True
        options = node.get("anyOf")
        if isinstance(options, list):
            real = [option for option in options if option != {"type": "null"}]
            if len(real) == 1 and isinstance(real[0], dict) and len(options) == 2:
                del node["anyOf"]
                node.update(real[0])
                changed = True
        for name, inner in node.items():
            if name == "properties" and isinstance(inner, dict):
                pending.extend(inner.values())
            elif isinstance(inner, dict | list) and name not in ("enum", "const", "examples", "required", "default"):
                pending.append(inner)
    return changed


def _strip(value: dict[str, Any]) -> bool:
    changed = False
    for message in _messages(value):
        content = message.get("content")
        if message.get("role") == "assistant" and isinstance(content, str) and content.strip() not in ("", content):
            message["content"] = content.strip()
            changed = True
    return changed


def _everywhere(change: Callable[[str], str]) -> Callable[[dict[str, Any]], bool]:
    """Return a remedy that changes every string of a row, keys included."""

    def walk(node: Any) -> Any:
        if isinstance(node, str):
            return change(node)
        if isinstance(node, dict):
            return {change(key): walk(inner) for key, inner in node.items()}
        if isinstance(node, list):
            return [walk(inner) for inner in node]
        return node

    def mend(value: dict[str, Any]) -> bool:
        made = walk(value)
        if made == value:
            return False
        value.clear()
        value.update(made)
        return True

    return mend


def _in_contents(change: Callable[[str], str]) -> Callable[[dict[str, Any]], bool]:
    """Return a remedy that changes the text of every message."""

    def mend(value: dict[str, Any]) -> bool:
        changed = False
        for message in _messages(value):
            content = message.get("content")
            if isinstance(content, str) and (made := change(content)) != content:
                message["content"] = made
                changed = True
        return changed

    return mend


_ROW_REMEDIES: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("E129", _everywhere(lambda text: _SURROGATE.sub("\ufffd", text))),
    ("E130", _everywhere(lambda text: text.replace("\0", ""))),
    ("E114", _former_calls),
    ("W203", _fields),
    ("E112", _roles),
    ("E111", _other_roles),
    ("E126", _tools),
    ("E117", _parts),
    ("W204", _in_contents(lambda text: CONTROL.sub("", text))),
    ("W205", _in_contents(lambda text: INVISIBLE.sub("", text))),
    ("W206", _in_contents(lambda text: SEPARATORS.sub("\n", text))),
    ("W208", _in_contents(lambda text: TEMPLATE_TOKENS.sub("", text))),
    ("W217", _in_contents(lambda text: redact(text, ("W217",)))),
    ("W218", _in_contents(lambda text: redact(text, ("W218",)))),
    ("W219", _in_contents(lambda text: redact(text, ("W219",)))),
    ("W220", _in_contents(lambda text: redact(text, ("W220",)))),
    ("W228", _in_contents(lambda text: redact(text, ("W228",)))),
    ("E116", _empty_system),
    ("E122", _system_first),
    ("E124", _arguments),
    ("E128", _weights),
    ("W223", _joined("user")),
    ("E121", _joined("assistant")),
    ("E120", _tail),
    ("W225", _strip),
    ("W226", _null_content),
    ("W227", _schemas),
)
"""In the order in which they are used: what changes text comes before what looks at it."""


def _cannot_be_written(value: Any) -> bool:
    text = dump(value)
    return "\\u0000" in text or _SURROGATE.search(text) is not None or bool(infinities(value))


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
                found = _values(text)
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
        if "E102" in self._codes and (made := _as_row(value)) is not None:
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
        for code, mend in _ROW_REMEDIES:
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
