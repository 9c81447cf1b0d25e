"""The little of Microsoft Graph that clients of this flow ask for: who I am, and names of principals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import principal_of
from tui.sandbox.wire import answer, json_body

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_NAMED = re.compile(r"(?:appId|servicePrincipalNames/any\(c:\s*c)\s+eq\s+'([^']*)'\)?")


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of Microsoft Graph."""
    service = _Graph(sandbox)
    return [
        Route("/v1.0/me", service.me, methods=["GET"]),
        Route("/v1.0/directoryObjects/getByIds", service.by_ids, methods=["POST"]),
        Route("/v1.0/servicePrincipals", service.service_principals, methods=["GET"]),
        Route("/v1.0/servicePrincipals/{oid}", service.one, methods=["GET"]),
        Route("/v1.0/users/{oid}", service.one, methods=["GET"]),
    ]


class _Graph:
    def __init__(self, sandbox: Sandbox) -> None:
        identity = sandbox.identity
        self._application = {
            "@odata.type": "#microsoft.graph.servicePrincipal",
            "id": identity.application_oid,
            "appId": identity.client_id,
            "displayName": "phift-tui sandbox",
            "servicePrincipalNames": [identity.client_id],
            "servicePrincipalType": "Application",
        }
        self._person = {
            "@odata.type": "#microsoft.graph.user",
            "id": identity.person_oid,
            "displayName": "Sandbox Person",
            "userPrincipalName": identity.person,
            "mail": None,
        }

    async def me(self, request: Request) -> Response:
        if principal_of(request).oid != self._person["id"]:
            raise ServiceError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        return answer(self._person)

    async def by_ids(self, request: Request) -> Response:
        ids = (await json_body(request)).get("ids")
        return answer({"value": [one for one in self._all() if isinstance(ids, list) and one["id"] in ids]})

    async def service_principals(self, request: Request) -> Response:
        match = _NAMED.search(request.query_params.get("$filter", ""))
        wanted = match is None or match[1] == self._application["appId"]
        return answer({"value": [self._application] if wanted else []})

    async def one(self, request: Request) -> Response:
        oid = request.path_params["oid"]
        for found in self._all():
            if found["id"] == oid:
                return answer(found)
        raise ServiceError(404, "Request_ResourceNotFound", f"Resource '{oid}' does not exist.")

    def _all(self) -> list[dict[str, Any]]:
        return [self._application, self._person]
