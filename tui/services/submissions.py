"""Submitting a fine-tuning job by one of the three engines, never twice under one name."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.recipe import Recipe
from tui.services import choices, jobs, machines, uploads
from tui.services.errors import Conflict, NotFound, Throttled, Unreachable, UsageError
from tui.services.jobs import Job
from tui.services.journal import ABSENT, FAILED, FOUND, Journal
from tui.services.progress import Cancel

if TYPE_CHECKING:
    from tui.services.catalog import Model
    from tui.services.clients import Azure
    from tui.services.projects import Workspace
    from tui.services.uploads import DataAsset

ENVIRONMENT = "azureml://registries/azureml/environments/acft-hf-nlp-gpu/labels/latest"
"""Microsoft's fine-tuning image for Hugging Face models; the trainer's own requirements are added to it."""
_TOOL = "phift-tui"
_TRAINER_CODE = "phift-trainer"
_CODE_API = _COMPUTE_API = "2024-10-01"


# What of a job's body is a choice, and not what came of it.
_CHOICES = (
    "jobType", "experimentName", "description", "tags", "fineTuningDetails", "resources", "queueSettings", "computeId",
    "command", "codeId", "environmentId", "environmentVariables", "inputs", "distribution", "limits",
)  # fmt: skip


@dataclass(frozen=True)
class Submission:
    """A run of a recipe, ready to be submitted."""

    workspace: Workspace
    """The project."""
    recipe: Recipe
    model: Model
    """The catalogue's entry of the recipe's model."""
    training: DataAsset
    validation: DataAsset | None
    name: str
    """Of the job: from `new_name`; after a lost answer, the same again."""
    rows: int | None = None
    """Training rows, from which progress is reckoned; None: not known."""


def new_name(recipe: Recipe) -> str:
    """A job name that nobody has used: output model, suffix, and ten random characters."""
    base = "-".join(part for part in (recipe.output.model, recipe.output.suffix) if part)
    cleaned = "".join(character if character.isalnum() or character in "-_" else "-" for character in base)
    return f"{cleaned[:80].strip('-_') or _TOOL}-{secrets.token_hex(5)}"


def expected_steps(recipe: Recipe, rows: int, size: str = "") -> int:
    """Optimizer steps of a run over `rows` training rows.

    Args:
        recipe: the choices.
        rows: training rows.
        size: the machine size of a `script` run; empty: the recipe's.
    """
    batch = recipe.hyperparameters.batch_size_multiplier
    if recipe.model.engine == "script":
        batch *= recipe.hyperparameters.gradient_accumulation
        batch *= machines.processes(size or recipe.model.instance_type) * recipe.model.instance_count
    return math.ceil(rows / batch) * recipe.hyperparameters.epochs


def required_size(recipe: Recipe, model: Model) -> str:
    """The GPU size of a run of `managed` or `script` on serverless compute.

    Raises:
        UsageError: neither the recipe nor the catalogue names one.
    """
    size = machines.chosen(recipe, model)
    if not size:
        raise UsageError(
            t("The catalogue names no GPU size for {model}.", model=model.name),
            next_step=t("Choose an instance type in the recipe."),
        )
    return size


def submit(
    azure: Azure, wanted: Submission, *, journal: Journal, cost: dict[str, Any] | None = None,
    cancel: Cancel | None = None,
) -> Job:  # fmt: skip
    """Submit a run; a job of its name that exists is returned instead of buying a second one.

    Args:
        azure: the connection.
        wanted: the run.
        journal: where the intent and the outcome are noted.
        cost: from `costs.to_remember`, kept in the journal.
        cancel: stops before the submission, not after it.

    Raises:
        ModelUnavailable: Azure does not tune this model here.
        PhiftError: Azure refused; or no answer came, and Azure does not have the job.
    """
    workspace, recipe, name = wanted.workspace, wanted.recipe, wanted.name
    found = _existing(azure, workspace, name)
    if found:
        return found
    (cancel or Cancel()).check()
    tags = {"phift.engine": recipe.model.engine, "phift.model": wanted.model.name}
    size = _size(azure, wanted) if recipe.model.engine == "script" else ""
    if wanted.rows:
        tags["phift.steps"] = str(expected_steps(recipe, wanted.rows, size))
    client = azure.ml(workspace)
    job = _script_job(azure, wanted, size, tags) if recipe.model.engine == "script" else _job(wanted, tags)

    def send() -> None:
        with azure.sdk():
            client.jobs.create_or_update(job)

    detail = {"model": wanted.model.name, "cost": cost or {}, "recipe": recipe.to_toml()}
    return _sent_once(azure, workspace, name, send, journal, detail)


def _sent_once(
    azure: Azure, workspace: Workspace, name: str, send: Callable[[], None], journal: Journal, detail: dict[str, Any]
) -> Job:
    try:
        with journal.intent("job", name, workspace.id, jobs.path(workspace, name), jobs.API, **detail) as learnt:
            send()
            learnt["submitted"] = True
    except (Unreachable, Throttled, Conflict):
        # The answer was lost, or somebody was first: what counts is whether Azure has the job.
        found = _existing(azure, workspace, name)
        if found is None:
            raise
        entry = journal.find("job", name, workspace.id)
        if entry and entry.outcome is None:
            journal.finish(entry.id, FOUND, {"status": found.status})
        return found
    return jobs.get(azure, workspace, name)


def _existing(azure: Azure, workspace: Workspace, name: str) -> Job | None:
    try:
        return jobs.get(azure, workspace, name)
    except NotFound:
        return None


def resume(azure: Azure, workspace: Workspace, name: str, *, journal: Journal) -> Job:
    """Submit an ended job's choices again, under a new name; the data is not sent again.

    Azure has no call that goes on with a fine-tuning job: the base model is tuned anew, and the new job is billed as a
    run of its own. Repeated while that one has not ended, or after a lost answer, it is found instead.

    Raises:
        UsageError: the job has not ended.
        PhiftError: Azure refused; or no answer came, and Azure does not have the new job.
    """
    body = azure.rest("GET", jobs.path(workspace, name), api_version=jobs.API)
    job = jobs.of_body(body)
    if not job.terminal:
        raise UsageError(
            t("{name} is {status}; it can be submitted again when it has ended.", name=name, status=job.status)
        )
    again = ""
    for entry in journal.of(workspace.id):
        if entry.detail.get("again") != name or entry.outcome == FAILED:
            continue
        found = _existing(azure, workspace, entry.name)
        if found and not found.terminal:
            return found
        if entry.outcome is None:
            again = "" if found else entry.name
            journal.finish(entry.id, FOUND if found else ABSENT)
    again = again or f"{re.sub(r'-[0-9a-f]{10}$', '', name)}-{secrets.token_hex(5)}"
    given = body["properties"]
    properties = {key: given[key] for key in _CHOICES if given.get(key) is not None}
    properties["outputs"] = {
        key: {part: value[part] for part in ("jobOutputType", "assetName", "mode") if value.get(part)}
        for key, value in (given.get("outputs") or {}).items()
    }
    properties["displayName"] = again

    def send() -> None:
        azure.rest("PUT", jobs.path(workspace, again), api_version=jobs.API, body={"properties": properties})

    before = journal.find("job", name, workspace.id)
    detail = {"model": job.model, "again": name}
    if before:
        detail |= {key: before.detail[key] for key in ("cost", "recipe") if key in before.detail}
    return _sent_once(azure, workspace, again, send, journal, detail)


def _job(wanted: Submission, tags: dict[str, str]) -> Any:
    """The job of the engines `serverless` and `managed`, for the SDK."""
    from azure.ai.ml import Input, Output
    from azure.ai.ml.entities import CustomModelFineTuningJob, QueueSettings
    from azure.ai.ml.entities._job.job_resources import JobResources

    recipe, validation = wanted.recipe, wanted.validation
    managed: dict[str, Any] = {}
    if recipe.model.engine == "managed":
        if recipe.model.compute:
            managed["compute"] = f"{wanted.workspace.id}/computes/{recipe.model.compute}"
        else:
            managed["resources"] = JobResources(instance_types=[required_size(wanted.recipe, wanted.model)])
            managed["queue_settings"] = QueueSettings(job_tier="Standard")
    return CustomModelFineTuningJob(
        name=wanted.name,
        display_name=wanted.name,
        experiment_name=recipe.output.experiment or _TOOL,
        task="chatCompletion",
        model=Input(type="mlflow_model", path=wanted.model.asset_id),
        training_data=Input(type="uri_file", path=wanted.training.id),
        validation_data=Input(type="uri_file", path=validation.id) if validation else None,
        hyperparameters=choices.hyperparameters(recipe.hyperparameters),
        outputs={"registered_model": Output(type="mlflow_model", name=recipe.output.model)},
        tags=tags,
        **managed,
    )


def _script_job(azure: Azure, wanted: Submission, size: str, tags: dict[str, str]) -> Any:
    """The job of the engine `script`, for the SDK; its code is in the project after this."""
    from azure.ai.ml import Input, Output, PyTorchDistribution, command
    from azure.ai.ml.entities import JobResourceConfiguration

    recipe = wanted.recipe
    inputs: dict[str, Any] = {
        "train": Input(type="uri_file", path=wanted.training.id),
        "model": Input(type="custom_model", path=recipe.model.weights or wanted.model.asset_id),
    }
    if wanted.validation:
        inputs["validation"] = Input(type="uri_file", path=wanted.validation.id)
    job = command(
        name=wanted.name,
        display_name=wanted.name,
        experiment_name=recipe.output.experiment or _TOOL,
        command=choices.command(recipe, validation=wanted.validation is not None),
        code=_trainer_code(azure, wanted.workspace),
        environment=ENVIRONMENT,
        inputs=inputs,
        outputs={"registered_model": Output(type="custom_model", name=recipe.output.model)},
        compute=recipe.model.compute or None,
        distribution=PyTorchDistribution(process_count_per_instance=machines.processes(size)),
        instance_count=recipe.model.instance_count,
        tags=tags,
    )
    if not recipe.model.compute:
        job.resources = JobResourceConfiguration(instance_type=size, instance_count=recipe.model.instance_count)
    return job


def _size(azure: Azure, wanted: Submission) -> str:
    """The GPU size that a `script` run gets: its cluster's, as Azure has it, or that of serverless compute."""
    compute = wanted.recipe.model.compute
    if not compute:
        return required_size(wanted.recipe, wanted.model)
    try:
        cluster = azure.rest("GET", f"{wanted.workspace.id}/computes/{compute}", api_version=_COMPUTE_API)
    except NotFound:
        return wanted.recipe.model.instance_type  # the submission says that there is no such cluster
    return str((cluster["properties"].get("properties") or {}).get("vmSize") or wanted.recipe.model.instance_type)


def _trainer_code(azure: Azure, workspace: Workspace) -> str:
    """Send the trainer's sources to the datastore and register them; the same sources only once.

    Returns:
        Resource id of the code asset. The SDK's own upload of code writes to standard error, so it is not used.
    """
    import tui.trainer

    folder = Path(tui.trainer.__file__).parent
    files = {
        f"trainer/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".py", ".txt", ".json", ".yaml") and path.relative_to(folder).parts[0] != "models"
    }
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    version = digest.hexdigest()[:16]
    path = f"{workspace.id}/codes/{_TRAINER_CODE}/versions/{version}"
    try:
        azure.rest("GET", path, api_version=_CODE_API)
    except NotFound:
        address = uploads.send_folder(azure, workspace, f"phift/code/{version}", files)
        body = {"properties": {"codeUri": address, "isAnonymous": False, "description": "The trainer of phift-tui"}}
        azure.rest("PUT", path, api_version=_CODE_API, body=body)
    return path
