"""Jobs of a workspace: submitting fine-tuning jobs with Azure's checks, reading, listing, cancelling, deleting them."""

from __future__ import annotations

import asyncio
import copy
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import command_jobs, finetuning, runs, usages
from tui.sandbox.errors import ServiceError
from tui.sandbox.operations import begin, finisher
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.runs import JOB_TYPE, Run
from tui.sandbox.versions import VIEWS, workspace_of
from tui.sandbox.wire import answer, json_body, page, section, system_data, url_of

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

NAME = re.compile(r"[A-Za-z0-9][\w-]{0,254}", re.ASCII)
CHANGEABLE = ("description", "displayName", "tags", "properties", "isArchived")
# Properties that the service fills in as a job goes on; they are no part of what was asked for.
FILLED_IN = (*CHANGEABLE, "status", "services")
STUDIO = "https://ai.azure.com/build/training/{name}?wsid={workspace}&tid={tenant}"


def user_error(message: str, inner: str = "BadArgument", status: int = 400) -> ServiceError:
    """The refusal that the job service words as a user's error."""
    return ServiceError(status, "UserError", message, inner={"code": inner})


def require(sandbox: Sandbox, job_id: str) -> dict[str, Any]:
    """The body of a job.

    Raises:
        ServiceError: 404 UserError, as the job service says it.
    """
    body = sandbox.state.get(job_id)
    if body is None:
        name = job_id.rsplit("/", 1)[-1]
        raise user_error(f"Job with name {name} not found.", "NotFound", 404)
    return body


def projected(body: dict[str, Any], version: str) -> dict[str, Any]:
    """A job's body as one api-version shows it: 2024-10-01-preview has resources and a queue, the older has paths."""
    body = copy.deepcopy(body)
    properties = body["properties"]
    if properties["jobType"] != "FineTuning":
        return body
    # What the sandbox made of the hyperparameters is told by the run; the job's body is as Azure's.
    properties["properties"] = {
        name: value for name, value in properties["properties"].items() if not name.startswith("phift.sandbox.")
    }
    outputs = [output for output in (properties.get("outputs") or {}).values() if output]
    if version == "2024-10-01-preview":
        return body
    for name in ("resources", "queueSettings"):
        properties.pop(name, None)
    properties["secretsConfiguration"] = None
    details = properties["fineTuningDetails"]
    for part in [details.get("model"), details.get("trainingData"), details.get("validationData"), *outputs]:
        if part:
            part["pathOnCompute"] = None
    for output in outputs:
        output.setdefault("assetVersion", None)
        output["autoDeleteSetting"] = None
    return body


def asked_for(properties: dict[str, Any]) -> dict[str, Any]:
    """What of a job cannot be changed after it was made."""
    fixed = {name: copy.deepcopy(value) for name, value in properties.items() if name not in FILLED_IN}
    for output in (fixed.get("outputs") or {}).values():
        for name in ("uri", "assetVersion"):
            if output:
                output.pop(name, None)
    return fixed


