"""Every page, dialog and key with hostile text wherever Azure, a file or a model may give text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hostile import EVERY, MEGABYTE, harm, poisoned
from run_fakes import AZURE, ESTIMATE, NOW, PRICE, WHO, WORKSPACE, endpoint, job, metric, put, shown, snapshot, until
from textual.pilot import Pilot
from textual.widgets import OptionList
from wizard_fakes import ACCOUNT, CATALOGUE, FINDINGS, PHI_4, SUBSCRIPTION, Wired, wizard

from tui import actions, backend
from tui.app import PhiftApp
from tui.evaluation.compare import compare
from tui.recipe import Recipe
from tui.services import drafts
from tui.services.access import ResourceGroup, Tenant
from tui.services.chat import Collected, Delta
from tui.services.cleanup import Item, Outcome
from tui.services.comparisons import Written
from tui.services.doctor import Finding
from tui.services.errors import JobFailed, PhiftError, ServiceError
from tui.services.evaluations import AnswerComparison, Asked, from_run
from tui.services.journal import Entry
from tui.services.progress import Progress
from tui.services.runs import Event
from tui.settings import Profile, Settings
from tui.wizard import BY_NAME

# What the program itself compares with words of its own, and what is no text of anybody's.
KEPT = frozenset(
    {"kind", "engine", "engines", "status", "outcome", "id", "hub_id", "source", "step", "unit", "kept", "level"}
)
ENDED = ServiceError("Azure said no.", code="Oops", meaning="Nothing.", next_step="Later.", request_id="r", raw="{}")
NOT_PRESSED = {"forward", "quit", "quit_letter", "suspend", "edit_recipe", "edit_prompt", "redraw"}
FULLEST = "data"
"""The page on which the keys are pressed that are the same everywhere."""


def rows(poison: str) -> str:
    """A chat file with hostile roles, keys, contents and lines."""
    short = poison[:1000]
    good = [
        {"messages": [{"role": "system", "content": text}, {"role": "user", "content": f"{number} {text}"},
                      {"role": "assistant", "content": text}], short: short}
        for number, text in enumerate((short, poison))
    ]  # fmt: skip
    bad = [{"messages": [{"role": poison, "content": short}]}, {short: [short]}, {"messages": short}]
    lines = [json.dumps(row) for row in (*good, *bad)]
    return "\n".join([*lines, poison.replace("\n", " "), '{"messages": [{"role": "user"'])


class Everything(Wired):
    """All services, each of whose answers is poisoned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, poison: str) -> None:
        super().__init__(monkeypatch)

        def bad(value: Any) -> Any:
            return poisoned(value, poison, keep=KEPT)

        self.poison = poison
        self.error = bad_error(ENDED, poison)
        self.subscriptions = bad([SUBSCRIPTION, replace(SUBSCRIPTION, id="sub-2")])
        self.locations = bad(["eastus2", "westus3"])
        self.catalogue = bad(replace(CATALOGUE, fetched=datetime.now(UTC)))
        self.identity = bad(WHO)
        self.tenants = bad([Tenant(WHO.tenant, "Home", "home.example"), Tenant("t-2", "Other", "other.example")])
        self.projects = [bad(WORKSPACE)]
        self.left_open = [Entry(1, "job", f"job-1{poison}", poison, datetime.now(UTC), outcome="done")]
        self.spent += poison
        lacks = Finding("provider.Microsoft.Network", "problem", "Not there", "so", "project", "Reader", "az provider")
        self.findings = bad((*FINDINGS, lacks))
        done, runs = bad(job("one", "Completed")), bad(job("two"))
        failure = JobFailed(poison, code=poison, meaning=poison, next_step=poison, request_id=poison, raw=poison)
        failed = bad(job("three", "Failed", error=failure, tags={"mlflow.runName": "run"}))
        self.jobs = [runs, done, failed]
        measured = {name + poison: metric(name, 3.0, 2.0) for name in ("train_loss", "eval_loss")}
        known = {name: metric(name, 3.0, 2.0) for name in ("train_loss", "eval_perplexity")}
        self.snapshot = replace(
            snapshot(failed, metrics={**known, **measured}, progress=(4, 160), log_tail=f"{poison}\n" * 3),
            events=(Event(NOW, poison),), warnings=(poison,), failure=failure,
        )  # fmt: skip
        self.endpoint = bad(endpoint(hourly=bad(PRICE)))
        kinds = ("endpoint", "model", "job", "data", "project", "hub")
        items = [
            Item(kind, kind, f"{kind}{poison}", kind == "endpoint", bad(PRICE), NOW, reason_kept=poison, detail=poison)  # type: ignore[arg-type]  # of the kinds
            for kind in kinds
        ]
        asked = tuple(Asked(line, poison, poison, tuned=poison, base=f"{poison}{line}") for line in range(1, 4))
        found = compare(["expected"] * 3, ["expected"] * 3, ["said"] * 3)  # figures, in which no text is
        services: dict[str, dict[str, Any]] = {
            "access": {"resource_groups": lambda *rest: bad([ResourceGroup("phift-rg", "eastus2")])},
            "projects": {
                "hubs": lambda *rest: [bad(replace(WORKSPACE, kind="hub"))],
                "ai_services": lambda *rest: [f"{ACCOUNT}{poison}"],
            },
            "costs": {"estimate": lambda *rest, **more: bad(ESTIMATE), "prices": lambda *rest: Prices(bad(PRICE))},
            "export": {f"as_{kind}": lambda recipe, model: poison for kind in ("cli", "python", "bicep")},
            "runs": {"Watch": lambda *rest: SimpleNamespace(poll=lambda: self.snapshot, interval=60.0)},
            "jobs": {"listing": lambda *rest: self.jobs, "get": lambda *rest: done, "cancel": self._fail},
            "deployments": {
                "listing": lambda *rest: [self.endpoint, replace(self.endpoint, id="another", state=f"Failed{poison}")],
                "default_name": lambda *rest: "another",
                "keys": lambda *rest: SimpleNamespace(primary="k"),
                "deploy": self._fail, "deploy_base": self._fail, "delete": self._fail,
            },
            "cleanup": {"inventory": lambda *rest: items, "remove": self._remove},
            "chat": {"stream": self._stream, "Collected": Collected},
            "evaluations": {"from_run": from_run},
            "comparisons": {
                "make": lambda *rest, **more: Written(
                    AnswerComparison(asked, 0.1, 0.1, found, 1), ["won", "tied", "lost"], "one", NOW,
                    Path(f"/state/{poison}"),
                ),
                "latest": lambda *rest: None,
            },
            "journal": {
                "Journal": lambda path: SimpleNamespace(
                    path=path, reconcile=lambda azure: self.left_open, of=lambda project: self.left_open,
                    standing=lambda project: [f"endpoint{poison}"],
                )
            },
            "machines": {"chosen": lambda *rest: f"Standard{poison}"},
            "submissions": {"expected_steps": lambda *rest, **more: 160},
        }  # fmt: skip
        for name, functions in services.items():
            before = vars(getattr(backend, name)) if name in {"access", "projects", "costs", "export"} else {}
            put(monkeypatch, **{name: {**before, **functions}})

    def _fail(self, *rest: Any, **more: Any) -> Any:
        raise self.error

    def _remove(self, azure: Any, chosen: list[Item], **rest: Any) -> list[Outcome]:
        rest["report"](Progress(self.poison, 1, 2, self.poison, self.poison))
        return [Outcome(item, False, self.error) for item in chosen]

    def _stream(self, *rest: Any, **more: Any) -> Iterator[Delta]:
        yield Delta(self.poison, model=self.poison)
        yield Delta(self.poison[::-1], finish=self.poison)


