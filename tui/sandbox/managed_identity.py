"""Where a managed identity's tokens come from: App Service's endpoint, and that of a virtual machine (IMDS).

Both are plain HTTP on the proxy's own port, as Azure's are plain HTTP on the machine itself, and both want the header
that `phift-tui sandbox env` prints: Azure's IMDS wants none, which on a machine with other users would be theirs too.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.daemon import identity_header
from tui.sandbox.directory import Account
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import TOKEN_SECONDS, audience_of

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_NAMES = {  # how a request may name a user-assigned identity, and what it is compared with
    "client_id": "client_id",
    "object_id": "oid",
    "principal_id": "oid",
    "mi_res_id": "resource_id",
    "msi_res_id": "resource_id",
}


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of the machine's own endpoints."""
    service = _ManagedIdentity(sandbox)
    return [
        Route("/msi/token", service.app_service, methods=["GET"]),
        Route("/imds/{header}/metadata/identity/oauth2/token", service.imds, methods=["GET"]),
    ]


class _ManagedIdentity:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._header = identity_header(sandbox.identity.client_secret)

    async def app_service(self, request: Request) -> Response:
        """The endpoint of App Service and Functions, version 2019-08-01."""
        if not self._allowed(request.headers.get("x-identity-header", "")):
            raise ServiceError(401, "Unauthorized", "The header X-IDENTITY-HEADER is missing or wrong.")
        if request.query_params.get("api-version") != "2019-08-01":
            raise ServiceError(400, "BadRequest", "The api-version is not supported; use 2019-08-01.")
        asked = _asked(request)
        account = self._find(asked)
        if account is None:
            # Worded as in Azure-Samples/azure-search-openai-demo#2148 and as App Service answers without an identity.
            raise ServiceError(
                400,
                "BadRequest",
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
                if asked
                else "Unable to load the proper Managed Identity.",
            )
        return self._token(request, account)

    async def imds(self, request: Request) -> Response:
        """The instance metadata service of a virtual machine, version 2018-02-01."""
        if not self._allowed(request.path_params["header"]):
            raise ServiceError(404, "not_found", "Not found")
        if request.headers.get("metadata", "").lower() != "true":
            raise ServiceError(400, "bad_request_102", "Required metadata header not specified")
        account = self._find(_asked(request))
        if account is None:
            raise ServiceError(400, "invalid_request", "Identity not found")
        return self._token(request, account)

    def _allowed(self, header: str) -> bool:
        return secrets.compare_digest(header.encode(), self._header.encode())

    def _find(self, asked: dict[str, str]) -> Account | None:
        directory = self._sandbox.identity.directory
        if not asked:
            return directory.system_assigned()
        return next(
            (
                account
                for account in directory.managed()
                if all(getattr(account, name).lower() == value for name, value in asked.items())
            ),
            None,
        )

    def _token(self, request: Request, account: Account) -> Response:
        resource = request.query_params.get("resource", "")
        if "://" not in resource:
            raise ServiceError(
                400,
                "invalid_resource",
                f"AADSTS500011: The resource principal named {resource} was not found in the tenant named "
                f"{account.tenant.name}. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant. You might have sent your "
                "authentication request to the wrong tenant.",
            )
        token = self._sandbox.identity.issue(audience_of(f"{resource}/.default"), account)
        now = int(self._sandbox.clock.issuing().timestamp())
        body = {
            "access_token": token,
            "client_id": account.client_id,
            "expires_on": str(now + TOKEN_SECONDS),
            "resource": resource,
            "token_type": "Bearer",
        }
        if request.url.path.startswith("/imds/"):
            body |= {
                "expires_in": str(TOKEN_SECONDS),
                "ext_expires_in": str(TOKEN_SECONDS),
                "not_before": str(now),
                "refresh_token": "",
            }
        return JSONResponse(body)


def _asked(request: Request) -> dict[str, str]:
    named = {_NAMES[name]: value.lower() for name, value in request.query_params.items() if name in _NAMES}
    return {name: value for name, value in named.items() if value}
