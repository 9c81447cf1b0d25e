"""What Azure answered to recorded requests, the sandbox answers too: same fields, same values, identifiers aside."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from mlkit import PHI, World, chats, make_world, pointed_at

from tui.sandbox.daemon import SandboxInfo

RECORDINGS = Path(os.environ.get("PHIFT_RECORDINGS", Path(__file__).parents[3] / "shared" / "recordings"))
pytestmark = [
    pytest.mark.xdist_group("training"),
    pytest.mark.usefixtures("sandbox_env"),
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings of Azure's answers in {RECORDINGS}"),
]

FOLDER = "LocalUpload/00000000000000000000000000000000"
RECORDED_MODEL = "azureml://registries/azureml-meta/models/Meta-Llama-3-8B/versions/8"
# Values that differ from one account or moment to the next.
OWN = {
    "createdAt", "lastModifiedAt", "createdBy", "lastModifiedBy", "createdByType", "lastModifiedByType", "accountName",
    "containerName", "StartTimeUtc", "subscriptionId", "resourceGroup", "sasToken",
}  # fmt: skip
# The recorded service showed Running at once and no links; here the status is the true one, and links follow it.
MOVING = {"status", "services"}


@pytest.fixture(scope="module")
def world(sandbox: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    with pointed_at(sandbox, folder):
        yield make_world(sandbox, "recordings", folder)


def entries(name: str) -> list[dict[str, Any]]:
    """The Resource Manager exchanges of a recording, its model replaced by one that is in the registry."""
    text = (RECORDINGS / name).read_text()
    text = text.replace(RECORDED_MODEL, PHI).replace("Meta-Llama-3-8B", "Phi-4-mini-instruct")
    return [entry for entry in json.loads(text)["Entries"] if "/workspaces/" in entry["RequestUri"]]


def plain(value: Any, path: str = "") -> Any:
    """A body with the identifiers and times of one account replaced by marks."""
    if isinstance(value, dict):
        return {
            key: "*" if key in OWN else plain(item, f"{path}.{key}") for key, item in value.items() if key not in MOVING
        }
    if isinstance(value, list):
        return [plain(item, path) for item in value]
    if isinstance(value, str):
        value = re.sub(r"subscriptions/[^/]+/(resource[gG]roups)/[^/]+", r"subscriptions/*/\1/*", value)
        return re.sub(r"workspaces/[^/]+", "workspaces/*", value)
    return value


def replay(world: World, entry: dict[str, Any]) -> requests.Response:
    """Send a recorded request to the sandbox's project."""
    parts = urlsplit(entry["RequestUri"])
    rest = re.split(r"/workspaces/[^/]+", parts.path, maxsplit=1)[1]
    version = parse_qs(parts.query)["api-version"][0]
    return world.cloud.call(entry["RequestMethod"], world.project["id"] + rest, entry["RequestBody"], version)


def upload(world: World, name: str, path: Path) -> None:
    """Put a file where the recording's client had put it."""
    store = f"{world.project['id']}/datastores/workspaceblobstore"
    properties = world.cloud.ok("GET", store)["properties"]
    sas = world.cloud.ok("POST", f"{store}/listSecrets", {"expirableSecret": True, "expireAfterHours": 1})["sasToken"]
    url = f"https://{properties['accountName']}.blob.core.windows.net/{properties['containerName']}/{FOLDER}/{name}"
    sent = requests.put(url + sas, data=path.read_bytes(), headers={"x-ms-blob-type": "BlockBlob"}, timeout=30)
    assert sent.status_code == 201


@pytest.mark.parametrize(
    "name", ["dataset__data_upload_file__201.json", "finetuning_job__maap_using_instance_types__201.json"]
)
def test_a_recording_replays_to_equivalent_answers(world: World, tmp_path: Path, name: str) -> None:
    for file in ("train.jsonl", "validation.jsonl", "sample1.csv"):
        upload(world, file, chats(tmp_path / file, 8))
    for entry in entries(name):
        response = replay(world, entry)
        assert response.status_code == entry["StatusCode"], response.text
        assert plain(response.json()) == plain(entry["ResponseBody"]), entry["RequestUri"]
        if "Location" in entry["ResponseHeaders"]:
            assert "Location" in response.headers
