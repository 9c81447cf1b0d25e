"""MLflow's REST interface to the same runs: what `mlflow` with `azureml-mlflow` reads of a job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, artifacts, history
from tui.sandbox.blob_store import Address
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.runs import JOB_TYPE, MetricPoint, Run
from tui.sandbox.versions import workspace_id_of, workspace_of
from tui.sandbox.wire import answer, json_body

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

STATUSES = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
SCHEDULED = ("NotStarted", "Preparing", "Queued")
HISTORY_PAGE = 10_000
# What the service calls an error, and what MLflow calls it.
CODES = {400: "INVALID_PARAMETER_VALUE", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST"}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _metric(name: str, point: MetricPoint) -> dict[str, Any]:
    value = "NaN" if point.value is None else point.value
    return {"key": name, "value": value, "timestamp": _milliseconds(point.time), "step": point.step}


def run_body(sandbox: Sandbox, job: dict[str, Any], run: Run) -> dict[str, Any]:
    """A run as MLflow describes it: info, newest metrics, parameters, tags."""
    properties = job["properties"]
    workspace_id = artifacts.workspace_of_job(run)
    metrics = sandbox.supervisor.events(run).metrics
    tags = {
        "mlflow.runName": properties["displayName"],
        "mlflow.user": job["systemData"]["createdBy"],
        "mlflow.rootRunId": job["name"],
        **properties["tags"],
    }
    parameters = (properties.get("fineTuningDetails") or {}).get("hyperParameters") or {}
    status = STATUSES.get(run.phase) or ("SCHEDULED" if run.phase in SCHEDULED else "RUNNING")
    return {
        "info": {
            "run_id": job["name"],
            "run_uuid": job["name"],
            "run_name": properties["displayName"],
            "experiment_id": history.experiment_id(workspace_id, properties["experimentName"]),
            "user_id": job["systemData"]["createdBy"],
            "status": status,
            "start_time": _milliseconds(run.started or run.created),
            "end_time": _milliseconds(run.ended),
            "artifact_uri": f"azureml://experiments/{properties['experimentName']}/runs/{job['name']}/artifacts",
            "lifecycle_stage": "deleted" if properties["isArchived"] else "active",
        },
        "data": {
            "metrics": [_metric(name, points[-1]) for name, points in metrics.items()],
            "params": [{"key": key, "value": str(value)} for key, value in parameters.items()],
            "tags": [{"key": key, "value": str(value)} for key, value in tags.items()],
        },
        "inputs": {},
    }


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes under `/mlflow/v1.0` and `/mlflow/v2.0` of a workspace."""

    def jobs_of(request: Request) -> list[dict[str, Any]]:
        return sandbox.state.children(workspace_of(sandbox, request)["id"], JOB_TYPE, newest_first=True)

    def experiment_body(request: Request, name: str) -> dict[str, Any]:
        workspace_id = workspace_of(sandbox, request)["id"]
        return {
            "experiment_id": history.experiment_id(workspace_id, name),
            "name": name,
            "artifact_location": "",
            "lifecycle_stage": "active",
            "tags": [],
        }

    def experiments(request: Request) -> dict[str, dict[str, Any]]:
        names = dict.fromkeys(body["properties"]["experimentName"] for body in jobs_of(request))
        return {name: experiment_body(request, name) for name in names}

    def missing(what: str) -> ServiceError:
        return ServiceError(404, "RESOURCE_DOES_NOT_EXIST", f"{what} was not found")

    async def get_run(request: Request) -> Response:
        run_id = request.query_params.get("run_id") or request.query_params.get("run_uuid", "")
        return answer({"run": run_body(sandbox, *history.found(sandbox, request, run_id))})

    async def metric_history(request: Request) -> Response:
        run_id, name = request.query_params.get("run_id", ""), request.query_params.get("metric_key", "")
        _, run = history.found(sandbox, request, run_id)
        points = sandbox.supervisor.events(run).metrics.get(name, [])
        token, size = request.query_params.get("page_token", "0"), request.query_params.get("max_results", "")
        start = int(token) if token.isdigit() else 0
        end = start + (min(int(size), HISTORY_PAGE) if size.isdigit() else HISTORY_PAGE)
        body: dict[str, Any] = {"metrics": [_metric(name, point) for point in points[start:end]]}
        if end < len(points):
            body["next_page_token"] = str(end)
        return answer(body)

    async def search_runs(request: Request) -> Response:
        given = await json_body(request)
        wanted = given.get("experiment_ids") or []
        found = []
        for job in jobs_of(request):
            run = sandbox.supervisor.find(job["id"])
            if run is not None:
                body = run_body(sandbox, job, run)
                if body["info"]["experiment_id"] in wanted:
                    found.append(body)
        start = int(given.get("page_token") or 0)
        size = int(given.get("max_results") or 1000)
        answered: dict[str, Any] = {"runs": found[start : start + size]}
        if start + size < len(found):
            answered["next_page_token"] = str(start + size)
        return answer(answered)

    async def get_by_name(request: Request) -> Response:
        name = request.query_params.get("experiment_name", "")
        body = experiments(request).get(name)
        if body is None:
            raise missing(f"Experiment {name}")
        return answer({"experiment": body})

    async def get_experiment(request: Request) -> Response:
        wanted = request.query_params.get("experiment_id", "")
        for body in experiments(request).values():
            if body["experiment_id"] == wanted:
                return answer({"experiment": body})
        raise missing(f"Experiment {wanted}")

    async def search_experiments(request: Request) -> Response:
        return answer({"experiments": list(experiments(request).values())})

    async def list_artifacts(request: Request) -> Response:
        run_id, path = request.query_params.get("run_id", ""), request.query_params.get("path", "")
        _, run = history.found(sandbox, request, run_id)
        account, container = artifacts.artifact_place(sandbox, artifacts.workspace_of_job(run))
        root = f"{artifacts.artifact_folder(run)}/"
        prefix = f"{root}{path}/" if path else root
        if sandbox.blobs.find(Address(account, container, prefix.rstrip("/"))) is not None:
            return answer({"root_uri": prefix, "files": []})
        files: dict[str, dict[str, Any]] = {}
        for name, blob in sandbox.blobs.page(account, container, prefix, "", HISTORY_PAGE):
            head, slash, _ = name[len(prefix) :].partition("/")
            entry = prefix[len(root) :] + head
            files[entry] = (
                {"path": entry, "is_dir": True} if slash else {"path": entry, "is_dir": False, "file_size": blob.size}
            )
        return answer({"root_uri": prefix, "files": list(files.values())})

    def spoken(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Answer refusals in MLflow's words."""

        async def handle(request: Request) -> Response:
            try:
                access.require(sandbox, request.scope["principal"], history.RUNS_READ, workspace_id_of(request))
                return await handler(request)
            except ServiceError as error:
                code = CODES.get(error.status, "INTERNAL_ERROR")
                return answer({"error_code": code, "message": error.message}, error.status)

        return handle

    table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("GET", "runs/get", get_run),
        ("POST", "runs/search", search_runs),
        ("GET", "metrics/get-history", metric_history),
        ("GET", "experiments/get-by-name", get_by_name),
        ("GET", "experiments/get", get_experiment),
        ("POST", "experiments/search", search_experiments),
        ("GET", "artifacts/list", list_artifacts),
    ]
    return [
        Route(f"/mlflow/{version}{WORKSPACE}/api/2.0/mlflow/{path}", spoken(handler), methods=[method])
        for version in ("v1.0", "v2.0")
        for method, path, handler in table
    ]
