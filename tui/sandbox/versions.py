"""Versioned assets of a workspace (data, models, code, environments): containers, versions, archiving."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError, not_found
from tui.sandbox.paths import WORKSPACE, segment_after
from tui.sandbox.wire import answer, json_body, page, section, system_data, url_of

if TYPE_CHECKING:
    from tui.sandbox.identity import Principal
    from tui.sandbox.server import Sandbox

WORKSPACE_TYPE = "Microsoft.MachineLearningServices/workspaces"
# What Azure lets change in an existing version; everything else is fixed when the version is made.
CHANGEABLE = {"description", "tags", "isArchived", "properties", "stage", "autoDeleteSetting"}
ASSET_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,254}", re.ASCII)
VIEWS: dict[str, Callable[[bool], bool]] = {
    "activeonly": lambda archived: not archived,
    "archivedonly": lambda archived: archived,
    "all": lambda archived: True,
}


@dataclass(frozen=True)
class AssetKind:
    """One kind of asset.

    Attributes:
        folder: its segment in paths: data, models, codes or environments.
        required: the property without which a version cannot be made.
        defaults: properties that Azure answers with when they were not given.
        uris: properties that hold a location, which Azure answers in full length.
    """

    folder: str
    required: str | None
    defaults: dict[str, Any]
    uris: tuple[str, ...] = ()

    @property
    def container_type(self) -> str:
        """Resource type of the containers."""
        return f"{WORKSPACE_TYPE}/{self.folder}"

    @property
    def version_type(self) -> str:
        """Resource type of the versions."""
        return f"{WORKSPACE_TYPE}/{self.folder}/versions"


COMMON: dict[str, Any] = {"description": None, "tags": {}, "properties": {}, "isArchived": False, "isAnonymous": False}
DATA = AssetKind(
    "data",
    "dataUri",
    {**COMMON, "autoDeleteSetting": None, "stage": None, "intellectualProperty": None, "dataType": "uri_file"},
    ("dataUri",),
)
MODELS = AssetKind(
    "models",
    "modelUri",
    {
        **COMMON,
        "autoDeleteSetting": None,
        "stage": None,
        "intellectualProperty": None,
        "modelType": "custom_model",
        "flavors": {},
        "jobName": None,
        "provisioningState": "Succeeded",
    },
    ("modelUri",),
)
CODES = AssetKind("codes", "codeUri", {**COMMON, "provisioningState": "Succeeded"})
ENVIRONMENTS = AssetKind(
    "environments",
    None,
    {
        **COMMON,
        "autoDeleteSetting": None,
        "stage": None,
        "environmentType": "UserCreated",
        "osType": "Linux",
        "condaFile": None,
        "image": None,
        "provisioningState": "Succeeded",
    },
)


def full_uri(uri: str, workspace_id: str) -> str:
    """A short datastore URI as Azure answers it, with subscription, resource group and workspace; others unchanged."""
    prefix = "azureml://datastores/"
    if not uri.startswith(prefix):
        return uri
    subscription = segment_after(workspace_id, "subscriptions")
    group = segment_after(workspace_id, "resourceGroups")
    workspace = segment_after(workspace_id, "workspaces")
    head = f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{workspace}"
    return f"{head}/datastores/{uri.removeprefix(prefix)}"


def _number(version: str) -> int:
    return int(version) if version.isdigit() and len(version) < 10 else 0


def put_version(
    sandbox: Sandbox, kind: AssetKind, version_id: str, given: dict[str, Any], principal: Principal
) -> tuple[dict[str, Any], bool]:
    """Create a version, or change the changeable properties of the present one.

    Returns:
        The version's body, and whether it was created.

    Raises:
        ServiceError: 400 UserError for a missing property or a changed location.
    """
    container_id, _, version = version_id.rpartition("/versions/")
    workspace_id = container_id.rsplit("/", 2)[0]
    for word in (container_id.rsplit("/", 1)[-1], version):
        if not ASSET_NAME.fullmatch(word):
            raise ServiceError(
                400, "UserError", f"'{word}' is not a valid name or version.", inner={"code": "BadArgument"}
            )
    given = {name: full_uri(value, workspace_id) if name in kind.uris else value for name, value in given.items()}
    now = sandbox.clock.now()
    present = sandbox.state.get(version_id)
    if present is not None:
        properties = present["properties"]
        for name in kind.uris:
            if name in given and given[name] != properties[name]:
                raise ServiceError(400, "UserError", "Asset paths cannot be updated.", inner={"code": "Immutable"})
        changes = {name: value for name, value in given.items() if name in CHANGEABLE and value is not None}
        body = {
            **present,
            "properties": {**properties, **changes},
            "systemData": {**present["systemData"], "lastModifiedAt": iso(now)},
        }
        created = False
    else:
        if kind.required is not None and not given.get(kind.required):
            raise ServiceError(
                400, "UserError", f"The {kind.required} field is required.", inner={"code": "BadArgument"}
            )
        filled = {name: value for name, value in given.items() if value is not None}
        body = {
            "id": version_id,
            "name": version,
            "type": kind.version_type,
            "properties": {**kind.defaults, **filled},
            "systemData": _asset_system_data(principal, now),
        }
        created = True
    with sandbox.state.transaction():
        sandbox.state.put(version_id, kind.version_type, body)
        _touch_container(sandbox, kind, container_id, version, body["properties"], principal)
    return body, created


def _asset_system_data(principal: Principal, now: datetime) -> dict[str, Any]:
    """System data as recorded of a data version: it does not tell who changed it last."""
    full = system_data(principal, now)
    return {name: full[name] for name in ("createdAt", "createdBy", "createdByType", "lastModifiedAt")}


def _touch_container(
    sandbox: Sandbox, kind: AssetKind, container_id: str, version: str, of_version: dict[str, Any], principal: Principal
) -> None:
    now = sandbox.clock.now()
    container = sandbox.state.get(container_id)
    if container is None:
        container = {
            "id": container_id,
            "name": container_id.rsplit("/", 1)[-1],
            "type": kind.container_type,
            "properties": {
                "description": None,
                "tags": {},
                "properties": {},
                "isArchived": False,
                "latestVersion": version,
                "nextVersion": "1",
            },
            "systemData": system_data(principal, now),
        }
    properties = container["properties"]
    if kind is DATA:
        properties["dataType"] = of_version["dataType"]
    properties["latestVersion"] = version
    properties["nextVersion"] = str(max(int(properties["nextVersion"]), _number(version) + 1))
    container["systemData"]["lastModifiedAt"] = iso(now)
    sandbox.state.put(container_id, kind.container_type, container)


def remove_version(sandbox: Sandbox, kind: AssetKind, version_id: str) -> bool:
    """Delete a version, and its container with the last one; returns whether there was one."""
    container_id, _, version = version_id.rpartition("/versions/")
    with sandbox.state.transaction():
        existed = sandbox.state.delete(version_id)
        rest = sandbox.state.children(container_id, kind.version_type)
        container = sandbox.state.get(container_id)
        if container is not None and not rest:
            sandbox.state.delete(container_id)
        elif container is not None and container["properties"]["latestVersion"] == version:
            container["properties"]["latestVersion"] = rest[-1]["name"]
            sandbox.state.put(container_id, kind.container_type, container)
    return existed


def workspace_of(sandbox: Sandbox, request: Request) -> dict[str, Any]:
    """The workspace that a request's path names; raises Azure's 404."""
    return sandbox.state.require(workspace_id_of(request))


def workspace_id_of(request: Request) -> str:
    """The identifier of the workspace that a request's path names."""
    return WORKSPACE.format(**{key: request.path_params[key] for key in ("subscription", "group", "workspace")})


