"""Run history and metric service of the data plane: a job's run, its details with logs and error, and its metrics."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, artifact_api, artifacts, jobs, mlflow_api, storage_access
from tui.sandbox.artifacts import LOG
from tui.sandbox.blob_store import Address
from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.runs import JOB_TYPE, MetricPoint, Run
from tui.sandbox.versions import workspace_id_of, workspace_of
from tui.sandbox.wire import answer, json_body

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

PAGE = 1000
RUN_PLACES = ("runs/{run}", "experiments/{experiment}/runs/{run}", "experimentids/{experiment}/runs/{run}")
RUNS_READ = "Microsoft.MachineLearningServices/workspaces/experiments/runs/read"
RUNS_WRITE = "Microsoft.MachineLearningServices/workspaces/experiments/runs/write"


def experiment_id(workspace_id: str, name: str) -> str:
    """The identifier of an experiment, which is made of the workspace and the experiment's name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{workspace_id.lower()}/experiments/{name}"))


def utc(seconds: float | None) -> str | None:
    """A time as run history writes it."""
    return None if seconds is None else iso(datetime.fromtimestamp(seconds, UTC))


def duration(run: Run, now: float) -> str | None:
    """How long a run has been computing, as .NET writes a time span; None before it started."""
    if run.started is None:
        return None
    seconds = (run.ended or now) - run.started
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{int(seconds % 1 * 10_000_000):07}"


def found(sandbox: Sandbox, request: Request, run_id: str) -> tuple[dict[str, Any], Run]:
    """The job and the run of an id.

    Raises:
        ServiceError: 404 UserError, as run history says it.
    """
    job_id = f"{workspace_of(sandbox, request)['id']}/jobs/{run_id}"
    job, run = sandbox.state.get(job_id), sandbox.supervisor.find(job_id)
    if job is None or run is None:
        raise ServiceError(404, "UserError", f"Run {run_id} not found", inner={"code": "NotFound"})
    return job, run


def error_body(run: Run) -> dict[str, Any] | None:
    """Why a run failed, in the shape of the run's details."""
    if run.error is None:
        return None
    root: dict[str, Any] = {
        "code": "UserError",
        "message": run.error["message"],
        "messageFormat": None,
        "messageParameters": {},
        "referenceCode": None,
        "detailsUri": None,
        "target": None,
        "details": [],
        "innerError": {"code": run.error["code"], "innerError": None},
        "additionalInfo": None,
    }
    return {
        "error": root,
        "correlation": None,
        "environment": None,
        "location": None,
        "time": utc(run.ended),
        "componentName": "sandbox-trainer",
    }


def warning_bodies(run: Run, live: list[str]) -> list[dict[str, str]]:
    """A run's warnings, those of a finished run or those so far."""
    told = [{"source": "sandbox", "message": message} for message in run.notes]
    return told + [{"source": "trainer", "message": message} for message in run.warnings or live]


