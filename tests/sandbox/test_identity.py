"""Entra ID as azure-identity and every plane see it: flows, refusals, and tokens that only the sandbox can make."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    AzureCliCredential,
    CertificateCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    DeviceCodeCredential,
    EnvironmentCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from wirekit import Wire

from tui.sandbox.daemon import SandboxInfo

ARM = "https://management.azure.com/.default"
Upset = Callable[[dict[str, Any]], None]


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def accepted(wire: Wire, token: str) -> bool:
    url = "https://management.azure.com/subscriptions?api-version=2022-12-01"
    return wire.send("GET", url, headers={"Authorization": f"Bearer {token}"}).status == 200


def test_client_secret(sandbox_env: SandboxInfo, wire: Wire) -> None:
    info = sandbox_env
    token = ClientSecretCredential(info.tenant, info.client_id, info.client_secret).get_token(ARM)
    found = claims(token.token)
    assert found["tid"] == info.tenant
    assert found["appid"] == info.client_id
    assert found["aud"] == "https://management.azure.com"
    assert found["oid"]
    assert abs(token.expires_on - found["exp"]) < 10
    assert accepted(wire, token.token)


def test_environment_and_default_credential(sandbox_env: SandboxInfo, wire: Wire) -> None:
    assert accepted(wire, EnvironmentCredential().get_token(ARM).token)
    assert accepted(wire, DefaultAzureCredential().get_token(ARM).token)


def test_certificate(sandbox_env: SandboxInfo, wire: Wire) -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox client")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = sandbox_env

    def sign_in() -> str:
        credential = CertificateCredential(info.tenant, info.client_id, certificate_data=pem + private)
        return credential.get_token(ARM).token

    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        sign_in()
    wire.control("POST", "/certificates", {"pem": pem.decode()})
    assert accepted(wire, sign_in())


def test_device_code_where_the_sandbox_plays_the_person(sandbox_env: SandboxInfo, wire: Wire) -> None:
    shown: list[tuple[str, str]] = []
    credential = DeviceCodeCredential(prompt_callback=lambda uri, code, expires: shown.append((uri, code)), timeout=20)
    record = credential.authenticate(scopes=[ARM])
    assert shown[0][0] == "https://microsoft.com/devicelogin"
    assert record.tenant_id == sandbox_env.tenant
    token = credential.get_token(ARM).token
    assert claims(token)["idtyp"] == "user"
    assert accepted(wire, token)
    # Another resource comes by the refresh token: nobody is asked again.
    other = credential.get_token("https://storage.azure.com/.default").token
    assert claims(other)["aud"] == "https://storage.azure.com"
    assert len(shown) == 1


@pytest.mark.parametrize(("decline", "expected"), [(False, 200), (True, "authorization_declined")])
def test_a_person_answers_a_device_code(wire: Wire, upset: Upset, decline: bool, expected: object) -> None:
    upset({"person": {"answers": "never"}})
    base = "https://login.microsoftonline.com/organizations/oauth2/v2.0"
    started = wire.send("POST", f"{base}/devicecode", urlencode({"client_id": "app", "scope": ARM}).encode()).json
    grant = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "client_id": "app",
        "device_code": started["device_code"],
    }

    def poll() -> object:
        answer = wire.send("POST", f"{base}/token", urlencode(grant).encode())
        return 200 if answer.status == 200 else answer.json["error"]

    assert poll() == "authorization_pending"
    wire.control("POST", "/device", {"user_code": started["user_code"].lower(), "decline": decline})
    assert poll() == expected
    assert poll() == "invalid_grant"


def test_the_azure_cli_style_credential(
    sandbox_env: SandboxInfo, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What `az account get-access-token` prints, from a program that signs in to the sandbox; the real one is a test of
    # the clients that are heavy to install.
    az = tmp_path / "az"
    az.write_text(
        f"#!{sys.executable}\n"
        "import json, os, urllib.request, urllib.parse\n"
        "form = dict(grant_type='client_credentials', client_id=os.environ['AZURE_CLIENT_ID'],\n"
        "            client_secret=os.environ['AZURE_CLIENT_SECRET'], scope='https://management.azure.com/.default')\n"
        "url = f\"https://login.microsoftonline.com/{os.environ['AZURE_TENANT_ID']}/oauth2/v2.0/token\"\n"
        "answer = json.load(urllib.request.urlopen(url, urllib.parse.urlencode(form).encode()))\n"
        "print(json.dumps({'accessToken': answer['access_token'], 'expires_on': 4102444800,\n"
        "                  'expiresOn': '2100-01-01 00:00:00.000000', 'tokenType': 'Bearer'}))\n"
    )
    az.chmod(az.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert accepted(wire, AzureCliCredential().get_token(ARM).token)


def test_refusals_are_entra_s(sandbox_env: SandboxInfo) -> None:
    info = sandbox_env
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215: Invalid client secret"):
        ClientSecretCredential(info.tenant, info.client_id, "wrong").get_token(ARM)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        ClientSecretCredential(info.tenant, "00000000-0000-0000-0000-000000000000", "x").get_token(ARM)
    with pytest.raises(ClientAuthenticationError, match="tenant"):
        ClientSecretCredential("00000000-0000-0000-0000-00000000000f", info.client_id, info.client_secret).get_token(
            ARM
        )


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("management.azure.com", "/subscriptions?api-version=2022-12-01"),
        ("eastus2.api.azureml.ms", "/registrymanagement/v1.0/registries/azureml/discovery"),
        ("graph.microsoft.com", "/v1.0/me"),
    ],
)
def test_every_plane_takes_only_live_tokens_of_its_own(sandbox: SandboxInfo, wire: Wire, host: str, path: str) -> None:
    url = f"https://{host}{path}"
    good = wire.token("https://management.azure.com/.default")
    forged = jwt.encode(claims(good), rsa.generate_private_key(65537, 2048), "RS256")
    unsigned = jwt.encode(claims(good), None, "none")
    other_audience = wire.token("https://vault.azure.net/.default")
    for token, code in (
        ("", "AuthenticationFailed"),
        ("nonsense", "InvalidAuthenticationToken"),
        (forged, "InvalidAuthenticationToken"),
        (unsigned, "InvalidAuthenticationToken"),
        (other_audience, "InvalidAuthenticationTokenAudience"),
    ):
        answer = wire.send("GET", url, headers={"Authorization": f"Bearer {token}"} if token else {})
        assert (answer.status, answer.code) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


def test_an_expired_token_is_refused(wire: Wire, upset: Upset) -> None:
    token = wire.token()
    upset({"clock": {"skew": 2 * 3600}})
    answer = wire.send(
        "GET",
        "https://management.azure.com/subscriptions?api-version=2022-12-01",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status, answer.code) == (401, "ExpiredAuthenticationToken")
    wire.tokens.clear()
    assert wire.arm("GET", "/subscriptions").status == 200


def test_keys_verify_the_tokens(sandbox: SandboxInfo, wire: Wire) -> None:
    configuration = wire.send(
        "GET", f"https://login.microsoftonline.com/{sandbox.tenant}/v2.0/.well-known/openid-configuration"
    ).json
    keys = jwt.PyJWKSet.from_dict(wire.send("GET", configuration["jwks_uri"]).json)
    token = wire.token()
    key = keys[jwt.get_unverified_header(token)["kid"]]
    verified = jwt.decode(token, key, algorithms=["RS256"], audience="https://management.azure.com")
    assert verified["exp"] > time.time()
