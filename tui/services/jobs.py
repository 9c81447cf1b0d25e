"""Fine-tuning jobs: submit by one of the three engines, read, list, cancel, resume, archive."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.recipe import Engine, Hyperparameters, Recipe
from tui.services import choices, machines, projects, uploads
from tui.services.answers import error_in
from tui.services.clients import Answer, load_sdk
from tui.services.errors import Conflict, NotFound, PhiftError, Throttled, Unreachable, UsageError
from tui.services.journal import Journal
from tui.services.progress import Cancel

if TYPE_CHECKING:
    from tui.services.catalog import Model
    from tui.services.clients import Azure
    from tui.services.projects import Workspace
    from tui.services.uploads import DataAsset

API = "2024-10-01-preview"
"""Fine-tuning jobs exist in preview versions only; the SDK sends this one."""
TERMINAL = frozenset({"Completed", "Failed", "Canceled"})
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
class Job:
    """A fine-tuning job, as Azure has it."""

    name: str
    display_name: str
    status: str
    """`NotStarted`, `Preparing`, `Queued`, `Running`, `Finalizing`, `Completed`, `Failed`, `Canceled`, …"""
    engine: Engine | None
    """None: a job of another kind."""
    model: str
    """Name of the base model."""
    experiment: str
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    output_model: str
    """Name under which the tuned model is registered."""
    output_version: str
    """Its version; empty while the job has not registered it."""
    studio_url: str
    error: PhiftError | None
    terminal: bool
    steps: int | None = None
    """Optimizer steps expected; None: not known."""
    training_uri: str = ""
    validation_uri: str = ""
    hyperparameters: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    choices: dict[str, Any] | None = None
    """What the body tells of the recipe's choices, by their names in `Recipe.with_`; None: nothing that can be read."""

    def to_json(self) -> dict[str, Any]:
        """The job for programs."""
        document = {**asdict(replace(self, error=None)), "error": self.error.to_json() if self.error else None}
        return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in document.items()}

    @property
    def succeeded(self) -> bool:
        """Whether it ended with a model."""
        return self.status == "Completed"


def new_name(recipe: Recipe) -> str:
    """A job name that nobody has used: output model, suffix, and ten random characters."""
    base = "-".join(part for part in (recipe.output.model, recipe.output.suffix) if part)
    cleaned = "".join(character if character.isalnum() or character in "-_" else "-" for character in base)
    return f"{cleaned[:80].strip('-_') or _TOOL}-{secrets.token_hex(5)}"


def hyperparameters(recipe: Hyperparameters) -> dict[str, str]:
    """The wire's hyperparameters of a fine-tuning job: Microsoft's samples' keys, all values strings, plain decimals.

    The portal's labels (batch size multiplier, learning rate, epochs) are not keys of the wire; a wrong key may be
    ignored without a word.
    """
    return {
        "per_device_train_batch_size": str(recipe.batch_size_multiplier),
        "learning_rate": f"{Decimal(repr(recipe.learning_rate)):f}",
        "num_train_epochs": str(recipe.epochs),
    }


def processes(size: str) -> int:
    """Processes of the trainer on one machine of a size: one for each GPU.

    A size that the list does not have gets one; the trainer then says in its log how many GPUs it leaves unused.
    """
    known = machines.size(size)
    return known.gpus if known else 1


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
        batch *= processes(size or recipe.model.instance_type) * recipe.model.instance_count
    return math.ceil(rows / batch) * recipe.hyperparameters.epochs


def submit(
    azure: Azure,
    workspace: Workspace,
    recipe: Recipe,
    model: Model,
    training: DataAsset,
    validation: DataAsset | None,
    name: str,
    *,
    journal: Journal,
    rows: int | None = None,
    cost: dict[str, Any] | None = None,
    cancel: Cancel | None = None,
) -> Job:
    """Submit the recipe's run under `name`; a job of that name that exists is returned instead of buying a second one.

    Args:
        azure: the connection.
        workspace: the project.
        recipe: the choices.
        model: the catalogue's entry of the model.
        training: the uploaded training rows.
        validation: the uploaded validation rows, where there are any.
        name: from `new_name`; after a lost answer, the same again.
        journal: where the intent and the outcome are noted.
        rows: number of training rows, from which progress is reckoned.
        cost: from `costs.to_remember`, kept in the journal.
        cancel: stops before the submission, not after it.

    Raises:
        ModelUnavailable: Azure does not tune this model here.
        PhiftError: Azure refused; or no answer came, and Azure does not have the job.
    """
    found = _existing(azure, workspace, name)
    if found:
        return found
    (cancel or Cancel()).check()
    tags = {"phift.engine": recipe.model.engine, "phift.model": model.name}
    size = machine(azure, workspace, recipe, model) if recipe.model.engine == "script" else ""
    if rows:
        tags["phift.steps"] = str(expected_steps(recipe, rows, size))
    try:
        with journal.intent(
            "job", name, workspace.id, _path(workspace, name), API, model=model.name, cost=cost or {},
            recipe=recipe.to_toml(),
        ) as learnt:  # fmt: skip
            if recipe.model.engine == "script":
                _submit_script(azure, workspace, recipe, size, model, training, validation, name, tags)
            else:
                _submit_fine_tuning(azure, workspace, recipe, model, training, validation, name, tags)
            learnt["submitted"] = True
    except (Unreachable, Throttled, Conflict):
        # The answer was lost, or somebody was first: what counts is whether Azure has the job.
        found = _existing(azure, workspace, name)
        if found is None:
            raise
        entry = journal.find("job", name, workspace.id)
        if entry and entry.outcome is None:
            journal.finish(entry.id, "found", {"status": found.status})
        return found
    return get(azure, workspace, name)


