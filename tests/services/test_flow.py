"""The whole flow without a screen, over the wire, with a real training: from rows to an answering model and back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tui.recipe import Recipe
from tui.services import (
    catalog,
    chat,
    cleanup,
    comparisons,
    deployments,
    evaluations,
    identity,
    jobs,
    models,
    projects,
    runs,
    spending,
)
from tui.services.clients import Azure
from tui.services.costs import Estimate
from tui.services.errors import (
    BudgetExceeded,
    Cancelled,
    Conflict,
    DataRefused,
    ModelUnavailable,
    NotFound,
    PhiftError,
    ServiceError,
    SignInRequired,
    Throttled,
    UsageError,
)
from tui.services.flow import Event, Flow, Outcome
from tui.services.journal import Journal
from tui.services.progress import Cancel
from tui.services.projects import Workspace
from tui.settings import Settings

Upset = Callable[..., None]

pytestmark = pytest.mark.xdist_group("training")


@dataclass
class Course:
    """A run and what it told."""

    outcome: Outcome | None = None
    settings: Settings | None = None
    events: list[Event] = field(default_factory=list)
    approved: list[Estimate] = field(default_factory=list)

    def steps(self) -> list[tuple[str, str]]:
        return [(event.step, event.status) for event in self.events if event.status != "progress"]

    def done(self, step: str) -> list[dict[str, Any]]:
        return [event.fields for event in self.events if (event.step, event.status) == (step, "done")]


@pytest.fixture
def course(azure: Azure, settings: Settings, tmp_path: Path) -> Callable[..., Course]:
    """Runs a recipe and keeps what it told; errors are raised after that."""

    def go(
        recipe: Recipe,
        *,
        approve: bool = True,
        cancel: Cancel | None = None,
        on_event: Callable[[Event], None] | None = None,
        into: Course | None = None,
        **choices: bool,
    ) -> Course:
        found = into or Course()
        found.settings = settings

        def tell(event: Event) -> None:
            found.events.append(event)
            if on_event:
                on_event(event)

        def ask(estimate: Estimate) -> bool:
            found.approved.append(estimate)
            return approve

        flow = Flow(recipe, tmp_path, settings, connect=lambda: azure, approve=ask, on_event=tell, cancel=cancel)
        found.outcome = flow.run(**choices)
        return found

    return go


@pytest.fixture
def wanted(recipe: Recipe, chats: Callable[..., Path]) -> Recipe:
    """A recipe of a minute's training at most."""
    chats(60, "colours", name="rows.jsonl")
    return recipe.with_(
        target__resource_group="flow",
        target__hub="flow-hub",
        target__project="flow-project",
        data__train="rows.jsonl",
        hyperparameters__epochs=2,
        evaluation__questions=4,
        evaluation__max_tokens=12,
        output__model="colours",
    )


@pytest.fixture
def place(azure: Azure, wanted: Recipe) -> Workspace:
    """The project that the flow has made."""
    return projects.get(azure, wanted.target.subscription, "flow", "flow-project")


@pytest.fixture(scope="module")
def shared() -> dict[str, Course]:
    """The complete run, made by the first test of this module."""
    return {}


@pytest.fixture
def complete(course: Callable[..., Course], wanted: Recipe, shared: dict[str, Course]) -> Course:
    """A complete run of the recipe: trained, compared, deployed, asked."""
    if "run" not in shared:
        shared["run"] = course(wanted, deploy=True, evaluate=True)
    return shared["run"]


def test_the_steps_come_in_their_order_and_are_for_programs(complete: Course) -> None:
    steps = [step for step, status in complete.steps() if status == "started"]
    assert steps == [
        "run", "sign-in", "access", "data", "estimate", "project", "upload", "submit", "monitor", "evaluate", "deploy",
        "ask", "evaluate", "billable",
    ]  # fmt: skip
    assert complete.steps()[-1] == ("run", "done")
    for event in complete.events:
        assert json.dumps(event.fields)
        assert all(isinstance(line, str) for line in event.lines())


