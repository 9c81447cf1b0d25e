"""Give the same faulty rows to this program's check and to other checkers, and print what each of them notices.

`python scripts/compare_checkers.py [PYTHON]` prints the table from which the one in `docs/data-desk.md` is written. The
checks of OpenAI's cookbook are those of `tests/bench/bench_dataset.py`, written anew from its description; Microsoft's
are the rules of `validate_sft.py` in the fine-tuning skill of `microsoft-foundry`, written anew here. PYTHON is an
interpreter where the package `together` is installed; without it its column is left out.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "bench"))

from bench_dataset import cookbook

from tui.dataset.check import check
from tui.dataset.rules import Rules

USER, ANSWER = {"role": "user", "content": "How far is it?"}, {"role": "assistant", "content": "Nine kilometres."}
ROW = {"messages": [USER, ANSWER]}
CALL = {"id": "1", "type": "function", "function": {"name": "way", "arguments": "{}"}}
PLAIN = Rules(bom="any", recommended_examples=1, context_tokens=4096)
TOGETHER = """
import json, sys
from together.lib.utils.files import check_file
found = {}
for path in sys.argv[1:]:
    try:
        report = check_file(path)
        found[path] = "" if report["is_check_passed"] else report["message"] or "refused"
    except Exception as error:
        found[path] = "stops: " + type(error).__name__
print(json.dumps(found))
"""


def dump(value: Any) -> bytes:
    """Return a row as a line without its end."""
    return json.dumps(value, ensure_ascii=False).encode()


def rows(*messages: Any, **fields: Any) -> bytes:
    """Return a row of messages."""
    return dump({"messages": list(messages), **fields})


def message(role: Any, content: Any, **fields: Any) -> dict[str, Any]:
    """Return a message."""
    return {"role": role, "content": content, **fields}


def good(number: int) -> bytes:
    """Return a row without a fault, each number another."""
    row = copy.deepcopy(ROW)
    row["messages"][0]["content"] = f"Question {number}: how much is {number} times {number + 2}, and why is that so?"
    row["messages"][1]["content"] = f"It is {number * (number + 2)}, since {number} rows of {number + 2} are as many."
    return dump(row)


GOOD = [good(number) for number in range(12)]
WHOLE = b"".join(line + b"\n" for line in GOOD)
FAULTY: dict[str, bytes] = {
    "malformed JSON": dump(ROW)[:-3],
    "row is not an object": b"[1]",
    "duplicate key": dump(ROW).replace(b'"role"', b'"role": "user", "role"', 1),
    "not UTF-8": dump(ROW).replace(b"far", b"f\xe4r"),
    "no messages": dump({"text": "a"}),
    "another shape": dump({"prompt": "a", "completion": "b"}),
    "messages is not a list": dump({"messages": "a"}),
    "message is not an object": rows("a", ANSWER),
    "role missing": rows({"content": "a"}, ANSWER),
    "role unknown": rows(message("poet", "a"), ANSWER),
    "role miswritten": rows(message("User", "a"), ANSWER),
    "content missing": rows({"role": "user"}, ANSWER),
    "content is a number": rows(message("user", 3), ANSWER),
    "content is null": rows(message("user", None), ANSWER),
    "content is empty": rows(message("user", ""), ANSWER),
    "content given as parts": rows(message("user", [{"type": "text", "text": "a"}]), ANSWER),
    "no assistant turn": rows(USER),
    "no user turn": rows(message("system", "a"), ANSWER),
    "last turn not the assistant's": rows(USER, ANSWER, USER),
    "consecutive assistant turns": rows(USER, ANSWER, ANSWER),
    "system message not first": rows(USER, message("system", "a"), ANSWER),
    "tool result without its call": rows(USER, message("tool", "a", tool_call_id="9"), ANSWER),
    "tool arguments not encoded": rows(
        USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "way", "arguments": {"a": 1}}}]}
    ),
    "tool arguments encoded twice": rows(
        USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "way", "arguments": '"{}"'}}]}
    ),
    "tool call malformed": rows(USER, {"role": "assistant", "tool_calls": [{"id": "1"}]}),
    "tool definition malformed": rows(USER, ANSWER, tools=[{"name": "way"}]),
    "weight that means nothing": rows(USER, {**ANSWER, "weight": 0.5}),
    "lone surrogate": dump(ROW).replace(b"far", b"\\ud800"),
    "NUL": dump(ROW).replace(b"far", b"\\u0000"),
    "control character": dump(ROW).replace(b"far", b"\\u0007"),
    "bidirectional character": rows(message("user", "a\u202eb"), ANSWER),
    "chat template token": rows(USER, message("assistant", "a<|end|>")),
    "row over the context": rows(message("user", "word " * 9000), ANSWER),
    "byte order mark inside the file": b"\xef\xbb\xbf" + dump(ROW),
    "blank line": b"",
    "exact duplicate": GOOD[3],
    "near duplicate": GOOD[3].replace(b"and why", b"and so why"),
    "conflicting answer": GOOD[3].replace(b"It is", b"Nobody knows"),
    "e-mail address": rows(message("user", "Write to jo@example.org"), ANSWER),
    "payment card number": rows(message("user", "4111 1111 1111 1111"), ANSWER),
    "secret": rows(message("user", "AKIAIOSFODNN7EXAMPLE"), ANSWER),
}
"""A faulty row each, which is the fifth of a file of good ones."""
FILES: dict[str, bytes] = {
    "carriage returns only": WHOLE.replace(b"\n", b"\r"),
    "UTF-16": WHOLE.decode().encode("utf-16"),
    "not a text file": b"\x1f\x8b\x08\x00abc",
    "one JSON document": json.dumps([json.loads(line) for line in GOOD], indent=1).encode(),
}
PLACE = 5


def this(path: Path) -> str:
    """Return what this program's check says."""
    report = check(path, rules=PLAIN)
    found = [finding for group in (*report.errors, *report.warnings) for finding in group.first]
    codes = " ".join(sorted({finding.code for finding in found}))
    if any(finding.line in (PLACE, 4) for finding in found):
        return f"line ({codes})"
    return f"file ({codes})" if found else "-"


