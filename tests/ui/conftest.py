"""What the tests of the screens share."""

from __future__ import annotations

import os
from collections.abc import Iterator

# Read by Textual as it is imported.
os.environ["TEXTUAL_ANIMATIONS"] = "none"

import pytest
from wizard_fakes import Wired, wired  # after the environment is set

from tui import messages

__all__ = ["Wired", "wired"]


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 256 colours, wherever the tests run."""
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def bulgarian(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The texts in Bulgarian, whose words are longer."""
    monkeypatch.setenv("LANGUAGE", "bg")
    messages.use()
    yield
    messages.use("en")
