"""The Azure CLI from PyPI against the sandbox, with nothing but the lines of `sandbox env`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.identity import AzureCliCredential
from mlkit import make_world

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

pytestmark = pytest.mark.clients

Az = Callable[..., Any]
ML = "Microsoft.MachineLearningServices"


@pytest.fixture(scope="module")
def program() -> Path:
    """The `az` that scripts/test-clients installs beside the project's environment, or the one on the path."""
    own = Path(sys.prefix) / "clients/az/bin/az"
    found = str(own) if own.exists() else shutil.which("az")
    if found is None:
        pytest.skip("the Azure CLI is not installed; `make clients` does it")
    return Path(found)


@pytest.fixture(scope="module")
def az(program: Path, sandbox: SandboxInfo) -> Az:
    """Run `az` with JSON output; signed in as the sandbox's service principal."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.upper().startswith("AZURE_")},
        **daemon.env_lines(sandbox),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_NO_COLOR": "yes",
    }

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [program, *arguments, "--output", "json"], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    run(
        *("login", "--service-principal", "--username", sandbox.client_id),
        *("--password", sandbox.client_secret, "--tenant", sandbox.tenant),
    )
    return run


def test_account_list(az: Az, sandbox: SandboxInfo) -> None:
    accounts = az("account", "list")
    assert [(one["id"], one["tenantId"], one["state"]) for one in accounts] == [
        (sandbox.subscription, sandbox.tenant, "Enabled")
    ]


def test_group_provider_and_roles(az: Az, sandbox: SandboxInfo) -> None:
    group = az("group", "create", "--name", "az-group", "--location", "eastus2")
    assert group["properties"]["provisioningState"] == "Succeeded"
    assert az("group", "exists", "--name", "az-group") is True
    assert az("provider", "show", "--namespace", ML)["registrationState"] == "Registered"
    roles = az("role", "assignment", "list", "--all", "--assignee", sandbox.client_id)
    assert [(one["roleDefinitionName"], one["scope"]) for one in roles] == [
        ("Owner", f"/subscriptions/{sandbox.subscription}")
    ]
    az("group", "delete", "--name", "az-group", "--yes")
    assert az("group", "exists", "--name", "az-group") is False


@pytest.mark.xdist_group("training")
def test_rest_on_workspaces_and_jobs(az: Az, sandbox_env: SandboxInfo, tmp_path: Path) -> None:
    world = make_world(sandbox_env, "az-rest", tmp_path)
    workspaces = f"https://management.azure.com{world.project['id'].rpartition('/')[0]}"
    version = "api-version=2024-10-01-preview"
    listed = az("rest", "--method", "get", "--url", f"{workspaces}?{version}")["value"]
    assert {one["name"] for one in listed} == {"hub", "project"}
    assert az("rest", "--method", "get", "--url", f"{workspaces}/project?{version}")["kind"] == "Project"

    jobs = f"{workspaces}/project/jobs"
    body = json.dumps({"properties": world.body(hyperparameters={"num_train_epochs": "100"})})
    made = az("rest", "--method", "put", "--url", f"{jobs}/by-az?{version}", "--body", body)
    assert (made["name"], made["properties"]["status"]) == ("by-az", "NotStarted")
    assert [one["name"] for one in az("rest", "--method", "get", "--url", f"{jobs}?{version}")["value"]] == ["by-az"]
    az("rest", "--method", "post", "--url", f"{jobs}/by-az/cancel?{version}")
    assert world.ended("by-az") == "Canceled"
    assert az("rest", "--method", "get", "--url", f"{jobs}/by-az?{version}")["properties"]["status"] == "Canceled"
    with pytest.raises(AssertionError, match="UserError"):
        az(
            "rest",
            "--method",
            "put",
            "--url",
            f"{jobs}/wrong?{version}",
            "--body",
            '{"properties": {"jobType": "Sweep"}}',
        )
    az("group", "delete", "--name", "az-rest", "--yes")


def test_azure_identity_through_the_cli(
    az: Az, program: Path, sandbox_env: SandboxInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    credential = AzureCliCredential(process_timeout=60)
    token = credential.get_token("https://management.azure.com/.default")
    assert token.token.count(".") == 2


def test_the_machine_s_identity_signs_in_by_az(
    program: Path, sandbox_env: SandboxInfo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "az"))
    monkeypatch.setenv("AZURE_CORE_COLLECT_TELEMETRY", "no")
    done = subprocess.run(
        [program, "login", "--identity", "--output", "json"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    [account] = json.loads(done.stdout)
    assert (account["id"], account["user"]["name"]) == (sandbox_env.subscription, "systemAssignedIdentity")
