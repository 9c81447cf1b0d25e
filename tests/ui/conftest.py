"""What the tests of the screens share."""

from __future__ import annotations

import os

# Read by Textual as it is imported.
os.environ["TEXTUAL_ANIMATIONS"] = "none"

import pytest
from wizard_fakes import Wired, wired  # after the environment is set

__all__ = ["Wired", "wired"]


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 256 colours, wherever the tests run."""
    monkeypatch.setenv("TERM", "xterm-256color")
