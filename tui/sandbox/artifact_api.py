"""The artifacts of runs over the data plane: listing them, and links to their contents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, artifacts, history, storage_access
from tui.sandbox.blob_store import Address, Blob
from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.runs import Run
from tui.sandbox.versions import workspace_id_of
from tui.sandbox.wire import answer

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

PAGE = 500


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes below a run's history."""

    def the_run(request: Request) -> Run:
        access.require(sandbox, request.scope["principal"], history.RUNS_READ, workspace_id_of(request))
        return history.found(sandbox, request, request.path_params["run"])[1]

    def page(request: Request, run: Run, prefix: str) -> tuple[list[tuple[str, Blob]], str | None]:
        """Artifacts whose path starts with `prefix`, and where the next page begins."""
        account, container = artifacts.artifact_place(sandbox, artifacts.workspace_of_job(run))
        root = f"{artifacts.artifact_folder(run)}/"
        after = request.query_params.get("continuationToken", "")
        found = sandbox.blobs.page(account, container, root + prefix, after and root + after, PAGE)
        named = [(name.removeprefix(root), blob) for name, blob in found]
        return named, named[-1][0] if len(named) == PAGE else None

    def described(run: Run, path: str, blob: Blob) -> dict[str, Any]:
        container = f"dcid.{run.job.rsplit('/', 1)[-1]}"
        return {
            "artifactId": f"ExperimentRun/{container}/{path}",
            "origin": "ExperimentRun",
            "container": container,
            "path": path,
            "etag": blob.etag,
            "createdTime": iso(datetime.fromtimestamp(blob.created, UTC)),
            "dataPath": None,
            "tags": None,
        }

    def content(run: Run, path: str) -> dict[str, Any]:
        account, container = artifacts.artifact_place(sandbox, artifacts.workspace_of_job(run))
        name = f"{artifacts.artifact_folder(run)}/{path}"
        if sandbox.blobs.find(Address(account, container, name)) is None:
            raise ServiceError(404, "UserError", f"The artifact {path} was not found.", inner={"code": "NotFound"})
        return {
            "contentUri": storage_access.blob_url(sandbox, account, container, name),
            "origin": "ExperimentRun",
            "container": f"dcid.{run.job.rsplit('/', 1)[-1]}",
            "path": path,
            "tags": None,
        }

    async def listed(request: Request) -> Response:
        run = the_run(request)
        found, following = page(request, run, request.query_params.get("path", ""))
        entries = [described(run, path, blob) for path, blob in found]
        return answer({"value": entries, "continuationToken": following, "nextLink": None})

    async def content_information(request: Request) -> Response:
        return answer(content(the_run(request), request.query_params.get("path", "")))

    async def content_by_prefix(request: Request) -> Response:
        run = the_run(request)
        found, following = page(request, run, request.query_params.get("path", ""))
        entries = [content(run, path) for path, _ in found]
        return answer({"value": entries, "continuationToken": following, "nextLink": None})

    return [
        Route(f"/history/v1.0{WORKSPACE}/{place}/artifacts{rest}", handler, methods=["GET"])
        for place in history.RUN_PLACES
        for rest, handler in (
            ("", listed),
            ("/path", listed),
            ("/contentinfo", content_information),
            ("/prefix/contentinfo", content_by_prefix),
        )
    ]
