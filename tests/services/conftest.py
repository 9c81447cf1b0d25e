"""What the tests of the services share: a connection to the session's sandbox, a project in it, and upsetting it."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import assets
from tui.recipe import Recipe, Target
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo
from tui.services import identity, projects
from tui.services.clients import Azure
from tui.services.journal import Journal
from tui.services.projects import Workspace
from tui.settings import Profile, Settings

Upset = Callable[..., None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a state folder of the test's own, that sign in by the environment."""
    return Settings(state=tmp_path / "state", profiles={"default": Profile(method="environment")})


@pytest.fixture
def azure(sandbox_env: SandboxInfo, settings: Settings) -> Azure:
    """A signed-in connection to the session's sandbox."""
    return identity.connect(settings)


@pytest.fixture
def journal(settings: Settings) -> Journal:
    """A journal of the test's own."""
    return Journal(settings.journal)


@pytest.fixture
def recipe(sandbox: SandboxInfo) -> Recipe:
    """A recipe for the session's project."""
    return Recipe(name="test").with_(
        target__subscription=sandbox.subscription,
        target__resource_group="services",
        target__hub="services-hub",
        target__project="services-project",
        output__model="tuned",
    )


@pytest.fixture
def target(recipe: Recipe) -> Target:
    """Where the session's project is."""
    return recipe.target


@pytest.fixture
def project(azure: Azure, target: Target, tmp_path: Path) -> Workspace:
    """The session's project, made by the first test that asks for it."""
    journal = Journal(tmp_path / "project" / "journal.sqlite")
    hub = projects.ensure_hub(azure, target, journal=journal)
    return projects.ensure_project(azure, target, hub, journal=journal)


@pytest.fixture
def own_target(recipe: Recipe, request: pytest.FixtureRequest) -> Target:
    """A place of the test's own, where nothing exists yet."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:8]
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[5:25].strip("-") + digest
    return recipe.with_(
        target__resource_group=f"rg-{name}", target__hub=f"h-{name}", target__project=f"p-{name}"
    ).target


@pytest.fixture
def upset(sandbox: SandboxInfo) -> Iterator[Upset]:
    """Arm a fault (`upset("GET *", "503", count=1)`) or apply a scenario (`upset(providers={…})`)."""

    def apply(route: str = "", kind: str = "", **values: Any) -> None:
        if route:
            daemon.control(sandbox, "POST", "/faults", {"route": route, "kind": kind, **values})
        else:
            daemon.control(sandbox, "PUT", "/scenario", values)

    yield apply
    daemon.control(sandbox, "DELETE", "/faults")
    usual = tomllib.loads((assets.ROOT / "scenarios/default.toml").read_text("utf-8"))
    daemon.control(sandbox, "PUT", "/scenario", usual)


@pytest.fixture
def chats(tmp_path: Path) -> Callable[..., Path]:
    """Writes a chat file of `rows` rows; the rows depend on `seed`."""

    def write(rows: int = 8, seed: str = "a", name: str = "train.jsonl") -> Path:
        path = tmp_path / name
        with path.open("w", encoding="utf-8") as file:
            for row in range(rows):
                messages = [
                    {"role": "user", "content": f"What is number {row} of {seed}?"},
                    {"role": "assistant", "content": f"Number {row} of {seed} is {row * 7}."},
                ]
                file.write(json.dumps({"messages": messages}) + "\n")
        return path

    return write