class Prices:
    """A price list where everything has one price."""

    def __init__(self, price: Any) -> None:
        self._price = price

    def of(self, *rest: Any) -> Any:
        """The price."""
        return self._price

    of_instance = of


def bad_error(error: PhiftError, poison: str) -> PhiftError:
    """An error with the poison in all that it says."""
    said = {name: f"{getattr(error, name)}{poison}" for name in ("code", "meaning", "next_step", "request_id", "raw")}
    return type(error)(f"{error.message}{poison}", **said)


def at(tmp_path: Path, everything: Everything, place: str) -> PhiftApp:
    """The program at a place, with a hostile recipe, draft, data file and facts."""
    poison = everything.poison
    typed = poison[:1000].encode("utf-8", "replace").decode()  # a recipe has neither more nor half characters
    name = poison.replace("/", "").replace("\0", "")[:40] + EVERY[-60:].replace("/", "")
    folder = tmp_path / "data"
    folder.mkdir()
    train, held_out = folder / f"{name}.jsonl", folder / f"held {name}.jsonl"
    for file, said in ((train, poison), (held_out, poison[:1000])):
        file.write_text(rows(said), "utf-8", "surrogatepass")
    made = Recipe(name="support-agent").with_(
        data__train=str(train), validation={"mode": "file", "path": str(held_out)}, evaluation__file=str(held_out),
        model__name=f"{PHI_4.name}{typed}", model__weights=typed, model__compute=typed,
        target__tenant=typed, target__subscription="sub-1", target__location=f"eastus2{typed}",
    )  # fmt: skip
    settings = Settings(state=tmp_path / "state", profiles={"default": Profile(), name: Profile(tenant=typed)})
    settings.drafts.mkdir(parents=True)
    (settings.drafts / f"{name}.toml").write_text(f"name = '{poison}", "utf-8", "surrogatepass")
    drafts.save(settings, Recipe(name="another"))
    facts = {"azure": AZURE, "workspace": everything.projects[0], "job": everything.jobs[2].name,
             "endpoint": everything.endpoint, "estimate": None}  # fmt: skip
    app = wizard(tmp_path, place, of=made, settings=settings, sandbox=False, signed_in=place != "sign_in", **facts)
    app.wizard.mark("data", "attention", poison)
    return app


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until nothing runs and nothing changes, and look for harm."""
    app: Any = pilot.app
    before = None
    await until(pilot, lambda: not app.tasks.running(), "a task did not end")
    while before != (before := shown(app)):
        await pilot.pause(0.01)
    assert harm(app) == []


LONGEST = ("data", "monitor", "playground")
"""The pages with the longest texts: rows, logs, answers."""


@pytest.mark.parametrize(
    ("place", "poison"),
    [
        *(pytest.param(place, EVERY, id=place) for place in BY_NAME),
        *(pytest.param(place, MEGABYTE, id=f"{place} megabyte") for place in LONGEST),
    ],
)
async def test_no_page_dialog_or_key_lets_it_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, poison: str
) -> None:
    monkeypatch.setattr(AZURE, "now", lambda: NOW, raising=False)
    app = at(tmp_path, Everything(monkeypatch, poison), place)
    async with app.run_test(size=(120, 40), notifications=True, tooltips=True) as pilot:
        await settled(pilot)
        keys = [
            key
            for action in actions.for_place(place)
            if action.id not in NOT_PRESSED and (action.scope == place or place == FULLEST)
            for key in actions.keys_of(action)[:1]
        ]

        async def back() -> None:
            await settled(pilot)
            while len(app.screen_stack) > 1:
                app.screen.dismiss()
                await pilot.pause()
            if app.current_mode != place:
                app.go(place)
                await settled(pilot)

        for key in [*keys, "f10", "enter"]:
            await pilot.press("escape", key)
            await back()
        for options in app.screen.query(OptionList):
            for index in range(min(len(options.options), 3)):
                options.focus()
                options.highlighted = index
                await pilot.press("enter")
                await back()
