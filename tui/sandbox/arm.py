"""Resource Manager's own resources: subscriptions, tenants, locations, resource groups, providers, roles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import principal_of
from tui.sandbox.operations import finisher, retry_after
from tui.sandbox.paths import GROUP, name_of, segment_after
from tui.sandbox.tracked import require_group
from tui.sandbox.wire import answer, json_body, page, section

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_SUBSCRIPTION = "/subscriptions/{subscription}"
_GROUP_NAME = re.compile(r"[\w().-]{0,89}[\w()-]")
_REGISTERING_SECONDS = 2.0
_GROUP_DELETE_SECONDS = 3.0


@finisher("register")
def _registered(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    subscription = resource_id.split("/")[2]
    access.set_registration(sandbox, subscription, name_of(resource_id), payload["registrationState"])


@finisher("group-delete")
def _group_gone(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    sandbox.delete(resource_id)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of Resource Manager's own resources."""
    service = _Arm(sandbox)
    provider = f"{_SUBSCRIPTION}/providers/{{namespace}}"
    return [
        Route("/metadata/endpoints", service.metadata, methods=["GET"]),
        Route("/subscriptions", service.subscriptions, methods=["GET"]),
        Route(_SUBSCRIPTION, service.subscription, methods=["GET"]),
        Route("/tenants", service.tenants, methods=["GET"]),
        Route(f"{_SUBSCRIPTION}/locations", service.locations, methods=["GET"]),
        Route(f"{_SUBSCRIPTION}/resourceGroups", service.groups, methods=["GET"]),
        Route(GROUP, service.group_exists, methods=["HEAD"]),
        Route(GROUP, service.group, methods=["GET"]),
        Route(GROUP, service.put_group, methods=["PUT", "PATCH"]),
        Route(GROUP, service.delete_group, methods=["DELETE"]),
        Route(f"{GROUP}/resources", service.resources, methods=["GET"]),
        Route(f"{_SUBSCRIPTION}/operationResults/{{operation}}", service.operation_result, methods=["GET"]),
        Route(f"{_SUBSCRIPTION}/providers", service.providers, methods=["GET"]),
        Route(provider, service.provider, methods=["GET"]),
        Route(f"{provider}/register", service.register, methods=["POST"]),
        Route(f"{provider}/unregister", service.unregister, methods=["POST"]),
    ]