def _existing(azure: Azure, workspace: Workspace, name: str) -> Job | None:
    try:
        return get(azure, workspace, name)
    except NotFound:
        return None


def _submit_fine_tuning(
    azure: Azure,
    workspace: Workspace,
    recipe: Recipe,
    model: Model,
    training: DataAsset,
    validation: DataAsset | None,
    name: str,
    tags: dict[str, str],
) -> None:
    load_sdk(azure.settings)
    from azure.ai.ml import Input, Output
    from azure.ai.ml.entities import CustomModelFineTuningJob, QueueSettings
    from azure.ai.ml.entities._job.job_resources import JobResources

    managed: dict[str, Any] = {}
    if recipe.model.engine == "managed":
        if recipe.model.compute:
            managed["compute"] = f"{workspace.id}/computes/{recipe.model.compute}"
        else:
            managed["resources"] = JobResources(instance_types=[instance_type(recipe, model)])
            managed["queue_settings"] = QueueSettings(job_tier="Standard")
    job = CustomModelFineTuningJob(
        name=name,
        display_name=name,
        experiment_name=recipe.output.experiment or _TOOL,
        task="chatCompletion",
        model=Input(type="mlflow_model", path=model.asset_id),
        training_data=Input(type="uri_file", path=training.id),
        validation_data=Input(type="uri_file", path=validation.id) if validation else None,
        hyperparameters=hyperparameters(recipe.hyperparameters),
        outputs={"registered_model": Output(type="mlflow_model", name=recipe.output.model)},
        tags=tags,
        **managed,
    )
    client = azure.ml(workspace)
    with azure.sdk():
        client.jobs.create_or_update(job)


def instance_type(recipe: Recipe, model: Model) -> str:
    """The GPU size of `managed` and `script`: the recipe's, or the smallest that the catalogue names.

    Raises:
        UsageError: neither names one.
    """
    if recipe.model.instance_type:
        return recipe.model.instance_type
    if not model.instance_types:
        raise UsageError(
            t("The catalogue names no GPU size for {model}.", model=model.name),
            next_step=t("Choose an instance type in the recipe."),
        )
    return model.instance_types[0]


def machine(azure: Azure, workspace: Workspace, recipe: Recipe, model: Model) -> str:
    """The GPU size that a `script` run gets: that of the recipe's cluster, as Azure has it, or of serverless compute.

    Raises:
        UsageError: nothing names one.
    """
    if not recipe.model.compute:
        return instance_type(recipe, model)
    try:
        cluster = azure.rest("GET", f"{workspace.id}/computes/{recipe.model.compute}", api_version=_COMPUTE_API)
    except NotFound:
        return recipe.model.instance_type  # the submission says that there is no such cluster
    return str((cluster["properties"].get("properties") or {}).get("vmSize") or recipe.model.instance_type)


def script_arguments(recipe: Recipe, *, validation: bool) -> list[str]:
    """The trainer's command line on Azure ML: every choice of the recipe that the `script` engine takes.

    Its options are the fields of `tui.trainer.config.TrainingConfig`, with hyphens.
    """
    chosen = recipe.hyperparameters
    options: dict[str, object] = {"model": "${{inputs.model}}", "train-file": "${{inputs.train}}"}
    if validation:
        options["validation-file"] = "${{inputs.validation}}"
    options |= {
        "output-dir": "${{outputs.registered_model}}",
        "batch-size": chosen.batch_size_multiplier,
        "gradient-accumulation-steps": chosen.gradient_accumulation,
        "learning-rate": f"{Decimal(repr(chosen.learning_rate)):f}",
        "epochs": chosen.epochs,
        "seed": chosen.seed,
        "method": chosen.method,
        "loss": chosen.loss.replace("-", "_"),
        "optimizer": chosen.optimizer,
        "schedule": chosen.schedule,
    }
    if chosen.method == "lora":
        options |= {"lora-rank": chosen.lora_rank, "lora-alpha": chosen.lora_alpha}
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def script_command(recipe: Recipe, *, validation: bool) -> str:
    """The command of the `script` engine's job."""
    words = " ".join(script_arguments(recipe, validation=validation))
    return f"pip install -r trainer/requirements.txt && python -m trainer train {words}"


