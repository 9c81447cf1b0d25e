"""Messages whose content is a list of blocks, as Anthropic, Amazon Bedrock and Gemini write text, calls and results."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tui.dataset.structure import text_of_part

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class _Blocks:
    """What a list of blocks holds, each kind in its order.

    Attributes:
        texts: Texts.
        calls: (id, name, arguments) of tool calls; the id is "" where the service writes none.
        results: (id, name, text) of the results of calls; one of id and name is "".
    """

    texts: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    results: list[tuple[str, str, str]] = field(default_factory=list)


def text_of(part: object) -> str | None:
    """Return the text of a content part, None where it is none; Gemini's and Bedrock's have nothing but a text."""
    text = part.get("text") if isinstance(part, dict) and part.keys() == {"text"} else None
    return text if isinstance(text, str) else text_of_part(part)


class Conversation:
    """Messages in the chat format, and which calls among them wait for an answer.

    Attributes:
        messages: The messages.
        waiting: The function of each call, by its id, that no message has answered yet.
    """

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.waiting: dict[str, str] = {}

    def add(self, message: Any) -> None:
        """Put a message at the end."""
        self.messages.append(message)
        if not isinstance(message, dict):
            return
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("id"), str) and isinstance(call.get("function"), dict):
                self.waiting[call["id"]] = str(call["function"].get("name"))
        if isinstance(message.get("tool_call_id"), str):
            self.waiting.pop(message["tool_call_id"], None)


def messages_from(role: str, blocks: Sequence[object], before: Conversation) -> list[dict[str, Any]] | None:
    """Return the messages in the chat format that a list of blocks amounts to, None where it holds another kind.

    Results of tools become messages of their own, which come first, since they answer the message before.

    Args:
        role: Who wrote the blocks, as the chat format calls it.
        blocks: The content.
        before: The messages before, whose calls are answered.
    """
    found = _Blocks()
    if not blocks or not all(_sort(block, found) for block in blocks):
        return None
    if (found.calls and role != "assistant") or (found.results and role == "assistant"):
        return None
    answered: set[str] = set()
    made: list[dict[str, Any]] = []
    for name, function, text in found.results:
        waiting = before.waiting.items()
        own = name or next((each for each, called in waiting if called == function and each not in answered), "")
        answered.add(own)
        made.append({"role": "tool", "content": text, **({"tool_call_id": own} if own else {})})
    message: dict[str, Any] = {"role": role}
    if found.texts:
        message["content"] = "".join(found.texts)
    if found.calls:
        message["tool_calls"] = [
            tool_call(name or f"call_{len(before.messages)}_{number}", function, arguments)
            for number, (name, function, arguments) in enumerate(found.calls)
        ]
    return [*made, message] if len(message) > 1 else made


def tool_call(name: str, function: str, arguments: Any) -> dict[str, Any]:
    """Return a call in the chat format; the arguments may be encoded already."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": name, "type": "function", "function": {"name": function, "arguments": text}}


def tools_from(value: Any) -> list[Any]:
    """Return tool definitions in the chat format; none where they are not a list of objects."""
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        return []
    made: list[Any] = []
    for tool in value:
        declared = tool.get("functionDeclarations", tool.get("function_declarations"))
        if isinstance(declared, list):
            made += [{"type": "function", "function": _plain(each)} for each in declared if isinstance(each, dict)]
        elif "function" in tool:
            made.append(tool)
        else:
            made.append({"type": "function", "function": _plain(tool.get("toolSpec", tool))})
    return made


def _plain(function: Any) -> Any:
    """Return a function's definition with its parameters under the name that the chat format has for them."""
    if not isinstance(function, dict):
        return function
    made = dict(function)
    for name in ("input_schema", "inputSchema"):
        if name in made:
            schema = made.pop(name)
            made["parameters"] = schema.get("json", schema) if isinstance(schema, dict) else schema
    if "parameters" in made:
        made["parameters"] = _lowered(made["parameters"])
    return made


def _lowered(schema: Any) -> Any:
    """Return a schema with its types in small letters; Gemini writes them in capitals."""
    if isinstance(schema, list):
        return [_lowered(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: inner.lower() if name == "type" and isinstance(inner, str) else _lowered(inner)
        for name, inner in schema.items()
    }


def _sort(block: object, found: _Blocks) -> bool:
    """Put a block where it belongs; False where it is of another kind."""
    if isinstance(block, str):
        found.texts.append(block)
        return True
    if (text := text_of(block)) is not None:
        found.texts.append(text)
        return True
    if not isinstance(block, dict):
        return False
    call, result = _call_of(block), _result_of(block)
    if call is not None and isinstance(call[0], str) and isinstance(call[1], str) and call[1]:
        found.calls.append((call[0], call[1], call[2]))
        return True
    if result is not None and isinstance(result[0], str) and isinstance(result[1], str):
        found.results.append((result[0], result[1], _result_text(result[2])))
        return True
    return False


def _call_of(block: dict[str, Any]) -> tuple[Any, Any, Any] | None:
    """Return (id, name, arguments) of a call by a tool block of Anthropic, Bedrock or Gemini."""
    if block.get("type") == "tool_use":
        return block.get("id", ""), block.get("name"), block.get("input") or {}
    if isinstance(use := block.get("toolUse"), dict):
        return use.get("toolUseId", ""), use.get("name"), use.get("input") or {}
    if isinstance(use := block.get("functionCall", block.get("function_call")), dict):
        return use.get("id", ""), use.get("name"), use.get("args") or {}
    return None


def _result_of(block: dict[str, Any]) -> tuple[Any, Any, Any] | None:
    """Return (id, name, content) of a result in a tool block of Anthropic, Bedrock or Gemini."""
    if block.get("type") == "tool_result":
        return block.get("tool_use_id"), "", block.get("content")
    if isinstance(result := block.get("toolResult"), dict):
        return result.get("toolUseId"), "", result.get("content")
    if isinstance(result := block.get("functionResponse", block.get("function_response")), dict):
        return result.get("id", ""), result.get("name", ""), result.get("response")
    return None


def _result_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and None not in (texts := [text_of(part) for part in content]):
        return "".join(filter(None, texts))
    return "" if content is None else json.dumps(content, ensure_ascii=False)
