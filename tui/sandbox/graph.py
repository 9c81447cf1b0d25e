"""The little of Microsoft Graph that clients of this flow ask for: who I am, and names of principals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.directory import HOME_NAME, PERSON, Account, Tenant
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
        self._directory = sandbox.identity.directory

    async def me(self, request: Request) -> Response:
        tenant = self._tenant(request)
        if principal_of(request).oid != tenant.person_oid:
            raise ServiceError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        return answer(_person(tenant))

    async def by_ids(self, request: Request) -> Response:
        ids = (await json_body(request)).get("ids")
        return answer({"value": [one for one in self._all(request) if isinstance(ids, list) and one["id"] in ids]})

    async def service_principals(self, request: Request) -> Response:
        match = _NAMED.search(request.query_params.get("$filter", ""))
        applications = [one for one in self._all(request) if "appId" in one]
        return answer({"value": [one for one in applications if match is None or match[1] == one["appId"]]})

    async def one(self, request: Request) -> Response:
        oid = request.path_params["oid"]
        for found in self._all(request):
            if found["id"] == oid:
                return answer(found)
        raise ServiceError(404, "Request_ResourceNotFound", f"Resource '{oid}' does not exist.")

    def _tenant(self, request: Request) -> Tenant:
        return self._directory.tenant(principal_of(request).tenant) or self._directory.home

    def _all(self, request: Request) -> list[dict[str, Any]]:
        """Who is in the tenant of the token."""
        tenant = self._tenant(request)
        managed = [account for account in self._directory.managed() if account.tenant == tenant]
        return [
            _service_principal(self._directory.application(tenant), HOME_NAME, "Application"),
            *(_service_principal(one, one.resource_id.rsplit("/", 1)[-1], "ManagedIdentity") for one in managed),
            _person(tenant),
        ]


def _service_principal(account: Account, name: str, kind: str) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.servicePrincipal",
        "id": account.oid,
        "appId": account.client_id,
        "displayName": name,
        "servicePrincipalNames": [account.client_id],
        "servicePrincipalType": kind,
    }


def _person(tenant: Tenant) -> dict[str, Any]:
    return {
        "@odata.type": "#microsoft.graph.user",
        "id": tenant.person_oid,
        "displayName": "Sandbox Person",
        "userPrincipalName": PERSON,
        "mail": None,
    }
