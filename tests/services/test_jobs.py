"""Jobs of the three engines: what goes over the wire, never twice, and what can be done with them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tui.recipe import Hyperparameters, Recipe, RecipeError
from tui.sandbox.daemon import SandboxInfo
from tui.services import catalog, choices, jobs, submissions, uploads
from tui.services.catalog import Model
from tui.services.clients import Azure
from tui.services.errors import ModelUnavailable, NotFound, Unreachable, UsageError
from tui.services.jobs import Job
from tui.services.journal import Journal
from tui.services.projects import Workspace
from tui.services.submissions import Submission
from tui.services.uploads import DataAsset

Upset = Callable[..., None]
Submit = Callable[..., Job]

pytestmark = pytest.mark.xdist_group("training")


@pytest.fixture
def model(azure: Azure, recipe: Recipe) -> Model:
    """The recipe's model."""
    return catalog.require(azure, recipe)


@pytest.fixture
def data(azure: Azure, project: Workspace, journal: Journal, chats: Callable[..., Path]) -> tuple[DataAsset, DataAsset]:
    """Training and validation rows in the project."""
    train = uploads.upload(azure, project, chats(12, "jobs"), "jobs", journal=journal)
    validation = uploads.upload(azure, project, chats(4, "held out"), "jobs-validation", journal=journal)
    return train, validation


@pytest.fixture
def submit(
    azure: Azure, project: Workspace, recipe: Recipe, model: Model, data: tuple[DataAsset, DataAsset], journal: Journal
) -> Iterator[Submit]:
    """Submits the recipe with changes; afterwards its jobs are cancelled."""
    names = []

    def go(name: str = "", **changes: Any) -> Job:
        wanted = recipe.with_(**changes) if changes else recipe
        names.append(name or submissions.new_name(wanted))
        return submissions.submit(azure, Submission(project, wanted, model, *data, names[-1], rows=12), journal=journal)

    yield go
    for name in names:
        if not jobs.get(azure, project, name).terminal:
            jobs.cancel(azure, project, name)


def body_of(azure: Azure, project: Workspace, job: Job) -> dict[str, Any]:
    found: dict[str, Any] = azure.rest("GET", f"{project.id}/jobs/{job.name}", api_version=jobs.API)["properties"]
    return found


def test_a_serverless_job_has_microsofts_keys_and_nothing_of_this_machine(
    azure: Azure, project: Workspace, model: Model, data: tuple[DataAsset, DataAsset], submit: Submit, journal: Journal
) -> None:
    # The test runs inside a git repository, whose address and commit the SDK would send along.
    assert subprocess.run(["git", "rev-parse"], check=False, cwd=Path.cwd()).returncode == 0
    job = submit(hyperparameters__learning_rate=0.00002, hyperparameters__epochs=1)
    assert (job.engine, job.model, job.output_model, job.experiment) == ("serverless", model.name, "tuned", "phift")
    assert job.steps == 12
    body = body_of(azure, project, job)
    details = body["fineTuningDetails"]
    assert details["hyperParameters"] == {
        "per_device_train_batch_size": "1",
        "learning_rate": "0.00002",
        "num_train_epochs": "1",
    }
    assert details["model"]["uri"] == model.asset_id
    assert (details["trainingData"]["uri"], details["validationData"]["uri"]) == (data[0].id, data[1].id)
    assert body.get("resources") is None
    assert not [key for key in body["properties"] if "git" in key]
    assert str(Path.cwd()) not in str(body)
    entry = journal.find("job", job.name, project.id)
    assert entry is not None
    assert entry.outcome == "done"


def test_without_validation_rows_none_are_named(
    azure: Azure, project: Workspace, recipe: Recipe, model: Model, data: tuple[DataAsset, DataAsset], journal: Journal
) -> None:
    name = submissions.new_name(recipe)
    job = submissions.submit(azure, Submission(project, recipe, model, data[0], None, name), journal=journal)
    assert body_of(azure, project, job)["fineTuningDetails"].get("validationData") is None
    jobs.cancel(azure, project, job.name)