def test_the_tuned_model_is_better_and_says_by_how_much(complete: Course) -> None:
    assert complete.outcome
    assert complete.outcome.comparison
    measures = {measure.name: measure for measure in complete.outcome.comparison.measures}
    assert measures["validation perplexity"].better
    assert measures["validation perplexity"].tuned < measures["validation perplexity"].base
    answers = complete.outcome.answers
    assert answers
    assert len(answers.asked) == 4
    assert answers.comparison
    assert answers.comparison.questions == 4
    assert any("held-out questions" in line for line in answers.lines())


def test_training_was_watched(complete: Course) -> None:
    assert complete.outcome
    snapshot = complete.outcome.snapshot
    assert snapshot
    assert snapshot.job.status == "Completed"
    assert snapshot.metrics["train_loss"].points
    assert snapshot.metrics["eval_loss"].points[0].step == 0
    assert snapshot.progress
    assert snapshot.progress[0] == snapshot.progress[1]
    assert snapshot.log_size > 0
    assert [event.text for event in snapshot.events][-1] == "Completed"
    told = [event for event in complete.events if (event.step, event.status) == ("monitor", "progress")]
    assert any("training loss" in line for event in told for line in event.lines())
    assert sum("learning_rate asked 2e-05, used" in line for event in told for line in event.lines()) == 1


def test_nothing_was_bought_unasked_or_left_open(complete: Course, settings: Settings) -> None:
    (estimate,) = complete.approved
    assert estimate.total_low > 0
    assert Journal(settings.journal).open() == []


def test_the_endpoint_is_listed_with_content_safety_and_price(complete: Course, azure: Azure, place: Workspace) -> None:
    (endpoint,) = deployments.listing(azure, place)  # the base model's has been removed
    assert (endpoint.state, endpoint.content_safety, endpoint.model_name) == ("Online", True, "colours")
    assert complete.outcome
    assert complete.outcome.endpoint
    assert complete.outcome.endpoint.name == endpoint.name
    (item,) = complete.done("billable")[0]["items"]
    assert (item["kind"], item["name"], item["hourly"]) == ("endpoint", "colours", 0.8)


def test_the_endpoint_answers_streamed_and_whole(complete: Course, azure: Azure, place: Workspace) -> None:
    endpoint = deployments.get(azure, place, "colours")
    key = deployments.keys(azure, place, "colours").primary
    messages: list[chat.Message] = [{"role": "user", "content": "What is number 3 of colours?"}]
    pieces = list(chat.stream(endpoint.uri, key, messages, max_tokens=8))
    whole = chat.complete(endpoint.uri, key, messages, max_tokens=8)
    assert "".join(piece.text for piece in pieces) == whole.text
    assert whole.usage
    assert 0 < whole.usage.completion <= 8
    assert pieces[-1].usage == whole.usage
    assert whole.finish in ("stop", "length")
    assert 0 < whole.time_to_first_token <= whole.seconds
    assert complete.outcome
    assert complete.outcome.answer


def test_a_busy_endpoint_is_asked_again(complete: Course, azure: Azure, place: Workspace, upset: Upset) -> None:
    endpoint = deployments.get(azure, place, "colours")
    key = deployments.keys(azure, place, "colours").primary
    upset("POST colours.eastus2.models.ai.azure.com/*", "429", count=2, seconds=0)
    assert chat.complete(endpoint.uri, key, [{"role": "user", "content": "Hi"}], max_tokens=1)
    upset("POST colours.eastus2.models.ai.azure.com/*", "429", count=2, seconds=300)
    with pytest.raises(Throttled):
        chat.complete(endpoint.uri, key, [{"role": "user", "content": "Hi"}], max_tokens=1)


def test_content_safety_refuses_and_is_counted(
    complete: Course, azure: Azure, place: Workspace, tmp_path: Path
) -> None:
    endpoint = deployments.get(azure, place, "colours")
    key = deployments.keys(azure, place, "colours").primary
    refused = "They are vermin, an inferior race. Exterminate all of them."
    with pytest.raises(ServiceError) as raised:
        chat.complete(endpoint.uri, key, [{"role": "user", "content": refused}], max_tokens=1)
    assert raised.value.code == "content_filter"
    assert "Content Safety" in raised.value.meaning
    rows = tmp_path / "refused.jsonl"
    turns = [{"role": "user", "content": refused}, {"role": "assistant", "content": "No."}]
    rows.write_text(json.dumps({"messages": turns}) + "\n")
    found = evaluations.compare_endpoints(azure, place, None, endpoint, rows, max_tokens=1)
    assert (found.refused, found.exact) == (1, 0.0)


