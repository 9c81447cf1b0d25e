"""Managed identities, by the real azure-identity: App Service's endpoint and the virtual machine's, and their roles."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential, ManagedIdentityCredential
from wirekit import Wire

from tui.sandbox.daemon import SandboxInfo, env_lines

ARM = "https://management.azure.com/.default"
Upset = Callable[[dict[str, Any]], None]
_ASKED = "api-version=2019-08-01&resource=https://management.azure.com"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


@pytest.fixture(params=["App Service", "IMDS"])
def style(request: pytest.FixtureRequest, sandbox_env: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of a machine of this style; IMDS is what is left where App Service's variables are not set."""
    if request.param == "IMDS":
        monkeypatch.delenv("IDENTITY_ENDPOINT")
        monkeypatch.delenv("IDENTITY_HEADER")
    return str(request.param)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def listed(wire: Wire, token: str) -> list[str]:
    """The subscriptions that a token sees."""
    url = "https://management.azure.com/subscriptions?api-version=2022-12-01"
    answer = wire.send("GET", url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 200
    return [one["subscriptionId"] for one in answer.json["value"]]


def test_the_identity_of_the_machine(style: str, sandbox_env: SandboxInfo, wire: Wire) -> None:
    token = ManagedIdentityCredential().get_token(ARM)
    found = claims(token.token)
    assert found["tid"] == sandbox_env.tenant
    assert found["appid"] != sandbox_env.client_id
    assert found["xms_mirid"].startswith(f"/subscriptions/{sandbox_env.subscription}/")
    assert abs(token.expires_on - found["exp"]) < 10
    assert listed(wire, token.token) == [sandbox_env.subscription]


def test_an_identity_of_the_user_s_has_its_own_roles(style: str, wire: Wire, group: str) -> None:
    path = f"…/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/tuner"
    made = wire.arm("PUT", path, {"location": "eastus2"}, version="2023-01-31").json
    assert wire.arm("PUT", path, {"location": "eastus2"}, version="2023-01-31").json["properties"] == made["properties"]
    properties = made["properties"]
    by_client = ManagedIdentityCredential(client_id=properties["clientId"]).get_token(ARM).token
    by_resource = ManagedIdentityCredential(identity_config={"resource_id": made["id"]}).get_token(ARM).token
    by_object = ManagedIdentityCredential(identity_config={"object_id": properties["principalId"]}).get_token(ARM).token
    assert {claims(token)["oid"] for token in (by_client, by_resource, by_object)} == {properties["principalId"]}

    assert listed(wire, by_client) == []
    url = f"https://management.azure.com{made['id'].partition('/providers/')[0]}?api-version=2025-04-01"
    signed = {"Authorization": f"Bearer {by_client}"}
    refused = wire.send("GET", url, headers=signed)
    assert (refused.status, refused.code) == (403, "AuthorizationFailed")
    assert properties["principalId"] in refused.json["error"]["message"]
    wire.arm(
        "PUT",
        f"…/resourceGroups/{group}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}",
        {
            "properties": {
                "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{READER}",
                "principalId": properties["principalId"],
            }
        },
        version="2022-04-01",
    )
    assert wire.send("GET", url, headers=signed).status == 200
    assert wire.send("DELETE", url, headers=signed).status == 403


def test_without_an_identity(style: str, sandbox_env: SandboxInfo, upset: Upset) -> None:
    unknown = "00000000-0000-0000-0000-000000000000"
    if style == "IMDS":
        expected = ClientAuthenticationError, "Identity not found"
        unknown_expected = expected
    else:
        expected = CredentialUnavailableError, "Unable to load the proper Managed Identity"
        unknown_expected = CredentialUnavailableError, "No User Assigned or Delegated Managed Identity found"
    with pytest.raises(unknown_expected[0], match=unknown_expected[1]):
        ManagedIdentityCredential(client_id=unknown).get_token(ARM)
    upset({"machine": {"identity": "none"}})
    with pytest.raises(expected[0], match=expected[1]):
        ManagedIdentityCredential().get_token(ARM)
    # The other ways to sign in do not care.
    assert claims(DefaultAzureCredential().get_token(ARM).token)["appid"] == sandbox_env.client_id


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/msi/token?{_ASKED}", {}, 401),
        (
            f"/msi/token?{_ASKED}",
            {"X-IDENTITY-HEADER": "guess"},
            401,
        ),
        (f"/imds/guess/metadata/identity/oauth2/token?{_ASKED}", {"Metadata": "true"}, 404),
        (f"/imds/{{header}}/metadata/identity/oauth2/token?{_ASKED}", {}, 400),
        ("/imds/{header}/metadata/identity/oauth2/token?resource=nonsense", {"Metadata": "true"}, 400),
        ("/subscriptions?api-version=2022-12-01", {}, 404),
    ],
)
def test_the_endpoints_give_nothing_to_who_does_not_know_the_header(
    sandbox: SandboxInfo, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(sandbox.proxy).port or 0, timeout=10)
    connection.request("GET", path.format(header=env_lines(sandbox)["IDENTITY_HEADER"]), headers=headers)
    answer = connection.getresponse()
    assert answer.status == status
    assert b"access_token" not in answer.read()
    connection.close()
