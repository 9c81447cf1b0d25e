"""Endpoints: deploying a tuned model, keys, listing, deleting; ready means that a chat was answered.

Serverless endpoints are made by plain resource manager calls, because the SDK cannot set content safety or the
authentication mode, and its key regeneration fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import SecretStr

from tui.messages import t
from tui.services import chat, costs
from tui.services.clients import wait_until
from tui.services.errors import (
    Cancelled,
    Conflict,
    ModelUnavailable,
    NotFound,
    PhiftError,
    ServiceError,
    SignInRequired,
    UsageError,
)
from tui.services.jobs import Job, parse_time
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress, Report, to_the_end

if TYPE_CHECKING:
    from tui.services.catalog import Model
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

API = "2024-10-01"
_READY_SECONDS = 1800.0
_FIRST_ANSWER_SECONDS = 600.0
_COMPARISON = {"phift.for": "comparison"}
"""Tag of an endpoint that is removed after the comparison it was made for."""

Kind = Literal["serverless", "online"]


@dataclass(frozen=True)
class Endpoint:
    """A deployed model."""

    name: str
    kind: Kind
    model: str
    """Id of the model behind it."""
    uri: str
    state: str
    """`Creating`, `Online`, `Suspended`, `Deleting`, `CreationFailed`, …"""
    content_safety: bool | None
    """None: not known."""
    created: datetime | None
    location: str
    hourly: costs.Price | None = None
    """Price of an hour of hosting; None: not known."""
    id: str = ""
    """Resource id."""
    instance_type: str = ""
    """Virtual machine size of an online endpoint that this program made; empty: serverless, or not known."""
    of_comparison: bool = False
    """Whether it was made for the time of a comparison; without one it was left by a program that was killed."""

    def to_json(self) -> dict[str, Any]:
        """The endpoint for programs; without its keys."""
        return {
            "name": self.name,
            "kind": self.kind,
            "model": self.model,
            "uri": self.uri,
            "state": self.state,
            "content_safety": self.content_safety,
            "created": self.created.isoformat() if self.created else None,
            "location": self.location,
            "hourly": self.hourly.amount if self.hourly else None,
        }

    @property
    def ready(self) -> bool:
        """Whether Azure says that it serves."""
        return self.state in ("Online", "Succeeded")

    @property
    def model_name(self) -> str:
        """Name of the model behind it."""
        return name_in(self.model)

    @property
    def serves_a_base_model(self) -> bool:
        """Whether a model of the registry is behind it, serverless: billed by the token, not by the hour."""
        return self.kind == "serverless" and self.model.casefold().startswith("azureml://registries/")

    @property
    def model_version(self) -> str:
        """Its version; empty: not told."""
        return self.model.partition("/versions/")[2]


def name_in(model: str) -> str:
    """The model's name in its id."""
    found = re.search(r"/models/([^/]+)", model)
    return found[1] if found else model


class Keys(NamedTuple):
    """The keys of an endpoint; either opens it."""

    primary: SecretStr
    secondary: SecretStr


def default_name(model: str, version: str = "") -> str:
    """A name for the endpoint of a model: letters, digits and hyphens, a letter first, at most 52.

    Later versions have their number in it, since an endpoint keeps the version that it was made for.
    """
    end = f"-{version}" if version not in ("", "1") else ""
    made = re.sub(r"[^A-Za-z0-9-]+", "-", model).strip("-")
    made = made if made[:1].isalpha() else f"ep-{made}"
    return made[: 52 - len(end)].rstrip("-") + end


def model_id(workspace: Workspace, job: Job) -> str:
    """The id under which a job's tuned model is deployed.

    Raises:
        UsageError: the job has registered no model.
    """
    if not job.succeeded or not job.output_model:
        raise UsageError(
            t("{job} is {status} and has no tuned model to deploy.", job=job.name, status=job.status),
            next_step=t("Wait until the job has completed."),
        )
    return (
        f"azureml://locations/{workspace.location}/workspaces/{workspace.workspace_id}"
        f"/models/{job.output_model}/versions/{job.output_version or '1'}"
    )


