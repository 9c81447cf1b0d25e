"""The session's sandbox over the wire, and putting it right after a test has upset it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wirekit import Wire

import assets
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a sandbox of the test's own, which does not outlive the test."""
    path = tmp_path / "state"
    yield path
    if path.exists():
        daemon.stop(path)


@pytest.fixture
def wire(sandbox: SandboxInfo) -> Wire:
    """The session's sandbox, over the wire."""
    return Wire(sandbox)


@pytest.fixture
def group(wire: Wire, request: pytest.FixtureRequest) -> Iterator[str]:
    """A resource group of the test's own in East US 2; its name."""
    name = "rg-" + re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:60].rstrip("-")
    wire.arm("PUT", f"…/resourceGroups/{name}", {"location": "eastus2"})
    yield name
    wire.arm("DELETE", f"…/resourceGroups/{name}")


@pytest.fixture
def upset(wire: Wire) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Apply scenarios; afterwards everything is as new again."""

    def apply(scenario: dict[str, Any]) -> None:
        wire.control("PUT", "/scenario", scenario)

    yield apply
    wire.control("DELETE", "/faults")
    wire.control("PUT", "/scenario", tomllib.loads((assets.ROOT / "scenarios/default.toml").read_text("utf-8")))
