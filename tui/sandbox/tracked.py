"""Resources of the other providers: storage accounts, key vaults, and whatever else a template puts beside a hub."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, storage_access
from tui.sandbox.blob_store import Container
from tui.sandbox.clock import iso
from tui.sandbox.directory import USER_ASSIGNED
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import Principal, principal_of
from tui.sandbox.paths import GROUP, name_of, segment_after
from tui.sandbox.wire import answer, json_body, page, section, system_data

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

STORAGE = "Microsoft.Storage/storageAccounts"
VAULT = "Microsoft.KeyVault/vaults"
ACCOUNT = "Microsoft.CognitiveServices/accounts"
# The providers whose resources carry an entity tag, in the body and as a header.
WITH_ETAG = ("Microsoft.CognitiveServices/", "Microsoft.Network/")
_ACCOUNT_NAME = re.compile(r"[a-z0-9]{3,24}")
_VAULT_NAME = re.compile(r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]")


def require_group(sandbox: Sandbox, resource_id: str) -> dict[str, Any]:
    """Return the body of the resource group that an identifier lies in; raises Azure's 404 where there is none."""
    segments = resource_id.split("/")
    body = sandbox.state.get("/".join(segments[:5]))
    if body is None:
        raise ServiceError(
            404,
            "ResourceGroupNotFound",
            f"Resource group '{segment_after(resource_id, 'resourceGroups')}' could not be found.",
        )
    if body["properties"]["provisioningState"] == "Deleting":
        raise ServiceError(
            409,
            "ResourceGroupBeingDeleted",
            f"The resource group '{body['name']}' is in deprovisioning state and cannot perform this operation.",
        )
    return body


def remove(sandbox: Sandbox, resource_id: str) -> bool:
    """Remove a resource of a group with all that lives in it; returns whether there was one."""
    require_group(sandbox, resource_id)
    if sandbox.state.get(resource_id) is None:
        return False
    sandbox.delete(resource_id)
    return True


def region(location: Any, kind: str) -> str:
    """Return a location in its short spelling ("East US 2" is ``eastus2``); raises Azure's 400 for an unknown one."""
    if not isinstance(location, str) or not location.strip():
        raise ServiceError(400, "LocationRequired", "The location property is required for this definition.")
    short = location.replace(" ", "").lower()
    known = [entry["name"] for entry in access.catalogue("regions")["regions"]]
    if short not in known:
        raise ServiceError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{location}' is not available for resource type '{kind}'. List of available "
            f"regions for the resource type is '{','.join(known)}'.",
        )
    return short


def create(
    sandbox: Sandbox, resource_id: str, kind: str, asked: dict[str, Any], principal: Principal
) -> dict[str, Any]:
    """Create or replace a resource and return its body; raises what its provider answers to a bad request."""
    name = name_of(resource_id)
    before = sandbox.state.get(resource_id)
    body: dict[str, Any] = {"id": resource_id, "name": name, "type": kind}
    if "location" in asked or kind.count("/") == 1:
        body["location"] = region(asked.get("location"), kind)
    body["tags"] = section(asked, "tags")
    body |= {key: asked[key] for key in ("sku", "kind", "identity") if key in asked}
    properties = {key: value for key, value in section(asked, "properties").items() if value is not None}
    if kind == STORAGE:
        _storage_properties(sandbox, resource_id, body, properties)
    elif kind == VAULT:
        _vault_properties(sandbox, resource_id, properties)
        body["systemData"] = system_data(principal, sandbox.clock.now(), (before or {}).get("systemData"))
    elif kind == ACCOUNT:
        domain = properties.get("customSubDomainName") or name
        properties["endpoint"] = f"https://{str(domain).lower()}.cognitiveservices.azure.com/"
    elif kind == USER_ASSIGNED:
        kept = (before or {}).get("properties", {})
        properties = {name: kept.get(name, str(uuid.uuid4())) for name in ("principalId", "clientId")}
        properties["tenantId"] = sandbox.identity.directory.tenant_of(resource_id).id
    body["properties"] = {**properties, "provisioningState": "Succeeded"}
    sandbox.state.put(resource_id, kind, body)
    return body


