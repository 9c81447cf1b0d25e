"""Stand-ins for our own services on the steps before the submit, and the program on top of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_fakes import AZURE, ESTIMATE, WORKSPACE, job, put, snapshot

from tui.app import PhiftApp
from tui.dataset.rules import Rules
from tui.recipe import Recipe
from tui.services import costs, datasets, flow
from tui.services.access import ResourceGroup, Subscription, Tenant
from tui.services.catalog import Availability, Catalogue, Model, Range, find, named
from tui.services.doctor import Finding
from tui.services.errors import PhiftError
from tui.services.journal import Entry
from tui.settings import Settings

GOOD = Path(__file__).parents[2] / "assets" / "samples" / "support-train.jsonl"
BROKEN = GOOD.with_name("support-broken.jsonl")
ALL = {
    "serverless": Availability(True),
    "managed": Availability(True),
    "script": Availability(True, "with its weights"),
}
PHI_4 = Model(
    "Phi-4-mini-instruct", "1", "azureml://registries/azureml/models/Phi-4-mini-instruct/versions/1",
    summary="A small model.", license="MIT", context_length=131_072, tasks=("chat-completion",), engines=ALL,
    finetune_retirement=date(2030, 1, 1), learning_rate=Range(2e-5, 1e-6, 1e-3), epochs=Range(3, 1, 10),
)  # fmt: skip
PHI_3 = replace(
    PHI_4, name="Phi-3-mini-4k-instruct", finetune_retirement=date(2025, 8, 30), successor="Phi-4-mini-instruct"
)
FINDINGS = (
    Finding("subscription", "ok", "Subscription Pay"),
    Finding("provider.Microsoft.Network", "ok", "Microsoft.Network is registered"),
)
HUB = replace(
    WORKSPACE, name="theirs", kind="hub", resource_group="their-group", location="westus3", default_group="their-group"
)
ACCOUNT = "/subscriptions/sub-1/resourceGroups/phift-rg/providers/Microsoft.CognitiveServices/accounts/speech"
SUBSCRIPTION = Subscription("sub-1", "Pay as you go", "Enabled", "PayAsYouGo")
CATALOGUE = Catalogue((PHI_3, PHI_4), datetime.now(UTC), "registry", date(2026, 11, 22))


def recipe(**changes: Any) -> Recipe:
    """A recipe that is good as it is."""
    return Recipe(name="support-agent").with_(**{"data__train": str(GOOD), **changes})


class Wired:
    """All services of the steps; a test changes what one answers, or makes it fail or wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.findings: tuple[Finding, ...] = FINDINGS
        self.subscriptions = [SUBSCRIPTION]
        self.locations = ["eastus2", "westus3"]
        self.catalogue = replace(CATALOGUE, fetched=datetime.now(UTC))  # "just now", however long the suite runs
        self.identity = AZURE.identity
        self.tenants: list[Tenant] = []
        self.projects = [WORKSPACE]
        self.left_open: list[Entry] = []
        self.spent = "Spent in this project so far: about 7.35 USD"
        self.fails: dict[str, PhiftError] = {}
        self.gates: dict[str, threading.Event] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        put(
            monkeypatch,
            identity={"connect": self._connect},
            access={
                "subscriptions": self._answer("subscriptions", lambda *a: self.subscriptions),
                "resource_groups": self._answer(
                    "resource_groups", lambda *a: [ResourceGroup("phift-rg", "eastus2")]
                ),
                "locations": self._answer("locations", lambda *a: self.locations),
                "tenants": self._answer("tenants", lambda *a: self.tenants),
                "register_provider": self._answer("register_provider", lambda *a: None),
                "create_resource_group": self._answer("create_resource_group", lambda *a: None),
            },
            doctor={"examine": self._examine},
            projects={
                "hubs": self._answer("hubs", lambda *a: []),
                "projects": self._answer("projects", lambda *a: self.projects),
                "at": self._answer("at", lambda *a: HUB),
                "subscription_of": lambda *a: "sub-1",
                "get": self._answer("get", lambda *a: WORKSPACE),
                "ai_services": self._answer("ai_services", lambda *a: [ACCOUNT]),
                "ensure_hub": self._answer("ensure_hub", lambda *a: WORKSPACE),
                "ensure_project": self._answer("ensure_project", lambda *a: WORKSPACE),
            },
            journal={
                "Journal": lambda path: SimpleNamespace(
                    path=path, reconcile=lambda azure: self.left_open, standing=lambda _: [], of=lambda _: []
                )
            },
            catalog={
                "cached": self._answer("cached", lambda *a: replace(self.catalogue, source="cache")),
                "models": self._answer("models", lambda *a: self.catalogue),
                "rules": lambda model, engine: Rules(),
                "find": find,
                "named": named,
            },
            datasets={
                "readable": self._answer("readable", datasets.readable),
                "parts_folder": datasets.parts_folder,
                "prepare": self._answer("prepare", datasets.prepare),
            },
            spending={"so_far": self._answer("so_far", lambda *a: SimpleNamespace(line=lambda: self.spent))},
            costs={
                "prices": self._answer("prices", lambda *a: None),
                "estimate": self._answer("estimate", lambda *a: ESTIMATE),
                "check_budget": costs.check_budget,
            },
            export={
                "as_cli": lambda recipe, model: f"az ml job create --name {recipe.output.model}",
                "as_python": lambda recipe, model: "from azure.ai.ml import MLClient",
                "as_bicep": lambda recipe, model: "resource hub 'Microsoft.MachineLearningServices/workspaces'",
            },
            flow={"Flow": self._flow},
            runs={"Watch": lambda *a: SimpleNamespace(poll=lambda: snapshot(job()), interval=60.0)},
        )  # fmt: skip

    def _answer(self, name: str, make: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **_: Any) -> Any:
            self.calls.append((name, arguments))
            if name in self.gates:
                self.gates[name].wait(120)
            if name in self.fails:
                raise self.fails[name]
            return make(*arguments)

        return call

    def called(self, name: str) -> int:
        """How often a service was called."""
        return sum(each == name for each, _ in self.calls)

    def _connect(self, settings: Settings, *, sandbox: bool, prompt: Any, secret: Any, cancel: Any) -> Any:
        credential = SimpleNamespace(ask=None, take=self._answer("take", lambda *a: None))
        made = SimpleNamespace(
            identity=self.identity,
            sandbox=sandbox,
            prompt=prompt,
            settings=settings,
            credential=credential,
            stand_in="",
        )
        return self._answer("connect", lambda *a: made)(settings, prompt, secret)

    def _examine(self, azure: Any, recipe: Recipe, *, on_finding: Any, cancel: Any) -> Any:
        for finding in self.findings:
            on_finding(finding)
        return self._answer("examine", lambda *a: self.findings)(azure, recipe)

    def _flow(self, recipe: Recipe, base: Path, settings: Settings, *, on_event: Any, cancel: Any, **_: Any) -> Any:
        started = SimpleNamespace(job=job(), workspace=WORKSPACE, prepared=None, estimate=ESTIMATE)

        def submit() -> Any:
            on_event(flow.Event("access", "started"))
            answer = self._answer("submit", lambda *a: started)()
            cancel.check()
            return answer

        return SimpleNamespace(submit=submit)


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> Wired:
    """The stand-ins in place."""
    return Wired(monkeypatch)


def wizard(
    tmp_path: Path,
    place: str = "sign_in",
    *,
    of: Recipe | None = None,
    sandbox: bool = True,
    signed_in: bool = True,
    ascii_only: bool = False,
    settings: Settings | None = None,
    **facts: Any,
) -> PhiftApp:
    """The program at a step, with no tour and no question about drafts."""
    at_place = type("AtPlace", (PhiftApp,), {"DEFAULT_MODE": place})
    made: PhiftApp = at_place(
        settings or Settings(state=tmp_path), recipe=of or recipe(), sandbox=sandbox, ascii_only=ascii_only
    )
    made.preferences = made.preferences.model_copy(update={"tour_seen": True})
    if signed_in:
        facts = {"azure": AZURE, **facts}
    made.wizard.facts = replace(made.wizard.facts, **facts)
    return made