def asset_routes(
    sandbox: Sandbox,
    kind: AssetKind,
    *,
    before_delete: Callable[[list[str]], None] = lambda versions: None,
    after_create: Callable[[dict[str, Any]], None] = lambda body: None,
) -> list[BaseRoute]:
    """Routes of one kind of asset.

    Args:
        before_delete: called with the identifiers of the versions about to be deleted; refuses by raising.
        after_create: called with the body of each new version.
    """
    state = sandbox.state

    def container_id(request: Request) -> str:
        return f"{workspace_of(sandbox, request)['id']}/{kind.folder}/{request.path_params['name']}"

    def version_id(request: Request) -> str:
        return f"{container_id(request)}/versions/{request.path_params['version']}"

    def visible(request: Request, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # The SDK sends the enumeration's own text, "ListViewType.ACTIVE_ONLY", in some calls.
        view = request.query_params.get("listViewType", "ActiveOnly").rpartition(".")[2].replace("_", "").lower()
        if view not in VIEWS:
            raise ServiceError(400, "UserError", "The listViewType is not valid.", inner={"code": "BadArgument"})
        shown = [item for item in items if VIEWS[view](item["properties"]["isArchived"])]
        for wanted in (request.query_params.get("hash"),):
            if wanted is not None:
                shown = [
                    item for item in shown if item["properties"].get("properties", {}).get("hash_sha256") == wanted
                ]
        return shown

    async def list_containers(request: Request) -> Response:
        items = visible(request, state.children(workspace_of(sandbox, request)["id"], kind.container_type))
        return answer(page(request, lambda offset, count: items[offset : offset + count]))

    async def get_container(request: Request) -> Response:
        return answer(_require(sandbox, container_id(request), kind, request.path_params["name"]))

    async def put_container(request: Request) -> Response:
        identifier, given = container_id(request), section(await json_body(request), "properties")
        present = state.get(identifier)
        fresh: dict[str, Any] = {"description": None, "tags": {}, "properties": {}, "isArchived": False}
        fresh |= {"latestVersion": None, "nextVersion": "1"}
        changes = {name: given[name] for name in ("description", "tags", "properties", "isArchived") if name in given}
        principal, now = request.scope["principal"], sandbox.clock.now()
        body = {
            "id": identifier,
            "name": request.path_params["name"],
            "type": kind.container_type,
            "properties": {
                **(present["properties"] if present else fresh),
                **changes,
            },
            "systemData": system_data(principal, now, present["systemData"] if present else None),
        }
        state.put(identifier, kind.container_type, body)
        return answer(body, 200 if present else 201)

    async def delete_container(request: Request) -> Response:
        identifier = container_id(request)
        versions = [body["id"] for body in state.children(identifier, kind.version_type)]
        before_delete(versions)
        existed = state.get(identifier) is not None
        state.delete_tree(identifier)
        return Response(status_code=200 if existed else 204)

    async def list_versions(request: Request) -> Response:
        # A name without versions has an empty list: the SDK asks so before it uploads code.
        identifier = container_id(request)
        newest = "createdtime asc" not in request.query_params.get("$orderBy", "").lower()
        items = visible(request, state.children(identifier, kind.version_type, newest_first=newest))
        return answer(page(request, lambda offset, count: items[offset : offset + count]))

    async def get_version(request: Request) -> Response:
        name = f"{request.path_params['name']}:{request.path_params['version']}"
        return answer(_require(sandbox, version_id(request), kind, name))

    async def put_version_route(request: Request) -> Response:
        identifier = version_id(request)
        given = section(await json_body(request), "properties")
        body, created = put_version(sandbox, kind, identifier, given, request.scope["principal"])
        if created:
            after_create(body)
        location = {"Location": f"{url_of(request)}?{request.url.query}"}
        return answer(body, 201 if created else 200, location if created else None)

    async def delete_version(request: Request) -> Response:
        identifier = version_id(request)
        before_delete([identifier])
        return Response(status_code=200 if remove_version(sandbox, kind, identifier) else 204)

    base = f"{WORKSPACE}/{kind.folder}"
    one, version = f"{base}/{{name}}", f"{base}/{{name}}/versions/{{version}}"
    return [
        Route(base, list_containers, methods=["GET"]),
        Route(one, get_container, methods=["GET"]),
        Route(one, put_container, methods=["PUT"]),
        Route(one, delete_container, methods=["DELETE"]),
        Route(f"{one}/versions", list_versions, methods=["GET"]),
        Route(version, get_version, methods=["GET"]),
        Route(version, put_version_route, methods=["PUT"]),
        Route(version, delete_version, methods=["DELETE"]),
    ]


def _require(sandbox: Sandbox, identifier: str, kind: AssetKind, name: str) -> dict[str, Any]:
    body = sandbox.state.get(identifier)
    if body is None:
        refusal = not_found(identifier)
        raise ServiceError(
            404, "UserError", f"{kind.folder}: {name} was not found. {refusal.message}", inner={"code": "NotFound"}
        )
    return body
