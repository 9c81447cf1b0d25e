"""A record of every request and answer, for the test that holds them against Azure's published OpenAPI."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from starlette.types import Message, Receive, Scope

VARIABLE = "PHIFT_SANDBOX_RECORD"
_LIMIT = 1024 * 1024


class Recorder:
    """Appends one JSON line for each exchange on Resource Manager's plane to a file (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def from_environment(cls) -> Recorder | None:
        """Return a recorder for the file that the environment names, or None where it names none."""
        path = os.environ.get(VARIABLE)
        return cls(Path(path)) if path else None

    def watch(self, scope: Scope, receive: Receive) -> tuple[Receive, Callable[[Message], None] | None]:
        """Return a `receive` that is read along and the observer of the answer's messages."""
        if scope["plane"] != "arm":
            return receive, None
        asked, answered = bytearray(), bytearray()
        entry = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode("latin-1"),
        }

        async def reading() -> Message:
            message = await receive()
            asked.extend(message.get("body", b"")[: _LIMIT - len(asked)])
            return message

        def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                entry["headers"] = {key.decode(): value.decode("latin-1") for key, value in message["headers"]}
            elif message["type"] == "http.response.body":
                answered.extend(message.get("body", b"")[: _LIMIT - len(answered)])
                if not message.get("more_body") and "fault" not in scope:
                    self._write({**entry, "request": _parsed(asked), "response": _parsed(answered)})

        return reading, observe

    def _write(self, entry: dict[str, object]) -> None:
        line = json.dumps(entry) + "\n"
        with os.fdopen(
            os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(line)


def _parsed(raw: bytearray) -> object:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")
