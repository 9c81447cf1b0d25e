"""The sandbox's own controls, behind a host name that no client of Azure asks for and the application's secret."""

from __future__ import annotations

import secrets
from datetime import date
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import answer_device
from tui.sandbox.wire import answer, json_body

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of the control host."""
    service = _Control(sandbox)
    return [
        Route("/status", service.status, methods=["GET"]),
        Route("/calendar", service.calendar, methods=["PUT"]),
        Route("/device", service.device, methods=["POST"]),
    ]


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def _allow(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self._sandbox.identity.client_secret.encode()):
            raise ServiceError(401, "Unauthorized", "The controls need the sandbox's client secret as bearer token.")

    async def status(self, request: Request) -> Response:
        self._allow(request)
        as_of = self._sandbox.clock.as_of
        return answer({"as_of": as_of.isoformat() if as_of else None, "pace": self._sandbox.config.pace})

    async def calendar(self, request: Request) -> Response:
        self._allow(request)
        value = (await json_body(request)).get("as_of")
        try:
            self._sandbox.clock.as_of = None if value is None else date.fromisoformat(str(value))
        except ValueError as error:
            raise ServiceError(400, "InvalidDate", f"as_of: {error}") from error
        self._sandbox.state.settings.set("as_of", value)
        return answer({"as_of": value})

    async def device(self, request: Request) -> Response:
        self._allow(request)
        body = await json_body(request)
        if not answer_device(self._sandbox, str(body.get("user_code", "")), "no" if body.get("decline") else "yes"):
            raise ServiceError(404, "UnknownCode", "No sign-in waits for this code.")
        return answer({})