def _trainer_code(azure: Azure, workspace: Workspace, cancel: Cancel | None) -> str:
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
        azure.rest("GET", path, api_version=_CODE_API, cancel=cancel)
    except NotFound:
        address = uploads.send_folder(azure, workspace, f"phift/code/{version}", files, cancel=cancel)
        body = {"properties": {"codeUri": address, "isAnonymous": False, "description": "The trainer of phift-tui"}}
        azure.rest("PUT", path, api_version=_CODE_API, body=body, cancel=cancel)
    return path


def _submit_script(
    azure: Azure,
    workspace: Workspace,
    recipe: Recipe,
    size: str,
    model: Model,
    training: DataAsset,
    validation: DataAsset | None,
    name: str,
    tags: dict[str, str],
) -> None:
    load_sdk(azure.settings)
    from azure.ai.ml import Input, Output, PyTorchDistribution, command
    from azure.ai.ml.entities import JobResourceConfiguration

    inputs: dict[str, Any] = {
        "train": Input(type="uri_file", path=training.id),
        "model": Input(type="custom_model", path=recipe.model.weights or model.asset_id),
    }
    if validation:
        inputs["validation"] = Input(type="uri_file", path=validation.id)
    job = command(
        name=name,
        display_name=name,
        experiment_name=recipe.output.experiment or _TOOL,
        command=script_command(recipe, validation=validation is not None),
        code=_trainer_code(azure, workspace, None),
        environment=ENVIRONMENT,
        inputs=inputs,
        outputs={"registered_model": Output(type="custom_model", name=recipe.output.model)},
        compute=recipe.model.compute or None,
        distribution=PyTorchDistribution(process_count_per_instance=processes(size)),
        instance_count=recipe.model.instance_count,
        tags=tags,
    )
    if not recipe.model.compute:
        job.resources = JobResourceConfiguration(instance_type=size, instance_count=recipe.model.instance_count)
    client = azure.ml(workspace)
    with azure.sdk():
        client.jobs.create_or_update(job)


def get(azure: Azure, workspace: Workspace, name: str) -> Job:
    """The job of that name.

    Raises:
        NotFound: there is none.
    """
    return _job(azure.rest("GET", _path(workspace, name), api_version=API))


def listing(azure: Azure, workspace: Workspace, *, archived: bool = False) -> list[Job]:
    """The project's fine-tuning jobs of the three engines, the newest first.

    Read raw: the SDK's listing ends at the first job of a kind that it does not know.
    """
    params = {"listViewType": "All" if archived else "ActiveOnly"}
    found = [_job(item) for item in azure.pages(f"{workspace.id}/jobs", api_version=API, params=params)]
    mine = [job for job in found if job.engine]
    return sorted(mine, key=lambda job: job.created.timestamp() if job.created else 0.0, reverse=True)


def cancel(azure: Azure, workspace: Workspace, name: str, *, stop: Cancel | None = None) -> Job:
    """Ask Azure to cancel a job, and return it as it is then (`CancelRequested`, soon `Canceled`).

    Raises:
        PhiftError: it has ended already, or Azure refused.
    """
    answer = azure.send("POST", f"{_path(workspace, name)}/cancel", api_version=API, cancel=stop)
    if answer.status == 202 and answer.headers.get("Location"):
        azure.poll(Answer(202, {"Location": answer.headers["Location"]}), resource="", api_version=API, cancel=stop)
    return get(azure, workspace, name)


def archive(azure: Azure, workspace: Workspace, name: str, *, archived: bool = True) -> None:
    """Hide a job from the list, or show it again; it is kept."""
    job = get(azure, workspace, name)
    url = f"{history_url(azure, workspace)}/experiments/{job.experiment}/runs/{name}"
    azure.rest("PATCH", url, api_version="", body={"runId": name, "hidden": archived})


