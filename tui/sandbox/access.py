"""Who may do what: role assignments, effective permissions, provider registration, and the check of every request."""

from __future__ import annotations

import json
import re
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

import assets
from tui.sandbox.clock import iso
from tui.sandbox.directory import HOME_NAME, Tenant
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import Principal
from tui.sandbox.paths import segment_after

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
PROVIDER = "Microsoft.Resources/providers"
SUBSCRIPTION = "Microsoft.Resources/subscriptions"
RESOURCE_GROUP = "Microsoft.Resources/resourceGroups"

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview|-privatepreview|-alpha|-beta|-dataplanepreview)?")
_OPERATIONS = ("operationsstatus", "operationresults", "operationstatuses", "asyncoperations")
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}


@cache
def catalogue(name: str) -> dict[str, Any]:
    """Return the data file `name` (without suffix) of the catalogue folder."""
    data: dict[str, Any] = json.loads((assets.ROOT / "catalog" / f"{name}.json").read_text("utf-8"))
    return data


def roles() -> list[dict[str, Any]]:
    """Return the built-in roles: ``id``, ``name``, ``description`` and the four lists of actions."""
    listed: list[dict[str, Any]] = catalogue("roles")["roles"]
    return listed


def role_named(name: str) -> dict[str, Any]:
    """Return the built-in role with this name or id, any case; raises KeyError for an unknown one."""
    wanted = name.lower()
    for role in roles():
        if wanted in (role["name"].lower(), role["id"]):
            return role
    raise KeyError(name)


def found(sandbox: Sandbox, tenant: Tenant, name: str = HOME_NAME, role: str = "Owner") -> str:
    """Make a subscription of `tenant`, with a role for its application and its person, and return its id."""
    state = sandbox.state
    subscription = str(uuid.uuid4())
    with state.transaction():
        scope = f"/subscriptions/{subscription}"
        state.put(
            scope,
            SUBSCRIPTION,
            {
                "id": scope,
                "authorizationSource": "RoleBased",
                "managedByTenants": [],
                "subscriptionId": subscription,
                "tenantId": tenant.id,
                "displayName": name,
                "state": "Enabled",
                "subscriptionPolicies": {
                    "locationPlacementId": "Public_2014-09-01",
                    "quotaId": "PayAsYouGo_2014-09-01",
                    "spendingLimit": "Off",
                },
            },
        )
        facts = catalogue("providers")
        for namespace in facts["resource_types"]:
            on = namespace not in facts["not_registered_by_default"]
            set_registration(sandbox, subscription, namespace, "Registered" if on else "NotRegistered")
        assign(sandbox, scope, role, tenant.application_oid, "ServicePrincipal")
        assign(sandbox, scope, role, tenant.person_oid, "User")
    return subscription


def admit_machine(sandbox: Sandbox) -> None:
    """Give the machine's managed identity the application's roles, once; state of an older version has none for it."""
    settings, identity = sandbox.state.settings, sandbox.identity
    if settings.get("machine_admitted"):
        return
    with sandbox.state.transaction():
        settings.set("machine_admitted", True)
        for body in sandbox.state.of_type(ASSIGNMENT):
            properties = body["properties"]
            if properties["principalId"] == identity.application_oid:
                role = properties["roleDefinitionId"].rsplit("/", 1)[-1]
                assign(sandbox, properties["scope"], role, identity.machine_oid, "ServicePrincipal")


def set_registration(sandbox: Sandbox, subscription: str, namespace: str, registration: str) -> dict[str, Any]:
    """Give a provider a registration state and return its body."""
    facts = catalogue("providers")
    versions = facts["api_versions"].get(namespace, ["2025-04-01", "2024-01-01", "2022-04-01", "2020-06-01"])
    locations = [region["displayName"] for region in catalogue("regions")["regions"]]
    resource_id = f"/subscriptions/{subscription}/providers/{namespace}"
    body = {
        "id": resource_id,
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": registration,
        "resourceTypes": [
            {
                "resourceType": kind,
                "locations": locations,
                "apiVersions": versions,
                "capabilities": "None",
            }
            for kind in facts["resource_types"].get(namespace, [])
        ],
    }
    if namespace in facts["always_registered"]:
        body["registrationPolicy"] = "RegistrationFree"
    sandbox.state.put(resource_id, PROVIDER, body)
    return body


