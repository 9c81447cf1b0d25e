"""A region's own host: where its services are, and joining a hub as a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, workspaces
from tui.sandbox.identity import principal_of
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.wire import answer, json_body, section

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_SERVICES = (
    "api", "catalog", "experimentation", "gallery", "history", "hyperdrive", "labeling", "modelmanagement", "pipelines",
)  # fmt: skip


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of a region's host that belong to no workspace service."""

    async def discovery(request: Request) -> Response:
        base = f"https://{request.scope['host']}"
        return answer({**dict.fromkeys(_SERVICES, base), "studio": "https://ml.azure.com"})

    async def join(request: Request) -> Response:
        params = request.path_params
        principal = principal_of(request)
        hub_id = WORKSPACE.format(**params)
        access.require(sandbox, principal, f"{workspaces.TYPE}/hubs/join/action", hub_id)
        hub = sandbox.state.require(hub_id)
        asked = await json_body(request)
        group = hub["properties"]["workspaceHubConfig"]["defaultWorkspaceResourceGroup"]
        project_id = f"{group}/providers/{workspaces.TYPE}/{params['project']}"
        properties = {**section(asked, "properties"), "hubResourceId": hub["id"]}
        wanted = {**asked, "kind": "Project", "location": hub["location"], "properties": properties}
        operation = workspaces.begin(sandbox, project_id, wanted, principal)
        body = sandbox.state.require(project_id)
        return answer(body, 202, workspaces.following(sandbox, operation, body))

    return [
        Route("/discovery", discovery, methods=["GET"]),
        Route(f"/rp/workspaces{WORKSPACE}/join/{{project}}", join, methods=["PUT"]),
    ]
