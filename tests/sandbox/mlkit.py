"""What the tests of the machine-learning services share: a cloud to talk to, workspaces, small chat files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Data
from azure.identity import ClientSecretCredential
from waiting import until

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

ML = "Microsoft.MachineLearningServices"
PREVIEW = "2024-10-01-preview"
PHI = "azureml://registries/azureml/models/Phi-4-mini-instruct/versions/1"
TERMINAL = ("Completed", "Failed", "Canceled")


class Cloud:
    """A sandbox seen through plain HTTP with a service principal's token."""

    def __init__(self, info: SandboxInfo) -> None:
        self.info = info
        self.credential = ClientSecretCredential(info.tenant, info.client_id, info.client_secret)
        self.session = requests.Session()
        token = self.credential.get_token("https://management.azure.com/.default").token
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(
        self, method: str, path: str, body: Any = None, version: str = PREVIEW, /, **params: str
    ) -> requests.Response:
        """One request to Resource Manager, or to the host that an absolute `path` names."""
        url = path if path.startswith("https://") else f"https://management.azure.com{path}"
        return self.session.request(method, url, params={"api-version": version, **params}, json=body, timeout=60)

    def ok(self, method: str, path: str, body: Any = None, version: str = PREVIEW, /, **params: str) -> Any:
        """The same, which has to succeed; returns the JSON body, or {} where there is none."""
        response = self.call(method, path, body, version, **params)
        assert response.status_code < 300, response.text
        return response.json() if response.content else {}

    def project(self, group: str, *, location: str = "eastus2") -> dict[str, Any]:
        """A hub and a project in a resource group of their own; returns the project's body."""
        root = f"/subscriptions/{self.info.subscription}/resourceGroups/{group}"
        self.ok("PUT", root, {"location": location}, "2021-04-01")
        base = f"{root}/providers/{ML}/workspaces"
        identity = {"type": "SystemAssigned"}
        self.ok("PUT", f"{base}/hub", {"location": location, "kind": "Hub", "identity": identity, "properties": {}})
        self.ready(f"{base}/hub")
        properties = {"hubResourceId": f"{base}/hub"}
        project = {"location": location, "kind": "Project", "identity": identity, "properties": properties}
        self.ok("PUT", f"{base}/project", project)
        return self.ready(f"{base}/project")

    def ready(self, resource: str) -> dict[str, Any]:
        """The resource's body once it is provisioned."""

        def provisioned() -> dict[str, Any] | None:
            body: dict[str, Any] = self.ok("GET", resource)
            return body if body["properties"]["provisioningState"] == "Succeeded" else None

        return until(provisioned)


def chats(path: Path, rows: int = 24) -> Path:
    """A chat file of `rows` rows about made-up things."""
    with path.open("w") as out:
        for row in range(rows):
            question = {"role": "user", "content": f"What does the lamp number {row % 6} cost?"}
            answer = {"role": "assistant", "content": f"It costs {10 + row % 6} coins."}
            out.write(json.dumps({"messages": [question, answer]}) + "\n")
    return path


@dataclass
class World:
    """A project with data, seen through plain HTTP and through the SDK."""

    cloud: Cloud
    project: dict[str, Any]
    ml: MLClient
    train: str
    validation: str

    def body(self, **changes: Any) -> dict[str, Any]:
        """A fine-tuning job's properties as the SDK sends them."""
        hyperparameters = {
            "per_device_train_batch_size": "1",
            "learning_rate": "0.00002",
            "num_train_epochs": "1",
            **changes.pop("hyperparameters", {}),
        }
        details = {
            "modelProvider": "Custom",
            "taskType": "chatCompletion",
            "model": {"jobInputType": "mlflow_model", "uri": PHI},
            "trainingData": {"jobInputType": "uri_file", "uri": self.train},
            "validationData": {"jobInputType": "uri_file", "uri": self.validation},
            "hyperParameters": hyperparameters,
            **changes.pop("details", {}),
        }
        output = {"registered_model": {"jobOutputType": "mlflow_model", "assetName": "tuned"}}
        return {
            "jobType": "FineTuning",
            "experimentName": "tests",
            "tags": {},
            "properties": {},
            "isArchived": False,
            "fineTuningDetails": details,
            "outputs": output,
            **changes,
        }

    def job(self, name: str) -> str:
        """Identifier of a job."""
        return f"{self.project['id']}/jobs/{name}"

    def submit(self, name: str, **changes: Any) -> requests.Response:
        """PUT a fine-tuning job."""
        return self.cloud.call("PUT", self.job(name), {"properties": self.body(**changes)})

    def status(self, name: str) -> str:
        """The job's status."""
        return str(self.cloud.ok("GET", self.job(name))["properties"]["status"])

    def ended(self, name: str, seconds: float = 90) -> str:
        """The final status of a job."""

        def over() -> str | None:
            status = self.status(name)
            return status if status in TERMINAL else None

        return until(over, seconds)

    def plane(self, service: str, name: str, rest: str = "") -> str:
        """A URL of the data plane for a run."""
        return f"https://eastus2.api.azureml.ms/{service}{self.project['id']}/runs/{name}{rest}"

    def details(self, name: str) -> dict[str, Any]:
        """The run's details."""
        details: dict[str, Any] = self.cloud.ok("GET", self.plane("history/v1.0", name, "/details"))
        return details

    def model_id(self, version: str = "1", name: str = "tuned") -> str:
        """A registered model as endpoints name it."""
        guid = self.project["properties"]["workspaceId"]
        return f"azureml://locations/eastus2/workspaces/{guid}/models/{name}/versions/{version}"


def client(world: World, endpoint: str, key: str | None = None) -> openai.OpenAI:
    """The openai client for a serverless endpoint, with its primary key unless another is given."""
    key = key or world.ml.serverless_endpoints.get_keys(endpoint).primary_key
    return openai.OpenAI(base_url=f"https://{endpoint}.eastus2.models.ai.azure.com/v1", api_key=key, max_retries=0)


def make_world(info: SandboxInfo, group: str, folder: Path) -> World:
    """A project in a resource group of its own, with training and validation data; the environment points at `info`."""
    cloud = Cloud(info)
    project = cloud.project(group)
    ml = MLClient(cloud.credential, info.subscription, group, "project", show_progress=False)
    train = ml.data.create_or_update(Data(name="train", type="uri_file", path=str(chats(folder / "train.jsonl"))))
    held = ml.data.create_or_update(Data(name="held", type="uri_file", path=str(chats(folder / "held.jsonl", 6))))
    return World(cloud, project, ml, str(train.id), str(held.id))


@contextmanager
def pointed_at(info: SandboxInfo, folder: Path) -> Iterator[None]:
    """The environment's clients talk to `info`, and the working directory is a neutral folder."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in daemon.env_lines(info).items():
            patch.setenv(name, value)
        patch.chdir(folder)
        yield
