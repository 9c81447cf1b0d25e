"""Signing in by each method against the sandbox's Entra ID, and where secrets are kept."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from keyring.backend import KeyringBackend
from pydantic import SecretStr

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo
from tui.services import access, identity, keyrings
from tui.services.errors import AccessError, Cancelled, PhiftError, SignInRequired, UsageError
from tui.services.identity import DeviceCode
from tui.services.progress import Cancel
from tui.settings import Profile, Settings


def with_profile(settings: Settings, **values: str) -> Settings:
    return settings.model_copy(update={"profiles": {"default": Profile.model_validate(values)}})


def principal(settings: Settings, sandbox: SandboxInfo) -> Settings:
    return with_profile(settings, method="service-principal", tenant=sandbox.tenant, client_id=sandbox.client_id)


@pytest.fixture(autouse=True)
def forgetful(settings: Settings) -> None:
    """No secret of one test is known to the next."""
    Dictionary.kept.clear()
    identity.forget_secret(settings.profile)


def test_environment(sandbox_env: SandboxInfo, settings: Settings) -> None:
    azure = identity.connect(settings)
    assert azure.identity.tenant == sandbox_env.tenant
    assert azure.identity.method == "environment"
    assert azure.identity.object_id
    assert azure.identity.expires
    assert azure.identity.expires > dt.datetime.now(dt.UTC)
    assert [one.id for one in access.subscriptions(azure)] == [sandbox_env.subscription]


def test_service_principal_with_a_secret_from_each_place(sandbox_env: SandboxInfo, settings: Settings) -> None:
    wanted = principal(settings, sandbox_env)
    with pytest.raises(SignInRequired) as raised:
        identity.connect(wanted)
    assert raised.value.code == "SecretMissing"
    assert identity.connect(wanted, secret=sandbox_env.client_secret).identity.tenant == sandbox_env.tenant
    assert identity.store_secret(wanted, wanted.profile, sandbox_env.client_secret) == "memory"
    assert identity.connect(wanted).identity.tenant == sandbox_env.tenant
    # PHIFT_CLIENT_SECRET wins over what was kept.
    with pytest.raises(SignInRequired):
        identity.connect(wanted.model_copy(update={"client_secret": SecretStr("another")}))


def test_a_refused_secret_is_not_repeated(sandbox_env: SandboxInfo, settings: Settings) -> None:
    with pytest.raises(SignInRequired) as raised:
        identity.connect(principal(settings, sandbox_env), secret="hunter2-and-more")
    error = raised.value
    assert error.code.startswith("AADSTS7000215")
    assert error.exit_code == 4
    assert "hunter2" not in "".join([*error.lines(), error.raw, repr(error)])


def test_certificate(sandbox_env: SandboxInfo, settings: Settings, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(private + public)
    daemon.control(sandbox_env, "POST", "/certificates", {"pem": public.decode()})
    place = {"method": "certificate", "tenant": sandbox_env.tenant, "client_id": sandbox_env.client_id}
    assert identity.connect(with_profile(settings, **place, certificate=str(path))).identity.method == "certificate"
    sealed = tmp_path / "certificate.pfx"
    seal = serialization.BestAvailableEncryption(b"passphrase")
    sealed.write_bytes(pkcs12.serialize_key_and_certificates(b"test", key, made, None, seal))
    wanted = with_profile(settings, **place, certificate=str(sealed))
    assert identity.connect(wanted, secret="passphrase").identity.method == "certificate"
    assert identity.connect(wanted).identity.kept == "memory"  # the passphrase, as no keyring is usable here
    identity.forget_secret("default")
    for wrong in (None, "another"):
        with pytest.raises(SignInRequired) as raised:
            identity.connect(wanted, secret=wrong)
        assert raised.value.code == "CertificateUnusable"
    path.write_text("no certificate")
    with pytest.raises(SignInRequired) as raised:
        identity.connect(with_profile(settings, **place, certificate=str(path)))
    assert raised.value.code == "CertificateUnusable"


def test_device_code(sandbox_env: SandboxInfo, settings: Settings) -> None:
    shown: list[DeviceCode] = []

    def enter(code: DeviceCode) -> None:
        shown.append(code)
        daemon.control(sandbox_env, "POST", "/device", {"user_code": code.code})

    azure = identity.connect(with_profile(settings, method="device-code", tenant=sandbox_env.tenant), prompt=enter)
    (code,) = shown
    assert code.url.startswith("https://")
    assert code.code in code.message
    assert code.expires > dt.datetime.now(dt.UTC)
    assert azure.identity.tenant == sandbox_env.tenant
    assert access.subscriptions(azure)


def test_device_code_needs_a_person(sandbox_env: SandboxInfo, settings: Settings) -> None:
    with pytest.raises(UsageError):
        identity.connect(with_profile(settings, method="device-code"))


@pytest.mark.usefixtures("sandbox_env")
def test_waiting_for_the_person_can_be_given_up(settings: Settings, upset: Callable[..., None]) -> None:
    upset(person={"answers": "never"})
    cancel = Cancel()
    started = threading.Event()

    def prompt(code: DeviceCode) -> None:
        started.set()
        cancel.set()

    before = time.monotonic()
    with pytest.raises(Cancelled):
        identity.connect(with_profile(settings, method="device-code"), prompt=prompt, cancel=cancel)
    assert started.is_set()
    # The code is valid for a quarter of an hour; nobody waits for that.
    assert time.monotonic() - before < 60


def test_an_incomplete_profile_names_what_is_missing(settings: Settings) -> None:
    with pytest.raises(UsageError, match="client_id"):
        identity.connect(with_profile(settings, method="service-principal", tenant="t"), secret="s")


def test_the_sandbox_takes_the_process_over_and_gives_it_back(
    sandbox: SandboxInfo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in daemon.env_lines(sandbox):
        monkeypatch.setenv(name, "before")  # the fixture puts back what was there before the test
    monkeypatch.setenv("ALL_PROXY", "http://elsewhere")
    own = settings.model_copy(update={"sandbox_state": Path(sandbox.state)})
    azure = identity.connect(own, sandbox=True)
    assert azure.sandbox
    assert azure.identity.method == "sandbox"
    assert os.environ["HTTPS_PROXY"] == sandbox.proxy
    assert "ALL_PROXY" not in os.environ
    assert access.subscriptions(azure)[0].id == sandbox.subscription
    with pytest.raises(UsageError):  # another profile: signing in fails, but not to the sandbox
        identity.connect(with_profile(own, method="device-code"))
    assert os.environ["HTTPS_PROXY"] == "before"
    assert os.environ["ALL_PROXY"] == "http://elsewhere"


def test_without_its_packages_the_sandbox_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AccessError, match="not installed") as raised:
        identity.use_sandbox(settings)
    assert "pip install" in raised.value.next_step


class Hanging(KeyringBackend):
    """A keyring that waits for somebody to unlock it."""

    priority = 1  # type: ignore[assignment]  # the base class has a property of the class here
    unlocked = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.unlocked.wait()
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        self.unlocked.wait()


def test_a_keyring_that_waits_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyrings, "_SECONDS", 0.05)
    monkeypatch.setattr("keyring.get_keyring", Hanging)
    monkeypatch.setattr("keyring.core.get_keyring", Hanging)
    try:
        assert identity.store_secret(settings, "default", "s") == "memory"
    finally:
        Hanging.unlocked.set()


class Dictionary(KeyringBackend):
    """A keyring that works."""

    priority = 1  # type: ignore[assignment]  # the base class has a property of the class here
    kept: dict[tuple[str, str], str] = {}  # noqa: RUF012  # one for the whole test

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[(service, username)] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[(service, username)]


def test_a_keyring_that_works_keeps_the_secret(
    sandbox_env: SandboxInfo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyring.get_keyring", Dictionary)
    monkeypatch.setattr("keyring.core.get_keyring", Dictionary)
    assert identity.store_secret(settings, "default", sandbox_env.client_secret) == "keyring"
    assert identity.connect(principal(settings, sandbox_env)).identity.tenant == sandbox_env.tenant
    identity.forget_secret("default")
    assert Dictionary.kept == {}


def test_a_sign_in_by_device_code_outlives_the_program_in_the_keyring_only(
    sandbox_env: SandboxInfo, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("keyring.get_keyring", Dictionary)
    monkeypatch.setattr("keyring.core.get_keyring", Dictionary)
    shown: list[DeviceCode] = []

    def enter(code: DeviceCode) -> None:
        shown.append(code)
        daemon.control(sandbox_env, "POST", "/device", {"user_code": code.code})

    wanted = with_profile(settings, method="device-code", tenant=sandbox_env.tenant)
    for _ in range(2):
        azure = identity.connect(wanted, prompt=enter)
        assert azure.identity.kept == "keyring"
        assert access.subscriptions(azure)
    assert len(shown) == 1
    kept = "".join(Dictionary.kept.values())
    assert "RefreshToken" in kept
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"RefreshToken" in path.read_bytes() or b"eyJ" in path.read_bytes() for path in written)
    other = with_profile(settings, method="device-code", tenant=sandbox_env.tenant, client_id=sandbox_env.client_id)
    assert identity.connect(other, prompt=enter).identity.kept == "keyring"
    assert len(shown) == 2  # another application is another sign-in
    identity.forget_secret("default")
    identity.connect(wanted, prompt=enter)
    assert len(shown) == 3


def test_without_a_keyring_the_sign_in_ends_with_the_program(sandbox_env: SandboxInfo, settings: Settings) -> None:
    def enter(code: DeviceCode) -> None:
        daemon.control(sandbox_env, "POST", "/device", {"user_code": code.code})

    wanted = with_profile(settings, method="device-code", tenant=sandbox_env.tenant)
    assert identity.connect(wanted, prompt=enter).identity.kept == "memory"
    assert (
        identity.connect(principal(settings, sandbox_env), secret=sandbox_env.client_secret).identity.kept == "memory"
    )


class PlaintextKeyring(Dictionary):
    """A keyring that would keep secrets in a readable file."""


def test_a_keyring_of_plain_text_is_not_used(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.get_keyring", PlaintextKeyring)
    monkeypatch.setattr("keyring.core.get_keyring", PlaintextKeyring)
    assert identity.store_secret(settings, "default", "s") == "memory"
    assert PlaintextKeyring.kept == {}


def test_the_variables_of_a_sandbox_are_recognised(sandbox_env: SandboxInfo, settings: Settings) -> None:
    assert identity.connect(settings).sandbox


# --- the Azure CLI and managed identity ------------------------------------------------------------------------------


def put_az(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """The only program on the path is an `az` that runs `script`."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "az"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/bin")


