"""Stand-ins for our own services on the pages about what runs on Azure, and the program on top of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from tui import backend
from tui.app import PhiftApp
from tui.recipe import Recipe
from tui.services.costs import Estimate, Line, Price
from tui.services.deployments import Endpoint
from tui.services.identity import Identity
from tui.services.jobs import Job
from tui.services.projects import Workspace
from tui.services.runs import Metric, Point, Snapshot
from tui.settings import Settings

PATIENCE = 60.0
"""Seconds after which a condition that does not come true fails the test; nothing waits that long when all is well."""
HOSTILE = "evil\x1b]52;c;aGk=\x07\u202e[@click=app.quit]x[/][red]"
NOW = datetime(2026, 11, 22, 17, 3, 22, tzinfo=UTC)
PROJECT = (
    "/subscriptions/s/resourceGroups/phift-rg/providers/Microsoft.MachineLearningServices/workspaces/support-agent"
)
WORKSPACE = Workspace(
    id=PROJECT, name="support-agent", kind="project", subscription="s", resource_group="phift-rg", location="eastus2",
    workspace_id="00000000-0000-0000-0000-000000000001", discovery_url="", hub_id=PROJECT + "-hub", state="Succeeded",
)  # fmt: skip
WHO = Identity("someone@example.com", "00000000-0000-0000-0000-0000000000aa", "contoso", "cli", None)
AZURE: Any = SimpleNamespace(
    identity=WHO, sandbox=True, settings=None, stand_in="tiny", outlast=lambda call, report, cancel: call()
)
PRICE = Price("Phi-4-mini FT Hosting", "1 Hour", 0.8, "USD", "eastus2", "snapshot", NOW.date())
ESTIMATE = Estimate(
    (Line("Training", 1.0, 1.2, "400,000 tokens", True),),
    1.0,
    1.2,
    "USD",
    (),
    0.8,
    "list",
    "sandbox: nothing is billed",
)


def job(name: str = "support-agent-1", status: str = "Running", **changes: Any) -> Job:
    """A job of the project."""
    made = Job(
        name=name, display_name=name, status=status, engine="serverless", model="Phi-4-mini-instruct",
        experiment="phift", created=NOW - timedelta(minutes=6), started=NOW - timedelta(minutes=4),
        ended=NOW if status in ("Completed", "Failed", "Canceled") else None, output_model="support-agent",
        output_version="1" if status == "Completed" else "", studio_url="", error=None,
        terminal=status in ("Completed", "Failed", "Canceled"), steps=160,
        hyperparameters={"learning_rate": "0.00002", "num_train_epochs": "8", "per_device_train_batch_size": "1"},
    )  # fmt: skip
    return replace(made, **changes)


def endpoint(name: str = "support-agent", **changes: Any) -> Endpoint:
    """An endpoint of the project."""
    made = Endpoint(
        name=name, kind="serverless", model=f"azureml://locations/eastus2/workspaces/1/models/{name}/versions/1",
        uri=f"https://{name}.eastus2.models.ai.azure.com", state="Online", content_safety=True, created=NOW,
        location="eastus2", hourly=PRICE, id=f"{PROJECT}/serverlessEndpoints/{name}",
    )  # fmt: skip
    return replace(made, **changes)


def metric(name: str, *values: float) -> Metric:
    """A metric with a value every step."""
    points = (Point(step, value, NOW + timedelta(seconds=step)) for step, value in enumerate(values))
    return Metric(name, tuple(points))


def snapshot(of: Job, **changes: Any) -> Snapshot:
    """What the watch sees of a job."""
    return replace(Snapshot(job=of, fetched=NOW), **changes)


def program(tmp_path: Path, place: str, *, recipe: Recipe | None = None, **facts: Any) -> PhiftApp:
    """The program at a place, signed in, with the project known."""
    at_place = type("AtPlace", (PhiftApp,), {"DEFAULT_MODE": place})
    made: PhiftApp = at_place(Settings(state=tmp_path), recipe=recipe or Recipe(name="support-agent"), sandbox=True)
    made.preferences = made.preferences.model_copy(update={"tour_seen": True})
    made.wizard.facts = replace(made.wizard.facts, **{"azure": AZURE, "workspace": WORKSPACE, **facts})
    return made


def put(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    """Put stand-ins in the places of service modules."""
    for name, functions in modules.items():
        monkeypatch.setattr(backend, name, SimpleNamespace(**functions), raising=False)


async def until(pilot: Pilot[Any], condition: Callable[[], object], what: str = "") -> None:
    """Wait until a condition holds; fails after a time that no machine needs."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError((what or "the condition never held") + f"; on screen:\n{shown(pilot.app)}")


def shown(app: App[Any]) -> str:
    """The whole screen as text."""
    screen = app.screen
    return "\n".join(
        "".join(segment.text for segment in strip).rstrip() for strip in screen._compositor.render_strips()
    )
