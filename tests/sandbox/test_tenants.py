"""Two tenants: what each token sees, the refusal of a token of the other one, and how clients sign in to either."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from azure.identity import ClientSecretCredential, DeviceCodeCredential
from wirekit import Answer, Wire

import assets
from tui.sandbox.daemon import SandboxInfo

ARM = "https://management.azure.com/.default"
Upset = Callable[[dict[str, Any]], None]


def signed(wire: Wire, path: str, token: str, method: str = "GET", body: bytes | None = None) -> Answer:
    url = f"https://management.azure.com{path}?api-version=2022-12-01"
    return wire.send(method, url, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})


def application_token(wire: Wire, tenant: str) -> str:
    info = wire.info
    form = f"grant_type=client_credentials&client_id={info.client_id}&client_secret={info.client_secret}&scope={ARM}"
    answer = wire.send("POST", f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", form.encode())
    return str(answer.json["access_token"])


@pytest.fixture
def other(wire: Wire, upset: Upset) -> dict[str, Any]:
    """The second tenant, as the list of tenants shows it."""
    upset(tomllib.loads((assets.ROOT / "scenarios/second-tenant.toml").read_text("utf-8")))
    home, other = wire.arm("GET", "/tenants", version="2022-12-01").json["value"]
    assert (home["tenantId"], other["displayName"]) == (wire.info.tenant, "Contoso Research")
    assert home["defaultDomain"] != other["defaultDomain"]
    found: dict[str, Any] = other
    return found


@pytest.mark.parametrize("named", ["tenantId", "defaultDomain"])
def test_a_token_sees_its_tenant_s_subscriptions(
    sandbox_env: SandboxInfo, wire: Wire, other: dict[str, Any], named: str
) -> None:
    info = sandbox_env
    token = ClientSecretCredential(other[named], info.client_id, info.client_secret).get_token(ARM).token
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["tid"] == other["tenantId"]
    seen = signed(wire, "/subscriptions", token).json["value"]
    assert [one["displayName"] for one in seen] == ["Contoso Research production", "Contoso Research trials"]
    assert {one["tenantId"] for one in seen} == {other["tenantId"]}
    at_home = wire.arm("GET", "/subscriptions", version="2022-12-01").json["value"]
    assert [one["subscriptionId"] for one in at_home] == [info.subscription]
    # What is made there belongs to that tenant.
    scope = f"/subscriptions/{seen[0]['subscriptionId']}/resourceGroups/research"
    assert signed(wire, scope, token, "PUT", b'{"location": "eastus2"}').status == 201
    vault = signed(
        wire, f"{scope}/providers/Microsoft.KeyVault/vaults/contoso-vault", token, "PUT", b'{"location": "eastus2"}'
    )
    assert vault.json["properties"]["tenantId"] == other["tenantId"]


def test_a_token_of_the_wrong_tenant_is_refused(wire: Wire, other: dict[str, Any], upset: Upset) -> None:
    info = wire.info
    token = application_token(wire, other["tenantId"])
    answer = signed(wire, f"/subscriptions/{info.subscription}", token)
    assert (answer.status, answer.code) == (401, "InvalidAuthenticationTokenTenant")
    message = answer.json["error"]["message"]
    assert f"wrong issuer 'https://sts.windows.net/{other['tenantId']}/'" in message
    assert f"authority (URL) 'https://login.windows.net/{info.tenant}'" in message
    challenge = answer.headers["WWW-Authenticate"]
    assert f'authorization_uri="https://login.windows.net/{info.tenant}"' in challenge
    assert 'error="invalid_token"' in challenge
    # Once the tenant is gone, so is the way in.
    upset({"tenant": []})
    refused = wire.send(
        "POST", f"https://login.microsoftonline.com/{other['tenantId']}/oauth2/v2.0/token", b"grant_type=x"
    )
    assert "AADSTS90002" in refused.json["error_description"]
    assert len(wire.arm("GET", "/tenants", version="2022-12-01").json["value"]) == 1


def test_the_person_goes_from_one_tenant_to_the_other(
    sandbox_env: SandboxInfo, wire: Wire, other: dict[str, Any]
) -> None:
    shown: list[str] = []
    credential = DeviceCodeCredential(
        prompt_callback=lambda uri, code, expires: shown.append(code), additionally_allowed_tenants=["*"], timeout=20
    )
    credential.authenticate(scopes=[ARM])
    there = credential.get_token(ARM, tenant_id=other["tenantId"]).token
    assert jwt.decode(there, options={"verify_signature": False})["tid"] == other["tenantId"]
    assert len(signed(wire, "/subscriptions", there).json["value"]) == 2
    here = credential.get_token(ARM).token
    assert [one["subscriptionId"] for one in signed(wire, "/subscriptions", here).json["value"]] == [
        sandbox_env.subscription
    ]
    assert len(shown) == 1


def test_accounts_of_ai_services_wait_to_be_connected(wire: Wire, upset: Upset) -> None:
    upset(tomllib.loads((assets.ROOT / "scenarios/ai-services.toml").read_text("utf-8")))
    path = "…/providers/Microsoft.CognitiveServices/accounts"
    accounts = wire.arm("GET", path, version="2024-10-01").json["value"]
    assert {(one["name"], one["kind"], one["location"]) for one in accounts} == {
        ("ai-connected", "AIServices", "eastus2"),
        ("ai-waiting", "AIServices", "swedencentral"),
    }
    hub = "…/resourceGroups/rg-ai/providers/Microsoft.MachineLearningServices/workspaces/hub-ai"
    [connection] = wire.arm("GET", f"{hub}/connections", version="2024-04-01-preview").json["value"]
    assert connection["properties"]["category"] == "AIServices"
    assert connection["properties"]["metadata"]["ResourceId"] in [one["id"] for one in accounts]
    assert connection["properties"]["target"] == "https://ai-connected.cognitiveservices.azure.com/"
    wire.arm("DELETE", "…/resourceGroups/rg-ai")
