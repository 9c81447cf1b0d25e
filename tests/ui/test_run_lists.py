"""Jobs, deploy and clean up: lists of what is on Azure, and what is done with it."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from run_fakes import AZURE, HOSTILE, NOW, PRICE, PROJECT, endpoint, job, program, put, shown, until
from textual.widgets import Input

from tui.services import clients
from tui.services.cleanup import Item, Outcome
from tui.services.deployments import Endpoint
from tui.services.errors import Conflict, Unreachable
from tui.services.jobs import Job
from tui.services.journal import Journal
from tui.services.progress import Progress


class Prices:
    """A price list that knows the hosting of the tuned model."""

    def of(self, model: str, purpose: str) -> Any:
        return PRICE if (model, purpose) == ("Phi-4-mini-instruct", "hosting") else None


def services(monkeypatch: pytest.MonkeyPatch, jobs: list[Job], endpoints: list[Endpoint], **deployments: Any) -> None:
    """Put stand-ins for the services of these pages."""
    put(
        monkeypatch,
        jobs={"listing": lambda azure, workspace: jobs},
        deployments={
            "listing": lambda azure, workspace: endpoints,
            "default_name": lambda model, version: f"{model}-ep",
            **deployments,
        },
        costs={"prices": lambda azure, region, settings: Prices()},
        journal={"Journal": Journal},
    )  # fmt: skip


# --- jobs -------------------------------------------------------------------------------------------------------------


async def test_jobs_are_listed_and_enter_opens_one_in_the_monitor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(monkeypatch, [job("one"), job("two", "Completed", model=HOSTILE)], [])
    app = program(tmp_path, "jobs")
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "▸ Running" in shown(app) and "✓ Completed" in shown(app))
        assert "\x1b" not in shown(app)
        await pilot.press("down", "enter")
        assert (app.wizard.facts.job, gone) == ("two", ["monitor"])


async def test_a_list_that_cannot_be_read_anew_stays_with_a_word_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(monkeypatch, [job("one")], [])
    app = program(tmp_path, "jobs")

    def unreachable(azure: Any, workspace: Any) -> list[Job]:
        raise Unreachable("gone")

    async with app.run_test() as pilot:
        await until(pilot, lambda: "▸ Running" in shown(app))
        put(monkeypatch, jobs={"listing": unreachable})
        await pilot.press("f5")
        await until(pilot, lambda: "The sandbox does not answer. F5 on Sign in starts it again." in shown(app))
        assert "▸ Running" in shown(app)


async def test_the_highlight_follows_its_job_while_the_list_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(monkeypatch, [job("one"), job("two")], [])
    app = program(tmp_path, "jobs")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "two" in shown(app))
        await pilot.press("down")
        services(monkeypatch, [job("new"), job("one", "Completed"), job("two")], [])
        await pilot.press("f5")
        await until(pilot, lambda: "new" in shown(app))
        assert app.screen.marked.name == "two"  # type: ignore[attr-defined]  # the jobs page


async def test_next_run_shows_what_changes_and_takes_the_jobs_choices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(
        monkeypatch, [job("one", "Completed", choices={"hyperparameters__epochs": 8}, training_uri="azureml:a:1")], []
    )
    app = program(tmp_path, "jobs")
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "✓ Completed" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "hyperparameters.epochs: 3 → 8" in shown(app))
        assert "Not taken:" in shown(app)
        assert app.wizard.recipe.hyperparameters.epochs == 3, "nothing changes before the answer"
        await pilot.press("y")
        await until(pilot, lambda: gone == ["hyperparameters"])
        assert app.wizard.recipe.hyperparameters.epochs == 8


async def test_archiving_hides_an_ended_job_and_not_a_running_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [job("running"), job("ended", "Failed")]
    archived: list[str] = []

    def archive(azure: Any, workspace: Any, name: str) -> None:
        archived.append(name)
        listed.pop()

    put(monkeypatch, jobs={"listing": lambda azure, workspace: list(listed), "archive": archive})
    app = program(tmp_path, "jobs")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "✗ Failed" in shown(app))
        await pilot.press("a")
        assert archived == []
        await pilot.press("down", "a")
        await until(pilot, lambda: archived == ["ended"] and "✗ Failed" not in shown(app))


# --- deploy -----------------------------------------------------------------------------------------------------------


async def test_deploying_says_the_price_asks_shows_the_stages_and_opens_the_playground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed: list[tuple[str, bool]] = []

    def deploy(azure: Any, workspace: Any, of: Job, name: str, *, content_safety: bool, **rest: Any) -> Endpoint:
        rest["report"](Progress("Waiting for the first answer", detail="Creating"))
        deployed.append((name, content_safety))
        return endpoint(name)

    services(monkeypatch, [job("one", "Completed")], [], deploy=deploy)
    app = program(tmp_path, "deploy", job="one")
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "0.80 USD an hour, also while idle" in shown(app))
        assert "nothing bills" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "Deploy as support-agent-ep?" in shown(app))
        assert "It bills until you delete it" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: gone == ["playground"])
        assert deployed == [("support-agent-ep", True)]
        assert app.wizard.facts.endpoint == endpoint("support-agent-ep")


async def test_without_a_tuned_model_deploy_names_the_monitor_and_no_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    services(monkeypatch, [], [])
    app = program(tmp_path, "deploy")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No job has completed yet. Enter goes to the monitor." in shown(app))
        await until(pilot, lambda: "Enter Monitor" in shown(app))
        assert "None: nothing bills by the hour." in shown(app)
        assert "Price" not in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "monitor")


async def test_an_unknown_price_is_called_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services(monkeypatch, [job("one", "Completed", model="Phi-9")], [endpoint(hourly=None)])
    app = program(tmp_path, "deploy", job="one")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "unknown: Microsoft" in shown(app))
        assert "0.00" not in shown(app)


async def test_an_endpoint_of_the_model_that_answers_already_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = endpoint("support-agent-ep", model=f"{PROJECT}/models/support-agent/versions/1")
    services(monkeypatch, [job("one", "Completed")], [mine])
    app = program(tmp_path, "deploy", job="one")
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "✓ Online" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: gone == ["playground"])
        assert app.wizard.facts.endpoint
        assert app.wizard.facts.endpoint.name == "support-agent-ep"


async def test_a_deployment_that_fails_is_explained_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deploy(*arguments: Any, **rest: Any) -> Endpoint:
        raise Conflict("The name is taken.", next_step="Choose another name.")

    services(monkeypatch, [job("one", "Completed")], [], deploy=deploy)
    app = program(tmp_path, "deploy", job="one")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "an hour, also while idle" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Deploy as" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "Choose another name." in shown(app))
        assert app.wizard.marks["deploy"].state == "attention"


async def test_a_yes_to_a_deployment_outlasts_a_network_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()

    def deploy(azure: Any, workspace: Any, of: Job, name: str, **rest: Any) -> Endpoint:
        if not back.is_set():
            raise Unreachable("No answer.", code="ConnectTimeout")
        return endpoint(name)

    services(monkeypatch, [job("one", "Completed")], [], deploy=deploy)
    monkeypatch.setattr(clients, "_AGAIN", 0.01)
    monkeypatch.setattr(AZURE, "outlast", partial(clients.Azure.outlast, AZURE))
    app = program(tmp_path, "deploy", job="one")
    gone: list[str] = []
    monkeypatch.setattr(app, "go", gone.append)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "an hour, also while idle" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Deploy as" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Azure cannot be reached; asking again until it answers" in shown(app))
        back.set()
        await until(pilot, lambda: gone == ["playground"])
        assert "This did not work" not in shown(app)


async def test_deleting_an_endpoint_asks_and_forgets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = [endpoint()]
    services(monkeypatch, [job("one", "Completed")], there, delete=lambda azure, workspace, name, **rest: there.clear())
    app = program(tmp_path, "deploy", job="one", endpoint=endpoint())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "✓ Online" in shown(app))
        await pilot.press("escape", "x")
        await until(pilot, lambda: "Delete the endpoint support-agent?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "nothing bills" in shown(app))
        assert app.wizard.facts.endpoint is None


# --- clean up ---------------------------------------------------------------------------------------------------------

ITEMS = [
    Item("hub", "h", "phift-hub", False, None, None),
    Item("endpoint", "e", "support-agent", True, PRICE, NOW, accrued=0.13, detail="Online"),
    Item("project", "p", "support-agent", False, None, None),
    Item("data", "d", "support-train:1", False, None, NOW),
    Item("model", "m", f"tuned {HOSTILE}", False, None, NOW, reason_kept="it is served by support-agent"),
]


def inventory(monkeypatch: pytest.MonkeyPatch, items: list[Item]) -> list[list[str]]:
    """Put the clean-up stand-in, and return what it is told to remove."""
    removed: list[list[str]] = []

    def remove(azure: Any, chosen: list[Item], **rest: Any) -> list[Outcome]:
        removed.append([item.kind for item in chosen])
        for item in chosen:
            items.remove(item)
        return [Outcome(item, True) for item in chosen]

    put(monkeypatch, cleanup={"inventory": lambda azure, workspace: list(items), "remove": remove})
    return removed


async def test_what_bills_is_marked_and_removed_once_its_number_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = inventory(monkeypatch, list(ITEMS))
    app = program(tmp_path, "cleanup", endpoint=endpoint())
    async with app.run_test() as pilot:
        await until(pilot, lambda: "1 thing bills while it stands: 0.80 USD an hour, about 0.13 so far" in shown(app))
        text = shown(app)
        places = [text.index(kind) for kind in ("[x]  endpoint", "[ ]  model", "[ ]  data", "[ ]  project", "[ ]  hub")]
        assert places == sorted(places), "in the order of deletion"
        await pilot.press("enter")
        await until(pilot, lambda: "Remove 1 thing from Azure?" in shown(app))
        await pilot.press("2", "enter")
        await until(pilot, lambda: "That is something else; nothing was removed." in shown(app))
        assert removed == [], "another number removes nothing"
        app.screen.query_one(Input).value = "1"
        await pilot.press("enter")
        await until(pilot, lambda: "✓ endpoint support-agent removed" in shown(app))
        await until(pilot, lambda: "Nothing here bills" in shown(app))
        assert removed == [["endpoint"]]
        assert app.wizard.facts.endpoint is None
        assert app.wizard.marks["cleanup"].state == "done"


async def test_removing_the_project_asks_for_its_name_and_forgets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = inventory(monkeypatch, list(ITEMS))
    app = program(tmp_path, "cleanup", job="one")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "[ ]  project" in shown(app))
        await pilot.press("a", "enter")
        await until(pilot, lambda: "type the name support-agent" in shown(app))
        await pilot.press(*"phift", "enter")
        await until(pilot, lambda: "That is something else; nothing was removed." in shown(app))
        assert removed == [], "another name removes nothing"
        app.screen.query_one(Input).value = "support-agent"
        await pilot.press("enter")
        await until(pilot, lambda: "The project is gone." in shown(app))
        assert removed == [["endpoint", "model", "data", "project", "hub"]]
        assert "✓ 5 things removed" in shown(app)
        assert (app.wizard.facts.workspace, app.wizard.facts.job) == (None, "")


async def test_where_nothing_is_left_no_key_for_marking_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory(monkeypatch, [])
    app = program(tmp_path, "cleanup")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Nothing is left in this project." in shown(app))
        bar = shown(app).splitlines()[-1]
        assert "Enter Continue" in bar
        assert not any(word in bar for word in ("Mark", "What bills", "All"))


async def test_space_marks_and_a_row_that_stays_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory(monkeypatch, list(ITEMS))
    app = program(tmp_path, "cleanup")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "1 marked" in shown(app))
        await pilot.press("down", "space")
        await until(pilot, lambda: "2 marked" in shown(app) and "stays for now" in shown(app))
        assert "\x1b" not in shown(app)
        await pilot.press("b")
        await until(pilot, lambda: "1 marked" in shown(app))


async def test_a_removal_is_stopped_by_a_key_which_is_no_error_and_what_is_left_is_listed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(azure: Any, chosen: list[Item], *, report: Any, cancel: Any) -> list[Outcome]:
        report(Progress("Removing support-agent", 0, 1, "items", "endpoint"))
        while True:
            cancel.sleep(0.01)

    inventory(monkeypatch, items := list(ITEMS))
    put(monkeypatch, cleanup={"inventory": lambda azure, workspace: list(items), "remove": remove})
    app = program(tmp_path, "cleanup")
    async with app.run_test() as pilot:
        await until(pilot, lambda: "1 marked" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Remove 1 thing from Azure?" in shown(app))
        app.screen.query_one(Input).value = "1"
        await pilot.press("enter")
        await until(pilot, lambda: "Removing support-agent" in shown(app))
        items.pop(1)  # Azure goes on with what it had begun
        await pilot.press("f9")
        await until(pilot, lambda: "In the background" in shown(app))
        await pilot.press("x", "escape")
        await until(pilot, lambda: "The removal was stopped" in shown(app) and "Nothing here bills" in shown(app))
        assert "This did not work" not in shown(app)