@pytest.mark.usefixtures("sandbox_env")
def test_without_the_azure_cli_it_is_named(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SignInRequired, match="not found") as raised:
        identity.connect(with_profile(settings, method="cli"))
    assert "az login" in raised.value.next_step


@pytest.mark.usefixtures("sandbox_env")
def test_with_nobody_in_the_azure_cli_the_way_in_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_az(tmp_path, monkeypatch, "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1")
    with pytest.raises(SignInRequired) as raised:
        identity.connect(with_profile(settings, method="cli"))
    assert "az login" in raised.value.next_step


def test_the_azure_clis_token_is_used_and_asked_for_anew_when_refused(
    sandbox_env: SandboxInfo, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    upset: Callable[..., None],
) -> None:  # fmt: skip
    def token() -> str:
        azure = identity.connect(principal(settings, sandbox_env), secret=sandbox_env.client_secret)
        return azure.credential.get_token("https://management.azure.com/.default").token

    answer = '{{"accessToken": "{}", "expires_on": 4102444800, "tokenType": "Bearer"}}'
    first = second = token()
    while second == first:  # a token of the same second is the same token
        second = token()
    (tmp_path / "first").write_text(answer.format(first))
    (tmp_path / "second").write_text(answer.format(second))
    # The first is for signing in, the second for the first call: the Azure CLI keeps its own, and is asked each time.
    script = f"cd {tmp_path}; echo x >> asked; if [ $(wc -l < asked) -gt 2 ]; then cat second; else cat first; fi"
    put_az(tmp_path, monkeypatch, script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    azure = identity.connect(with_profile(settings, method="cli"))
    assert azure.identity.method == "cli"
    upset("GET management.azure.com/subscriptions", "expired-token", count=1)
    assert access.subscriptions(azure)


@pytest.mark.usefixtures("sandbox_env")
def test_off_azure_a_managed_identity_is_refused_within_seconds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands for the address of the metadata service: nobody listens there.
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    for name in ("HTTP_PROXY", "http_proxy", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name, raising=False)
    cancel = Cancel()
    giving_up = threading.Timer(60, cancel.set)
    giving_up.start()
    with pytest.raises(PhiftError) as raised:
        identity.connect(with_profile(settings, method="managed-identity"), cancel=cancel)
    giving_up.cancel()
    assert not isinstance(raised.value, Cancelled)
    assert raised.value.next_step


@pytest.mark.parametrize("machine", ["App Service", "virtual machine"])
def test_the_machines_own_identity_signs_in_and_one_that_is_not_assigned_does_not(
    sandbox_env: SandboxInfo, settings: Settings, upset: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
    machine: str,
) -> None:  # fmt: skip
    if machine == "virtual machine":
        monkeypatch.delenv("IDENTITY_ENDPOINT")
        monkeypatch.delenv("IDENTITY_HEADER")
    azure = identity.connect(with_profile(settings, method="managed-identity"))
    assert (azure.identity.method, azure.identity.tenant) == ("managed-identity", sandbox_env.tenant)
    assert [one.id for one in access.subscriptions(azure)] == [sandbox_env.subscription]
    upset(machine={"identity": "none"})
    with pytest.raises(SignInRequired) as raised:
        identity.connect(with_profile(settings, method="managed-identity"))
    assert raised.value.next_step


def test_each_tenant_has_its_own_subscriptions_and_the_chosen_one_is_signed_in_to(
    sandbox_env: SandboxInfo, settings: Settings, upset: Callable[..., None]
) -> None:
    upset(tenant=[{"name": "Contoso Research", "subscriptions": ["Contoso Research production"]}])
    secret = sandbox_env.client_secret
    at_home = identity.connect(principal(settings, sandbox_env), secret=secret)
    home, other = access.tenants(at_home)
    assert (home.id, other.name) == (sandbox_env.tenant, "Contoso Research")
    place = {"method": "service-principal", "client_id": sandbox_env.client_id}
    for named in (other.id, other.domain):
        there = identity.connect(with_profile(settings, tenant=named, **place), secret=secret)
        assert there.identity.tenant == other.id
        assert [one.name for one in access.subscriptions(there)] == ["Contoso Research production"]
    with pytest.raises(SignInRequired, match="tenant"):
        at_home.rest("GET", f"/subscriptions/{access.subscriptions(there)[0].id}", api_version="2022-12-01")


@pytest.mark.parametrize("method", ["environment", "managed-identity"])
def test_a_tenant_that_the_way_of_signing_in_does_not_go_to_is_told(
    sandbox_env: SandboxInfo, settings: Settings, method: str
) -> None:
    other = "11111111-1111-1111-1111-111111111111"
    with pytest.raises(UsageError) as raised:
        identity.connect(with_profile(settings, method=method, tenant=other))
    assert raised.value.code == "OtherTenant"
    assert sandbox_env.tenant in raised.value.message
    assert identity.connect(with_profile(settings, method=method, tenant=sandbox_env.tenant)).identity.tenant
