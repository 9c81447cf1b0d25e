"""Paths as a person types and reads them."""

from __future__ import annotations

import os.path
from contextlib import suppress
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` put in; as it is where nobody has that name: it is no path then, nor an error."""
    typed = Path(path)
    with suppress(RuntimeError):
        return typed.expanduser()
    return typed


def abbreviated(path: str | Path) -> str:
    """The path with `~` for the person's home."""
    home, shown = os.path.expanduser("~").rstrip("/"), str(path)
    return "~" + shown.removeprefix(home) if home and shown.startswith(f"{home}/") else shown
