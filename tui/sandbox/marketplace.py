"""Marketplace subscriptions: none is made, since the models of this catalogue are Microsoft's and need none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.versions import workspace_of
from tui.sandbox.wire import answer, json_body, section

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of marketplace subscriptions."""

    async def list_all(request: Request) -> Response:
        workspace_of(sandbox, request)
        return answer({"value": []})

    async def put(request: Request) -> Response:
        workspace_of(sandbox, request)
        model_id = section(await json_body(request), "properties").get("modelId")
        if not isinstance(model_id, str) or not model_id:
            raise ServiceError(400, "UserError", "The modelId field is required.", inner={"code": "BadArgument"})
        raise ServiceError(
            400,
            "UserError",
            f"The model {model_id} is not offered through Azure Marketplace and needs no subscription; deploy it "
            "directly.",
            inner={"code": "MarketplaceSubscriptionNotSupported"},
        )

    async def get(request: Request) -> Response:
        workspace_of(sandbox, request)
        name = request.path_params["name"]
        raise ServiceError(
            404, "UserError", f"Marketplace subscription {name} was not found.", inner={"code": "NotFound"}
        )

    async def delete(request: Request) -> Response:
        workspace_of(sandbox, request)
        return Response(status_code=204)

    one = f"{WORKSPACE}/marketplaceSubscriptions/{{name}}"
    return [
        Route(f"{WORKSPACE}/marketplaceSubscriptions", list_all, methods=["GET"]),
        Route(one, put, methods=["PUT"]),
        Route(one, get, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
    ]
