"""Hubs and projects as the stock azure-ai-ml makes, changes, lists and deletes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Hub, Project, WorkspaceConnection
from azure.ai.ml.entities._credentials import ApiKeyConfiguration
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from waiting import until
from wirekit import Wire

from tui.sandbox.daemon import SandboxInfo

ML = "Microsoft.MachineLearningServices/workspaces"
Upset = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    # The SDK prints its progress to the stderr that it found when it was imported.
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def client(sandbox_env: SandboxInfo, group: str) -> MLClient:
    return MLClient(DefaultAzureCredential(), sandbox_env.subscription, group)


def result(poller: Any) -> Any:
    """The poller's result, without the SDK's five seconds between two looks at its deployment."""
    inner = poller.polling_method().poller
    until(inner.done, 20)
    return poller.result()


def test_hub_and_project_from_making_to_deleting(client: MLClient, wire: Wire, group: str) -> None:
    hub = result(client.workspaces.begin_create(Hub(name="hub-one", location="eastus2", display_name="Hub")))
    assert isinstance(hub, Hub)
    assert hub.display_name == "Hub"
    assert hub.storage_account.startswith(f"/subscriptions/{wire.info.subscription}/resourceGroups/{group}/")
    assert hub.tags["createdByToolkit"].startswith("sdk-v2-")
    project = result(client.workspaces.begin_create(Project(name="project-one", hub_id=hub.id)))
    assert isinstance(project, Project)
    assert project.location == "eastus2"

    body = wire.arm("GET", f"…/resourceGroups/{group}/providers/{ML}/project-one").json
    properties = body["properties"]
    assert body["kind"] == "Project"
    assert properties["hubResourceId"] == hub.id
    assert properties["storageAccount"] == hub.storage_account
    assert properties["discoveryUrl"] == "https://eastus2.api.azureml.ms/discovery"
    assert properties["mlFlowTrackingUri"].startswith("azureml://eastus2.api.azureml.ms/mlflow/v1.0/subscriptions/")
    assert len(properties["workspaceId"]) == 36
    stored = wire.arm("GET", f"…/resourceGroups/{group}/providers/{ML}/hub-one").json
    assert stored["properties"]["associatedWorkspaces"] == [body["id"]]
    discovered = wire.send("GET", properties["discoveryUrl"]).json
    assert discovered["history"] == "https://eastus2.api.azureml.ms"

    datastores = {
        one.name: one
        for one in MLClient(client._credential, wire.info.subscription, group, "project-one").datastores.list()
    }
    assert {"workspaceblobstore", "workspaceartifactstore"} <= set(datastores)

    listed = {one.name: one._kind for one in client.workspaces.list(filtered_kinds=["hub", "project"])}
    assert listed == {"hub-one": "hub", "project-one": "project"}
    assert [one.name for one in client.workspaces.list(filtered_kinds=["hub"])] == ["hub-one"]
    assert {"hub-one", "project-one"} <= {one.name for one in client.workspaces.list(scope="subscription")}

    with pytest.raises(HttpResponseError, match="associated project workspaces"):
        client.workspaces.begin_delete("hub-one", delete_dependent_resources=False)
    client.workspaces.begin_delete("project-one", delete_dependent_resources=False).result()
    with pytest.raises(ResourceNotFoundError):
        client.workspaces.get("project-one")
    client.workspaces.begin_delete("hub-one", delete_dependent_resources=True).result()
    assert wire.arm("GET", f"…/resourceGroups/{group}/resources", version="2025-04-01").json["value"] == []


def test_updating_keeps_what_is_not_said(client: MLClient, wire: Wire, upset: Upset, group: str) -> None:
    upset({"project": [{"group": group, "location": "eastus2", "hub": "hub-u", "name": "project-u"}]})
    path = f"…/resourceGroups/{group}/providers/{ML}/project-u"
    before = wire.arm("GET", path).json
    project = client.workspaces.get("project-u")
    project.description = "changed"
    client.workspaces.begin_update(project).result()
    after = wire.arm("GET", path).json
    after["properties"]["managedNetwork"].pop("outboundRules")  # the SDK always sends these
    assert after["properties"] == {**before["properties"], "description": "changed"}
    assert after["systemData"]["createdAt"] == before["systemData"]["createdAt"]


def test_connections(client: MLClient, wire: Wire, upset: Upset, group: str) -> None:
    upset({"project": [{"group": group, "location": "eastus2", "hub": "hub-c", "name": "project-c"}]})
    inside = MLClient(client._credential, wire.info.subscription, group, "project-c")
    made = inside.connections.create_or_update(
        WorkspaceConnection(
            name="search",
            type="cognitive_search",
            target="https://s.search.windows.net",
            credentials=ApiKeyConfiguration(key="k"),
        )
    )
    assert made.target == "https://s.search.windows.net"
    assert [one.name for one in inside.connections.list()] == ["search"]
    assert inside.connections.get("search").target == made.target
    stored = wire.arm("GET", f"…/resourceGroups/{group}/providers/{ML}/project-c/connections/search").json
    assert "credentials" not in stored["properties"]
    inside.connections.delete("search")
    assert list(inside.connections.list()) == []


def test_a_developer_makes_a_project_by_joining_the_hub(client: MLClient, wire: Wire, upset: Upset, group: str) -> None:
    upset({"project": [{"group": group, "location": "eastus2", "hub": "hub-j", "name": "first"}]})
    hub = client.workspaces.get("hub-j")
    upset({"access": {"role": "Azure AI Developer"}})
    with pytest.raises(HttpResponseError, match="Authorization failed for template resource"):
        client.workspaces.begin_create(Hub(name="hub-k", location="eastus2"))
    # The SDK's own way to join ends in a missing URL: its Hub does not keep the discovery URL (azure-ai-ml 1.35.2).
    path = f"https://eastus2.api.azureml.ms/rp/workspaces{hub.id}/join/joined?api-version=2023-06-01-preview"
    bearer = {"Authorization": f"Bearer {wire.token()}", "Content-Type": "application/json"}
    answer = wire.send("PUT", path, b'{"location": "eastus2", "properties": {}}', bearer)
    assert answer.status == 202
    joined = wire.arm("GET", f"…/resourceGroups/{group}/providers/{ML}/joined").json
    assert joined["properties"]["hubResourceId"] == hub.id


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("x", {"kind": "Hub", "location": "eastus2"}, 400, "ValidationError"),
        ("hub-1", {"kind": "Hub"}, 400, "LocationRequired"),
        ("hub-1", {"kind": "Hub", "location": "mars"}, 400, "LocationNotAvailableForResourceType"),
        ("hub-1", {"kind": "Lake", "location": "eastus2"}, 400, "ValidationError"),
        (
            "hub-1",
            {"kind": "Hub", "location": "eastus2", "properties": {"storageAccount": "/x"}},
            400,
            "ValidationError",
        ),
        ("project-1", {"kind": "Project", "location": "eastus2", "properties": {}}, 400, "ValidationError"),
    ],
)
def test_bad_workspaces(wire: Wire, group: str, name: str, body: dict[str, Any], status: int, code: str) -> None:
    path = f"…/resourceGroups/{group}/providers/{ML}/{name}"
    answer = wire.arm("PUT", path, body)
    assert (answer.status, answer.code) == (status, code)
    assert wire.arm("GET", path).code == "ResourceNotFound"


def test_a_project_has_its_hub_s_region(wire: Wire, upset: Upset, group: str) -> None:
    upset({"project": [{"group": group, "location": "eastus2", "hub": "hub-r", "name": "project-r"}]})
    base = f"…/resourceGroups/{group}/providers/{ML}"
    hub_id = wire.arm("GET", f"{base}/hub-r").json["id"]
    body = {"kind": "Project", "location": "westus", "properties": {"hubResourceId": hub_id}}
    assert "must be that of its hub" in wire.arm("PUT", f"{base}/project-s", body).json["error"]["message"]


def test_plain_creation_is_a_long_operation(wire: Wire, group: str) -> None:
    path = f"…/resourceGroups/{group}/providers/{ML}/hub-p"
    made = wire.arm("PUT", path, {"kind": "Hub", "location": "eastus2", "properties": {}})
    assert made.status == 202
    bearer = {"Authorization": f"Bearer {wire.token()}"}
    status = wire.send("GET", made.headers["Azure-AsyncOperation"], headers=bearer).json
    assert (status["status"], status["percentComplete"]) == ("Succeeded", 100)
    assert wire.send("GET", made.headers["Location"], headers=bearer).json["name"] == "hub-p"
    assert wire.arm("PUT", path, {"kind": "Hub", "location": "eastus2", "properties": {}}).status == 200
    deleted = wire.arm("DELETE", path)
    assert deleted.status == 202
    assert wire.send("GET", deleted.headers["Location"], headers=bearer).status == 204
    assert wire.arm("DELETE", path).status == 204


def test_a_deployment_that_fails_says_why(wire: Wire, group: str) -> None:
    template = {
        "resources": [
            {"type": "Microsoft.KeyVault/vaults", "name": "good-vault", "location": "eastus2"},
            {"type": "Microsoft.KeyVault/vaults", "name": "1-bad", "location": "eastus2", "dependsOn": ["good-vault"]},
        ]
    }
    path = f"…/resourceGroups/{group}/providers/Microsoft.Resources/deployments/deploy1"
    begun = wire.arm("PUT", path, {"properties": {"mode": "Incremental", "template": template}}, "2020-06-01")
    bearer = {"Authorization": f"Bearer {wire.token()}"}
    status = wire.send("GET", begun.headers["Azure-AsyncOperation"], headers=bearer).json
    assert status["status"] == "Failed"
    assert status["error"]["code"] == "DeploymentFailed"
    assert status["error"]["details"][0]["code"] == "VaultNameNotValid"
    steps = wire.arm("GET", f"…/resourcegroups/{group}/deployments/deploy1/operations", version="2020-06-01").json[
        "value"
    ]
    assert [step["properties"]["provisioningState"] for step in steps] == ["Succeeded", "Failed"]
    assert wire.arm("GET", path, version="2020-06-01").json["properties"]["provisioningState"] == "Failed"
    assert wire.arm("DELETE", path, version="2020-06-01").status == 204
    assert wire.arm("GET", path, version="2020-06-01").code == "DeploymentNotFound"