class _Arm:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def metadata(self, request: Request) -> Response:
        """The description of the public cloud: an object in recent versions, a list of one in the Azure CLI's."""
        suffixes = {
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io",
            "mhsmDns": "managedhsm.azure.net",
        }
        cloud = {
            "name": "AzureCloud",
            "portal": "https://portal.azure.com",
            "resourceManager": "https://management.azure.com/",
            "authentication": {
                "loginEndpoint": "https://login.microsoftonline.com",
                "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "graph": "https://graph.microsoft.com/",
            "graphAudience": "https://graph.microsoft.com/",
            "microsoftGraphResourceId": "https://graph.microsoft.com/",
            "activeDirectoryDataLake": "https://datalake.azure.net/",
            "batch": "https://batch.core.windows.net/",
            "media": "https://rest.media.azure.net",
            "gallery": "https://gallery.azure.com/",
            "suffixes": suffixes,
        }
        old = request.query_params.get("api-version", "") < "2020-09-01"
        return answer([cloud] if old else cloud)

    async def subscriptions(self, request: Request) -> Response:
        # A subscription of the token's tenant is seen by whoever has a role anywhere in it.
        principal = principal_of(request)
        roles = self._sandbox.state.of_type(access.ASSIGNMENT)
        scopes = [role["properties"]["scope"] for role in roles if role["properties"]["principalId"] == principal.oid]
        seen = {segment_after(scope, "subscriptions") for scope in scopes}
        value = [
            body
            for body in self._sandbox.state.of_type(access.SUBSCRIPTION)
            if body["tenantId"] == principal.tenant and body["subscriptionId"] in seen
        ]
        return answer({"value": value, "count": {"type": "Total", "value": len(value)}})

    async def subscription(self, request: Request) -> Response:
        return answer(self._sandbox.state.require(f"/subscriptions/{request.path_params['subscription']}"))

    async def tenants(self, request: Request) -> Response:
        directory, principal = self._sandbox.identity.directory, principal_of(request)
        # A managed identity is in one tenant, the application and the person in all.
        managed = principal.oid in [account.oid for account in directory.managed()]
        seen = [one for one in directory.tenants() if not managed or one.id == principal.tenant]
        value = [
            {
                "id": f"/tenants/{one.id}",
                "tenantId": one.id,
                "countryCode": "US",
                "displayName": one.name,
                "domains": [one.domain],
                "tenantCategory": "Home",
                "defaultDomain": one.domain,
                "tenantType": "AAD",
            }
            for one in seen
        ]
        return answer({"value": value})

    async def locations(self, request: Request) -> Response:
        base = f"/subscriptions/{request.path_params['subscription']}/locations"
        value = []
        for region in access.catalogue("regions")["regions"]:
            name, display, group = region["name"], region["displayName"], region["geographyGroup"]
            paired = region["pairedRegion"]
            value.append(
                {
                    "id": f"{base}/{name}",
                    "name": name,
                    "type": "Region",
                    "displayName": display,
                    "regionalDisplayName": f"({group}) {display}",
                    "metadata": {
                        "regionType": "Physical",
                        "regionCategory": "Recommended" if paired else "Other",
                        "geographyGroup": group,
                        "pairedRegion": [{"name": paired, "id": f"{base}/{paired}"}] if paired else [],
                    },
                }
            )
        return answer({"value": value})

    async def groups(self, request: Request) -> Response:
        parent = f"/subscriptions/{request.path_params['subscription']}"
        return answer(
            page(
                request,
                lambda offset, count: self._sandbox.state.children(
                    parent, access.RESOURCE_GROUP, offset=offset, limit=count
                ),
                size=1000,
            )
        )

    async def group_exists(self, request: Request) -> Response:
        return Response(status_code=204 if self._sandbox.state.get(request.url.path) else 404)

    async def group(self, request: Request) -> Response:
        body = self._sandbox.state.get(request.url.path)
        if body is None:
            raise ServiceError(
                404, "ResourceGroupNotFound", f"Resource group '{request.path_params['group']}' could not be found."
            )
        return answer(body)

    async def put_group(self, request: Request) -> Response:
        path, name = request.url.path, request.path_params["group"]
        if not _GROUP_NAME.fullmatch(name):
            raise ServiceError(
                400,
                "InvalidResourceGroup",
                f"The provided resource group name '{name}' has these invalid characters or length: it can have up "
                "to 90 letters, digits, '_', '-', '.', '(' and ')' and must not end with a period.",
            )
        asked = await json_body(request)
        before = self._sandbox.state.get(path)
        if request.method == "PATCH":
            before = require_group(self._sandbox, path)
            asked = {"location": before["location"], "tags": before["tags"], **asked}
        if before is not None:
            require_group(self._sandbox, path)
        location = str(asked.get("location") or "").replace(" ", "").lower()
        known = [region["name"] for region in access.catalogue("regions")["regions"]]
        if not location:
            raise ServiceError(400, "LocationRequired", "The location property is required for this definition.")
        if location not in known:
            raise ServiceError(
                400,
                "LocationNotAvailableForResourceGroup",
                f"The provided location '{asked['location']}' is not available for resource group. List of available "
                f"regions is '{','.join(known)}'.",
            )
        if before is not None and before["location"] != location:
            raise ServiceError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in location "
                f"'{before['location']}'.",
            )
        body = {
            "id": before["id"] if before else path,
            "name": before["name"] if before else name,
            "type": access.RESOURCE_GROUP,
            "location": location,
            "tags": section(asked, "tags"),
            "properties": {"provisioningState": "Succeeded"},
        }
        self._sandbox.state.put(path, access.RESOURCE_GROUP, body)
        return answer(body, 200 if before else 201)

    async def delete_group(self, request: Request) -> Response:
        body = require_group(self._sandbox, request.url.path)
        body["properties"]["provisioningState"] = "Deleting"
        with self._sandbox.state.transaction():
            self._sandbox.state.put(body["id"], access.RESOURCE_GROUP, body)
            operation = self._sandbox.operations.start("group-delete", body["id"], _GROUP_DELETE_SECONDS)
        location = (
            f"https://management.azure.com/subscriptions/{request.path_params['subscription']}/operationResults/"
            f"{operation}?api-version=2025-04-01"
        )
        return Response(status_code=202, headers={"Location": location, **retry_after(self._sandbox)})

    async def operation_result(self, request: Request) -> Response:
        operation = self._sandbox.operations.get(request.path_params["operation"])
        if operation["status"] == "InProgress":
            location = f"https://management.azure.com{request.url.path}?{request.url.query}"
            return Response(status_code=202, headers={"Location": location, **retry_after(self._sandbox)})
        return Response(status_code=200)

    async def resources(self, request: Request) -> Response:
        group = require_group(self._sandbox, request.url.path)
        inside = group["id"] + "/providers/"
        rows = self._sandbox.state.inside(group["id"])
        found: list[dict[str, Any]] = [
            {
                key: body[key]
                for key in ("id", "name", "type", "location", "kind", "sku", "identity", "tags")
                if key in body
            }
            for body in rows
            if body["id"].lower().startswith(inside.lower()) and "location" in body
        ]
        return answer(page(request, lambda offset, count: found[offset : offset + count], size=1000))

    async def providers(self, request: Request) -> Response:
        found = self._sandbox.state.children(f"/subscriptions/{request.path_params['subscription']}", access.PROVIDER)
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def provider(self, request: Request) -> Response:
        return answer(self._provider(request))

    async def register(self, request: Request) -> Response:
        return answer(self._change(request, "Registering", "Registered"))

    async def unregister(self, request: Request) -> Response:
        return answer(self._change(request, "Unregistering", "Unregistered"))

    def _change(self, request: Request, during: str, after: str) -> dict[str, Any]:
        body = self._provider(request)
        if body["registrationState"] in (during, after):
            return body
        subscription = request.path_params["subscription"]
        with self._sandbox.state.transaction():
            body = access.set_registration(self._sandbox, subscription, body["namespace"], during)
            # Registration has no operation to poll on Azure either: one looks at the provider again.
            self._sandbox.operations.start("register", body["id"], _REGISTERING_SECONDS, {"registrationState": after})
        return body

    def _provider(self, request: Request) -> dict[str, Any]:
        namespace = request.path_params["namespace"]
        body = self._sandbox.state.get(f"/subscriptions/{request.path_params['subscription']}/providers/{namespace}")
        if body is None:
            raise ServiceError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        return body
