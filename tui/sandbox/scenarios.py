"""Scenarios: the state of a subscription that a file describes, from "as new" to "a trial with the wrong role"."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tui.sandbox import access, base_models, usages, workspaces
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
    ``storage`` (account_keys), ``person`` (answers), ``models`` (stand_in), ``clock`` (skew), and the lists ``project``
    (group, location, hub, name) and ``fault`` (a fault's values).

    Raises:
        ServiceError: 400 that names the table and the value; nothing has changed then.
    """
    # Projects come first: making them needs the permissions that `access` may take away.
    appliers: dict[str, Callable[[Sandbox, Any], None]] = {
        "project": _projects,
        "subscription": _subscription,
        "providers": _providers,
        "access": _access,
        "quota": _quota,
        "storage": _storage,
        "person": _person,
        "models": _models,
        "clock": _clock,
        "fault": _faults,
    }
    for table, value in scenario.items():
        if table in ("title", "description"):
            continue
        if table not in appliers:
            raise _bad(table, f"is not known; use {', '.join(appliers)}")
        wanted = list if table in ("project", "fault") else dict
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
    for oid, kind in ((identity.application_oid, "ServicePrincipal"), (identity.person_oid, "User")):
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
    owner = Principal(sandbox.identity.application_oid, sandbox.identity.application_oid, "Application", "", {})
    for entry in values:
        _only("project", entry, "group", "location", "hub", "name")
        missing = [key for key in ("group", "location", "hub", "name") if not entry.get(key)]
        if missing:
            raise _bad("project", f"needs {', '.join(missing)}")
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
        base = f"{group_id}/providers/{workspaces.TYPE}"
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


def _faults(sandbox: Sandbox, values: list[dict[str, Any]]) -> None:
    for number, entry in enumerate(values, 1):
        try:
            sandbox.faults.arm(entry)
        except (TypeError, ValueError) as error:
            raise _bad(f"fault {number}", str(error)) from error


def _only(table: str, values: dict[str, Any], *known: str) -> None:
    for key in values:
        if key not in known:
            raise _bad(f"{table}.{key}", f"is not known; use {', '.join(known)}")


def _bad(place: str, reason: str) -> ServiceError:
    return ServiceError(400, "BadScenario", f"scenario: {place} {reason}")
