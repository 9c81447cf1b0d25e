"""The shape of a row: is it a conversation that a model can be trained on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from tui.dataset.jsontext import MAX_DEPTH, JsonFault, member, parse
from tui.dataset.rules import KNOWN_ROLES
from tui.dataset.said import counted, said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tui.dataset.rules import Rules
    from tui.dataset.said import Said

    Add = Callable[[str, str, str | Said], None]
    """Takes a code, a JSON path and what is wrong."""

ROW_FIELDS = frozenset({"messages", "tools", "parallel_tool_calls"})
MESSAGE_FIELDS = frozenset({"role", "content", "name", "weight", "tool_calls", "tool_call_id"})
_APART = frozenset({"system", "schemaVersion"})
_REJECTED = frozenset({"rejected", "rejected_messages", "non_preferred_output"})
_SCHEMA_EXTRAS = ("title", "anyOf", "oneOf", "allOf", "$ref", "$defs")


class Message(msgspec.Struct, gc=False, frozen=True):
    """One message as the rest of the data desk sees it.

    Attributes:
        role: One of the known roles, or what stood there if it was text.
        content: Its text; for a tool call the function names and arguments as well.
    """

    role: str
    content: str


def shown(value: object, limit: int = 40) -> str:
    """Return a short, printable, one-line form of a value from the data."""
    text = ascii(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind(value: object) -> Said:
    """Return what JSON calls the type of a value, with its article."""
    if value is None:
        return said("null")
    if isinstance(value, bool):
        return said("a boolean")
    if isinstance(value, int | float):
        return said("a number")
    if isinstance(value, str):
        return said("a string")
    return said("a list") if isinstance(value, list) else said("an object")


def _it_is(value: object) -> Said:
    return said("it is {kind}", kind=kind(value))


def _not_a_list(value: object) -> Said:
    return said("it is {kind}, not a list", kind=kind(value))


def check_row(value: Any, rules: Rules, add: Add) -> list[Message]:
    """Judge one parsed row.

    Args:
        value: What the line holds.
        rules: What the model and the engine accept.
        add: Called with (code, JSON path, message) for every fault.

    Returns:
        The messages that could be made out, for counting and describing; empty where there are none.
    """
    if not isinstance(value, dict):
        add("E102", "", said("the line holds {kind}, not an object", kind=kind(value)))
        return []
    if ("messages" not in value or not _APART.isdisjoint(value)) and _has_other_shape(value, add):
        return []
    for name in value:
        if name not in ROW_FIELDS:
            add("W203", member("", name), said("{name} is not part of the chat format", name=shown(name)))
    messages = value["messages"]
    if not isinstance(messages, list):
        add("E106", "messages", _it_is(messages))
        return []
    if not messages:
        add("E107", "messages", said("the list is empty"))
        return []
    _check_tools(value.get("tools"), rules, add)
    turns: list[Message] = []
    open_calls: dict[str, int] = {}
    caller: Any = None
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            add("E108", path, _it_is(message))
            turns.append(Message("", ""))
            caller = message
            continue
        role = _check_role(message, path, rules, add)
        text = _check_content(message, role, path, rules, add)
        for name in message:
            if name not in MESSAGE_FIELDS:
                add("W203", member(path, name), said("{name} is not part of the chat format", name=shown(name)))
        if "weight" in message:
            _check_weight(message["weight"], role, path, add)
        if role == "tool":
            _check_result(message, caller, open_calls, path, add)
        if message.get("tool_calls") is not None:
            text += _check_calls(message["tool_calls"], role, index, rules, open_calls, add)
        if message.get("role") != "tool":
            caller = message
        turns.append(Message(role, text))
    check_order([turn.role for turn in turns], add)
    _check_learnable(messages, add)
    for name, at in open_calls.items():
        if at != len(messages) - 1:
            add("W230", f"messages[{at}].tool_calls", said("no tool message answers {call}", call=shown(name)))
    return turns


def _has_other_shape(value: dict[str, Any], add: Add) -> bool:
    """Report a row that is no chat, by the name of what it is where that is known; False where it is a chat."""
    from tui.dataset.shape import fields_of  # which the check's helper process need not wait for

    known, columns = fields_of(value)
    if known == "chat":
        return False
    if known == "preference" or (known in ("pair", "turns") and not _REJECTED.isdisjoint(value)):
        add("E137", "", said("a preference pair; its preferred answer can be converted"))
    elif known == "pair":
        question, answer = columns["question"], columns["answer"]
        pair = said(
            "a row of {question} and {answer}; it can be converted",
            question=shown(question, 24),
            answer=shown(answer, 24),
        )
        add("E137", "", pair)
    elif known == "turns" and columns["turns"] == "messages" and "system" in columns:
        add("E137", "", said("a conversation with its system message apart; it can be converted"))
    elif known == "turns":
        add("E137", "", said("a conversation under {field}; it can be converted", field=shown(columns["turns"], 24)))
    elif value.keys() == {"text"}:
        add("E105", "", said('there is no "messages", only a text: for pre-training, not a chat'))
    elif value:
        fields = ", ".join(shown(name, 24) for name in list(value)[:6])
        add("E105", "", said('there is no "messages", only {names}', names=fields))
    else:
        add("E105", "", said("the object is empty"))
    return True


def _check_role(message: dict[str, Any], path: str, rules: Rules, add: Add) -> str:
    if "role" not in message:
        names = ", ".join(shown(name, 24) for name in list(message)[:4])
        text = said("the message has only {names}", names=names) if names else said("the message has no field")
        add("E109", path, text)
        return ""
    role = message["role"]
    if not isinstance(role, str):
        add("E110", f"{path}.role", _it_is(role))
        return ""
    if role not in KNOWN_ROLES:
        plain = role.strip().lower()
        if plain in KNOWN_ROLES:
            add("E112", f"{path}.role", said("{role} should be {known}", role=shown(role), known=repr(plain)))
            return plain
        add("E111", f"{path}.role", said("{role} is none of {known}", role=shown(role), known=", ".join(KNOWN_ROLES)))
        return role
    if role not in rules.roles:
        add(
            "E113",
            f"{path}.role",
            said(
                "the model takes {known}, not {role}",
                known=", ".join(known for known in KNOWN_ROLES if known in rules.roles),
                role=role,
            ),
        )
    return role


def _check_content(message: dict[str, Any], role: str, path: str, rules: Rules, add: Add) -> str:
    has_calls = bool(message.get("tool_calls"))
    if "content" not in message or (message["content"] is None and "function_call" in message):
        if "function_call" in message:
            add("E114", path, said("the message has function_call, the former kind of tool_calls, and no content"))
        elif not has_calls:
            add("E114", path, said("the message has no content"))
        return ""
    content = message["content"]
    path = f"{path}.content"
    if isinstance(content, str):
        if (not content or content.isspace()) and not has_calls and role != "tool":
            add("E116", path, said("it is only white space") if content else said("it is empty"))
        return content
    if content is None:
        if has_calls:
            add("W226", path, said("content is null beside tool_calls"))
        else:
            add("E115", path, _it_is(None))
        return ""
    if not isinstance(content, list):
        add("E115", path, _it_is(content))
        return ""
    texts: list[str] = []
    other: list[str] = []
    for index, part in enumerate(content):
        text = text_of_part(part)
        if text is not None:
            texts.append(text)
        elif isinstance(part, dict) and isinstance(part.get("type"), str) and part["type"] != "text":
            other.append(part["type"])
        else:
            wrong = said("it has no type or no text") if isinstance(part, dict) else _it_is(part)
            add("E118", f"{path}[{index}]", wrong)
    if other:
        add("E117", path, said("it has parts of the type {type}; the model takes text only", type=shown(other[0])))
    elif not rules.parts:
        of_parts = counted(
            "it is a list of {count} text part; the model takes a string",
            "it is a list of {count} text parts; the model takes a string",
            len(content),
        )
        add("E117", path, of_parts)
    whole = "".join(texts)
    if not whole.strip() and len(texts) == len(content):
        add("E116", path, said("its parts hold no text"))
    return whole


def text_of_part(part: object) -> str | None:
    """Return the text of a content part, None where it is none; some tools name it `value`, as LLaMA-Factory does."""
    if not isinstance(part, dict) or part.get("type") != "text":
        return None
    text = part.get("text", part.get("value"))
    return text if isinstance(text, str) else None


def _check_weight(weight: object, role: str, path: str, add: Add) -> None:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight not in (0, 1):
        add("E128", f"{path}.weight", said("it is {value}", value=shown(weight)))
    elif role != "assistant":
        add("E128", f"{path}.weight", said("a weight on the role {role}", role=shown(role)))


def _check_calls(value: Any, role: str, turn: int, rules: Rules, open_calls: dict[str, int], add: Add) -> str:
    path = f"messages[{turn}].tool_calls"
    if not rules.tool_calls:
        add("E127", path, said("the model takes no tool calls"))
    if role != "assistant":
        add("E125", path, said("only an assistant message calls tools, not {role}", role=shown(role)))
    if not isinstance(value, list) or not value:
        add("E125", path, said("the list is empty") if value == [] else _not_a_list(value))
        return ""
    texts = []
    for index, call in enumerate(value):
        at = f"{path}[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            add("E125", at, said("it has no function with a name"))
            continue
        if call.get("type") != "function":
            wrong = said("it is {value}", value=shown(call["type"])) if "type" in call else said("it is missing")
            add("E125", f"{at}.type", wrong)
        name = call.get("id")
        if name is not None and not isinstance(name, str):
            add("E125", f"{at}.id", _it_is(name))
        elif name is not None:
            if name in open_calls:
                add("E125", f"{at}.id", said("the id {id} is used twice", id=shown(name)))
            open_calls[name] = turn
        texts.append(f"{function['name']} {_check_arguments(function, at, add)}")
    return " ".join(texts)


def _check_arguments(function: dict[str, Any], at: str, add: Add) -> str:
    path = f"{at}.function.arguments"
    arguments = function.get("arguments")
    if arguments is None:
        add("E124", path, said("it is missing"))
        return ""
    if not isinstance(arguments, str):
        add("E124", path, said("it is {kind}, not a string", kind=kind(arguments)))
        return json.dumps(arguments)
    try:
        parsed = parse(arguments)
    except JsonFault as fault:
        add("E124", path, said("the string is not JSON: {reason}", reason=fault.said))
        return arguments
    inner = parsed.value
    if parsed.depth > MAX_DEPTH:
        add("E124", path, said("the string is not JSON: {reason}", reason=said("nested too deeply")))
        return arguments
    if isinstance(inner, str):
        add("E124", path, said("it is encoded twice: a string within a string"))
    elif not isinstance(inner, dict):
        add("E124", path, said("the string holds {kind}, not an object", kind=kind(inner)))
    return arguments


def _check_result(message: dict[str, Any], caller: Any, open_calls: dict[str, int], path: str, add: Add) -> None:
    """Judge a tool message; `caller` is the last message before it that is none."""
    name = message.get("tool_call_id")
    if name is None:
        # Without ids a result belongs to the last message that is no result.
        if not isinstance(caller, dict) or not caller.get("tool_calls"):
            add("E123", path, said("no assistant message before it calls a tool"))
        elif open_calls:
            add("E123", path, said("it has no tool_call_id, and the call has an id"))
    elif not isinstance(name, str):
        add("E123", f"{path}.tool_call_id", _it_is(name))
    elif name not in open_calls:
        add("E123", f"{path}.tool_call_id", said("no open call before it has the id {id}", id=shown(name)))
    else:
        del open_calls[name]


def _check_tools(tools: Any, rules: Rules, add: Add) -> None:
    if tools is None:
        return
    if not rules.tool_calls:
        add("E127", "tools", said("the model takes no tools"))
    if not isinstance(tools, list):
        add("E126", "tools", _not_a_list(tools))
        return
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or tool.get("type") != "function" or not isinstance(function, dict):
            add("E126", path, said("it is not an object with type function and a function"))
            continue
        if not isinstance(function.get("name"), str) or not function["name"]:
            add("E126", f"{path}.function.name", said("it is missing or not text"))
        parameters = function.get("parameters")
        if parameters is None:
            continue
        if not isinstance(parameters, dict):
            add("E126", f"{path}.function.parameters", said("it is {kind}, not an object", kind=kind(parameters)))
            continue
        found = _schema_extra(parameters)
        if found:
            add("W227", f"{path}.function.parameters", said("it uses {keyword}", keyword=found))


def _schema_extra(schema: dict[str, Any]) -> str:
    pending: list[Any] = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
            continue
        if not isinstance(node, dict):
            continue
        for name, inner in node.items():
            if name == "properties" and isinstance(inner, dict):
                pending.extend(inner.values())
                continue
            if (name in _SCHEMA_EXTRAS and inner is not None) or (name == "default" and inner is None):
                return "default: null" if name == "default" else name
            if isinstance(inner, dict | list) and name not in ("enum", "const", "examples", "required", "default"):
                pending.append(inner)
    return ""


def _check_learnable(messages: list[Any], add: Add) -> None:
    answers = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    if answers and all(type(m.get("weight")) in (int, float) and m["weight"] == 0 for m in answers):
        add("E143", "messages", said("every assistant turn has the weight 0"))


def check_order(roles: Sequence[str], add: Add) -> None:
    """Judge the order of the roles of one conversation.

    Args:
        roles: The role of each message.
        add: Called with (code, JSON path, message) for every fault.
    """
    for index, role in enumerate(roles):
        path = f"messages[{index}]"
        if role in ("system", "developer") and index and any(r not in ("system", "developer") for r in roles[:index]):
            add("E122", path, said("a {role} message after turns of the conversation", role=role))
        elif role in ("system", "developer") and index:
            add("E122", path, said("a second {role} message; join it with the first", role=role))
        elif role == "assistant" and index and roles[index - 1] == "assistant":
            add("E121", path, said("an assistant turn directly after another"))
        elif role == "user" and index and roles[index - 1] == "user":
            add("W223", path, said("a user turn directly after another"))
    if "assistant" not in roles:
        # A role that could not be made out is reported already, and may be the one that is missed.
        if all(role in KNOWN_ROLES for role in roles):
            add("E119", "messages", said("no message has the role assistant"))
    elif roles[-1] != "assistant" and roles[-1] in KNOWN_ROLES:
        add("E120", f"messages[{len(roles) - 1}]", said("the last turn has the role {role}", role=shown(roles[-1])))
    if "user" not in roles and all(role in KNOWN_ROLES for role in roles):
        add("W222", "messages", said("no message has the role user"))