def test_a_stream_can_be_stopped(complete: Course, azure: Azure, place: Workspace) -> None:
    endpoint = deployments.get(azure, place, "colours")
    key = deployments.keys(azure, place, "colours").primary
    cancel = Cancel()
    pieces = chat.stream(endpoint.uri, key, [{"role": "user", "content": "Count"}], max_tokens=64, cancel=cancel)
    assert next(pieces)
    cancel.set()
    with pytest.raises(Cancelled):
        list(pieces)


def test_what_was_spent_is_known_after_reopening_and_unknown_where_another_journal_has_it(
    complete: Course, azure: Azure, place: Workspace
) -> None:
    assert complete.settings
    assert complete.outcome
    assert complete.outcome.job
    job = complete.outcome.job.name
    reopened = identity.connect(complete.settings)
    found = {one.name: one for one in spending.so_far(reopened, place).items}
    assert found[job].low == pytest.approx(complete.approved[0].total_low)
    assert found[job].basis == "tokens × epochs × price at the submission"
    assert found["colours"].basis == "hosting since it was made"
    elsewhere = spending.so_far(azure, place)
    assert job in elsewhere.unknown
    assert "not known and not in it" in elsewhere.line()
    assert any(line.startswith(f"{job}: unknown") for line in elsewhere.lines())
    assert complete.done("billable")[0]["spent"]["unknown"] == []


def test_keys_open_the_endpoint_until_they_are_replaced(complete: Course, azure: Azure, place: Workspace) -> None:
    endpoint = deployments.get(azure, place, "colours")
    old = deployments.keys(azure, place, "colours")
    new = deployments.regenerate(azure, place, "colours", "primary")
    assert (new.primary, new.secondary) != (old.primary, old.secondary)
    assert new.secondary == old.secondary
    with pytest.raises(SignInRequired) as raised:
        chat.complete(endpoint.uri, old.primary, [{"role": "user", "content": "Hi"}], max_tokens=1)
    assert old.primary.get_secret_value() not in "".join([*raised.value.lines(), raised.value.raw])
    assert chat.complete(endpoint.uri, new.primary, [{"role": "user", "content": "Hi"}], max_tokens=1)


def test_an_endpoint_that_is_not_ready_is_waited_for(
    complete: Course, azure: Azure, place: Workspace, journal: Journal, upset: Upset
) -> None:
    upset("POST colours.eastus2.models.ai.azure.com/*", "not-ready", count=2)
    assert deployments.wait_ready(azure, place, "colours").ready


def test_a_base_models_endpoint_that_stood_already_is_asked_and_left_standing(
    complete: Course, azure: Azure, place: Workspace, wanted: Recipe, journal: Journal, tmp_path: Path
) -> None:
    model = catalog.require(azure, wanted)
    name = deployments.base_name(model)
    tuned = deployments.get(azure, place, "colours")

    def compare(base: catalog.Model | deployments.Endpoint = model) -> list[str]:
        made = comparisons.make(
            azure, place, tuned, base, tmp_path / "rows.jsonl", wanted.evaluation, job="", validation=None,
            journal=journal, cancel=Cancel(),
        )  # fmt: skip
        assert made.found.comparison
        return [one.name for one in deployments.listing(azure, place)]

    assert name not in compare()  # one that the run itself made goes
    assert deployments.deploy_base(azure, place, model, journal=journal)
    assert name in compare()
    (item,) = (one for one in cleanup.inventory(azure, place) if one.name == name)
    assert not item.billable
    assert "by the token" in item.line()
    deployments.delete(azure, place, name)
    for found_again in (False, True):  # by its name, or in the list of a page: one that a killed program left goes
        left = deployments.deploy_base(azure, place, model, of_comparison=True, journal=journal)
        assert left
        (item,) = (one for one in cleanup.inventory(azure, place) if one.name == name)
        assert "made for a comparison" in item.line()
        assert name not in compare(left if found_again else model)


