"""What each remedy does to one row, and what a line that is no JSON was nearly."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

from tui.dataset.blocks import Conversation, messages_from, tool_call, tools_from
from tui.dataset.characters import CONTROL, INVISIBLE, SEPARATORS, TEMPLATE_TOKENS
from tui.dataset.jsontext import MAX_DEPTH, JsonFault, parse
from tui.dataset.personal import redact
from tui.dataset.roles import ROLES
from tui.dataset.rules import KNOWN_ROLES
from tui.dataset.structure import MESSAGE_FIELDS, ROW_FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL_ESCAPES = {"\t": "\\t", "\r": "\\r", "\n": "\\n", "\b": "\\b", "\f": "\\f"}
_REPAIRS = 64
_LONGEST_LITERAL = 1 << 20


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


def values(text: str) -> list[str] | None:
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


def as_row(value: Any) -> dict[str, Any] | None:
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


ROW_REMEDIES: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    ("E129", _everywhere(lambda text: SURROGATE.sub("\ufffd", text))),
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
