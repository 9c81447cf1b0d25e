"""Machine-learning workspaces: hubs and projects with their default datastores and connections."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, storage_access
from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import Principal, principal_of
from tui.sandbox.operations import accepted, finisher, retry_after
from tui.sandbox.paths import GROUP, WORKSPACE, WORKSPACES, name_of, segment_after
from tui.sandbox.tracked import STORAGE, VAULT, create, region, require_group
from tui.sandbox.wire import answer, json_body, page, section, system_data

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

TYPE = "Microsoft.MachineLearningServices/workspaces"
CONNECTION = f"{TYPE}/connections"
DATASTORE = f"{TYPE}/datastores"
SECONDS = {"hub": 3.0, "project": 2.0}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,32}")
# What a PATCH may change; everything else is fixed when the workspace is made.
_CHANGEABLE = (
    "description", "friendlyName", "publicNetworkAccess", "imageBuildCompute", "primaryUserAssignedIdentity",
    "applicationInsights", "containerRegistry", "systemDatastoresAuthMode", "allowRoleAssignmentOnRG", "managedNetwork",
    "serverlessComputeSettings", "v1LegacyMode", "enableDataIsolation", "networkAcls", "featureStoreSettings",
)  # fmt: skip
# What a creator may say; a template says more, which is for feature stores, or is said at each creation only.
_SETTABLE = (
    "friendlyName", "hbiWorkspace", "storageHnsEnabled", "containerRegistry", "serverlessComputeSettings",
    *("networkAcls", "description", "publicNetworkAccess", "imageBuildCompute", "primaryUserAssignedIdentity"),
    *("applicationInsights", "systemDatastoresAuthMode", "allowRoleAssignmentOnRG", "managedNetwork", "v1LegacyMode"),
    "enableDataIsolation",
)  # fmt: skip
# What a workspace answers for properties that its creator left out.
_DEFAULTS: dict[str, Any] = {
    "hbiWorkspace": False,
    "publicNetworkAccess": "Enabled",
    "allowPublicAccessWhenBehindVnet": False,
    "imageBuildCompute": "",
    "v1LegacyMode": False,
    "enableDataIsolation": True,
    "storageHnsEnabled": False,
    "systemDatastoresAuthMode": "AccessKey",
    "provisionNetworkNow": False,
    "allowRoleAssignmentOnRG": True,
    "managedNetwork": {"isolationMode": "Disabled"},
}
_AUTH_MODES = {"accesskey": "AccessKey", "identity": "Identity", "userdelegationsas": "UserDelegationSAS"}
# Properties that older versions do not answer, and the preview that brought them; stable versions have none of them.
_NEWER = {
    "systemDatastoresAuthMode": "2023-12-01-preview",
    "allowRoleAssignmentOnRG": "2024-07-01-preview",
    "provisionNetworkNow": "2024-07-01-preview",
    "networkAcls": "2024-07-01-preview",
}


def begin(sandbox: Sandbox, resource_id: str, asked: dict[str, Any], principal: Principal) -> str:
    """Begin to create or replace a workspace, which answers GETs as ``Creating`` from now on.

    Args:
        sandbox: Where.
        resource_id: The workspace's identifier.
        asked: The body of the PUT, or of the template's resource.
        principal: On whose behalf.

    Returns:
        The identifier of the operation that finishes it.

    Raises:
        ServiceError: What Azure answers to a bad name, an unknown region, a hub that is missing or elsewhere, or
            a storage account that does not exist.
    """
    name = name_of(resource_id)
    if not _NAME.fullmatch(name):
        raise ServiceError(
            400,
            "ValidationError",
            f"Workspace name '{name}' is invalid: it must be between 3 and 33 characters, start with a letter or "
            "digit, and hold only letters, digits, '-' and '_'.",
        )
    require_group(sandbox, resource_id)
    kind = str(asked.get("kind") or "Default").lower()
    if kind not in ("hub", "project", "default"):
        raise ServiceError(400, "ValidationError", f"The workspace kind '{asked['kind']}' is not supported.")
    before = sandbox.state.get(resource_id)
    given = {key: value for key, value in section(asked, "properties").items() if value not in (None, "")}
    location = region(asked.get("location"), TYPE)
    if kind == "project":
        shared = _from_hub(sandbox, resource_id, given, location)
    else:
        shared = _own_resources(sandbox, resource_id, given, location, principal)
    identifier = before["properties"]["workspaceId"] if before else str(uuid.uuid4())
    body: dict[str, Any] = {
        "id": resource_id,
        "name": name,
        "type": TYPE,
        "location": location,
        "tags": section(asked, "tags"),
        "kind": {"hub": "Hub", "project": "Project", "default": "Default"}[kind],
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": _identity(sandbox, resource_id, section(asked, "identity"), before),
        "properties": {
            "friendlyName": name,
            "description": "",
            **_DEFAULTS,
            **_said(given),
            **shared,
            "workspaceId": identifier,
            "tenantId": sandbox.identity.directory.tenant_of(resource_id).id,
            "discoveryUrl": f"https://{location}.api.azureml.ms/discovery",
            "mlFlowTrackingUri": f"azureml://{location}.api.azureml.ms/mlflow/v1.0{resource_id}",
            "notebookInfo": None,
            "privateEndpointConnections": None,
            "privateLinkCount": 0,
            "provisioningState": "Updating" if before else "Creating",
        },
        "systemData": system_data(principal, sandbox.clock.now(), (before or {}).get("systemData")),
    }
    if kind == "hub":
        config = section(given, "workspaceHubConfig")
        group = config.get("defaultWorkspaceResourceGroup") or "/".join(resource_id.split("/")[:5])
        projects = before["properties"]["associatedWorkspaces"] if before else []
        body["properties"] |= {
            "workspaceHubConfig": {
                "additionalWorkspaceStorageAccounts": [],
                **config,
                "defaultWorkspaceResourceGroup": group,
            },
            "associatedWorkspaces": projects,
        }
    with sandbox.state.transaction():
        sandbox.state.put(resource_id, TYPE, body)
        return sandbox.operations.start("workspace", resource_id, SECONDS.get(kind, 3.0))


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a creator, truth values read from the texts that the SDK's template makes of them."""
    said = {}
    for key in _SETTABLE:
        if key not in given:
            continue
        value = given[key]
        if isinstance(_DEFAULTS.get(key), bool) and isinstance(value, str):
            value = value.lower() == "true"
        elif key == "systemDatastoresAuthMode":
            value = _AUTH_MODES.get(str(value).lower(), "AccessKey")
        said[key] = value
    return said