def test_a_managed_job_names_its_machine(azure: Azure, project: Workspace, submit: Submit) -> None:
    job = submit(model__engine="managed", model__instance_type="Standard_NC24ads_A100_v4")
    assert job.engine == "managed"
    assert body_of(azure, project, job)["resources"]["instanceTypes"] == ["Standard_NC24ads_A100_v4"]


def test_a_script_job_is_the_own_trainer(azure: Azure, project: Workspace, submit: Submit) -> None:
    job = submit(
        model__engine="script",
        model__instance_type="Standard_NC48ads_A100_v4",
        model__instance_count=2,
        hyperparameters__method="full",
    )
    assert (job.engine, job.steps) == ("script", 9)  # 4 GPUs, one row each
    body = body_of(azure, project, job)
    assert "python -m trainer train --model ${{inputs.model}} --train-file ${{inputs.train}}" in body["command"]
    assert "--method full" in body["command"]
    assert "--gradient-accumulation-steps 1" in body["command"]
    assert body["distribution"]["distributionType"].lower() == "pytorch"
    assert body["distribution"]["processCountPerInstance"] == 2
    assert body["resources"]["instanceCount"] == 2
    code = azure.rest("GET", body["codeId"], api_version="2024-10-01")["properties"]["codeUri"]
    assert code.startswith("https://")
    again = submit(model__engine="script", model__instance_type="Standard_NC24ads_A100_v4")
    assert body_of(azure, project, again)["codeId"] == body["codeId"]