def _storage_properties(sandbox: Sandbox, resource_id: str, body: dict[str, Any], properties: dict[str, Any]) -> None:
    name = body["name"]
    refusal = name_refusal(sandbox, name, resource_id)
    if refusal is not None:
        reason, message = refusal
        if reason == "AlreadyExists":
            raise ServiceError(409, "StorageAccountAlreadyTaken", message)
        raise ServiceError(400, reason, message)
    sku = str(section(body, "sku").get("name", "Standard_LRS"))
    body["sku"] = {"name": sku, "tier": sku.partition("_")[0]}
    body.setdefault("kind", "StorageV2")
    now = iso(sandbox.clock.now())
    before = sandbox.state.get(resource_id)
    kept = before["properties"] if before else {}
    properties["creationTime"] = kept.get("creationTime", now)
    properties.setdefault("accessTier", "Hot")
    properties.setdefault("minimumTlsVersion", "TLS1_2")
    properties.setdefault("allowBlobPublicAccess", False)
    properties.setdefault("supportsHttpsTrafficOnly", True)
    properties.setdefault("isHnsEnabled", False)
    properties.setdefault(
        "networkAcls", {"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []}
    )
    # A scenario may forbid keys on every account of the subscription, as a policy of a company does.
    if sandbox.state.settings.get("forbid_account_keys"):
        properties["allowSharedKeyAccess"] = False
    properties |= {
        "primaryEndpoints": {
            "blob": f"https://{name}.blob.core.windows.net/",
            "file": f"https://{name}.file.core.windows.net/",
        },
        "primaryLocation": body["location"],
        "statusOfPrimary": "available",
    }


def _vault_properties(sandbox: Sandbox, resource_id: str, properties: dict[str, Any]) -> None:
    name = name_of(resource_id)
    if not _VAULT_NAME.fullmatch(name):
        raise ServiceError(
            400,
            "VaultNameNotValid",
            f"The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The "
            "name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens.",
        )
    taken = [body for body in sandbox.state.of_type(VAULT, name) if body["id"].lower() != resource_id.lower()]
    if taken:
        raise ServiceError(
            409, "VaultAlreadyExists", f"The vault name '{name}' is already in use. Vault names are globally unique."
        )
    properties.setdefault("sku", {"name": "standard", "family": "A"})
    properties.setdefault("tenantId", sandbox.identity.directory.tenant_of(resource_id).id)
    properties["vaultUri"] = f"https://{name}.vault.azure.net/"


def name_refusal(sandbox: Sandbox, name: str, resource_id: str = "") -> tuple[str, str] | None:
    """Return reason and message why a storage account cannot have this name, or None where it can."""
    if not _ACCOUNT_NAME.fullmatch(name):
        return (
            "AccountNameInvalid",
            f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in "
            "length and use numbers and lower-case letters only.",
        )
    others = [body for body in sandbox.state.of_type(STORAGE, name) if body["id"].lower() != resource_id.lower()]
    if others:
        return "AlreadyExists", f"The storage account named {name} is already taken."
    return None


def _container(account: dict[str, Any], container: Container) -> dict[str, Any]:
    """Return a container of the blob service as Resource Manager answers it."""
    return {
        "id": f"{account['id']}/blobServices/default/containers/{container.name}",
        "name": container.name,
        "type": f"{STORAGE}/blobServices/containers",
        "etag": container.etag,
        "properties": {
            "publicAccess": "None",
            "leaseStatus": "Unlocked",
            "leaseState": "Available",
            "lastModifiedTime": iso(datetime.fromtimestamp(container.modified, UTC)),
            "metadata": container.metadata,
        },
    }


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of tracked resources; they come last on their plane, as they match any provider's type."""
    service = _Tracked(sandbox)
    provider = "/providers/{namespace}/{kind}"
    account = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{{name}}"
    container = f"{account}/blobServices/default/containers"
    return [
        Route(
            "/subscriptions/{subscription}/providers/Microsoft.Storage/checkNameAvailability",
            service.check_name,
            methods=["POST"],
        ),
        Route(f"{account}/listKeys", service.list_keys, methods=["POST"]),
        Route(f"{account}/regenerateKey", service.regenerate_key, methods=["POST"]),
        Route(container, service.containers, methods=["GET"]),
        Route(f"{container}/{{container}}", service.container, methods=["GET", "PUT"]),
        Route(f"/subscriptions/{{subscription}}{provider}", service.listed, methods=["GET"]),
        Route(f"{GROUP}{provider}", service.listed, methods=["GET"]),
        Route(f"{GROUP}{provider}/{{name}}", service.one, methods=["GET", "HEAD"]),
        Route(f"{GROUP}{provider}/{{name}}", service.write, methods=["PUT", "PATCH"]),
        Route(f"{GROUP}{provider}/{{name}}", service.delete, methods=["DELETE"]),
    ]


class _Tracked:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def listed(self, request: Request) -> Response:
        kind = self._kind(request)
        group = request.path_params.get("group")
        found = self._sandbox.state.of_type(kind)
        if group is not None:
            inside = require_group(self._sandbox, request.url.path)["id"].lower() + "/"
            found = [body for body in found if body["id"].lower().startswith(inside)]
        return answer(page(request, lambda offset, count: found[offset : offset + count], size=1000))

    async def one(self, request: Request) -> Response:
        self._kind(request)
        require_group(self._sandbox, request.url.path)
        return self._answer(self._sandbox.state.require(request.url.path))

    async def write(self, request: Request) -> Response:
        kind, path = self._kind(request), request.url.path
        require_group(self._sandbox, path)
        asked = await json_body(request)
        before = self._sandbox.state.get(path)
        if request.method == "PATCH":
            before = self._sandbox.state.require(path)
            asked = {**before, **asked, "properties": {**before["properties"], **section(asked, "properties")}}
        body = create(self._sandbox, path, kind, asked, principal_of(request))
        return self._answer(body, 200 if before or kind in (STORAGE, VAULT) else 201)

    async def delete(self, request: Request) -> Response:
        self._kind(request)
        return Response(status_code=200 if remove(self._sandbox, request.url.path) else 204)

    async def check_name(self, request: Request) -> Response:
        name = str((await json_body(request)).get("name", ""))
        refusal = name_refusal(self._sandbox, name)
        if refusal is None:
            return answer({"nameAvailable": True})
        return answer({"nameAvailable": False, "reason": refusal[0], "message": refusal[1]})

    async def list_keys(self, request: Request) -> Response:
        return answer({"keys": self._keys(self._account(request))})

    async def regenerate_key(self, request: Request) -> Response:
        account = self._account(request)
        key = str((await json_body(request)).get("keyName", ""))
        if key not in ("key1", "key2"):
            raise ServiceError(400, "InvalidKeyName", "Values for request parameters are invalid: keyName.")
        storage_access.renew_key(self._sandbox, account["name"], key)
        return answer({"keys": self._keys(account)})

    async def containers(self, request: Request) -> Response:
        account = self._account(request)
        found = [_container(account, one) for one in self._sandbox.blobs.containers(account["name"])]
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def container(self, request: Request) -> Response:
        account, name = self._account(request), request.path_params["container"]
        blobs, status = self._sandbox.blobs, 200
        if request.method == "PUT" and name not in [one.name for one in blobs.containers(account["name"])]:
            metadata = section(section(await json_body(request), "properties"), "metadata")
            blobs.create_container(account["name"], name, {key: str(value) for key, value in metadata.items()})
            status = 201
        found = blobs.container(account["name"], name)
        return answer(_container(account, found), status, {"ETag": found.etag})

    def _answer(self, body: dict[str, Any], status: int = 200) -> Response:
        if not body["type"].startswith(WITH_ETAG):
            return answer(body, status)
        etag = str(self._sandbox.state.etag(body["id"]))
        return answer({**body, "etag": etag}, status, {"ETag": etag})

    def _kind(self, request: Request) -> str:
        namespace, kind = request.path_params["namespace"], request.path_params["kind"]
        known = access.catalogue("providers")["resource_types"].get(namespace)
        if known is None:
            raise ServiceError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
        if kind not in known:
            raise ServiceError(
                404,
                "InvalidResourceType",
                f"The resource type '{kind}' could not be found in the namespace '{namespace}' for api version "
                f"'{request.query_params['api-version']}'.",
            )
        return f"{namespace}/{kind}"

    def _account(self, request: Request) -> dict[str, Any]:
        path = request.url.path
        require_group(self._sandbox, path)
        return self._sandbox.state.require("/".join(path.split("/")[:9]))

    def _keys(self, account: dict[str, Any]) -> list[dict[str, Any]]:
        values = storage_access.keys(self._sandbox, account["name"])
        created = account["properties"]["creationTime"]
        return [
            {"creationTime": created, "keyName": name, "value": value, "permissions": "FULL"}
            for name, value in zip(("key1", "key2"), values, strict=True)
        ]