def assign(
    sandbox: Sandbox, scope: str, role: str, oid: str, principal_type: str, name: str | None = None
) -> dict[str, Any]:
    """Give the principal `oid` a role at `scope` and return the assignment's body."""
    name = name or str(uuid.uuid4())
    resource_id = f"{scope}/providers/{ASSIGNMENT}/{name}"
    subscription = segment_after(scope, "subscriptions")
    now = iso(sandbox.clock.now())
    body = {
        "properties": {
            "roleDefinitionId": f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/"
            f"{role_named(role)['id']}",
            "principalId": oid,
            "principalType": principal_type,
            "scope": scope,
            "condition": None,
            "conditionVersion": None,
            "createdOn": now,
            "updatedOn": now,
            "createdBy": sandbox.identity.application_oid,
            "updatedBy": sandbox.identity.application_oid,
            "delegatedManagedIdentityResourceId": None,
            "description": None,
        },
        "id": resource_id,
        "type": ASSIGNMENT,
        "name": name,
    }
    sandbox.state.put(resource_id, ASSIGNMENT, body)
    return body


def assignments_over(sandbox: Sandbox, scope: str, oid: str | None = None) -> list[dict[str, Any]]:
    """Return the role assignments that hold at `scope`, inherited ones included, of one principal or of all."""
    lowered = scope.lower() + "/"
    return [
        body
        for body in sandbox.state.of_type(ASSIGNMENT)
        if lowered.startswith(body["properties"]["scope"].lower().rstrip("/") + "/")
        and oid in (None, body["properties"]["principalId"])
    ]


def permissions_at(sandbox: Sandbox, scope: str, oid: str) -> list[dict[str, Any]]:
    """Return the effective permissions of a principal at `scope`: one entry of action lists for each role it has."""
    entries = []
    for body in assignments_over(sandbox, scope, oid):
        role = role_named(body["properties"]["roleDefinitionId"].rsplit("/", 1)[-1])
        entries.append({key: role[key] for key in ("actions", "notActions", "dataActions", "notDataActions")})
    return entries


def allows(permissions: list[dict[str, Any]], action: str, *, data: bool = False) -> bool:
    """Return whether one entry has a pattern for `action` among its actions and none among its exclusions."""
    wanted, excluded = ("dataActions", "notDataActions") if data else ("actions", "notActions")
    return any(
        any(_matches(pattern, action) for pattern in entry[wanted])
        and not any(_matches(pattern, action) for pattern in entry[excluded])
        for entry in permissions
    )


def require(sandbox: Sandbox, principal: Principal, action: str, scope: str) -> None:
    """Raise Azure's 403, which names the action and the scope, unless the principal may do `action` at `scope`."""
    if allows(permissions_at(sandbox, scope, principal.oid), action):
        return
    raise ServiceError(
        403,
        "AuthorizationFailed",
        f"The client '{principal.name}' with object id '{principal.oid}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your "
        "credentials.",
    )


def check(sandbox: Sandbox, request: Request, audiences: tuple[str, ...]) -> None:
    """Let a request through or raise what Azure answers: 401, unknown subscription, 403, api-version, registration.

    The principal is left in the request's scope.
    """
    path = request.scope["path"]
    if path in ("/metadata/endpoints", "/discovery", "/"):
        return  # the description of the cloud is public
    principal = sandbox.identity.authenticate(request, audiences)
    request.scope["principal"] = principal
    subscription = segment_after(path, "subscriptions")
    body = sandbox.state.get(f"/subscriptions/{subscription}") if subscription is not None else None
    if body is not None:
        sandbox.identity.require_tenant(principal, body["tenantId"])
    if request.scope["plane"] != "arm":
        return
    if subscription is not None:
        if body is None:
            raise ServiceError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
        if not any(mark in path.lower() for mark in _OPERATIONS):
            scope, action = action_of(request.method, path)
            require(sandbox, principal, action, scope)
        if body["state"] == "Disabled" and request.method not in ("GET", "HEAD"):
            raise ServiceError(
                409,
                "ReadOnlyDisabledSubscription",
                f"The subscription '{subscription}' is disabled and therefore marked as read only. You cannot perform "
                "any write actions on this subscription until it is re-enabled.",
            )
    _check_version(request)
    if subscription is not None and request.method in ("PUT", "POST", "PATCH"):
        _check_registration(sandbox, subscription, path)


