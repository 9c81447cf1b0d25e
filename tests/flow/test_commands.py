"""Every command for real against the sandbox: one whole run, then all that can be asked and done about what it made."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from program_kit import Ended

from tui.__main__ import main
from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo
from tui.services import flow

pytestmark = pytest.mark.xdist_group("training")

Run = Callable[..., Ended]
Write = Callable[..., tuple[Path, Recipe]]


@dataclass
class World:
    """What the tests of this module share: folders, and the run that the first of them makes."""

    home: Path
    recipe: Path = Path()
    ended: Ended | None = None
    event: dict[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The module's folders."""
    return World(tmp_path_factory.mktemp("commands"))


@pytest.fixture
def run(
    world: World, sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Run a command in this process: exit code, stdout, stderr."""
    before = dict(os.environ)
    os.environ.update(PHIFT_SANDBOX_STATE=sandbox.state, XDG_STATE_HOME=str(world.home))

    def command(*arguments: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ended(code, out, err)

    yield command
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def finished(world: World, run: Run, write: Write) -> World:
    """The world after a whole run."""
    if world.ended is None:
        world.recipe, _ = write()
        world.ended = run("run", world.recipe, "--sandbox", "--yes", "--deploy", "--evaluate", "--json")
        world.event = world.ended.last
    return world


def test_a_run_is_one_object_a_line_and_ends_with_its_own(finished: World) -> None:
    assert finished.ended
    assert finished.ended.code == 0, finished.ended.err
    events = finished.ended.events
    for event in events:
        assert {"time", "step", "status"} <= event.keys()
        assert event["status"] in {"started", "progress", "done", "failed"}
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert times == sorted(times)
    told = [(event["step"], event["status"]) for event in events if event["status"] != "progress"]
    *before, billable, _ = get_args(flow.Step)  # the last is the run itself
    steps = [*before, "evaluate", billable]
    assert told == [
        ("run", "started"),
        *((step, status) for step in steps for status in ("started", "done")),
        ("run", "done"),
    ]
    assert {"job", "model", "endpoint"} <= events[-1].keys()


def test_the_job_is_listed_shown_and_followed(finished: World, run: Run) -> None:
    name = finished.event["job"]
    listed = run("jobs", "list", "--sandbox", "--json")
    assert [job["name"] for job in listed.data] == [name]
    assert "Project prj-" in listed.err
    assert name in run("jobs", "list", "--sandbox").out
    assert run("jobs", "show", name, "--sandbox", "--json").data["status"] == "Completed"
    assert "num_train_epochs" in run("jobs", "show", name, "--sandbox").out
    assert run("jobs", "metrics", name, "--sandbox", "--json").data["eval_loss"][0][0] == 0
    assert "eval_loss" in run("jobs", "metrics", name, "--sandbox").out
    assert run("jobs", "watch", name, "--sandbox", "--json").last["status"] == "Completed"
    assert "ended already" in run("jobs", "cancel", name, "--sandbox", "--yes").err


@pytest.mark.parametrize(
    ("arguments", "next_step"),
    [
        (("jobs", "show", "absent"), "phift-tui --sandbox jobs list"),
        (("jobs", "watch", "absent"), "phift-tui --sandbox jobs list"),
        (("jobs", "resume", "absent", "--yes"), "phift-tui --sandbox jobs list"),
        (("deployments", "create", "absent", "--yes"), "phift-tui --sandbox jobs list"),
        (("deployments", "delete", "absent", "--yes"), "phift-tui --sandbox deployments list"),
        (("deployments", "keys", "absent"), "phift-tui --sandbox deployments list"),
        (("chat", "absent", "--message", "Hello"), "phift-tui --sandbox deployments list"),
        (("models", "delete", "absent", "--yes"), "phift-tui --sandbox models list --tuned"),
        (("jobs", "list", "--project", "absent"), "--project NAME"),
    ],
)
def test_what_is_not_there_is_answered_with_where_to_look(
    finished: World, run: Run, arguments: tuple[str, ...], next_step: str
) -> None:
    ended = run(*arguments, "--sandbox")
    assert ended.code == 5
    assert ended.out == ""
    assert next_step in ended.err


def test_nothing_is_deleted_or_bought_without_a_yes(finished: World, run: Run) -> None:
    job, endpoint = finished.event["job"], finished.event["endpoint"]
    for arguments in (
        ("jobs", "resume", job),
        ("deployments", "delete", endpoint),
        ("cleanup",),
        ("cleanup", "--all"),
    ):
        ended = run(*arguments, "--sandbox")
        assert ended.code == 7
        assert "--yes" in ended.err
    assert [one["name"] for one in run("deployments", "list", "--sandbox", "--json").data] == [endpoint]


def test_a_job_is_submitted_again_and_cancelled(finished: World, run: Run) -> None:
    again = run("jobs", "resume", finished.event["job"], "--sandbox", "--yes", "--json").data
    assert again["name"] != finished.event["job"]
    assert run("jobs", "cancel", again["name"], "--sandbox", "--yes", "--json").data["name"] == again["name"]
    ended = run("jobs", "watch", again["name"], "--sandbox", "--json")
    # A dozen rows are soon trained: the cancellation may come too late.
    assert ended.last["status"] in {"Canceled", "Completed"}


def test_the_endpoint_answers_by_argument_and_by_pipe(finished: World, run: Run) -> None:
    endpoint = finished.event["endpoint"]
    whole = run("chat", endpoint, "--sandbox", "--message", "Hello", "--max-tokens", "4", "--json").data
    assert whole["usage"]["completion"] <= 4
    shown = run("chat", endpoint, "--sandbox", "--max-tokens", "4", stdin=b"Hello\n\n\xff\xfe no text\n")
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 2
    lines = run("chat", endpoint, "--sandbox", "--max-tokens", "4", "--json", stdin=b"Hello\nAgain\n").events
    assert len(lines) == 2


def test_an_endpoint_is_scored_alone_and_against_another(finished: World, run: Run) -> None:
    endpoint, rows = finished.event["endpoint"], finished.recipe.parent / "rows.jsonl"
    common = ("--questions", "2", "--max-tokens", "4", "--sandbox")
    alone = run("evaluate", endpoint, rows, *common, "--json").data
    assert (alone["questions"], alone["comparison"]) == (2, None)
    compared = run("evaluate", endpoint, rows, "--against", endpoint, *common)
    assert compared.code == 0
    assert "token F1" in compared.out


def test_keys_are_shown_and_replaced(finished: World, run: Run) -> None:
    endpoint = finished.event["endpoint"]
    before = run("deployments", "keys", endpoint, "--sandbox", "--json").data
    after = run("deployments", "keys", endpoint, "--regenerate", "primary", "--sandbox", "--json").data
    assert after["primary"] != before["primary"]
    assert after["secondary"] == before["secondary"]
    assert after["primary"] in run("deployments", "keys", endpoint, "--sandbox").out


def test_catalogue_doctor_and_estimate_come_from_the_sandbox(finished: World, run: Run) -> None:
    models = run("models", "list", "--sandbox", "--json").data["models"]
    assert "Phi-4-mini-instruct" in [model["name"] for model in models]
    assert "retired" in run("models", "list", "--sandbox").out
    findings = run("doctor", "--sandbox", "--recipe", finished.recipe, "--json")
    assert findings.code == 0
    assert {finding["level"] for finding in findings.data["findings"]} == {"ok"}
    assert run("doctor", "--sandbox").code == 0
    assert run("estimate", finished.recipe, "--sandbox", "--json").data["currency"] == "USD"
    assert "sandbox" in run("estimate", finished.recipe, "--sandbox").out


def test_a_served_model_stays_until_its_endpoint_is_gone_and_can_be_deployed_again(finished: World, run: Run) -> None:
    endpoint, model = finished.event["endpoint"], finished.event["model"]
    refused = run("models", "delete", f"{model}:1", "--sandbox", "--yes")
    assert refused.code == 5
    assert f"deployments delete {endpoint}" in refused.err
    assert run("deployments", "delete", endpoint, "--sandbox", "--yes", "--json").data == {"deleted": endpoint}
    created = run("deployments", "create", finished.event["job"], "--sandbox", "--yes", "--no-content-safety", "--json")
    assert created.data["content_safety"] is False
    assert "off" in run("deployments", "list", "--sandbox").out


def test_cleaning_up_takes_what_is_billed_then_everything(finished: World, run: Run) -> None:
    billed = run("cleanup", "--dry-run", "--sandbox", "--json").data
    assert [item["kind"] for item in billed] == ["endpoint"]
    removed = run("cleanup", "--yes", "--sandbox", "--json").data
    assert [(one["kind"], one["removed"]) for one in removed] == [("endpoint", True)]
    assert "Nothing is billed" in run("cleanup", "--yes", "--sandbox").err
    listed = run("cleanup", "--all", "--dry-run", "--sandbox").out
    assert "hub " in listed
    ended = run("cleanup", "--all", "--yes", "--sandbox")
    assert ended.code == 0
    assert "not removed" not in ended.out
    assert run("jobs", "list", "--sandbox").code == 5


@pytest.mark.parametrize(
    ("recipe", "code", "error"),
    [
        ('name = "x"\nunknown = 1\n', 2, "Recipe"),
        ('[data]\ntrain = "absent.jsonl"\n', 2, "FileNotFound"),
        ('[data]\ntrain = "bad.jsonl"\n', 3, "DataRefused"),
        ('[data]\ntrain = "rows.jsonl"\n[budget]\nlimit = 0.0001\n', 8, "BudgetExceeded"),
        ('[data]\ntrain = "rows.jsonl"\n[model]\nname = "Phi-3-mini-4k-instruct"\n', 5, "ModelUnavailable"),
    ],
)
def test_a_run_that_fails_ends_with_code_message_and_next_step(
    run: Run, write: Write, tmp_path: Path, recipe: str, code: int, error: str
) -> None:
    write()
    (tmp_path / "bad.jsonl").write_text("not JSON\n")
    (tmp_path / "other.toml").write_text(recipe)
    ended = run("run", tmp_path / "other.toml", "--sandbox", "--yes", "--json")
    assert ended.code == code
    last = ended.last
    assert (last["step"], last["status"], last["exit_code"]) == ("run", "failed", code)
    assert last["error"]["code"] == error
    assert last["error"]["message"]
    assert last["error"]["next"]
    assert json.loads(ended.out.splitlines()[-1]) == last