def test_a_name_that_is_taken_is_refused(complete: Course, azure: Azure, place: Workspace, journal: Journal) -> None:
    other = "azureml://registries/azureml/models/Phi-4-mini-instruct"
    with pytest.raises(Conflict, match="colours"):
        deployments.deploy(azure, place, other, "colours", journal=journal)


def test_a_model_of_ones_own_compute_is_served_on_a_machine(
    complete: Course, azure: Azure, place: Workspace, journal: Journal, capfd: pytest.CaptureFixture[str]
) -> None:
    assert complete.outcome
    assert complete.outcome.job
    job = replace(complete.outcome.job, engine="managed")
    with pytest.raises(UsageError):
        deployments.deploy(azure, place, job, "machine", journal=journal)
    endpoint = deployments.deploy(
        azure, place, job, "machine", instance_type="Standard_NC24ads_A100_v4", journal=journal
    )
    assert (endpoint.kind, endpoint.model_name, endpoint.instance_type) == (
        "online",
        "colours",
        "Standard_NC24ads_A100_v4",
    )
    key = deployments.keys(azure, place, "machine").primary
    assert chat.complete(endpoint.uri, key, [{"role": "user", "content": "Hi"}], max_tokens=2).usage
    spent = {one.name: one for one in spending.so_far(azure, place).items}
    assert spent["machine"].low is None  # the list has no price for the machine
    deployments.delete(azure, place, "machine")
    deployments.delete(azure, place, "machine")
    spent = {one.name: one for one in spending.so_far(azure, place).items}
    assert spent["machine"].low is None
    assert "machine" not in [one.name for one in deployments.listing(azure, place)]
    assert capfd.readouterr() == ("", "")


def test_running_the_recipe_again_sends_no_row_twice(
    complete: Course, course: Callable[..., Course], wanted: Recipe
) -> None:
    cancel = Cancel()
    seen = Course()

    def stop(event: Event) -> None:
        if (event.step, event.status) == ("upload", "done"):
            cancel.set()

    with pytest.raises(Cancelled):
        course(wanted, cancel=cancel, on_event=stop, into=seen)
    assert [asset["reused"] for asset in seen.done("upload")[0]["assets"]] == [True, True]
    assert complete.outcome


def test_an_interrupted_run_goes_on_with_its_job(
    complete: Course, course: Callable[..., Course], wanted: Recipe, azure: Azure, place: Workspace
) -> None:
    """Ctrl+c while it trains, then the same recipe again: the first job is followed, and none is bought."""
    recipe = wanted.with_(hyperparameters__seed=7, output__model="second")
    cancel = Cancel()
    before = {job.name for job in jobs.listing(azure, place)}

    def stop(event: Event) -> None:
        if (event.step, event.status) == ("monitor", "progress"):
            cancel.set()

    with pytest.raises(Cancelled) as raised:
        course(recipe, cancel=cancel, on_event=stop)
    assert "goes on in Azure" in raised.value.meaning
    again = course(recipe)
    assert again.outcome
    assert again.outcome.job
    bought = {job.name for job in jobs.listing(azure, place)} - before
    assert bought == {again.outcome.job.name}
    assert [model.version for model in models.listing(azure, place, "second")] == ["1"]


def failing(course: Callable[..., Course], recipe: Recipe, **choices: Any) -> tuple[PhiftError, Course]:
    seen = Course()
    with pytest.raises(PhiftError) as raised:
        course(recipe, into=seen, **choices)
    assert seen.steps()[-1] == ("run", "failed")
    assert seen.events[-1].fields["exit_code"] == raised.value.exit_code
    return raised.value, seen