def resume(azure: Azure, workspace: Workspace, name: str) -> Job:
    """Submit an ended job's choices again, under a new name; the data is not sent again.

    Azure has no call that goes on with a fine-tuning job: the base model is tuned anew, and the new job is billed as a
    run of its own.

    Raises:
        UsageError: the job has not ended.
    """
    body = azure.rest("GET", _path(workspace, name), api_version=API)
    job = _job(body)
    if not job.terminal:
        raise UsageError(
            t("{name} is {status}; it can be submitted again when it has ended.", name=name, status=job.status)
        )
    given = body["properties"]
    properties = {key: given[key] for key in _CHOICES if given.get(key) is not None}
    properties["outputs"] = {
        key: {part: value[part] for part in ("jobOutputType", "assetName", "mode") if value.get(part)}
        for key, value in (given.get("outputs") or {}).items()
    }
    again = f"{re.sub(r'-[0-9a-f]{10}$', '', name)}-{secrets.token_hex(5)}"
    properties["displayName"] = again
    journal = Journal(azure.settings.journal)
    before = journal.find("job", name, workspace.id)
    cost = before.detail.get("cost") if before else None
    with journal.intent("job", again, workspace.id, _path(workspace, again), API, model=job.model, cost=cost or {}):
        azure.rest("PUT", _path(workspace, again), api_version=API, body={"properties": properties})
    return get(azure, workspace, again)


def history_url(azure: Azure, workspace: Workspace, plane: str = "history/v1.0") -> str:
    """Base address of a data plane of the workspace's region: run history, metrics, MLflow."""
    return f"{projects.region_host(azure, workspace)}/{plane}{workspace.id}"


def _path(workspace: Workspace, name: str) -> str:
    return f"{workspace.id}/jobs/{name}"


def _job(body: dict[str, Any]) -> Job:
    properties = body.get("properties") or {}
    tags = {str(key): str(value) for key, value in (properties.get("tags") or {}).items()}
    details = properties.get("fineTuningDetails") or {}
    own = {str(key): str(value) for key, value in (properties.get("properties") or {}).items()}
    outputs = properties.get("outputs") or {}
    output = outputs.get("registered_model") or next((value for value in outputs.values() if value), None) or {}
    model_uri = (details.get("model") or {}).get("uri") or ""
    status = str(properties.get("status") or "Unknown")
    studio = ((properties.get("services") or {}).get("Studio") or {}).get("endpoint") or ""
    steps = tags.get("phift.steps", "")
    inputs = properties.get("inputs") or {}
    return Job(
        name=str(body.get("name") or str(body.get("id", "")).rpartition("/")[2]),
        display_name=str(properties.get("displayName") or body.get("name") or ""),
        status=status,
        engine=_engine(properties, tags),
        model=tags.get("phift.model") or own.get("azureml.ModelName") or _model_name(model_uri),
        experiment=str(properties.get("experimentName") or ""),
        created=parse_time((body.get("systemData") or {}).get("createdAt")),
        started=parse_time(own.get("StartTimeUtc")),
        ended=parse_time(own.get("EndTimeUtc")),
        output_model=str(output.get("assetName") or own.get("_outputModelName") or ""),
        output_version=str(output.get("assetVersion") or ""),
        studio_url=str(studio),
        error=error_in(properties["error"], t("The job failed.")) if properties.get("error") else None,
        terminal=status in TERMINAL,
        steps=int(steps) if steps.isdigit() else None,
        training_uri=str((details.get("trainingData") or inputs.get("train") or {}).get("uri") or ""),
        validation_uri=str((details.get("validationData") or inputs.get("validation") or {}).get("uri") or ""),
        hyperparameters={str(key): str(value) for key, value in (details.get("hyperParameters") or {}).items()},
        tags=tags,
        choices=_choices(properties),
    )


def _choices(properties: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return choices.told(properties)
    except ValueError:  # another program's job, whose numbers or command cannot be read
        return None


def _engine(properties: dict[str, Any], tags: dict[str, str]) -> Engine | None:
    kind = properties.get("jobType")
    if kind == "FineTuning":
        managed = properties.get("resources") or properties.get("computeId")
        return "managed" if managed else "serverless"
    if kind == "Command" and tags.get("phift.engine") == "script":
        return "script"
    return None


def _model_name(uri: str) -> str:
    parts = uri.split("/models/")
    return parts[1].split("/")[0] if len(parts) > 1 else ""


def parse_time(value: object) -> datetime | None:
    """A time as Azure's planes write it (ISO 8601 with or without zone, up to 7 decimals); None for anything else."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def with_times(job: Job, details: dict[str, Any]) -> Job:
    """The job with the times that run history has."""
    return replace(
        job,
        created=job.created or parse_time(details.get("createdTimeUtc")),
        started=parse_time(details.get("startTimeUtc")) or job.started,
        ended=parse_time(details.get("endTimeUtc")) or job.ended,
    )
