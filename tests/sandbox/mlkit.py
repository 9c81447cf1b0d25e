"""What the tests of the machine-learning services share: a cloud to talk to, workspaces, small chat files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests
from azure.identity import ClientSecretCredential

from tui.sandbox.daemon import SandboxInfo

ML = "Microsoft.MachineLearningServices"
PREVIEW = "2024-10-01-preview"
T = TypeVar("T")


class Cloud:
    """A sandbox seen through plain HTTP with a service principal's token."""

    def __init__(self, info: SandboxInfo) -> None:
        self.info = info
        self.credential = ClientSecretCredential(info.tenant, info.client_id, info.client_secret)
        self.session = requests.Session()
        token = self.credential.get_token("https://management.azure.com/.default").token
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(
        self, method: str, path: str, body: Any = None, version: str = PREVIEW, **params: str
    ) -> requests.Response:
        """One request to Resource Manager, or to the host that an absolute `path` names."""
        url = path if path.startswith("https://") else f"https://management.azure.com{path}"
        return self.session.request(method, url, params={"api-version": version, **params}, json=body, timeout=60)

    def ok(self, method: str, path: str, body: Any = None, version: str = PREVIEW, **params: str) -> Any:
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


def until(condition: Callable[[], T | None], seconds: float = 60) -> T:
    """The first truthy answer of `condition`, asked twenty times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{condition.__name__} did not come true in {seconds} s")


def chats(path: Path, rows: int = 24) -> Path:
    """A chat file of `rows` rows about made-up things."""
    with path.open("w") as out:
        for row in range(rows):
            question = {"role": "user", "content": f"What does the lamp number {row % 6} cost?"}
            answer = {"role": "assistant", "content": f"It costs {10 + row % 6} coins."}
            out.write(json.dumps({"messages": [question, answer]}) + "\n")
    return path
