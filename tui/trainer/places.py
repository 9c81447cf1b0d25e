"""Where the stand-ins lie on this machine; light, so that a process without torch may ask."""

from __future__ import annotations

import os
from pathlib import Path

FETCH_IT = "Fetch it (93 MB): phift-tui sandbox fetch small"
"""What to do where `small` is asked for and not there."""


def tiny_folder() -> Path:
    """Where the shipped stand-in `tiny` lives."""
    return Path(__file__).parent / "models" / "tiny"


def small_folder() -> Path:
    """Where the fetched stand-in `small` lives: `$XDG_DATA_HOME/phift-tui/models/small`."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "phift-tui" / "models" / "small"


def small_is_here() -> bool:
    """Whether `small` has been fetched: its configuration is written last."""
    return (small_folder() / "config.json").is_file()