def deploy(
    azure: Azure,
    workspace: Workspace,
    model: str | Job,
    name: str,
    *,
    content_safety: bool = True,
    instance_type: str = "",
    of_comparison: bool = False,
    journal: Journal,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> Endpoint:
    """Serve a tuned model and wait until it has really answered.

    A model tuned serverless is served serverless; one of the other engines on a managed online endpoint.

    Args:
        azure: the connection.
        workspace: the project.
        model: the model's id, or the job that tuned it.
        name: name of the endpoint, such as `default_name` makes.
        content_safety: whether Azure AI Content Safety looks at prompts and answers.
        instance_type: virtual machine size of a managed online endpoint.
        of_comparison: whether a serverless endpoint stands for the time of a comparison only.
        journal: where the intent and the outcome are noted.
        report: told of the stages.
        cancel: stops the waiting; the endpoint goes on being made, and is billed when it serves.

    Raises:
        Conflict: the name is taken by an endpoint of another model, or the model is deployed already.
        PhiftError: Azure refused, or it does not answer after the time that Azure allows.
    """
    report = report or _silent
    try:
        if isinstance(model, Job) and model.engine != "serverless":
            return _deploy_online(azure, workspace, model, name, instance_type, journal, report, cancel)
        wanted = model_id(workspace, model) if isinstance(model, Job) else model
        return _deploy_serverless(
            azure, workspace, wanted, name, content_safety, journal, report, cancel, of_comparison=of_comparison
        )
    except Cancelled as error:
        raise Cancelled(
            error.message,
            meaning=t("The endpoint {name} may go on being made, and is billed from when it serves.", name=name),
            next_step=t("Repeat the step to go on, or stop it with `phift-tui deployments delete {name}`.", name=name),
        ) from None


def _deploy_serverless(
    azure: Azure,
    workspace: Workspace,
    wanted: str,
    name: str,
    content_safety: bool,
    journal: Journal,
    report: Report,
    cancel: Cancel | None,
    *,
    of_comparison: bool,
) -> Endpoint:
    path = f"{workspace.id}/serverlessEndpoints/{name}"
    existing = _existing(azure, path)
    if existing and existing.model.casefold() != wanted.casefold():
        raise _taken(existing)
    stage = t("Creating the endpoint {name}", name=name)
    if not existing or existing.state in ("CreationFailed", "Failed"):
        report(Progress(stage))
        body = {
            "location": workspace.location,
            "sku": {"name": "Consumption"},
            "tags": _COMPARISON if of_comparison else {},
            "properties": {
                "authMode": "Key",
                "modelSettings": {"modelId": wanted},
                "contentSafety": {"contentSafetyStatus": "Enabled" if content_safety else "Disabled"},
            },
        }
        with journal.intent("endpoint", name, workspace.id, path, API, model=wanted):
            answer = azure.send("PUT", path, api_version=API, body=body, report=report, cancel=cancel)
            azure.poll(answer, resource=path, api_version=API, stage=stage, report=report, cancel=cancel)
    return wait_ready(azure, workspace, name, report=report, cancel=cancel)


def base_name(model: Model) -> str:
    """The name of the endpoint that serves a base model for a comparison."""
    return default_name(f"base-{model.name}".lower())


def deploy_base(
    azure: Azure,
    workspace: Workspace,
    model: Model,
    *,
    of_comparison: bool = False,
    journal: Journal,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> Endpoint | None:
    """Serve the base model; serverless base models are billed by the token and not by the hour.

    Returns:
        The endpoint, to be deleted after use; None where Azure does not serve the base model here.
    """
    name = base_name(model)
    wanted = model.asset_id.partition("/versions/")[0]
    try:
        return deploy(
            azure, workspace, wanted, name, of_comparison=of_comparison, journal=journal, report=report, cancel=cancel
        )
    except (ModelUnavailable, Conflict, NotFound):
        return None


@contextmanager
def base_endpoint(
    azure: Azure, workspace: Workspace, model: Model, *, journal: Journal, report: Report | None, cancel: Cancel
) -> Iterator[Endpoint | None]:
    """A base model's endpoint for the time of a comparison; None where Azure does not serve the base model here.

    One that stands already is somebody's own and is left standing, unless an earlier comparison left it. That one, and
    one that this makes, are deleted at the end, also after a stop or an error.
    """
    name = base_name(model)
    standing = _existing(azure, f"{workspace.id}/serverlessEndpoints/{name}")
    if standing and not standing.of_comparison:
        yield standing
        return
    unserved = False
    try:
        make = partial(
            deploy_base, azure, workspace, model, of_comparison=True, journal=journal, report=report, cancel=cancel
        )
        made = azure.outlast(make, report, cancel)
        unserved = made is None
        yield made
    finally:
        if not unserved:
            with to_the_end():
                delete(azure, workspace, name)


@contextmanager
def standing_endpoint(azure: Azure, workspace: Workspace, endpoint: Endpoint) -> Iterator[Endpoint]:
    """An endpoint that stands already, for the time of a comparison; one that an earlier one left is deleted after."""
    try:
        yield endpoint
    finally:
        if endpoint.of_comparison:
            with to_the_end():
                delete(azure, workspace, endpoint.name)


def require_free(azure: Azure, workspace: Workspace, name: str) -> None:
    """Make sure that no endpoint has that name.

    Raises:
        Conflict: one has.
    """
    try:
        found = get(azure, workspace, name)
    except NotFound:
        return
    raise _taken(found)


def _taken(endpoint: Endpoint) -> Conflict:
    served = ":".join(part for part in (endpoint.model_name, endpoint.model_version) if part)
    return Conflict(
        t("The endpoint {name} exists and serves {served}.", name=endpoint.name, served=served),
        code="NameTaken",
        next_step=t(
            "Set another deployment.endpoint, or delete that one: `phift-tui deployments delete {name}`.",
            name=endpoint.name,
        ),
    )


def wait_ready(
    azure: Azure, workspace: Workspace, name: str, *, report: Report | None = None, cancel: Cancel | None = None
) -> Endpoint:
    """Wait until an endpoint is online and a first chat is answered: "Succeeded" comes before it serves.

    Raises:
        PhiftError: its creation failed, or it does not answer in time.
    """
    endpoint = get(azure, workspace, name)

    def online() -> bool:
        nonlocal endpoint
        endpoint = azure.outlast(lambda: get(azure, workspace, name), report, cancel or Cancel())
        if endpoint.state in ("CreationFailed", "Failed", "Suspended"):
            raise ServiceError(
                t("The endpoint {name} ended as {state}.", name=name, state=endpoint.state), code=endpoint.state
            )
        return endpoint.ready

    stage = t("Waiting for {name} to come online", name=name)
    if not wait_until(online, stage=stage, seconds=_READY_SECONDS, every=2.0, report=report, cancel=cancel):
        raise _not_ready(name, endpoint.state)
    secret = keys(azure, workspace, name).primary
    last: PhiftError | None = None

    def answers() -> bool:
        nonlocal last
        try:
            chat.complete(endpoint.uri, secret, [{"role": "user", "content": "Hello"}], max_tokens=1, cancel=cancel)
        except ModelUnavailable:
            raise
        except (SignInRequired, ServiceError) as error:
            if error.code == "content_filter":
                return True
            last = error
            return False
        return True

    stage = t("Waiting for the first answer of {name}", name=name)
    if not wait_until(answers, stage=stage, seconds=_FIRST_ANSWER_SECONDS, every=1.0, report=report, cancel=cancel):
        raise last or _not_ready(name, endpoint.state)
    return endpoint


def _not_ready(name: str, state: str) -> ServiceError:
    return ServiceError(
        t("The endpoint {name} is still {state}.", name=name, state=state),
        code="DeploymentNotReady",
        meaning=t("It may already be billed."),
        next_step=t(
            "Look again with `phift-tui deployments list`, or `phift-tui deployments delete {name}`.", name=name
        ),
    )


def _silent(progress: Progress) -> None:
    """Reports go nowhere."""


def _existing(azure: Azure, path: str) -> Endpoint | None:
    try:
        return _serverless(azure.rest("GET", path, api_version=API))
    except NotFound:
        return None


def listing(azure: Azure, workspace: Workspace) -> list[Endpoint]:
    """The project's endpoints of both kinds, by name, with their price an hour where it is known."""
    found = [_serverless(item) for item in azure.pages(f"{workspace.id}/serverlessEndpoints", api_version=API)]
    found += [_online(item) for item in azure.pages(f"{workspace.id}/onlineEndpoints", api_version=API)]
    return sorted(found, key=lambda endpoint: endpoint.name.casefold())


def get(azure: Azure, workspace: Workspace, name: str) -> Endpoint:
    """The endpoint of that name, serverless or online.

    Raises:
        NotFound: there is none.
    """
    try:
        return _serverless(azure.rest("GET", f"{workspace.id}/serverlessEndpoints/{name}", api_version=API))
    except NotFound as first:
        try:
            return _online(azure.rest("GET", f"{workspace.id}/onlineEndpoints/{name}", api_version=API))
        except NotFound:
            raise first from None


def keys(azure: Azure, workspace: Workspace, name: str) -> Keys:
    """The endpoint's keys; they are not written anywhere."""
    return _keys(azure, _path(azure, workspace, name))


def _keys(azure: Azure, path: str) -> Keys:
    body = azure.rest("POST", f"{path}/listKeys", api_version=API)
    return Keys(SecretStr(str(body.get("primaryKey") or "")), SecretStr(str(body.get("secondaryKey") or "")))


def regenerate(
    azure: Azure,
    workspace: Workspace,
    name: str,
    which: Literal["primary", "secondary"] = "primary",
    *,
    cancel: Cancel | None = None,
) -> Keys:
    """Replace a key, the old one of which stops working; returns the keys as they are then."""
    path = _path(azure, workspace, name)
    body = {"keyType": which.capitalize()}
    answer = azure.send("POST", f"{path}/regenerateKeys", api_version=API, body=body, cancel=cancel)
    if answer.status == 202:
        azure.poll(answer, resource=path, api_version=API, cancel=cancel)
    return _keys(azure, path)


def delete(
    azure: Azure, workspace: Workspace, name: str, *, report: Report | None = None, cancel: Cancel | None = None
) -> None:
    """Delete an endpoint and wait until it is gone; one that is gone already is no error."""
    try:
        path = _path(azure, workspace, name)
    except NotFound:
        return
    remove(azure, path, stage=t("Deleting the endpoint {name}", name=name), report=report, cancel=cancel)


def remove(
    azure: Azure,
    path: str,
    *,
    api_version: str = API,
    stage: str,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Delete the resource at `path` and wait until a GET no longer finds it."""
    try:
        answer = azure.send("DELETE", path, api_version=api_version, report=report, cancel=cancel)
    except NotFound:
        return
    journal, accepted = Journal(azure.settings.journal), azure.now()

    def gone() -> bool:
        try:
            azure.outlast(lambda: azure.rest("GET", path, api_version=api_version), report, cancel or Cancel())
        except NotFound:
            return True
        return False

    try:
        azure.poll(
            answer, resource=path, api_version=api_version, stage=stage, deleting=True, report=report, cancel=cancel
        )
        there = not wait_until(gone, stage=stage, seconds=_READY_SECONDS, every=2.0, report=report, cancel=cancel)
    except Cancelled:
        journal.removed(path, accepted)  # Azure goes on with it
        raise
    if there:
        raise ServiceError(t("{name} is still there.", name=path.rpartition("/")[2]), code="DeletionPending")
    journal.removed(path, azure.now())


def _path(azure: Azure, workspace: Workspace, name: str) -> str:
    return get(azure, workspace, name).id


def _serverless(body: dict[str, Any]) -> Endpoint:
    properties = body.get("properties") or {}
    safety = (properties.get("contentSafety") or {}).get("contentSafetyStatus")
    state = str(properties.get("endpointState") or properties.get("provisioningState") or "Unknown")
    if str(properties.get("provisioningState")) == "Failed":
        state = "CreationFailed"
    return Endpoint(
        name=str(body.get("name") or str(body.get("id", "")).rpartition("/")[2]),
        kind="serverless",
        model=str((properties.get("modelSettings") or {}).get("modelId") or ""),
        uri=str((properties.get("inferenceEndpoint") or {}).get("uri") or ""),
        state=state,
        content_safety=None if safety is None else safety == "Enabled",
        created=parse_time((body.get("systemData") or {}).get("createdAt")),
        location=str(body.get("location", "")),
        id=str(body.get("id", "")),
        of_comparison=_COMPARISON.items() <= (body.get("tags") or {}).items(),
    )


def _online(body: dict[str, Any]) -> Endpoint:
    properties = body.get("properties") or {}
    return Endpoint(
        name=str(body.get("name") or str(body.get("id", "")).rpartition("/")[2]),
        kind="online",
        model=str((body.get("tags") or {}).get("phift.model") or ""),
        uri=str(properties.get("scoringUri") or "").removesuffix("/score"),
        state=str(properties.get("provisioningState") or "Unknown"),
        content_safety=None,
        created=parse_time((body.get("systemData") or {}).get("createdAt")),
        location=str(body.get("location", "")),
        id=str(body.get("id", "")),
        instance_type=str((body.get("tags") or {}).get("phift.instance") or ""),
    )


def _deploy_online(
    azure: Azure,
    workspace: Workspace,
    job: Job,
    name: str,
    instance_type: str,
    journal: Journal,
    report: Report,
    cancel: Cancel | None,
) -> Endpoint:
    """Serve a model on a virtual machine of its own; the SDK's poller prints dots, so it is not used."""
    model_id(workspace, job)  # refuses a job without a model
    if not instance_type:
        raise UsageError(
            t("A model tuned on your own compute is served on a virtual machine."),
            code="InstanceTypeMissing",
            next_step=t("Choose its size, for instance Standard_NC24ads_A100_v4."),
        )
    path = f"{workspace.id}/onlineEndpoints/{name}"
    tuned = f"{workspace.id}/models/{job.output_model}/versions/{job.output_version or '1'}"
    tags = {"phift.model": tuned, "phift.instance": instance_type}
    endpoint: dict[str, Any] = {
        "location": workspace.location,
        "identity": {"type": "SystemAssigned"},
        "tags": tags,
        "properties": {"authMode": "Key"},
    }
    deployment = {
        "location": workspace.location,
        "sku": {"name": "Default", "capacity": 1},
        "tags": {},
        "properties": {"endpointComputeType": "Managed", "model": tuned, "instanceType": instance_type},
    }

    def put(place: str, body: dict[str, Any], stage: str) -> None:
        report(Progress(stage))
        answer = azure.send("PUT", place, api_version=API, body=body, report=report, cancel=cancel)
        azure.poll(answer, resource=place, api_version=API, stage=stage, report=report, cancel=cancel)

    with journal.intent("endpoint", name, workspace.id, path, API, model=tuned, instance=instance_type):
        put(path, endpoint, t("Creating the endpoint {name}", name=name))
        put(f"{path}/deployments/tuned", deployment, t("Creating its deployment on {size}", size=instance_type))
        endpoint["properties"] = {"authMode": "Key", "traffic": {"tuned": 100}}
        put(path, endpoint, t("Sending all traffic to it"))
    return wait_ready(azure, workspace, name, report=report, cancel=cancel)
