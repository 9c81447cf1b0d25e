"""Datastores, data, models, online endpoints and usages through azure-ai-ml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml.entities import Data, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from mlkit import PHI, World, chats, make_world, pointed_at
from waiting import until

from tui.sandbox.daemon import SandboxInfo

# One worker trains all of these: each process that trains has to load the training libraries first.
pytestmark = [pytest.mark.usefixtures("sandbox_env"), pytest.mark.xdist_group("training")]


@pytest.fixture(scope="module")
def world(sandbox: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    with pointed_at(sandbox, folder):
        yield make_world(sandbox, "assets", folder)


# datastores


def test_the_default_datastore_is_found_and_gives_a_sas(world: World) -> None:
    store = world.ml.datastores.get_default(include_secrets=True)
    assert store.name == "workspaceblobstore"
    assert "sig=" in store.credentials.sas_token
    assert {found.name for found in world.ml.datastores.list()} >= {"workspaceblobstore", "workspaceartifactstore"}
    assert world.ml.datastores.get(store.name).container_name == store.container_name
    with pytest.raises(ResourceNotFoundError):
        world.ml.datastores.get("nothing")


@pytest.mark.parametrize("hours", [0, -1, 1000, "soon"])
def test_a_secret_for_no_sensible_time_is_refused(world: World, hours: object) -> None:
    path = f"{world.project['id']}/datastores/workspaceblobstore/listSecrets"
    response = world.cloud.call("POST", path, {"expirableSecret": True, "expireAfterHours": hours})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "UserError")


# data


def test_versions_count_up_and_the_sdk_finds_the_latest(world: World, tmp_path: Path) -> None:
    for rows in (1, 2):
        path = chats(tmp_path / f"{rows}.jsonl", rows)
        made = world.ml.data.create_or_update(Data(name="counted", type="uri_file", path=str(path)))
        assert made.version == str(rows)
    assert world.ml.data.get("counted", label="latest").version == "2"
    assert [found.version for found in world.ml.data.list(name="counted")] == ["2", "1"]
    assert "counted" in [found.name for found in world.ml.data.list()]


def test_the_location_of_a_version_is_fixed(world: World) -> None:
    path = f"{world.project['id']}/data/fixed/versions/1"
    uri = "azureml://datastores/workspaceblobstore/paths/a.jsonl"
    body = {"properties": {"dataType": "uri_file", "dataUri": uri, "description": "first"}}
    assert world.cloud.call("PUT", path, body).status_code == 201
    again = world.cloud.call("PUT", path, {"properties": {**body["properties"], "description": "second"}})
    assert (again.status_code, again.json()["properties"]["description"]) == (200, "second")
    other = world.cloud.call("PUT", path, {"properties": {**body["properties"], "dataUri": uri.replace("a.", "b.")}})
    assert (other.status_code, other.json()["error"]["message"]) == (400, "Asset paths cannot be updated.")


def test_data_is_archived_and_restored(world: World) -> None:
    world.ml.data.archive("held")
    assert "held" not in [found.name for found in world.ml.data.list()]
    assert "held" in [found.name for found in world.ml.data.list(list_view_type="All")]
    world.ml.data.restore("held")
    assert "held" in [found.name for found in world.ml.data.list()]


def test_the_same_content_is_sent_once(world: World, tmp_path: Path) -> None:
    path = chats(tmp_path / "same.jsonl", 3)
    first = world.ml.data.create_or_update(Data(name="one", type="uri_file", path=str(path)))
    second = world.ml.data.create_or_update(Data(name="two", type="uri_file", path=str(path)))
    assert first.path == second.path


def test_unknown_data_is_not_found(world: World) -> None:
    with pytest.raises(ResourceNotFoundError):
        world.ml.data.get("nothing", version="1")


# models


def test_a_model_is_uploaded_archived_and_deleted(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    made = world.ml.models.create_or_update(Model(name="mine", path=str(folder), type="custom_model"))
    assert made.version == "1"
    assert [found.version for found in world.ml.models.list(name="mine")] == ["1"]
    assert "mine" in [found.name for found in world.ml.models.list()]
    world.ml.models.archive("mine", version="1")
    assert list(world.ml.models.list(name="mine")) == []
    world.ml.models.restore("mine", version="1")
    path = f"{world.project['id']}/models/mine/versions/1"
    assert world.cloud.call("DELETE", path, None, "2024-10-01").status_code == 200
    assert world.cloud.call("DELETE", path, None, "2024-10-01").status_code == 204
    with pytest.raises(ResourceNotFoundError):
        world.ml.models.get("mine", version="1")


# managed online endpoints


def test_an_online_endpoint_answers_through_its_deployment(world: World) -> None:
    endpoint = ManagedOnlineEndpoint(name="online-one", auth_mode="key")
    made = world.ml.online_endpoints.begin_create_or_update(endpoint).result()
    assert made.provisioning_state == "Succeeded"
    deployment = ManagedOnlineDeployment(
        name="blue", endpoint_name="online-one", model=PHI, instance_type="Standard_NC24ads_A100_v4", instance_count=1
    )
    assert world.ml.online_deployments.begin_create_or_update(deployment).result().name == "blue"
    made.traffic = {"blue": 100}
    world.ml.online_endpoints.begin_create_or_update(made).result()
    assert [found.name for found in world.ml.online_endpoints.list()] == ["online-one"]
    assert [found.name for found in world.ml.online_deployments.list("online-one")] == ["blue"]
    assert world.ml.online_endpoints.get("online-one").traffic == {"blue": 100}
    assert world.ml.online_deployments.get("blue", "online-one").provisioning_state == "Succeeded"
    key = world.ml.online_endpoints.get_keys("online-one").primary_key
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}

    def ask(key: str) -> requests.Response:
        return requests.post(made.scoring_uri, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    assert ask(key).json()["model"] == "Phi-4-mini-instruct@sandbox-tiny"
    assert ask("wrong").status_code == 401
    with pytest.raises(HttpResponseError) as caught:
        world.ml.online_deployments.begin_delete("blue", "online-one").result()
    assert caught.value.status_code == 400
    world.ml.online_endpoints.begin_delete("online-one").result()
    with pytest.raises(ResourceNotFoundError):
        world.ml.online_endpoints.get("online-one")
    assert ask(key).status_code == 404


@pytest.mark.parametrize("name", ["1abc", "a", "ab_c", "x" * 33])
def test_an_online_endpoint_needs_a_valid_name(world: World, name: str) -> None:
    path = f"{world.project['id']}/onlineEndpoints/{name}"
    response = world.cloud.call("PUT", path, {"location": "eastus2", "properties": {"authMode": "Key"}})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "UserError")


def test_a_deployment_of_an_unknown_model_is_refused(world: World) -> None:
    path = f"{world.project['id']}/onlineEndpoints/online-two"
    world.cloud.ok("PUT", path, {"location": "eastus2", "properties": {"authMode": "Key"}})
    until(lambda: world.cloud.ok("GET", path)["properties"]["provisioningState"] == "Succeeded")
    model = PHI.replace("Phi-4-mini-instruct", "Phi-nothing")
    properties = {"endpointComputeType": "Managed", "model": model, "instanceType": "Standard_DS3_v2"}
    body = {"location": "eastus2", "sku": {"name": "Default", "capacity": 1}, "properties": properties}
    assert world.cloud.call("PUT", f"{path}/deployments/blue", body).status_code == 404


# usages


def cores(world: World, family: str) -> tuple[int, int]:
    """Cores of a family in use in East US 2, and their limit."""
    # azure-ai-ml 1.35.2 keeps the wire's spelling and leaves its own attribute empty.
    found = {usage.name["value"]: vars(usage) for usage in world.ml.compute.list_usage(location="eastus2")}
    return found[family]["currentValue"], found[family]["limit"]


@pytest.mark.parametrize(
    ("size", "family", "words"),
    [
        # A fifth of the instances is kept free for upgrades: three instances need the cores of four.
        ("Standard_DS5_v2", "standardDSv2Family", "Current usage/limit: 0/60. Additional needed: 64"),
        ("Standard_NC24ads_A100_v4", "StandardNCADSA100v4Family", "Current usage/limit: 0/60. Additional needed: 72"),
    ],
)
def test_machines_beyond_the_quota_are_refused(
    world: World, upset: Callable[[dict[str, Any]], None], size: str, family: str, words: str
) -> None:
    endpoint = ManagedOnlineEndpoint(name=f"quota-{size[9:12].lower()}", auth_mode="key")
    world.ml.online_endpoints.begin_create_or_update(endpoint).result()
    upset({"quota": {family: 60}})
    wanted = ManagedOnlineDeployment(
        name="blue", endpoint_name=endpoint.name, model=PHI, instance_type=size, instance_count=3
    )
    with pytest.raises(HttpResponseError) as caught:
        world.ml.online_deployments.begin_create_or_update(wanted).result()
    assert caught.value.status_code == 400
    assert caught.value.error.code == "BadRequest"
    assert f"Not enough quota available for {size}" in str(caught.value)
    assert words in str(caught.value)
    wanted.instance_count = 2
    world.ml.online_deployments.begin_create_or_update(wanted).result()
    assert cores(world, family) == (48, 60)
    world.ml.online_endpoints.begin_delete(endpoint.name).result()
    assert cores(world, family) == (0, 60)