@pytest.mark.parametrize(
    ("changes", "error", "step", "exit_code"),
    [
        ({"data__train": "absent.jsonl"}, UsageError, "data", 2),
        ({"data__train": "broken.jsonl"}, DataRefused, "data", 3),
        ({"model__name": "Phi-3-mini-4k-instruct"}, ModelUnavailable, "access", 5),
        ({"target__location": "westeurope"}, ModelUnavailable, "access", 5),
        ({"budget__limit": 0.000001}, BudgetExceeded, "estimate", 8),
        ({"evaluation__file": "broken.jsonl", "validation__mode": "none"}, Cancelled, "estimate", 7),
    ],
)
def test_what_would_doom_the_run_stops_it_before_anything_is_made(
    course: Callable[..., Course], wanted: Recipe, azure: Azure, tmp_path: Path, own_target: Any,
    changes: dict[str, Any], error: type[PhiftError], step: str, exit_code: int,
) -> None:  # fmt: skip
    (tmp_path / "broken.jsonl").write_text('{"messages": [}\n')
    recipe = wanted.with_(target=own_target.model_dump()).with_(**changes)
    raised, seen = failing(course, recipe, approve=error is not Cancelled)
    assert type(raised) is error
    assert raised.exit_code == exit_code
    assert (step, "failed") in seen.steps()
    with pytest.raises(NotFound):
        projects.get(azure, own_target.subscription, own_target.resource_group, own_target.hub)


def test_metrics_come_by_mlflow_where_the_metric_service_has_none(
    complete: Course, azure: Azure, place: Workspace, upset: Upset
) -> None:
    assert complete.outcome
    assert complete.outcome.job
    assert complete.outcome.snapshot
    upset("*/metric/v2.0/*", "404")
    snapshot = runs.Watch(azure, place, complete.outcome.job.name).poll()
    usual = complete.outcome.snapshot.metrics["train_loss"].points
    assert [(point.step, point.value) for point in snapshot.metrics["train_loss"].points] == [
        (point.step, point.value) for point in usual
    ]


def test_a_log_is_read_piece_by_piece(complete: Course, azure: Azure, place: Workspace, monkeypatch: Any) -> None:
    assert complete.outcome
    assert complete.outcome.job
    monkeypatch.setattr(runs, "_LOG_PIECE", 300)
    monkeypatch.setattr(runs, "_FIRST_LOG_BYTES", 300)
    watch = runs.Watch(azure, place, complete.outcome.job.name)
    first = watch.poll()
    assert 0 < len(first.log_tail) <= 300
    assert first.log_tail.endswith("\n")
    whole = runs.Watch(azure, place, complete.outcome.job.name)
    monkeypatch.setattr(runs, "_FIRST_LOG_BYTES", 10**6)
    text = whole.poll().log_tail
    assert text.endswith(first.log_tail)
    assert whole.poll().log_tail == ""


def test_run_history_may_be_away(complete: Course, azure: Azure, place: Workspace, upset: Upset) -> None:
    assert complete.outcome
    assert complete.outcome.job
    upset("*.api.azureml.ms/*", "404")
    snapshot = runs.Watch(azure, place, complete.outcome.job.name).poll()
    assert snapshot.job.status == "Completed"
    assert snapshot.metrics == {}


def test_comparison_without_a_base_scores_one_endpoint(
    complete: Course, azure: Azure, place: Workspace, chats: Callable[..., Path]
) -> None:
    endpoint = deployments.get(azure, place, "colours")
    rows = chats(5, "colours", name="asked.jsonl")
    found = evaluations.compare_endpoints(azure, place, None, endpoint, rows, questions=3, max_tokens=12)
    assert (len(found.asked), found.comparison) == (3, None)
    assert 0 <= found.exact <= found.f1 <= 1
    empty = rows.with_name("empty.jsonl")
    empty.write_text('{"messages": [{"role": "user", "content": "no answer"}]}\n')
    with pytest.raises(UsageError):
        evaluations.compare_endpoints(azure, place, None, endpoint, empty)


def test_the_runs_comparison_is_written_for_its_job_and_found_again(complete: Course) -> None:
    assert complete.settings
    assert complete.outcome
    assert complete.outcome.job
    found = comparisons.latest(complete.settings, complete.outcome.job.name)
    assert found
    assert found.found == complete.outcome.answers
    assert found.file.stat().st_mode & 0o777 == 0o600
    assert comparisons.latest(complete.settings, f"{complete.outcome.job.name}-2") is None


