"""Resource Manager's own resources, its checks in front of every request, and its headers and pages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from wirekit import Wire

from tui.sandbox import access

GROUPS = "2025-04-01"
ROLES = "2022-04-01"
Upset = Callable[[dict[str, Any]], None]


def test_the_subscription_and_its_tenant(wire: Wire) -> None:
    listed = wire.arm("GET", "/subscriptions", version="2022-12-01").json["value"]
    assert [one["subscriptionId"] for one in listed] == [wire.info.subscription]
    assert listed[0]["tenantId"] == wire.info.tenant
    assert listed[0]["state"] == "Enabled"
    assert wire.arm("GET", "…", version="2022-12-01").json == listed[0]
    tenants = wire.arm("GET", "/tenants", version="2022-12-01").json["value"]
    assert [one["tenantId"] for one in tenants] == [wire.info.tenant]
    locations = wire.arm("GET", "…/locations", version="2022-12-01").json["value"]
    east = next(one for one in locations if one["name"] == "eastus2")
    assert east["displayName"] == "East US 2"
    assert east["metadata"]["pairedRegion"][0]["name"] == "centralus"


def test_an_unknown_subscription(wire: Wire) -> None:
    answer = wire.arm("GET", f"/subscriptions/{uuid.uuid4()}/resourceGroups", version=GROUPS)
    assert (answer.status, answer.code) == (404, "SubscriptionNotFound")


def test_resource_group_life(wire: Wire) -> None:
    path = "…/resourcegroups/Group-1"
    assert wire.arm("HEAD", path, version=GROUPS).status == 404
    created = wire.arm("PUT", path, {"location": "East US 2", "tags": {"a": "b"}}, GROUPS)
    assert created.status == 201
    assert created.json["location"] == "eastus2"
    assert created.json["properties"] == {"provisioningState": "Succeeded"}
    assert wire.arm("HEAD", "…/resourceGroups/GROUP-1", version=GROUPS).status == 204
    again = wire.arm("PUT", "…/resourceGroups/group-1", {"location": "eastus2"}, GROUPS)
    assert again.status == 200
    assert again.json["name"] == "Group-1"
    moved = wire.arm("PUT", path, {"location": "westus"}, GROUPS)
    assert (moved.status, moved.code) == (409, "InvalidResourceGroupLocation")
    deleted = wire.arm("DELETE", path, version=GROUPS)
    assert deleted.status == 202
    polled = wire.arm("GET", deleted.headers["Location"].removeprefix("https://management.azure.com").partition("?")[0])
    assert polled.status == 200
    assert wire.arm("GET", path, version=GROUPS).code == "ResourceGroupNotFound"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("g", {}, "LocationRequired"),
        ("g", {"location": "atlantis"}, "LocationNotAvailableForResourceGroup"),
        ("ends-with-a-period.", {"location": "eastus2"}, "InvalidResourceGroup"),
        ("g" * 91, {"location": "eastus2"}, "InvalidResourceGroup"),
    ],
)
def test_a_bad_resource_group(wire: Wire, name: str, body: dict[str, str], code: str) -> None:
    answer = wire.arm("PUT", f"…/resourceGroups/{name}", body, GROUPS)
    assert (answer.status, answer.code) == (400, code)


def test_pages_are_as_small_as_asked(wire: Wire) -> None:
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        wire.arm("PUT", f"…/resourceGroups/{name}", {"location": "eastus2"}, GROUPS)
    answer = wire.arm("GET", "…/resourceGroups", version=GROUPS, **{"$top": "2"}).json
    found = list(answer["value"])
    assert len(found) == 2
    while link := answer.get("nextLink"):
        assert link.startswith("https://management.azure.com/subscriptions/")
        answer = wire.send("GET", link, headers={"Authorization": f"Bearer {wire.token()}"}).json
        found += answer["value"]
    assert [one["name"] for one in found if one["name"].startswith("page-")] == names
    assert wire.arm("GET", "…/resourceGroups", version=GROUPS, **{"$skipToken": "x"}).code == "InvalidSkipToken"
    for name in names:
        wire.arm("DELETE", f"…/resourceGroups/{name}", version=GROUPS)


def test_every_answer_has_azure_s_headers(wire: Wire) -> None:
    headers = {
        "Authorization": f"Bearer {wire.token()}",
        "x-ms-client-request-id": "mine",
        "x-ms-correlation-request-id": "c",
    }
    answer = wire.send("GET", "https://management.azure.com/subscriptions?api-version=2022-12-01", headers=headers)
    for name in ("Date", "x-ms-request-id", "x-ms-routing-request-id", "Strict-Transport-Security"):
        assert answer.headers[name], name
    assert answer.headers["x-ms-client-request-id"] == "mine"
    assert answer.headers["x-ms-correlation-request-id"] == "c"
    assert answer.headers["Cache-Control"] == "no-cache"
    other = wire.send("GET", "https://management.azure.com/subscriptions?api-version=2022-12-01", headers=headers)
    assert other.headers["x-ms-request-id"] != answer.headers["x-ms-request-id"]


def test_the_api_version_is_checked(wire: Wire) -> None:
    token = {"Authorization": f"Bearer {wire.token()}"}
    missing = wire.send("GET", "https://management.azure.com/subscriptions", headers=token)
    assert (missing.status, missing.code) == (400, "MissingApiVersionParameter")
    for version in ("2024-13", "nonsense", "2024-10-01-draft"):
        assert wire.arm("GET", "/subscriptions", version=version).code == "InvalidApiVersionParameter"
    kind = "…/providers/Microsoft.MachineLearningServices/workspaces"
    unknown = wire.arm("GET", kind, version="2024-10-02")
    assert (unknown.status, unknown.code) == (400, "InvalidApiVersionParameter")
    assert "2024-10-01-preview" in unknown.json["error"]["message"]


def test_a_method_that_a_resource_does_not_have(wire: Wire) -> None:
    answer = wire.arm("PATCH", "…/locations", {})
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")


def test_a_provider_registers_in_its_time(wire: Wire, upset: Upset, group: str) -> None:
    path = "…/providers/microsoft.network"
    upset({"providers": {"Microsoft.Network": "NotRegistered"}})
    assert wire.arm("GET", path, version=GROUPS).json["registrationState"] == "NotRegistered"
    network = f"…/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/net1"
    refused = wire.arm("PUT", network, {"location": "eastus2"})
    assert (refused.status, refused.code) == (409, "MissingSubscriptionRegistration")
    assert refused.json["error"]["details"][0]["target"] == "Microsoft.Network"
    registering = wire.arm("POST", f"{path}/register", version=GROUPS)
    assert registering.json["registrationState"] == "Registering"
    assert "Azure-AsyncOperation" not in registering.headers
    assert wire.arm("GET", path, version=GROUPS).json["registrationState"] == "Registered"
    assert wire.arm("PUT", network, {"location": "eastus2"}).status == 201
    assert wire.arm("GET", "…/providers/Contoso.Nothing", version=GROUPS).code == "InvalidResourceNamespace"


def test_effective_permissions_and_role_names(wire: Wire, upset: Upset, group: str) -> None:
    base = f"…/resourceGroups/{group}/providers/Microsoft.Authorization"
    owner = wire.arm("GET", f"{base}/permissions", version=ROLES).json["value"]
    assert owner == [{"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}]
    upset({"access": {"role": "Azure AI Developer"}})
    held = wire.arm("GET", f"{base}/permissions", version=ROLES).json["value"]
    assert "Microsoft.MachineLearningServices/workspaces/hubs/write" in held[0]["notActions"]
    oid = _oid(wire)
    listed = wire.arm("GET", f"{base}/roleAssignments", version=ROLES, **{"$filter": f"assignedTo('{oid}')"}).json[
        "value"
    ]
    assert [one["properties"]["scope"] for one in listed] == [f"/subscriptions/{wire.info.subscription}"]
    definition = wire.arm("GET", listed[0]["properties"]["roleDefinitionId"], version=ROLES).json
    assert definition["properties"]["roleName"] == "Azure AI Developer"


@pytest.mark.parametrize(
    ("role", "method", "path", "action"),
    [
        ("Reader", "PUT", "", "Microsoft.Resources/subscriptions/resourceGroups/write"),
        ("Reader", "DELETE", "", "Microsoft.Resources/subscriptions/resourceGroups/delete"),
        ("Azure AI Developer", "POST", "/../providers/Microsoft.Network/register", "Microsoft.Network/register/action"),
        (
            "Azure AI Developer",
            "PUT",
            "/providers/Microsoft.MachineLearningServices/workspaces/hub1",
            "Microsoft.MachineLearningServices/workspaces/write",
        ),
        (
            "Azure AI Developer",
            "POST",
            "/providers/Microsoft.MachineLearningServices/workspaces/hub1/listKeys",
            "Microsoft.MachineLearningServices/workspaces/listKeys/action",
        ),
        (
            "Contributor",
            "PUT",
            "/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-000000000001",
            "Microsoft.Authorization/roleAssignments/write",
        ),
        (
            "Storage Blob Data Reader",
            "GET",
            "/providers/Microsoft.MachineLearningServices/workspaces/hub1/jobs/job1",
            "Microsoft.MachineLearningServices/workspaces/jobs/read",
        ),
    ],
)
def test_a_missing_permission_is_named(
    wire: Wire, upset: Upset, group: str, role: str, method: str, path: str, action: str
) -> None:
    upset({"access": {"role": role}})
    target = f"…/resourceGroups/{group}{path}".replace(f"/resourceGroups/{group}/..", "")
    answer = wire.arm(method, target, {} if method == "PUT" else None)
    assert (answer.status, answer.code) == (403, "AuthorizationFailed")
    message = answer.json["error"]["message"]
    assert f"perform action '{action}' over scope '/subscriptions/{wire.info.subscription}" in message
    assert _oid(wire) in message


def test_without_a_role_there_is_no_subscription_to_see(wire: Wire, upset: Upset, group: str) -> None:
    upset({"access": {"role": "Reader", "group": group}})
    assert len(wire.arm("GET", "/subscriptions").json["value"]) == 1
    upset({"access": {}})
    assert wire.arm("GET", "/subscriptions").json["value"] == []
    assert wire.arm("GET", "…").status == 403


def test_a_role_at_a_group_counts_there_only(wire: Wire, upset: Upset, group: str) -> None:
    upset({"access": {"role": "Contributor", "group": group}})
    tagged = wire.arm("PUT", f"…/resourceGroups/{group}", {"location": "eastus2", "tags": {"k": "v"}}, GROUPS)
    assert tagged.status == 200
    assert wire.arm("PUT", "…/resourceGroups/elsewhere", {"location": "eastus2"}, GROUPS).status == 403


def test_role_assignments_can_be_made_and_removed(wire: Wire, group: str) -> None:
    base = f"…/resourceGroups/{group}/providers/Microsoft.Authorization"
    definitions = wire.arm(
        "GET", f"{base}/roleDefinitions", version=ROLES, **{"$filter": "roleName eq 'Storage Blob Data Contributor'"}
    ).json["value"]
    body = {"properties": {"roleDefinitionId": definitions[0]["id"], "principalId": _oid(wire)}}
    path = f"{base}/roleAssignments/{uuid.uuid4()}"
    assert wire.arm("PUT", path, body, ROLES).status == 201
    twice = wire.arm("PUT", f"{base}/roleAssignments/{uuid.uuid4()}", body, ROLES)
    assert (twice.status, twice.code) == (409, "RoleAssignmentExists")
    held = wire.arm("GET", f"{base}/permissions", version=ROLES).json["value"]
    assert any("blobs/write" in action for entry in held for action in entry["dataActions"])
    assert wire.arm("DELETE", path, version=ROLES).status == 200
    assert wire.arm("DELETE", path, version=ROLES).status == 204
    bad = {"properties": {"roleDefinitionId": "x", "principalId": _oid(wire)}}
    assert wire.arm("PUT", path, bad, ROLES).code == "RoleDefinitionDoesNotExist"


def test_a_disabled_subscription_is_read_only(wire: Wire, upset: Upset, group: str) -> None:
    upset({"subscription": {"state": "Disabled"}})
    assert wire.arm("GET", f"…/resourceGroups/{group}", version=GROUPS).status == 200
    refused = wire.arm("PUT", f"…/resourceGroups/{group}", {"location": "eastus2"}, GROUPS)
    assert (refused.status, refused.code) == (409, "ReadOnlyDisabledSubscription")


def test_storage_accounts_and_vaults(wire: Wire, group: str) -> None:
    base = f"…/resourceGroups/{group}/providers"
    account = f"{base}/Microsoft.Storage/storageAccounts/accountone"
    body = {"location": "eastus2", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
    assert (
        wire.arm("PUT", account, body).json["properties"]["primaryEndpoints"]["blob"].startswith("https://accountone.")
    )
    assert len(wire.arm("POST", f"{account}/listKeys").json["keys"]) == 2
    container = f"{account}/blobServices/default/containers/data"
    made = wire.arm("PUT", container, {"properties": {"metadata": {"a": "1"}}})
    assert (made.status, made.json["properties"]["metadata"]) == (201, {"a": "1"})
    assert made.headers["ETag"] == made.json["etag"] == wire.arm("GET", container).headers["ETag"]
    assert wire.arm("PUT", container, {}).status == 200
    assert [one["name"] for one in wire.arm("GET", f"{account}/blobServices/default/containers").json["value"]] == [
        "data"
    ]
    assert wire.arm("GET", f"{account}/blobServices/default/containers/other").code == "ContainerNotFound"
    available = "…/providers/Microsoft.Storage/checkNameAvailability"
    assert wire.arm("POST", available, {"name": "accountone"}).json["reason"] == "AlreadyExists"
    assert wire.arm("POST", available, {"name": "Bad-Name"}).json["reason"] == "AccountNameInvalid"
    assert wire.arm("POST", available, {"name": "free1"}).json == {"nameAvailable": True}
    wire.arm("PUT", "…/resourceGroups/other-group", {"location": "eastus2"}, GROUPS)
    taken = wire.arm("PUT", account.replace(group, "other-group"), body)
    assert (taken.status, taken.code) == (409, "StorageAccountAlreadyTaken")
    wire.arm("DELETE", "…/resourceGroups/other-group", version=GROUPS)
    vault = f"{base}/Microsoft.KeyVault/vaults/vault-one"
    assert (
        wire.arm("PUT", vault, {"location": "eastus2"}).json["properties"]["vaultUri"].startswith("https://vault-one.")
    )
    assert (
        wire.arm("PUT", f"{base}/Microsoft.KeyVault/vaults/1bad", {"location": "eastus2"}).code == "VaultNameNotValid"
    )
    listed = wire.arm("GET", f"…/resourceGroups/{group}/resources", version=GROUPS).json["value"]
    assert {one["name"] for one in listed} == {"accountone", "vault-one"}
    assert wire.arm("DELETE", account).status == 200
    assert wire.arm("DELETE", account).status == 204
    assert wire.arm("GET", f"{base}/Microsoft.Storage/nothings/x").code == "InvalidResourceType"


def test_resources_have_entity_tags_where_azure_s_have_them(wire: Wire, group: str) -> None:
    base = f"…/resourceGroups/{group}/providers"
    path = f"{base}/Microsoft.CognitiveServices/accounts/services"
    body = {"location": "eastus2", "kind": "AIServices", "sku": {"name": "S0"}, "properties": {}}
    first = wire.arm("PUT", path, body)
    assert first.headers["ETag"] == first.json["etag"] == wire.arm("GET", path).json["etag"]
    changed = wire.arm("PUT", path, {**body, "tags": {"a": "1"}})
    assert changed.headers["ETag"] != first.headers["ETag"]
    vault = wire.arm("PUT", f"{base}/Microsoft.KeyVault/vaults/vault-tagless", {"location": "eastus2"})
    assert vault.headers["ETag"] is None


WORKSPACES = "Microsoft.MachineLearningServices/workspaces"


@pytest.mark.parametrize(
    ("pattern", "action", "covered"),
    [
        ("*", f"{WORKSPACES}/write", True),
        (f"{WORKSPACES}/*/write", f"{WORKSPACES}/jobs/write", True),
        (f"{WORKSPACES}/*/write", f"{WORKSPACES}/write", True),
        (f"{WORKSPACES}/computes/*/write", f"{WORKSPACES}/computes/write", True),
        (f"{WORKSPACES}/*/write", f"{WORKSPACES}/jobs/read", False),
        (f"{WORKSPACES}/*/write", f"{WORKSPACES}write", False),
        (f"{WORKSPACES}/jobs/*", f"{WORKSPACES}/jobs", False),
        ("MICROSOFT.machinelearningservices/*", f"{WORKSPACES}/read", True),
    ],
)
def test_what_a_wildcard_covers(pattern: str, action: str, covered: bool) -> None:
    assert access.allows([{"actions": [pattern], "notActions": []}], action) is covered
    assert access.allows([{"actions": ["*"], "notActions": [pattern]}], action) is not covered


def _oid(wire: Wire) -> str:
    return str(jwt.decode(wire.token(), options={"verify_signature": False})["oid"])