def run_body(sandbox: Sandbox, job: dict[str, Any], run: Run) -> dict[str, Any]:
    """The run of a job as run history answers it."""
    properties, now = job["properties"], sandbox.clock.timestamp()
    workspace_id = artifacts.workspace_of_job(run)
    creator = {
        "userObjectId": job["systemData"]["createdBy"],
        "userTenantId": sandbox.identity.directory.tenant_of(workspace_id).id,
        "userName": job["systemData"]["createdBy"],
    }
    kept = {name: str(value) for name, value in properties["properties"].items()}
    return {
        "runNumber": int(run.created),
        "rootRunId": job["name"],
        "createdUtc": utc(run.created),
        "createdBy": creator,
        "userId": creator["userObjectId"],
        "token": None,
        "tokenExpiryTimeUtc": None,
        "error": error_body(run),
        "warnings": warning_bodies(run, []),
        "revision": len(run.phases),
        "statusRevision": len(run.phases),
        "runUuid": str(uuid.uuid5(uuid.NAMESPACE_URL, run.job)),
        "parentRunUuid": None,
        "rootRunUuid": str(uuid.uuid5(uuid.NAMESPACE_URL, run.job)),
        "hasVirtualParent": False,
        "lastStartTimeUtc": utc(run.started),
        "currentComputeTime": None,
        "computeDuration": duration(run, now),
        "effectiveStartTimeUtc": utc(run.started),
        "lastModifiedBy": creator,
        "lastModifiedUtc": utc(run.since),
        "duration": duration(run, now),
        "cancelationReason": "Canceled by the user." if run.cancelled else None,
        "currentAttemptId": 1,
        "runId": job["name"],
        "parentRunId": None,
        "experimentId": experiment_id(workspace_id, properties["experimentName"]),
        "status": run.phase,
        "startTimeUtc": utc(run.started),
        "endTimeUtc": utc(run.ended),
        "scheduleId": None,
        "displayName": properties["displayName"],
        "name": None,
        "dataContainerId": f"dcid.{job['name']}",
        "description": properties["description"],
        "hidden": properties["isArchived"],
        "runType": "azureml.finetuning" if properties["jobType"] == "FineTuning" else "azureml.command",
        "runTypeV2": {"orchestrator": None, "traits": [], "attribution": None, "computeType": None},
        "properties": kept,
        "parameters": properties.get("fineTuningDetails", {}).get("hyperParameters") or {},
        "actionUris": {},
        "scriptName": None,
        "target": None,
        "uniqueChildRunComputeTargets": [],
        "tags": properties["tags"],
        "settings": {},
        "services": {},
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": None,
        "jobSpecification": None,
        "primaryMetricName": None,
        "createdFrom": None,
        "cancelUri": None,
        "completeUri": None,
        "diagnosticsUri": None,
        "computeRequest": None,
        "compute": None,
        "retainForLifetimeOfWorkspace": False,
        "queueingInfo": None,
        "inputs": None,
        "outputs": None,
    }


def log_urls(sandbox: Sandbox, run: Run) -> dict[str, str]:
    """Links to a run's logs by path, readable for a day without further authorization."""
    if run.started is None:
        return {}
    account, container = artifacts.artifact_place(sandbox, artifacts.workspace_of_job(run))
    name = f"{artifacts.artifact_folder(run)}/{LOG}"
    address = Address(account, container, name)
    if sandbox.blobs.find(address) is None:
        return {}
    return {LOG: storage_access.blob_url(sandbox, account, container, name)}


def details_body(sandbox: Sandbox, job: dict[str, Any], run: Run) -> dict[str, Any]:
    """The details of a run: status, times, error, warnings, links to logs."""
    body = run_body(sandbox, job, run)
    names = (
        "runId", "runUuid", "parentRunUuid", "rootRunUuid", "parentRunId", "status", "error", "services", "properties",
        "parameters", "inputDatasets", "outputDatasets", "runDefinition", "runTypeV2", "computeRequest", "compute",
        "createdBy", "computeDuration", "effectiveStartTimeUtc", "runNumber", "rootRunId", "experimentId", "userId",
        "statusRevision", "hasVirtualParent", "currentComputeTime", "lastStartTimeUtc", "lastModifiedBy",
        "lastModifiedUtc", "duration", "inputs", "outputs", "currentAttemptId", "tags", "startTimeUtc", "endTimeUtc",
    )  # fmt: skip
    return {
        **{name: body[name] for name in names},
        "target": None,
        "createdTimeUtc": body["createdUtc"],
        "warnings": warning_bodies(run, sandbox.supervisor.events(run).warnings),
        "logFiles": log_urls(sandbox, run),
        "jobCost": {"chargedCpuCoreSeconds": None, "chargedGpuSeconds": None},
        "revision": body["revision"],
    }


