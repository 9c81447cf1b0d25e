"""Fine-tuning jobs as Azure has them: read, list, cancel, submit again, archive."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.recipe import Engine
from tui.services import choices, projects
from tui.services.answers import error_in
from tui.services.clients import Answer
from tui.services.errors import PhiftError
from tui.services.progress import Cancel

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

API = "2024-10-01-preview"
"""Fine-tuning jobs exist in preview versions only; the SDK sends this one."""
TERMINAL = frozenset({"Completed", "Failed", "Canceled"})


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


def path(workspace: Workspace, name: str) -> str:
    """Resource id of the project's job of that name."""
    return f"{workspace.id}/jobs/{name}"


def get(azure: Azure, workspace: Workspace, name: str) -> Job:
    """The job of that name.

    Raises:
        NotFound: there is none.
    """
    return of_body(azure.rest("GET", path(workspace, name), api_version=API))


def listing(azure: Azure, workspace: Workspace, *, archived: bool = False) -> list[Job]:
    """The project's fine-tuning jobs of the three engines, the newest first.

    Read raw: the SDK's listing ends at the first job of a kind that it does not know.
    """
    params = {"listViewType": "All" if archived else "ActiveOnly"}
    found = [of_body(item) for item in azure.pages(f"{workspace.id}/jobs", api_version=API, params=params)]
    mine = [job for job in found if job.engine]
    return sorted(mine, key=lambda job: job.created.timestamp() if job.created else 0.0, reverse=True)


def cancel(azure: Azure, workspace: Workspace, name: str, *, stop: Cancel | None = None) -> Job:
    """Ask Azure to cancel a job, and return it as it is then (`CancelRequested`, soon `Canceled`).

    Raises:
        PhiftError: it has ended already, or Azure refused.
    """
    answer = azure.send("POST", f"{path(workspace, name)}/cancel", api_version=API, cancel=stop)
    if answer.status == 202 and answer.headers.get("Location"):
        azure.poll(Answer(202, {"Location": answer.headers["Location"]}), resource="", api_version=API, cancel=stop)
    return get(azure, workspace, name)


def archive(azure: Azure, workspace: Workspace, name: str, *, archived: bool = True) -> None:
    """Hide a job from the list, or show it again; it is kept."""
    job = get(azure, workspace, name)
    url = f"{history_url(azure, workspace)}/experiments/{job.experiment}/runs/{name}"
    azure.rest("PATCH", url, api_version="", body={"runId": name, "hidden": archived})


def history_url(azure: Azure, workspace: Workspace, plane: str = "history/v1.0") -> str:
    """Base address of a data plane of the workspace's region: run history, metrics, MLflow."""
    return f"{projects.region_host(azure, workspace)}/{plane}{workspace.id}"


def of_body(body: dict[str, Any]) -> Job:
    """A job of its body, as Resource Manager has it."""
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