def openai(path: Path) -> str:
    """Return what the checks of OpenAI's cookbook say."""
    found = cookbook(path)
    return f"row ({' '.join(found)})" if found else "-"


def microsoft(path: Path) -> str:
    """Return what the rules of Microsoft's script say."""
    found: list[str] = []
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(map(str.strip, stream), 1):
            if line:
                found += [f"line {number}: {fault}" for fault in _by_microsoft(line)]
    return f"{'line' if any(f'line {PLACE}:' in one for one in found) else 'file'} ({len(found)})" if found else "-"


def _by_microsoft(line: str) -> list[str]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return ["invalid JSON"]
    if "messages" not in record:
        return ["missing messages"]
    messages = record["messages"]
    if not isinstance(messages, list) or not messages:
        return ["messages must be a non-empty array"]
    found: list[str] = []
    roles: set[str] = set()
    text = ""
    for each in messages:
        if "role" not in each:
            found.append("missing role")
        elif each["role"] not in ("system", "user", "assistant", "tool"):
            found.append("invalid role")
        else:
            roles.add(each["role"])
        if "content" not in each and "tool_calls" not in each:
            found.append("missing content")
        elif each.get("content") is not None:
            found += [] if str(each["content"]).strip() else ["warning: empty content"]
            text += str(each["content"])
    found += [f"no {role} message" for role in ("user", "assistant") if role not in roles]
    return [*found, "warning: too long"] if len(text) // 4 > 4096 else found


def together(python: str, paths: list[Path]) -> dict[str, str]:
    """Return what Together's check says of each file."""
    out = subprocess.run(
        [python, "-c", TOGETHER, *map(str, paths)], check=True, capture_output=True, encoding="utf-8"
    ).stdout
    found: dict[str, str] = json.loads(out)
    return {path: text[:70].replace("\n", " ") or "-" for path, text in found.items()}


def noticed(checker: Callable[[Path], str], path: Path) -> str:
    """Return what a checker says, or how it ends."""
    try:
        return checker(path)
    except Exception as error:  # that others end with a traceback is what is looked for
        return f"stops ({type(error).__name__})"


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            name: b"".join(line + b"\n" for line in [*GOOD[:4], faulty, *GOOD[4:]]) for name, faulty in FAULTY.items()
        }
        paths: dict[str, Path] = {}
        for number, (name, content) in enumerate({"no fault": WHOLE, **files, **FILES}.items()):
            paths[name] = Path(folder, f"{number}.jsonl")
            paths[name].write_bytes(content)
        by_together = together(sys.argv[1], list(paths.values())) if len(sys.argv) > 1 else {}
        sys.stdout.write("| Fault | this | OpenAI cookbook | Microsoft | Together |\n|---|---|---|---|---|\n")
        for name, path in paths.items():
            cells = [noticed(checker, path) for checker in (this, openai, microsoft)]
            sys.stdout.write(f"| {name} | {' | '.join(cells)} | {by_together.get(str(path), '')} |\n")


if __name__ == "__main__":
    main()
