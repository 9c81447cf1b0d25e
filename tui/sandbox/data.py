"""Data assets, code and environments of a workspace, and where the bytes behind a location lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import datastores, sas, storage_access
from tui.sandbox.blob_store import Address
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.versions import CODES, DATA, ENVIRONMENTS, asset_routes, workspace_of
from tui.sandbox.wire import answer

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_DATASTORE = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resource[gG]roups/[^/]+/(?:providers/Microsoft\.MachineLearningServices/)?"
    r"workspaces/[^/]+/)?datastores/(?P<store>[^/]+)/paths/(?P<path>.+)"
)
_ASSET = re.compile(
    r"(?:azureml:)?/subscriptions/.+/(?P<kind>data|models|codes)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
    r"|azureml://locations/[^/]+/workspaces/[^/]+/(?P<kind2>data|models|codes)/(?P<name2>[^/]+)/versions/(?P<version2>[^/]+)"
    r"|azureml:(?P<name3>[^/:]+):(?P<version3>[^/:]+)",
    re.IGNORECASE,
)
_URI_PROPERTY = {"data": "dataUri", "models": "modelUri", "codes": "codeUri"}


@dataclass(frozen=True, slots=True)
class Location:
    """A blob or a folder of blobs: account, container, and a path without slashes at its ends."""

    account: str
    container: str
    path: str


def bad_reference(uri: str, why: str) -> ServiceError:
    """Azure's refusal of an input that does not lead anywhere."""
    return ServiceError(400, "UserError", f"The reference '{uri}' is not valid: {why}", inner={"code": "BadArgument"})


def locate(sandbox: Sandbox, workspace_id: str, uri: str) -> Location:
    """Where the bytes behind a datastore URI, an asset's id or a blob's URL lie.

    Raises:
        ServiceError: 400 or 404 UserError when the asset or the datastore does not exist.
    """
    match = _DATASTORE.fullmatch(uri)
    if match:
        store = datastores.require(sandbox, workspace_id, match["store"])["properties"]
        return Location(store["accountName"], store["containerName"], unquote(match["path"]).strip("/"))
    match = _ASSET.fullmatch(uri)
    if match:
        kind = (match["kind"] or match["kind2"] or "data").lower()
        name = match["name"] or match["name2"] or match["name3"]
        version = match["version"] or match["version2"] or match["version3"]
        body = sandbox.state.get(f"{workspace_id}/{kind}/{name}/versions/{version}")
        if body is None:
            noun = {"data": "Data", "models": "Model", "codes": "Code"}[kind]
            raise ServiceError(
                404,
                "UserError",
                f"{noun} asset {name}:{version} was not found in the workspace.",
                inner={"code": "NotFound"},
            )
        return locate(sandbox, workspace_id, body["properties"][_URI_PROPERTY[kind]])
    parts = urlsplit(uri)
    suffix = ".blob.core.windows.net"
    if parts.scheme == "https" and parts.netloc.endswith(suffix):
        container, _, path = unquote(parts.path).strip("/").partition("/")
        return Location(parts.netloc.removesuffix(suffix), container, path)
    raise bad_reference(uri, "it is neither a datastore path, nor an asset, nor a blob.")


def fetch(sandbox: Sandbox, location: Location, folder: Path) -> Path:
    """Copy the blob, or the folder of blobs, at `location` into `folder`; returns the path of the copy.

    Raises:
        ServiceError: 404 UserError when there is nothing.
    """
    store = sandbox.blobs
    name = location.path.rsplit("/", 1)[-1] or location.container
    blob = store.find(Address(location.account, location.container, location.path)) if location.path else None
    target = folder / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if blob is not None:
        store.copy_to(blob, target)
        return target
    prefix, after, found = f"{location.path}/" if location.path else "", "", False
    while True:
        page = store.page(location.account, location.container, prefix, after, 1000)
        for path, member in page:
            found = True
            place = target / path[len(prefix) :]
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            store.copy_to(member, place)
            after = path
        if len(page) < 1000:
            break
    if not found:
        raise ServiceError(
            404, "UserError", f"There is no file at '{location.container}/{location.path}'.", inner={"code": "NotFound"}
        )
    return target


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of data assets, code and environments."""

    def job_is_near(body: dict[str, Any]) -> None:
        sandbox.supervisor.warm_up()

    async def pending_upload(request: Request) -> Response:
        """A place for a code upload: a fresh folder of the default datastore with a SAS for its container."""
        workspace = workspace_of(sandbox, request)
        store = datastores.require(sandbox, workspace["id"], "workspaceblobstore")["properties"]
        name, version = request.path_params["name"], request.path_params["version"]
        account, container = store["accountName"], f"{name}-{version}"[:63].strip("-").lower()
        sandbox.blobs.create_container(account, container, {}, exist_ok=True)
        key, expires = storage_access.keys(sandbox, account)[0], sandbox.clock.now() + timedelta(hours=4)
        url = f"https://{account}.blob.core.windows.net/{container}"
        return answer(
            {
                "pendingUploadId": f"{name}.{version}",
                "pendingUploadType": "TemporaryBlobReference",
                "blobReferenceForConsumption": {
                    "blobUri": url,
                    "storageAccountArmId": storage_access.account(sandbox, account)["id"],
                    "credential": {
                        "credentialType": "SAS",
                        "sasUri": f"{url}?{sas.service_sas(account, key, container, '', 'rcwl', expires)}",
                    },
                },
            }
        )

    return [
        Route(f"{WORKSPACE}/codes/{{name}}/versions/{{version}}/startPendingUpload", pending_upload, methods=["POST"]),
        *asset_routes(sandbox, DATA, after_create=job_is_near),
        *asset_routes(sandbox, CODES),
        *asset_routes(sandbox, ENVIRONMENTS),
    ]
