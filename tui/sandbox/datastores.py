"""Datastores of a workspace: reading them, and handing out their secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import storage_access
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.versions import workspace_of
from tui.sandbox.wire import answer, json_body, page

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

DATASTORE_TYPE = "Microsoft.MachineLearningServices/workspaces/datastores"
DEFAULT_HOURS = 4.0
# A service-made SAS lives at most as long as Azure lets a user delegation key live.
MAX_HOURS = 7 * 24.0


def require(sandbox: Sandbox, workspace_id: str, name: str) -> dict[str, Any]:
    """The body of a datastore.

    Raises:
        ServiceError: 404 UserError.
    """
    body = sandbox.state.get(f"{workspace_id}/datastores/{name}")
    if body is None:
        raise ServiceError(404, "UserError", f"Could not find datastore: {name}.", inner={"code": "NotFound"})
    return body


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of datastores."""

    async def list_all(request: Request) -> Response:
        workspace = workspace_of(sandbox, request)
        found = sandbox.state.children(workspace["id"], DATASTORE_TYPE)
        if request.query_params.get("isDefault", "").lower() == "true":
            found = [body for body in found if body["properties"]["isDefault"]]
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def get(request: Request) -> Response:
        sandbox.supervisor.warm_up()  # who asks for one by its name is about to upload: a job is near
        return answer(require(sandbox, workspace_of(sandbox, request)["id"], request.path_params["name"]))

    async def list_secrets(request: Request) -> Response:
        body = require(sandbox, workspace_of(sandbox, request)["id"], request.path_params["name"])
        asked = await json_body(request)
        kind = body["properties"]["credentials"]["credentialsType"]
        if kind == "None":
            raise ServiceError(
                400,
                "UserError",
                "Secrets cannot be listed for a datastore without credentials.",
                inner={"code": "BadArgument"},
            )
        account = body["properties"]["accountName"]
        if not asked.get("expirableSecret"):
            return answer({"secretsType": "AccountKey", "key": storage_access.keys(sandbox, account)[0]})
        hours = asked.get("expireAfterHours", DEFAULT_HOURS)
        if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MAX_HOURS:
            raise ServiceError(
                400,
                "UserError",
                f"expireAfterHours has to be between 0 and {MAX_HOURS:g}.",
                inner={"code": "BadArgument"},
            )
        token = storage_access.datastore_sas(sandbox, account, hours)
        return answer({"secretsType": "Sas", "sasToken": f"?{token}"})

    one = f"{WORKSPACE}/datastores/{{name}}"
    return [
        Route(f"{WORKSPACE}/datastores", list_all, methods=["GET"]),
        Route(one, get, methods=["GET"]),
        Route(f"{one}/listSecrets", list_secrets, methods=["POST"]),
    ]
