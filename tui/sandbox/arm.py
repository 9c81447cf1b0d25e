"""Resource Manager's own resources: subscriptions, tenants, locations, resource groups, providers, roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access
from tui.sandbox.wire import answer

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of Resource Manager's own resources."""
    service = _Arm(sandbox)
    return [
        Route("/subscriptions", service.subscriptions, methods=["GET"]),
        Route("/subscriptions/{subscription}", service.subscription, methods=["GET"]),
    ]


class _Arm:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def subscriptions(self, request: Request) -> Response:
        value: list[dict[str, Any]] = self._sandbox.state.of_type(access.SUBSCRIPTION)
        return answer({"value": value, "count": {"type": "Total", "value": len(value)}})

    async def subscription(self, request: Request) -> Response:
        return answer(self._sandbox.state.require(f"/subscriptions/{request.path_params['subscription']}"))