def metric_value(name: str, point: MetricPoint) -> dict[str, Any]:
    """One logged value as the metric service answers it."""
    return {
        "metricId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name}/{point.step}/{point.time}")),
        "createdUtc": utc(point.time),
        "step": point.step,
        "data": {name: "NaN" if point.value is None else point.value},
        "sasUri": None,
    }


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of run history, metrics, artifacts and MLflow."""

    def allowed(request: Request, action: str) -> None:
        access.require(sandbox, request.scope["principal"], action, workspace_id_of(request))

    def the_run(request: Request, action: str = RUNS_READ) -> tuple[dict[str, Any], Run]:
        allowed(request, action)
        return found(sandbox, request, request.path_params["run"])

    async def get_run(request: Request) -> Response:
        return answer(run_body(sandbox, *the_run(request)))

    async def patch_run(request: Request) -> Response:
        job, run = the_run(request, RUNS_WRITE)
        given = await json_body(request)
        changes: dict[str, Any] = {
            name: given[name] for name in ("displayName", "description", "tags", "properties") if name in given
        }
        if given.get("hidden") is not None:
            changes["isArchived"] = bool(given["hidden"])
        return answer(run_body(sandbox, jobs.change(sandbox, job, changes), run))

    async def get_details(request: Request) -> Response:
        return answer(details_body(sandbox, *the_run(request)))

    async def get_children(request: Request) -> Response:
        the_run(request)
        return answer({"value": [], "continuationToken": None, "nextLink": None})

    async def run_data(request: Request) -> Response:
        allowed(request, RUNS_READ)
        run_id = str((await json_body(request)).get("runId"))
        body = run_body(sandbox, *found(sandbox, request, run_id))
        return answer({"runMetadata": body, "runDefinition": None, "jobSpecification": None, "systemSettings": None})

    async def get_experiment(request: Request) -> Response:
        allowed(request, RUNS_READ)
        workspace_id, name = workspace_of(sandbox, request)["id"], request.path_params["experiment"]
        members = [
            body
            for body in sandbox.state.children(workspace_id, JOB_TYPE)
            if body["properties"]["experimentName"] == name
        ]
        if not members:
            raise ServiceError(404, "UserError", f"Experiment {name} not found", inner={"code": "NotFound"})
        return answer(
            {
                "experimentId": experiment_id(workspace_id, name),
                "name": name,
                "description": None,
                "createdUtc": members[0]["systemData"]["createdAt"],
                "tags": {},
                "archivedTime": None,
                "retainForLifetimeOfWorkspace": False,
                "artifactLocation": None,
            }
        )

    def metrics_of(request: Request) -> dict[str, list[MetricPoint]]:
        return sandbox.supervisor.events(the_run(request)[1]).metrics

    async def list_metrics(request: Request) -> Response:
        definitions = [
            {
                "metricKey": {"namespace": "", "name": name, "labels": {}, "columnNames": [name]},
                "columns": {name: "Double"},
                "properties": {"uxMetricType": "azureml.v1.scalar", "dataLocation": None},
            }
            for name in metrics_of(request)
        ]
        return answer({"value": definitions, "continuationToken": None, "nextLink": None})

    async def full_metric(request: Request) -> Response:
        metrics, given = metrics_of(request), await json_body(request)
        name = str(given.get("metricName"))
        points = metrics.get(name)
        if points is None:
            raise ServiceError(404, "UserError", f"Metric {name} not found", inner={"code": "NotFound"})
        token = str(given.get("continuationToken") or "0")
        if not token.isdigit():
            raise ServiceError(400, "UserError", "The continuationToken is not valid.", inner={"code": "BadArgument"})
        start = int(token)
        following = start + PAGE
        return answer(
            {
                "dataContainerId": f"dcid.{request.path_params['run']}",
                "name": name,
                "columns": {name: "Double"},
                "properties": {"uxMetricType": "azureml.v1.scalar", "dataLocation": None},
                "namespace": "",
                "standardSchemaId": None,
                "value": [metric_value(name, point) for point in points[start:following]],
                "continuationToken": str(following) if following < len(points) else None,
                "nextLink": None,
            }
        )

    base = f"/history/v1.0{WORKSPACE}"
    all_routes: list[BaseRoute] = [
        Route(f"{base}/rundata", run_data, methods=["POST"]),
        Route(f"{base}/experiments/{{experiment}}", get_experiment, methods=["GET"]),
    ]
    for place in RUN_PLACES:
        all_routes += [
            Route(f"{base}/{place}", get_run, methods=["GET"]),
            Route(f"{base}/{place}", patch_run, methods=["PATCH"]),
            Route(f"{base}/{place}/details", get_details, methods=["GET"]),
            Route(f"{base}/{place}/children", get_children, methods=["GET"]),
        ]
    metric = f"/metric/v2.0{WORKSPACE}/runs/{{run}}"
    return [
        *all_routes,
        Route(f"{metric}/list", list_metrics, methods=["POST"]),
        Route(f"{metric}/full", full_metric, methods=["POST"]),
        Route(f"{metric}/sample", full_metric, methods=["POST"]),
        *artifact_api.routes(sandbox),
        *mlflow_api.routes(sandbox),
    ]