@pytest.mark.parametrize(
    "chosen",
    [Hyperparameters(), Hyperparameters(method="full", loss="label-smoothing", optimizer="sgd", learning_rate=5e-6)],
)
def test_the_trainer_takes_every_option_that_is_sent_and_all_are_read_again(chosen: Hyperparameters) -> None:
    from tui.trainer.config import TrainingConfig

    command = choices.command(Recipe(hyperparameters=chosen), validation=True)
    words = command.partition(" train ")[2].split()
    options = {name[2:].replace("-", "_"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    typed = {
        name: float(value) if re.fullmatch(r"0\.\d+", value) else int(value) if value.isdigit() else value
        for name, value in options.items()
    }
    assert TrainingConfig(**(typed | {"model": "tiny", "train_file": "/t", "output_dir": "/o"})).batch_size == 1
    assert Recipe().with_(**choices.told({"command": command})).hyperparameters == chosen


def test_the_same_name_is_never_bought_twice(submit: Submit, journal: Journal) -> None:
    first = submit()
    assert submit(first.name).created == first.created
    assert len([entry for entry in journal.recent() if entry.kind == "job"]) == 1


def test_a_lost_answer_finds_the_job(
    azure: Azure, project: Workspace, submit: Submit, journal: Journal, upset: Upset
) -> None:
    upset("PUT management.azure.com/*/jobs/*", "reset-after", count=1)
    job = submit()
    assert job.status
    assert [found.name for found in jobs.listing(azure, project)].count(job.name) == 1
    assert journal.open() == []


def test_an_unsent_job_stays_an_open_intent_until_azure_says(
    azure: Azure,
    sandbox: SandboxInfo,
    project: Workspace,
    submit: Submit,
    recipe: Recipe,
    journal: Journal,
    upset: Upset,
) -> None:
    name = submissions.new_name(recipe)
    rows = DataAsset("d", "1", f"{project.id}/data/d/versions/1", "", 0, False)
    upset("PUT management.azure.com/*/jobs/*", "reset-before", count=20)
    with pytest.raises(Unreachable):
        submissions.submit(azure, Submission(project, recipe, Model("m", "1", "a"), rows, None, name), journal=journal)
    assert [entry.name for entry in journal.open()] == [name]
    assert [entry.outcome for entry in journal.reconcile(azure)] == ["absent"]


def test_a_region_that_azure_refuses_is_explained(
    azure: Azure, project: Workspace, submit: Submit, journal: Journal, model: Model, recipe: Recipe,
    data: tuple[DataAsset, DataAsset],
) -> None:  # fmt: skip
    from dataclasses import replace

    retired = replace(model, name="Phi-3-mini-4k-instruct",
                      asset_id="azureml://registries/azureml/models/Phi-3-mini-4k-instruct/versions/15")  # fmt: skip
    name = submissions.new_name(recipe)
    with pytest.raises(ModelUnavailable):
        submissions.submit(azure, Submission(project, recipe, retired, *data, name), journal=journal)
    entry = journal.find("job", name, project.id)
    assert entry is not None
    assert entry.outcome == "failed"


def test_cancel_list_archive_and_submit_again(
    azure: Azure, project: Workspace, submit: Submit, journal: Journal
) -> None:
    job = submit(hyperparameters__epochs=40)
    with pytest.raises(UsageError, match="when it has ended"):
        submissions.resume(azure, project, job.name, journal=journal)
    assert jobs.cancel(azure, project, job.name).status in ("CancelRequested", "Canceled")
    while not (cancelled := jobs.get(azure, project, job.name)).terminal:
        pass
    assert cancelled.status == "Canceled"
    again = submissions.resume(azure, project, job.name, journal=journal)
    assert submissions.resume(azure, project, job.name, journal=journal).name == again.name
    assert again.name != job.name
    assert (again.model, again.hyperparameters, again.training_uri) == (
        job.model,
        job.hyperparameters,
        job.training_uri,
    )
    jobs.cancel(azure, project, again.name)
    listed = jobs.listing(azure, project)
    assert {job.name, again.name} <= {one.name for one in listed}
    assert listed == sorted(listed, key=lambda one: one.created.timestamp() if one.created else 0, reverse=True)
    jobs.archive(azure, project, job.name)
    assert job.name not in {one.name for one in jobs.listing(azure, project)}
    assert job.name in {one.name for one in jobs.listing(azure, project, archived=True)}
    jobs.archive(azure, project, job.name, archived=False)
    assert job.name in {one.name for one in jobs.listing(azure, project)}


def test_a_lost_answer_of_a_job_that_is_submitted_again_buys_no_second_one(
    azure: Azure, project: Workspace, submit: Submit, journal: Journal, upset: Upset
) -> None:
    job = submit()
    jobs.cancel(azure, project, job.name)
    while not jobs.get(azure, project, job.name).terminal:
        pass
    upset("PUT management.azure.com/*/jobs/*", "reset-before", count=3)  # a PUT is tried three times
    with pytest.raises(Unreachable):
        submissions.resume(azure, project, job.name, journal=journal)
    (wanted,) = (entry.name for entry in journal.open())
    upset("PUT management.azure.com/*/jobs/*", "reset-after", count=1)
    assert submissions.resume(azure, project, job.name, journal=journal).name == wanted
    assert journal.open() == []
    noted = journal.find("job", wanted, project.id)
    assert noted
    assert "[hyperparameters]" in noted.detail["recipe"]
    jobs.cancel(azure, project, wanted)


def test_an_unknown_job_is_not_found(azure: Azure, project: Workspace) -> None:
    with pytest.raises(NotFound):
        jobs.get(azure, project, "absent")


def test_names_are_new_each_time_and_of_what_azure_takes() -> None:
    recipe = Recipe().with_(output__model="a.b_c", output__suffix="x1")
    names = {submissions.new_name(recipe) for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"a-b_c-x1-[0-9a-f]{10}", name) for name in names)


@pytest.mark.parametrize(
    ("rate", "text"), [(0.00002, "0.00002"), (5e-06, "0.000005"), (0.1, "0.1"), (1.0, "1.0"), (1e-12, "0.000000000001")]
)
def test_learning_rates_go_out_as_plain_decimals(rate: float, text: str) -> None:
    assert choices.hyperparameters(Hyperparameters(learning_rate=rate))["learning_rate"] == text


KNOBS = {
    "hyperparameters__epochs": 5,
    "hyperparameters__learning_rate": 3e-6,
    "hyperparameters__batch_size_multiplier": 4,
}


@pytest.mark.parametrize(
    "changes",
    [
        KNOBS,
        {**KNOBS, "model__engine": "managed", "model__instance_type": "Standard_NC24ads_A100_v4"},
        {
            **KNOBS,
            "model__engine": "script",
            "model__instance_type": "Standard_NC24ads_A100_v4",
            "model__instance_count": 2,
            "hyperparameters__seed": 7,
            "hyperparameters__lora_rank": 8,
            "hyperparameters__loss": "label-smoothing",
            "hyperparameters__optimizer": "sgd",
            "hyperparameters__schedule": "linear",
            "hyperparameters__gradient_accumulation": 3,
        },
    ],
)
def test_all_that_a_job_tells_is_taken_for_the_next_run_and_the_rest_is_named(
    azure: Azure, project: Workspace, recipe: Recipe, model: Model, submit: Submit, changes: dict[str, Any]
) -> None:
    job = jobs.get(azure, project, submit(**changes).name)
    taken, left = choices.recipe_of(job, Recipe(name="next"))
    wanted = recipe.with_(**changes)
    assert taken.hyperparameters == wanted.hyperparameters
    assert taken.model == wanted.with_(model__version=model.version).model
    assert (taken.output, taken.data.asset, taken.name) == (wanted.output, "jobs", "next")
    training, validation = left
    assert "jobs:" in training
    assert "jobs-validation:" in validation
    assert choices.recipe_of(job, Recipe(name="next"), wanted.to_toml()) == (wanted.with_(name="next"), ())


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, {"validation__mode": "none"}),
        (
            {
                "fineTuningDetails": {
                    "model": {"uri": "azureml://registries/azureml/models/Phi-4/versions/8"},
                    "trainingData": {"uri": "azureml:chats:3"},
                    "validationData": {"uri": "azureml://datastores/workspaceblobstore/paths/rows.jsonl"},
                    "hyperParameters": {"num_train_epochs": "2.0", "warmup": "9"},
                },
                "computeId": "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w/computes/gpus",
            },
            {
                "model__version": "8",
                "data__asset": "chats",
                "model__compute": "gpus",
                "hyperparameters__epochs": 2,
            },
        ),
        (
            {
                "command": "python -m trainer train --learning-rate 0.1 --unknown 3",
                "inputs": {"model": {"uri": "azureml:own-weights:1"}, "train": {"uri": "https://elsewhere/rows"}},
                "resources": {"instanceType": "Standard_ND96asr_v4", "instanceCount": 4},
            },
            {
                "model__weights": "azureml:own-weights:1",
                "model__instance_type": "Standard_ND96asr_v4",
                "model__instance_count": 4,
                "validation__mode": "none",
                "hyperparameters__learning_rate": 0.1,
            },
        ),
    ],
)
def test_a_body_that_another_program_wrote_tells_what_it_has(body: dict[str, Any], told: dict[str, Any]) -> None:
    assert choices.told(body) == told


def test_a_value_that_the_recipe_does_not_take_is_refused_and_a_strange_key_is_named(
    azure: Azure, project: Workspace, submit: Submit
) -> None:
    job = jobs.get(azure, project, submit().name)
    odd = dataclasses.replace(job, hyperparameters={"warmup": "9"}, choices={"hyperparameters__epochs": 2})
    assert choices.recipe_of(odd, Recipe())[1][-1] == "the hyperparameter warmup = 9"
    untold = dataclasses.replace(job, training_uri="", validation_uri="", hyperparameters={})
    assert choices.recipe_of(untold, Recipe())[1] == ()
    with pytest.raises(RecipeError, match="epochs"):
        choices.recipe_of(dataclasses.replace(job, choices={"hyperparameters__epochs": 900}), Recipe())