def shown(body: dict[str, Any], version: str) -> dict[str, Any]:
    """Return a workspace as a version of the interface answers it."""
    hidden = {key for key, since in _NEWER.items() if not version.endswith("-preview") or version < since}
    return {**body, "properties": {key: value for key, value in body["properties"].items() if key not in hidden}}


def _own_resources(
    sandbox: Sandbox, resource_id: str, given: dict[str, Any], location: str, principal: Principal
) -> dict[str, Any]:
    """Return the storage account and vault of a hub: those it names, which have to exist, or new ones."""
    group = "/".join(resource_id.split("/")[:5])
    stem = re.sub(r"[^a-z0-9]", "", name_of(resource_id).lower())[:8]
    suffix = uuid.uuid4().hex[:8]
    found = {}
    for key, kind, new in (
        ("storageAccount", STORAGE, f"st{stem}{suffix}"),
        ("keyVault", VAULT, f"kv-{stem}{suffix}"),
    ):
        named = given.get(key)
        if named is None:
            # Azure makes what a hub does not name, in the hub's own group.
            created = f"{group}/providers/{kind}/{new}"
            create(sandbox, created, kind, {"location": location, "sku": {"name": "Standard_LRS"}}, principal)
            found[key] = created
            continue
        existing = sandbox.state.get(str(named))
        if existing is None or existing["type"].lower() != kind.lower():
            raise ServiceError(
                400, "ValidationError", f"The {key} '{named}' of the workspace does not exist or is not a {kind}."
            )
        found[key] = existing["id"]
    return found


def _from_hub(sandbox: Sandbox, resource_id: str, given: dict[str, Any], location: str) -> dict[str, Any]:
    """Return what a project takes over from its hub."""
    named = str(given.get("hubResourceId", ""))
    hub = sandbox.state.get(named)
    if hub is None or hub.get("kind") != "Hub":
        raise ServiceError(
            400, "ValidationError", f"The hub workspace '{named}' of the project does not exist or is not a hub."
        )
    if hub["properties"]["provisioningState"] != "Succeeded":
        raise ServiceError(409, "Conflict", f"The hub workspace '{hub['name']}' is not in the state Succeeded.")
    if hub["location"] != location:
        raise ServiceError(
            400,
            "ValidationError",
            f"The project's location '{location}' must be that of its hub, '{hub['location']}'.",
        )
    shared = ("storageAccount", "keyVault", "applicationInsights", "containerRegistry", "publicNetworkAccess")
    return {
        "hubResourceId": hub["id"],
        **{key: hub["properties"][key] for key in shared if key in hub["properties"]},
    }


