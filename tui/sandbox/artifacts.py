"""A run's artifacts: where its log and its outputs lie, and making them readable as blobs without copying them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tui.sandbox import datastores
from tui.sandbox.blob_store import Address
from tui.sandbox.paths import name_of
from tui.sandbox.runs import Run

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

ARTIFACT_STORE, DEFAULT_STORE = "workspaceartifactstore", "workspaceblobstore"
LOG = "user_logs/std_log.txt"


def artifact_folder(run: Run) -> str:
    """Where a run's logs and outputs lie in the artifact store."""
    return f"ExperimentRun/dcid.{name_of(run.job)}"


def artifact_place(sandbox: Sandbox, workspace_id: str) -> tuple[str, str]:
    """Storage account and container of a workspace's artifact store."""
    store = datastores.require(sandbox, workspace_id, ARTIFACT_STORE)["properties"]
    return store["accountName"], store["containerName"]


def workspace_of_job(run: Run) -> str:
    """Identifier of the workspace that a run's job lives in."""
    return run.job.rsplit("/jobs/", 1)[0]


def link_output(sandbox: Sandbox, run: Run, folder: Path, output: str) -> None:
    """Make a folder readable as a run's artifacts and, where clients look for a named output, in the default store."""
    workspace_id = workspace_of_job(run)
    default = datastores.require(sandbox, workspace_id, DEFAULT_STORE)["properties"]
    places = (
        (*artifact_place(sandbox, workspace_id), f"{artifact_folder(run)}/outputs/{output}"),
        (default["accountName"], default["containerName"], f"azureml/{name_of(run.job)}/{output}"),
    )
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for account, container, base in places:
                name = f"{base}/{path.relative_to(folder).as_posix()}"
                sandbox.blobs.link(Address(account, container, name), path, "application/octet-stream")


def link_log(sandbox: Sandbox, run: Run) -> None:
    """Make the run's growing log readable as a blob."""
    account, container = artifact_place(sandbox, workspace_of_job(run))
    name = f"{artifact_folder(run)}/{LOG}"
    sandbox.blobs.link(Address(account, container, name), Path(run.folder) / "std_log.txt", "text/plain", growing=True)
