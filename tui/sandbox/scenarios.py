"""Scenarios: the state of a subscription that a file describes, from "as new" to "a trial with the wrong role"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tui.sandbox import access, base_models, directory, inference, tracked, usages, workspaces
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import Principal
from tui.trainer import places

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_PERSON = {"yes": "enters the code", "never": "never answers"}
_STATES = ("Enabled", "Warned", "PastDue", "Disabled")
_REGISTRATIONS = ("Registered", "NotRegistered", "Registering", "Unregistered")


def apply(sandbox: Sandbox, scenario: dict[str, Any]) -> None:
    """Change the sandbox's state as a scenario says; what it does not mention stays.

    Tables of a scenario, all optional: ``subscription`` (state, quota_id, spending_limit), ``providers`` (namespace to
    registration state), ``access`` (role, group, data_role), ``quota`` (family to cores, the others as shipped),
    ``limits`` (tokens and requests a minute of each endpoint, as on Azure where not named), ``storage``
    (account_keys), ``person`` (answers), ``machine`` (identity), ``models`` (stand_in), ``clock`` (skew),
    and the lists ``tenant`` (name, subscriptions, role: all tenants beside the first), ``project`` (group, location,
    hub, name), ``ai_services`` (group, location, name, hub) and ``fault`` (a fault's values).

    Raises:
        ServiceError: 400 that names the table and the value; nothing has changed then.
    """
    # Projects come first: making them needs the permissions that `access` may take away.
    appliers: dict[str, Callable[[Sandbox, Any], None]] = {
        "tenant": _tenants,
        "project": _projects,
        "ai_services": _ai_services,
        "subscription": _subscription,
        "providers": _providers,
        "access": _access,
        "quota": _quota,
        "limits": _limits,
        "storage": _storage,
        "person": _person,
        "machine": _machine,
        "models": _models,
        "clock": _clock,
        "fault": _faults,
    }
    for table, value in scenario.items():
        if table in ("title", "description"):
            continue
        if table not in appliers:
            raise _bad(table, f"is not known; use {', '.join(appliers)}")
        wanted = list if table in ("tenant", "project", "ai_services", "fault") else dict
        if not isinstance(value, wanted):
            raise _bad(table, f"must be a {'list of tables' if wanted is list else 'table'}")
    with sandbox.state.transaction():
        for table, applier in appliers.items():
            if table in scenario:
                applier(sandbox, scenario[table])


def _subscription(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("subscription", values, "state", "quota_id", "spending_limit")
    path = f"/subscriptions/{sandbox.subscription}"
    body = sandbox.state.require(path)
    if "state" in values:
        if values["state"] not in _STATES:
            raise _bad("subscription.state", f"must be one of {', '.join(_STATES)}")
        body["state"] = values["state"]
    policies = body["subscriptionPolicies"]
    policies["quotaId"] = values.get("quota_id", policies["quotaId"])
    policies["spendingLimit"] = values.get("spending_limit", policies["spendingLimit"])
    sandbox.state.put(path, access.SUBSCRIPTION, body)


def _providers(sandbox: Sandbox, values: dict[str, Any]) -> None:
    known = access.catalogue("providers")["resource_types"]
    for namespace, registration in values.items():
        if namespace not in known:
            raise _bad(f"providers.{namespace}", f"is not known; use {', '.join(known)}")
        if registration not in _REGISTRATIONS:
            raise _bad(f"providers.{namespace}", f"must be one of {', '.join(_REGISTRATIONS)}")
        access.set_registration(sandbox, sandbox.subscription, namespace, registration)


def _access(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("access", values, "role", "group", "data_role")
    subscription = f"/subscriptions/{sandbox.subscription}"
    scope = f"{subscription}/resourceGroups/{values['group']}" if "group" in values else subscription
    named = [values[key] for key in ("role", "data_role") if values.get(key)]
    try:
        roles = [access.role_named(str(name)) for name in named]
    except KeyError as error:
        listed = ", ".join(role["name"] for role in access.roles())
        raise _bad("access.role", f"{error} is not known; use {listed}") from error
    identity = sandbox.identity
    callers = {
        identity.application_oid: "ServicePrincipal",
        identity.person_oid: "User",
        identity.machine_oid: "ServicePrincipal",
    }
    for oid, kind in callers.items():
        for body in sandbox.state.of_type(access.ASSIGNMENT):
            if body["properties"]["principalId"] == oid:
                sandbox.state.delete(body["id"])
        for role in roles:
            access.assign(sandbox, scope, role["name"], oid, kind)


def _quota(sandbox: Sandbox, values: dict[str, Any]) -> None:
    known = [family["name"] for family in usages.families(sandbox)]
    for family, cores in values.items():
        if family not in known:
            raise _bad(f"quota.{family}", f"is not known; use {', '.join(known)}")
        if not isinstance(cores, int) or isinstance(cores, bool) or cores < 0:
            raise _bad(f"quota.{family}", "must be a whole number of cores")
    sandbox.state.settings.set("quota", values)


def _limits(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("limits", values, *inference.LIMITS)
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise _bad(f"limits.{name}", "must be a whole number of at least 1")
    sandbox.state.settings.set("limits", values)


def _storage(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("storage", values, "account_keys")
    keys = values.get("account_keys", "allowed")
    if keys not in ("allowed", "forbidden"):
        raise _bad("storage.account_keys", "must be 'allowed' or 'forbidden'")
    sandbox.state.settings.set("forbid_account_keys", keys == "forbidden")
    for body in sandbox.state.of_type("Microsoft.Storage/storageAccounts"):
        body["properties"]["allowSharedKeyAccess"] = keys == "allowed"
        sandbox.state.put(body["id"], body["type"], body)


def _person(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("person", values, "answers")
    if values.get("answers") not in _PERSON:
        raise _bad("person.answers", f"must be one of {', '.join(_PERSON)}")
    sandbox.state.settings.set("person", _PERSON[values["answers"]])


def _machine(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("machine", values, "identity")
    if values.get("identity") not in ("system", "none"):
        raise _bad("machine.identity", "must be 'system' or 'none'")
    sandbox.state.settings.set("machine_identity", values["identity"])


def _tenants(sandbox: Sandbox, values: list[dict[str, Any]]) -> None:
    settings = sandbox.state.settings
    before = settings.get("tenants", [])
    for entry in values:
        _only("tenant", entry, "name", "subscriptions", "role")
        if not entry.get("name"):
            raise _bad("tenant", "needs name")
    kept = [directory.guest(str(entry["name"]), before) for entry in values]
    settings.set("tenants", kept)
    known = {one["id"] for one in [*before, *kept]}
    for body in sandbox.state.of_type(access.SUBSCRIPTION):
        if body["tenantId"] in known:
            sandbox.delete(body["id"])
    for entry, one in zip(values, kept, strict=True):
        for name in entry.get("subscriptions", [entry["name"]]):
            try:
                access.found(sandbox, directory.Tenant(**one), str(name), str(entry.get("role", "Owner")))
            except KeyError as error:
                raise _bad("tenant.role", f"{error} is not known") from error


def _models(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("models", values, "stand_in")
    if values.get("stand_in") not in base_models.DESCRIPTIONS:
        raise _bad("models.stand_in", f"must be one of {', '.join(base_models.DESCRIPTIONS)}")
    if values["stand_in"] == "small" and not places.small_is_here():
        raise _bad("models.stand_in", f"is not on this machine. {places.FETCH_IT}")
    sandbox.state.settings.set("stand_in", values["stand_in"])


def _clock(sandbox: Sandbox, values: dict[str, Any]) -> None:
    _only("clock", values, "skew")
    skew = values.get("skew", 0)
    if not isinstance(skew, int | float) or isinstance(skew, bool):
        raise _bad("clock.skew", "must be a number of seconds")
    sandbox.faults.skew(skew)


def _projects(sandbox: Sandbox, values: list[dict[str, Any]]) -> None:
    owner = _owner(sandbox)
    for entry in values:
        _only("project", entry, "group", "location", "hub", "name")
        _needs("project", entry, "group", "location", "hub", "name")
        base = f"{_group(sandbox, entry)}/providers/{workspaces.TYPE}"
        hub_id = f"{base}/{entry['hub']}"
        location = {"location": entry["location"]}
        if sandbox.state.get(hub_id) is None:
            workspaces.begin(sandbox, hub_id, {**location, "kind": "Hub"}, owner)
            workspaces.finish(sandbox, hub_id)
        project_id = f"{base}/{entry['name']}"
        if sandbox.state.get(project_id) is None:
            properties = {"hubResourceId": hub_id}
            workspaces.begin(sandbox, project_id, {**location, "kind": "Project", "properties": properties}, owner)
            workspaces.finish(sandbox, project_id)


def _ai_services(sandbox: Sandbox, values: list[dict[str, Any]]) -> None:
    owner = _owner(sandbox)
    for entry in values:
        _only("ai_services", entry, "group", "location", "name", "hub")
        _needs("ai_services", entry, "group", "location", "name")
        group_id, name = _group(sandbox, entry), entry["name"]
        account_id = f"{group_id}/providers/{tracked.ACCOUNT}/{name}"
        asked = {
            "location": entry["location"],
            "kind": "AIServices",
            "sku": {"name": "S0"},
            "identity": {"type": "SystemAssigned"},
            "properties": {"customSubDomainName": name},
        }
        account = tracked.create(sandbox, account_id, tracked.ACCOUNT, asked, owner)
        if "hub" not in entry:
            continue
        hub = sandbox.state.get(f"{group_id}/providers/{workspaces.TYPE}/{entry['hub']}")
        if hub is None:
            raise _bad("ai_services.hub", f"'{entry['hub']}' is not in the group; make it by a project")
        properties = {
            "category": "AIServices",
            "target": account["properties"]["endpoint"],
            "authType": "AAD",
            "isSharedToAll": True,
            "metadata": {"ApiType": "Azure", "ResourceId": account_id},
        }
        workspaces.connect(sandbox, hub, name, properties, owner)


def _owner(sandbox: Sandbox) -> Principal:
    oid = sandbox.identity.application_oid
    return Principal(oid, oid, "Application", sandbox.identity.tenant, {})


def _group(sandbox: Sandbox, entry: dict[str, Any]) -> str:
    """Make the resource group of an entry where it does not exist and return its id."""
    group_id = f"/subscriptions/{sandbox.subscription}/resourceGroups/{entry['group']}"
    if sandbox.state.get(group_id) is None:
        body = {
            "id": group_id,
            "name": entry["group"],
            "type": access.RESOURCE_GROUP,
            "location": entry["location"],
            "tags": {},
            "properties": {"provisioningState": "Succeeded"},
        }
        sandbox.state.put(group_id, access.RESOURCE_GROUP, body)
    return group_id


def _faults(sandbox: Sandbox, values: list[dict[str, Any]]) -> None:
    for number, entry in enumerate(values, 1):
        try:
            sandbox.faults.arm(entry)
        except (TypeError, ValueError) as error:
            raise _bad(f"fault {number}", str(error)) from error


def _needs(table: str, values: dict[str, Any], *wanted: str) -> None:
    missing = [key for key in wanted if not values.get(key)]
    if missing:
        raise _bad(table, f"needs {', '.join(missing)}")


def _only(table: str, values: dict[str, Any], *known: str) -> None:
    for key in values:
        if key not in known:
            raise _bad(f"{table}.{key}", f"is not known; use {', '.join(known)}")


def _bad(place: str, reason: str) -> ServiceError:
    return ServiceError(400, "BadScenario", f"scenario: {place} {reason}")
