"""Paths as a person types them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` put in; as it is where nobody has that name: it is no path then, nor an error."""
    typed = Path(path)
    with suppress(RuntimeError):
        return typed.expanduser()
    return typed
