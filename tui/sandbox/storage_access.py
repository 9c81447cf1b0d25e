"""Who may do what with a storage account's blobs: account keys, SAS, Shared Key and bearer tokens."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from tui.sandbox import access, sas
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import AUDIENCES

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

ACCOUNT_TYPE = "Microsoft.Storage/storageAccounts"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
# SAS permission letters and the data action that a role has to grant for the same thing.
DATA_ACTIONS = {"r": f"{BLOBS}/read", "l": f"{BLOBS}/read", "d": f"{BLOBS}/delete"}


def account(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """The resource body of a storage account, by its globally unique name.

    Raises:
        ServiceError: 404 ResourceNotFound; on Azure such a host name does not even resolve.
    """
    found = sandbox.state.of_type(ACCOUNT_TYPE, name)
    if not found:
        raise ServiceError(404, "ResourceNotFound", "The specified resource does not exist.")
    return found[0]


def keys(sandbox: Sandbox, name: str) -> list[str]:
    """The two keys of a storage account, base64 of 64 bytes each as Azure's are."""
    made = []
    for number in ("key1", "key2"):
        purpose = f"storage/{name}/{number}/{sandbox.state.settings.get(f'storage/{name}/{number}', 0)}"
        made.append(base64.b64encode(sandbox.secret(purpose) + sandbox.secret(f"{purpose}/more")).decode())
    return made


def renew_key(sandbox: Sandbox, name: str, number: str) -> None:
    """Make a new "key1" or "key2"; everything signed with the old one is refused from now on."""
    setting = f"storage/{name}/{number}"
    sandbox.state.settings.set(setting, sandbox.state.settings.get(setting, 0) + 1)


def datastore_sas(sandbox: Sandbox, name: str, hours: float) -> str:
    """The account SAS that a datastore hands out as its expirable secret."""
    return sas.account_sas(name, keys(sandbox, name)[0], "rcuwdl", sandbox.clock.now() + timedelta(hours=hours))


def blob_url(sandbox: Sandbox, name: str, container: str, blob: str) -> str:
    """A URL that reads one blob without further authorization for a day, as log links of run details are."""
    expires = sandbox.clock.now() + timedelta(days=1)
    token = sas.service_sas(name, keys(sandbox, name)[0], container, blob, "r", expires)
    return f"https://{name}.blob.core.windows.net/{container}/{blob}?{token}"


def drop_orphans(sandbox: Sandbox) -> None:
    """Delete the blobs of accounts that no longer exist."""
    for name in sandbox.blobs.accounts():
        if not sandbox.state.of_type(ACCOUNT_TYPE, name):
            sandbox.blobs.delete_account(name)


def check(sandbox: Sandbox, request: Request, name: str, container: str, blob: str, needed: str) -> None:
    """Let an authorized request pass.

    Args:
        needed: SAS permission letters any one of which allows it.

    Raises:
        ServiceError: 401 without any authorization or with a bad token, 403 for a bad signature, a missing
            permission, or KeyBasedAuthenticationNotPermitted where the account forbids its keys.
    """
    body = account(sandbox, name)
    authorization = request.headers.get("authorization", "")
    signed = "sig" in request.query_params
    if signed or authorization.startswith("SharedKey "):
        if body["properties"].get("allowSharedKeyAccess") is False:
            raise ServiceError(
                403,
                "KeyBasedAuthenticationNotPermitted",
                "Key based authentication is not permitted on this storage account.",
            )
        known = keys(sandbox, name)
        if signed:
            sas.verify_sas(request.url.query, name, container, blob, known, sandbox.clock.now(), needed)
        else:
            raw_path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
            sas.verify_shared_key(
                authorization, request.method, name, raw_path, request.url.query, request.headers, known
            )
        return
    if not authorization:
        tenant = sandbox.identity.directory.tenant_of(body["id"]).id
        login = f"https://login.microsoftonline.com/{tenant}/oauth2/authorize"
        challenge = f"Bearer authorization_uri={login} resource_id=https://storage.azure.com"
        raise ServiceError(
            401,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate "
            "header.",
            headers={"WWW-Authenticate": challenge},
        )
    try:
        principal = sandbox.identity.authenticate(request, AUDIENCES["blob"])
        sandbox.identity.require_tenant(principal, sandbox.identity.directory.tenant_of(body["id"]).id)
    except ServiceError as error:
        raise ServiceError(
            401, "InvalidAuthenticationInfo", f"Server failed to authenticate the request. {error.message}"
        ) from error
    action = DATA_ACTIONS.get(needed[0], f"{BLOBS}/write")
    if not access.allows(access.permissions_at(sandbox, body["id"], principal.oid), action, data=True):
        raise ServiceError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        )