def action_of(method: str, path: str) -> tuple[str, str]:
    """Return the scope and the action that a request on Resource Manager needs permission for.

    ``GET …/providers/NS/type/name/sub/name`` needs ``NS/type/sub/read``; a POST's last segment is the action's name.
    """
    segments = path.strip("/").split("/")
    if "providers" not in segments[::2]:
        kinds = segments[::2]
        scope = "/" + "/".join(segments[: len(segments) // 2 * 2])
        if kinds[1:2] == ["resourceGroups"]:
            if kinds[2:3] == ["deployments"]:
                return scope, _action("Microsoft.Resources/deployments", kinds[3:], method)
            return scope, _action("Microsoft.Resources/subscriptions/resourceGroups", kinds[2:], method)
        return scope, _action("Microsoft.Resources/subscriptions", kinds[1:], method)
    at = len(segments) - 1 - segments[::-1].index("providers")
    namespace, rest = "".join(segments[at + 1 : at + 2]), segments[at + 2 :]
    outer = "/" + "/".join(segments[:at])
    if not rest:
        return outer, _action("Microsoft.Resources/subscriptions/providers", [], method)
    if len(rest) == 1 or namespace == "Microsoft.Authorization":
        # A collection is asked of what it lives in, and so are registration and role assignments.
        return outer, _action(namespace, rest[::2], method)
    named = rest[: len(rest) // 2 * 2]
    return "/".join([outer, "providers", namespace, *named]), _action(namespace, rest[::2], method)


def registered(sandbox: Sandbox, subscription: str, namespace: str) -> bool:
    """Return whether a provider is registered in the subscription."""
    body = sandbox.state.get(f"/subscriptions/{subscription}/providers/{namespace}")
    return body is not None and body["registrationState"] == "Registered"


def require_registered(sandbox: Sandbox, subscription: str, namespace: str) -> None:
    """Raise Azure's 409 unless the provider is registered."""
    if not registered(sandbox, subscription, namespace):
        message = (
            f"The subscription is not registered to use namespace '{namespace}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions."
        )
        raise ServiceError(
            409,
            "MissingSubscriptionRegistration",
            message,
            details=[{"code": "MissingSubscriptionRegistration", "target": namespace, "message": message}],
        )


def _check_registration(sandbox: Sandbox, subscription: str, path: str) -> None:
    segments = path.strip("/").split("/")
    if "providers" not in segments:
        return
    at = len(segments) - 1 - segments[::-1].index("providers")
    rest = segments[at + 1 :]
    if (
        len(rest) > 1
        and rest[1] not in ("register", "unregister")
        and rest[0] in catalogue("providers")["resource_types"]
    ):
        require_registered(sandbox, subscription, rest[0])


def _check_version(request: Request) -> None:
    version = request.query_params.get("api-version")
    if not version:
        raise ServiceError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    # Of an extension resource, such as the permissions at a workspace, the last provider's versions count.
    before, _, rest = request.scope["path"].rpartition("/providers/")
    namespace = rest.partition("/")[0] if before or rest != request.scope["path"] else None
    if request.scope["path"].lower().rstrip("/").endswith((f"/providers/{namespace}".lower(), "/register")):
        namespace = None  # the provider itself is a resource of Resource Manager's, with its versions
    known = catalogue("providers")["api_versions"].get(namespace)
    if not _VERSION.fullmatch(version) or (known is not None and version not in known):
        listed = ",".join(known) if known else "2022-12-01,2022-09-01,2021-04-01,2020-06-01"
        raise ServiceError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. The supported versions are '{listed}'.",
        )


def _action(kind: str, rest: list[str], method: str) -> str:
    """Return the action on a type; a POST's last segment names the action rather than a type."""
    return "/".join([kind, *rest, _VERBS.get(method, "action")])


def _matches(pattern: str, action: str) -> bool:
    return _compiled(pattern).fullmatch(action) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # "workspaces/*/delete" covers "workspaces/delete": 'Manage access to Azure Machine Learning workspaces' says of a
    # role whose only exclusion for workspaces is "workspaces/*/delete" that it cannot delete the workspace.
    between = [".*".join(re.escape(part) for part in piece.split("*")) for piece in pattern.split("/*/")]
    return re.compile("/(?:.*/)?".join(between), re.IGNORECASE)