def _services(sandbox: Sandbox, workspace_id: str, name: str, location: str) -> dict[str, Any]:
    studio = STUDIO.format(
        name=name, workspace=workspace_id, tenant=sandbox.identity.directory.tenant_of(workspace_id).id
    )
    tracking = f"azureml://{location}.api.azureml.ms/mlflow/v1.0{workspace_id}?"

    def service(kind: str, endpoint: str) -> dict[str, Any]:
        return {
            "jobServiceType": kind,
            "port": None,
            "endpoint": endpoint,
            "status": None,
            "errorMessage": None,
            "properties": None,
            "nodes": None,
        }

    return {"Tracking": service("Tracking", tracking), "Studio": service("Studio", studio)}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of jobs."""
    state = sandbox.state

    def job_id(request: Request) -> str:
        return f"{workspace_of(sandbox, request)['id']}/jobs/{request.path_params['name']}"

    def shown(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        return projected(body, request.query_params.get("api-version", ""))

    async def put(request: Request) -> Response:
        workspace = workspace_of(sandbox, request)
        name, identifier = request.path_params["name"], job_id(request)
        if not NAME.fullmatch(name):
            raise user_error(f"The job name '{name}' is not valid.", "InvalidName")
        given = section(await json_body(request), "properties")
        present = state.get(identifier)
        kind = str(given.get("jobType", ""))
        folder = sandbox.supervisor.jobs_folder / f"{name[:40]}-{uuid.uuid4().hex[:12]}"
        if present is not None:
            return answer(shown(request, _update(present, given)), 200)
        if kind.lower() == "finetuning":
            plan = finetuning.prepare(sandbox, workspace, name, given)
        elif kind.lower() == "command":
            plan = command_jobs.prepare(sandbox, workspace, name, given)
        else:
            raise user_error(
                f"The sandbox runs jobs of type FineTuning and Command, not '{kind}'.", "JobTypeNotSupported"
            )
        now = sandbox.clock.timestamp()
        properties = {**plan.properties, "status": "NotStarted"}
        made = system_data(request.scope["principal"], sandbox.clock.now())
        body = {
            "id": identifier,
            "name": name,
            "type": JOB_TYPE,
            "properties": properties,
            # As recorded: a job tells who created it and when, and nothing of changes.
            "systemData": {name: value for name, value in made.items() if name.startswith("created")},
        }
        await asyncio.to_thread(plan.fill, folder)
        run = Run(
            job=identifier,
            folder=str(folder),
            phase="NotStarted",
            since=now,
            created=now,
            phases=[("NotStarted", now)],
            stand_in=plan.base.stand_in,
            notes=plan.notes,
            beyond_quota=usages.beyond_quota(sandbox, section(properties, "resources")),
            base_model=properties["properties"].get("azureml.original_model_id", ""),
        )
        with state.transaction():
            if state.get(identifier) is not None:
                shutil.rmtree(folder)
                raise user_error(f"Job {name} is being created by another request.", "Conflict", 409)
            state.put(identifier, JOB_TYPE, body)
            runs.save(state, run)
        sandbox.supervisor.submit(run)
        answered = shown(request, body)
        return answer(answered, 201, {"Location": f"{url_of(request)}?{request.url.query}"})

    def _update(present: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """The present job with its changeable properties changed, as long as nothing else differs."""
        before = asked_for(present["properties"])
        fresh = (
            finetuning.shape(given) if present["properties"]["jobType"] == "FineTuning" else command_jobs.shape(given)
        )
        after = asked_for(fresh)
        differing = [name for name in after if after[name] != before.get(name)]
        if differing:
            words = ", ".join(name[0].upper() + name[1:] for name in differing)
            raise ServiceError(
                400,
                "UserError",
                "A job with this name already exists. If you are trying to create a new job, use a different name. If "
                f"you are trying to update an existing job, the existing job's {words} cannot be changed. Only "
                "description, tags, displayName, properties, and isArchived can be updated.",
                inner={"code": "Immutable", "innerError": {"code": "JobPropertyImmutable"}},
            )
        return change(sandbox, present, given)

    async def get(request: Request) -> Response:
        body = require(sandbox, job_id(request))
        return answer(shown(request, with_services(sandbox, workspace_of(sandbox, request), body)))

    async def list_all(request: Request) -> Response:
        workspace = workspace_of(sandbox, request)
        view = request.query_params.get("listViewType", "ActiveOnly").rpartition(".")[2].replace("_", "").lower()
        if view not in VIEWS:
            raise user_error("The listViewType is not valid.")
        kind, tag = request.query_params.get("jobType", "").lower(), request.query_params.get("tag", "")

        def wanted(properties: dict[str, Any]) -> bool:
            return (
                VIEWS[view](bool(properties["isArchived"]))
                and (not kind or properties["jobType"].lower() == kind)
                and (not tag or tag in properties["tags"])
            )

        def fetch(offset: int, count: int) -> list[dict[str, Any]]:
            return state.children(workspace["id"], JOB_TYPE, offset=offset, limit=count, newest_first=True)

        # Filtered after paging: a page may be shorter than asked for, its link leads on all the same.
        listed = page(request, fetch)
        listed["value"] = [
            shown(request, with_services(sandbox, workspace, body))
            for body in listed["value"]
            if wanted(body["properties"])
        ]
        return answer(listed)

    async def cancel(request: Request) -> Response:
        identifier = job_id(request)
        body = require(sandbox, identifier)
        if body["properties"]["status"] in runs.TERMINAL:
            raise user_error(f"The job is already in the final state {body['properties']['status']}.", "InvalidState")
        sandbox.supervisor.cancel(identifier)
        return Response(status_code=202, headers=begin(sandbox, "cancel-job", identifier, 0.5))

    async def delete(request: Request) -> Response:
        identifier = job_id(request)
        body = state.get(identifier)
        if body is None:
            return Response(status_code=204)
        if body["properties"]["status"] not in runs.TERMINAL:
            raise user_error("A job can be deleted once it has ended; cancel it first.", "InvalidState")
        return Response(status_code=202, headers=begin(sandbox, "delete-job", identifier, 0.5))

    one = f"{WORKSPACE}/jobs/{{name}}"
    return [
        Route(f"{WORKSPACE}/jobs", list_all, methods=["GET"]),
        Route(one, put, methods=["PUT"]),
        Route(one, get, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/cancel", cancel, methods=["POST"]),
    ]


def with_services(sandbox: Sandbox, workspace: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The job with its tracking and studio links, which it has once it was taken up."""
    if body["properties"]["status"] == "NotStarted":
        return body
    links = _services(sandbox, workspace["id"], body["name"], workspace["location"])
    return {**body, "properties": {**body["properties"], "services": links}}


def change(sandbox: Sandbox, present: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Store and return a job with its changeable properties changed; tags and properties are added to."""
    properties = dict(present["properties"])
    for name in CHANGEABLE:
        value = given.get(name)
        if value is None:
            continue
        if name in ("tags", "properties"):
            if not isinstance(value, dict):
                raise user_error(f"{name} has to be an object.")
            value = {**(properties.get(name) or {}), **value}
        properties[name] = value
    body = {**present, "properties": properties}
    sandbox.state.put(body["id"], JOB_TYPE, body)
    return body


@finisher("cancel-job")
def _cancelled(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    """The job goes on to Canceled by itself; this operation only answers that the request was taken."""


@finisher("delete-job")
def _deleted(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    run = runs.load(sandbox.state, resource_id)
    sandbox.supervisor.forget(resource_id)
    sandbox.state.delete_tree(resource_id)
    if run is None:
        return
    # The output stays: a registered model may be made of it.
    for name in ("checkpoints", "inputs"):
        shutil.rmtree(Path(run.folder) / name, ignore_errors=True)