def test_a_comparison_that_broke_off_asks_for_the_rest_only(
    complete: Course, azure: Azure, place: Workspace, chats: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = deployments.get(azure, place, "colours")
    rows = chats(9, "colours", name="asked.jsonl")
    asked: list[str] = []
    limit = [4]
    lock = threading.Lock()
    send = chat.complete

    def counted(uri: str, key: Any, messages: Any, **options: Any) -> Any:
        with lock:
            if len(asked) == limit[0]:
                raise ServiceError("The model answered with an error.")
            asked.append(messages[-1]["content"])
        return send(uri, key, messages, **options)

    def compare(**options: Any) -> evaluations.AnswerComparison:
        return evaluations.compare_endpoints(azure, place, None, endpoint, rows, max_tokens=8, **options)

    monkeypatch.setattr(chat, "complete", counted)
    with pytest.raises(ServiceError):
        compare()
    (kept,) = evaluations.folder(azure.settings).glob("unfinished-*.jsonl")
    with kept.open("a") as file:
        file.write('\n[0, 8, "bro')  # killed as it wrote
    assert kept.stat().st_mode & 0o777 == 0o600
    first = set(asked)
    asked.clear()
    limit[0] = -1
    counts: list[int] = []
    resumed = compare(report=lambda progress: counts.append(progress.done))
    assert not first & set(asked)
    assert (len(first), len(asked), counts) == (4, 5, [5, 6, 7, 8, 9])
    assert not kept.exists()
    asked.clear()
    assert compare() == resumed
    assert len(asked) == 9, "a whole one is made anew"


@pytest.fixture
def everything(complete: Course, azure: Azure, place: Workspace) -> list[cleanup.Item]:
    """What exists; the last tests of this module remove it."""
    assert complete.outcome
    return cleanup.inventory(azure, place)


def test_the_inventory_names_what_is_billed_and_what_is_in_the_way(everything: list[cleanup.Item]) -> None:
    assert everything[0].kind == "endpoint"
    assert [item.billable for item in everything if item.kind != "endpoint"].count(True) == 0
    kinds = {item.kind for item in everything}
    assert kinds == {"endpoint", "model", "job", "data", "project", "hub", "storage", "vault"}
    served = next(item for item in everything if item.name == "colours:1" and item.kind == "model")
    assert "served by colours" in served.reason_kept
    assert all(item.line() and json.dumps(item.to_json()) for item in everything)


def test_a_served_model_is_not_deleted(complete: Course, azure: Azure, place: Workspace) -> None:
    with pytest.raises(Conflict, match="served by colours"):
        models.delete(azure, place, "colours", "1")
    with pytest.raises(NotFound):
        models.select(azure, place, "colours", "99")


def test_everything_goes_in_azures_order(
    complete: Course, everything: list[cleanup.Item], azure: Azure, place: Workspace, upset: Upset
) -> None:
    by_kind = {item.kind: item for item in everything}
    (kept,) = cleanup.remove(azure, [item for item in everything if item.kind == "hub"])
    assert kept.error  # a hub with a project stays, and so does what it stands on
    refused = cleanup.remove(azure, [by_kind["hub"], by_kind["storage"]])
    assert [outcome.removed for outcome in refused] == [False, False]
    before = Journal(complete.settings.journal).of(place.id) if complete.settings else []
    upset("DELETE */models/*", "403")  # a refusal in the middle: what is refused goes with its project
    outcomes = cleanup.remove(identity.connect(complete.settings or azure.settings), list(reversed(everything)))
    assert [outcome.line() for outcome in outcomes if not outcome.removed] == []
    order = [outcome.item.kind for outcome in outcomes]
    assert order == sorted(order, key=list(cleanup.KINDS).index)
    for gone in (place.id, by_kind["storage"].id, by_kind["vault"].id):
        with pytest.raises(NotFound):
            azure.rest("GET", gone, api_version=projects.STORAGE_API if "storage" in gone.casefold() else projects.API)
    after = Journal(complete.settings.journal).of(place.id) if complete.settings else []
    served = [entry for entry in after if entry.kind == "endpoint" and entry.name == "colours"]
    assert served[-1].detail["removed"]
    assert len(after) == len(before)