def _identity(
    sandbox: Sandbox, resource_id: str, asked: dict[str, Any], before: dict[str, Any] | None
) -> dict[str, Any]:
    kept = (before or {}).get("identity", {})
    kind = str(asked.get("type") or "SystemAssigned")
    return {
        "type": kind[0].upper() + kind[1:],
        "principalId": kept.get("principalId", str(uuid.uuid4())),
        "tenantId": sandbox.identity.directory.tenant_of(resource_id).id,
    }


def finish(sandbox: Sandbox, resource_id: str) -> None:
    """Make a workspace that is being created ready at once, as a scenario wants it."""
    sandbox.operations.cancel(resource_id)
    _ready(sandbox, resource_id, {})


@finisher("workspace")
def _ready(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    """A workspace is ready: its datastores exist, and a hub knows its project."""
    body = sandbox.state.get(resource_id)
    if body is None:
        return  # its group was deleted meanwhile
    body["properties"]["provisioningState"] = "Succeeded"
    sandbox.state.put(resource_id, TYPE, body)
    if sandbox.state.count(resource_id, DATASTORE) == 0:
        _make_datastores(sandbox, body)
    hub_id = body["properties"].get("hubResourceId")
    hub = sandbox.state.get(hub_id) if hub_id else None
    if hub is not None and resource_id not in hub["properties"]["associatedWorkspaces"]:
        hub["properties"]["associatedWorkspaces"].append(resource_id)
        sandbox.state.put(hub["id"], TYPE, hub)


def _make_datastores(sandbox: Sandbox, workspace: dict[str, Any]) -> None:
    """Make the four default datastores and the containers of two of them.

    Container names are those of the recordings for a hub, and of the hub documentation's table for a project.
    """
    identifier = workspace["properties"]["workspaceId"]
    project = workspace["kind"] == "Project"
    account = workspace["properties"]["storageAccount"]
    now = iso(sandbox.clock.now())
    containers = {
        "workspaceblobstore": f"{identifier}-blobstore" if project else f"azureml-blobstore-{identifier}",
        "workspaceartifactstore": f"{identifier}-azureml" if project else "azureml",
    }
    shares = {
        "workspaceworkingdirectory": f"{identifier}-code" if project else f"code-{identifier}",
        "workspacefilestore": f"azureml-filestore-{identifier}",
    }
    for name, inside in {**containers, **shares}.items():
        blob = name in containers
        datastore_id = f"{workspace['id']}/datastores/{name}"
        properties: dict[str, Any] = {
            "description": None,
            "tags": None,
            "properties": None,
            "isDefault": name == "workspaceblobstore",
            "credentials": {"credentialsType": _credentials(workspace)},
            "subscriptionId": segment_after(account, "subscriptions"),
            "resourceGroup": segment_after(account, "resourceGroups"),
            "datastoreType": "AzureBlob" if blob else "AzureFile",
            "accountName": name_of(account),
            "containerName" if blob else "fileShareName": inside,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity" if blob else "None",
        }
        body = {
            "id": datastore_id,
            "name": name,
            "type": DATASTORE,
            "properties": properties,
            "systemData": {
                "createdAt": now,
                "lastModifiedAt": now,
                "lastModifiedBy": workspace["identity"]["principalId"],
                "lastModifiedByType": "Application",
            },
        }
        sandbox.state.put(datastore_id, DATASTORE, body)
        if blob:
            sandbox.blobs.create_container(name_of(account), inside, {}, exist_ok=True)


def _credentials(workspace: dict[str, Any]) -> str:
    return "AccountKey" if workspace["properties"]["systemDatastoresAuthMode"] == "AccessKey" else "None"


@finisher("workspace-delete")
def _gone(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    body = sandbox.state.get(resource_id)
    if body is None:
        return
    hub_id = body["properties"].get("hubResourceId")
    hub = sandbox.state.get(hub_id) if hub_id else None
    if hub is not None:
        projects = hub["properties"]["associatedWorkspaces"]
        hub["properties"]["associatedWorkspaces"] = [one for one in projects if one.lower() != resource_id.lower()]
        sandbox.state.put(hub["id"], TYPE, hub)
    sandbox.delete(resource_id)


def following(sandbox: Sandbox, operation: str, body: dict[str, Any]) -> dict[str, str]:
    """Return the headers that tell a client where to follow an operation on a workspace."""
    return accepted(sandbox, operation, body["id"], body["location"], "workspace")


def connect(
    sandbox: Sandbox, workspace: dict[str, Any], name: str, properties: dict[str, Any], principal: Principal
) -> dict[str, Any]:
    """Create or replace a connection of a workspace and return its body."""
    path = f"{workspace['id']}/connections/{name}"
    before = sandbox.state.get(path)
    body = {
        "id": path,
        "name": name,
        "type": CONNECTION,
        "properties": {
            "group": "Azure",
            "isSharedToAll": workspace["kind"] == "Hub",
            "sharedUserList": [],
            "metadata": {},
            # What signs a client in leaves this plane by listsecrets only, and the sandbox has nothing to sign in to.
            **{key: value for key, value in properties.items() if key != "credentials"},
            "createdByWorkspaceArmId": workspace["id"],
        },
        "systemData": system_data(principal, sandbox.clock.now(), (before or {}).get("systemData")),
    }
    sandbox.state.put(path, CONNECTION, body)
    return body


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of workspaces, their connections and the status of their operations."""
    service = _Workspaces(sandbox)
    location = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
    connection = f"{WORKSPACE}/connections/{{name}}"
    return [
        Route("/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/workspaces", service.listed),
        Route(WORKSPACES, service.listed, methods=["GET"]),
        Route(WORKSPACE, service.get, methods=["GET"]),
        Route(WORKSPACE, service.put, methods=["PUT"]),
        Route(WORKSPACE, service.patch, methods=["PATCH"]),
        Route(WORKSPACE, service.delete, methods=["DELETE"]),
        Route(f"{WORKSPACE}/listKeys", service.list_keys, methods=["POST"]),
        Route(f"{WORKSPACE}/listStorageAccountKeys", service.list_storage_keys, methods=["POST"]),
        Route(f"{WORKSPACE}/connections", service.connections, methods=["GET"]),
        Route(connection, service.connection, methods=["GET"]),
        Route(connection, service.put_connection, methods=["PUT", "PATCH"]),
        Route(connection, service.delete_connection, methods=["DELETE"]),
        Route(f"{connection}/listSecrets", service.connection_secrets, methods=["POST"]),
        Route(f"{location}/workspaceOperationsStatus/{{operation}}", service.operation_status, methods=["GET"]),
        Route(f"{location}/mfeOperationsStatus/{{operation}}", service.operation_status, methods=["GET"]),
        Route(f"{location}/workspaceOperationResults/{{operation}}", service.operation_result, methods=["GET"]),
        Route(f"{location}/mfeOperationResults/{{operation}}", service.operation_result, methods=["GET"]),
    ]


class _Workspaces:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def listed(self, request: Request) -> Response:
        path = request.url.path
        inside = path.removesuffix(f"/providers/{TYPE}").lower() + "/"
        if "group" in request.path_params:
            require_group(self._sandbox, path)
        kinds = [kind.strip().lower() for kind in request.query_params.get("kind", "").split(",") if kind.strip()]
        found = [
            body
            for body in self._sandbox.state.of_type(TYPE)
            if body["id"].lower().startswith(inside) and (not kinds or body["kind"].lower() in kinds)
        ]
        version = request.query_params["api-version"]
        return answer(
            page(
                request, lambda offset, count: [shown(one, version) for one in found[offset : offset + count]], size=50
            )
        )

    async def get(self, request: Request) -> Response:
        return self._answer(request, self._workspace(request))

    async def put(self, request: Request) -> Response:
        path = request.url.path
        before = self._sandbox.state.get(path)
        asked = await json_body(request)
        if str(asked.get("kind")).lower() == "hub":
            access.require(self._sandbox, principal_of(request), f"{TYPE}/hubs/write", path)
        operation = begin(self._sandbox, path, asked, principal_of(request))
        body = self._sandbox.state.require(path)
        if before is not None and body["properties"]["provisioningState"] == "Succeeded":
            return self._answer(request, body)
        return self._answer(request, body, 202, self._following(operation, body))

    async def patch(self, request: Request) -> Response:
        body = self._workspace(request)
        asked = await json_body(request)
        if body["properties"]["provisioningState"] != "Succeeded":
            raise ServiceError(409, "Conflict", f"Workspace '{body['name']}' has an operation in progress.")
        for key, value in section(asked, "properties").items():
            if key in _CHANGEABLE and value is not None:
                body["properties"][key] = value
        if "tags" in asked:
            body["tags"] = section(asked, "tags")
        if asked.get("identity"):
            body["identity"] = _identity(self._sandbox, body["id"], section(asked, "identity"), body)
        body["systemData"] = system_data(principal_of(request), self._sandbox.clock.now(), body["systemData"])
        self._sandbox.state.put(body["id"], TYPE, body)
        return self._answer(request, body)

    async def delete(self, request: Request) -> Response:
        path = request.url.path
        require_group(self._sandbox, path)
        body = self._sandbox.state.get(path)
        if body is None:
            return Response(status_code=204)
        projects = body["properties"].get("associatedWorkspaces", [])
        if projects:
            names = ", ".join(name_of(one) for one in projects)
            raise ServiceError(
                400,
                "BadRequest",
                f"Unable to delete hub workspace '{body['name']}': it has associated project workspaces ({names}). "
                "Delete these first.",
            )
        body["properties"]["provisioningState"] = "Deleting"
        with self._sandbox.state.transaction():
            self._sandbox.state.put(body["id"], TYPE, body)
            operation = self._sandbox.operations.start("workspace-delete", body["id"], 2.0)
        return Response(status_code=202, headers=self._following(operation, body))

    async def list_keys(self, request: Request) -> Response:
        body = self._workspace(request)
        account = body["properties"]["storageAccount"]
        return answer(
            {
                "userStorageKey": storage_access.keys(self._sandbox, name_of(account))[0],
                "userStorageResourceId": account,
                "appInsightsInstrumentationKey": "",
                "containerRegistryCredentials": None,
                "notebookAccessKeys": None,
            }
        )

    async def list_storage_keys(self, request: Request) -> Response:
        account = self._workspace(request)["properties"]["storageAccount"]
        return answer({"userStorageKey": storage_access.keys(self._sandbox, name_of(account))[0]})

    async def operation_status(self, request: Request) -> Response:
        body = self._sandbox.operations.get(request.path_params["operation"])
        body["id"] = request.url.path
        # Without it a client falls back on its own half minute.
        pacing = retry_after(self._sandbox) if body["status"] == "InProgress" else None
        return answer(body, headers=pacing)

    async def operation_result(self, request: Request) -> Response:
        operation = self._sandbox.operations.get(request.path_params["operation"])
        if operation["status"] == "InProgress":
            headers = {"Location": str(request.url.replace(scheme="https"))}
            return Response(status_code=202, headers={**headers, **retry_after(self._sandbox)})
        if operation["status"] == "Failed":
            raise ServiceError(400, operation["error"]["code"], operation["error"]["message"])
        body = self._sandbox.state.get(operation["id"])
        return Response(status_code=204) if body is None else answer(body)

    async def connections(self, request: Request) -> Response:
        found = self._sandbox.state.children(self._workspace(request)["id"], CONNECTION)
        category = request.query_params.get("category")
        shown = [body for body in found if category in (None, body["properties"]["category"])]
        return answer(page(request, lambda offset, count: shown[offset : offset + count]))

    async def connection(self, request: Request) -> Response:
        self._workspace(request)
        return answer(self._sandbox.state.require(request.url.path))

    async def put_connection(self, request: Request) -> Response:
        workspace = self._workspace(request)
        properties = section(await json_body(request), "properties")
        if request.method == "PATCH":
            path = f"{workspace['id']}/connections/{request.path_params['name']}"
            properties = {**self._sandbox.state.require(path)["properties"], **properties}
        for field in ("authType", "category", "target"):
            if not properties.get(field):
                raise ServiceError(400, "ValidationError", f"The connection needs the property '{field}'.")
        return answer(connect(self._sandbox, workspace, request.path_params["name"], properties, principal_of(request)))

    async def delete_connection(self, request: Request) -> Response:
        self._workspace(request)
        return Response(status_code=200 if self._sandbox.state.delete(request.url.path) else 204)

    async def connection_secrets(self, request: Request) -> Response:
        self._workspace(request)
        return answer(self._sandbox.state.require(request.url.path.rsplit("/", 1)[0]))

    def _workspace(self, request: Request) -> dict[str, Any]:
        require_group(self._sandbox, request.url.path)
        params = request.path_params
        return self._sandbox.state.require(f"{GROUP.format(**params)}/providers/{TYPE}/{params['workspace']}")

    def _answer(
        self, request: Request, body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
    ) -> Response:
        return answer(shown(body, request.query_params["api-version"]), status, headers)

    def _following(self, operation: str, body: dict[str, Any]) -> dict[str, str]:
        return following(self._sandbox, operation, body)
