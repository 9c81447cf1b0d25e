"""Signing in: which identity is used, by which method, and where its secret is kept."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui.services import log
from tui.services.errors import AccessError, Cancelled, PhiftError, SignInRequired, UsageError
from tui.services.progress import Cancel
from tui.settings import Profile, Settings, SignInMethod

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from tui.sandbox.daemon import SandboxInfo
    from tui.services.clients import Azure

_KEYRING = "phift-tui"
_KEYRING_SECONDS = 2.0
_CLI_SECONDS = 30

# Secrets typed in this run where no keyring is usable, by profile.
_memory: dict[str, str] = {}
# What the process's environment held before the sandbox's variables were put there.
_outside: dict[str, str | None] = {}


@dataclass(frozen=True)
class Identity:
    """Who is signed in."""

    name: str
    """User name, application name or id, as the token says."""
    object_id: str
    tenant: str
    method: SignInMethod | Literal["sandbox"]
    expires: datetime | None
    """When the token ends; it is renewed before."""


@dataclass(frozen=True)
class DeviceCode:
    """What a person has to type, and where."""

    code: str
    url: str
    message: str
    expires: datetime


def use_sandbox(settings: Settings, *, as_of: date | None = None) -> SandboxInfo:
    """Start the sandbox where it is not running, and point this process at it.

    From here on every Azure client in the process talks to the sandbox and to nothing else.

    Args:
        settings: whose sandbox folder is used.
        as_of: date of the sandbox's calendar; None: the one it has.

    Raises:
        AccessError: the sandbox's packages are not installed.
        PhiftError: it could not be started.
    """
    import importlib.util

    missing = [name for name in ("starlette", "uvicorn", "trustme") if importlib.util.find_spec(name) is None]
    if missing:
        raise AccessError(
            "The sandbox is not installed.",
            code="SandboxNotInstalled",
            meaning=f"Missing: {', '.join(missing)}. Azure itself works without them.",
            next_step="Run `pip install 'phift-tui[sandbox]'`.",
        )
    from tui.sandbox import daemon

    try:
        info = daemon.start(settings.sandbox_folder, as_of=as_of)
    except (OSError, daemon.SandboxError) as error:
        raise PhiftError(
            f"The sandbox could not be started: {error}.",
            code="SandboxNotStarted",
            next_step=f"Mend that and repeat the step; the log is {settings.sandbox_folder / 'sandbox.log'}.",
        ) from None
    wanted = daemon.env_lines(info)
    # ALL_PROXY would win in some clients; the rest is the sandbox's own.
    for name in (*wanted, "ALL_PROXY", "all_proxy"):
        _outside.setdefault(name, os.environ.get(name))
        os.environ.pop(name, None)
    os.environ.update(wanted)
    return info


def _leave_sandbox() -> None:
    """Give the process back the variables that it had before `use_sandbox`."""
    for name, value in _outside.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    _outside.clear()


def connect(
    settings: Settings,
    *,
    sandbox: bool = False,
    prompt: Callable[[DeviceCode], None] | None = None,
    secret: str | None = None,
    cancel: Cancel | None = None,
) -> Azure:
    """Sign in by the active profile's method and return the connection; a token has really been issued.

    Args:
        settings: profiles and time-outs.
        sandbox: sign in to the sandbox (started where it is not running) instead.
        prompt: shown the code and the address by the method `device-code`.
        secret: of the service principal, or passphrase of the certificate; else the one kept or PHIFT_CLIENT_SECRET.
        cancel: gives up waiting for the person or the network.

    Raises:
        SignInRequired: Azure did not accept the sign-in, or something it needs is missing.
        Cancelled: given up.
    """
    from tui.services.clients import ENDPOINTS, Azure, translated

    log.capture(settings)
    profile = settings.active_profile()
    if sandbox:
        use_sandbox(settings)
        profile = profile.model_copy(update={"method": "environment", "tenant": "", "cloud": "public"})
    else:
        _leave_sandbox()
    with translated():
        credential = _credential(settings, profile, prompt, secret)
        scope = f"{ENDPOINTS[profile.cloud].arm}/.default"
        token = _in_thread(lambda: credential.get_token(scope).token, cancel or Cancel())
    identity = _identity(token, "sandbox" if sandbox else profile.method)
    return Azure(credential, identity, settings, sandbox=sandbox or _environment_is_a_sandboxs())


def _environment_is_a_sandboxs() -> bool:
    """Whether the variables of `phift-tui sandbox env` are set, so that what is shown is labelled as the sandbox's."""
    certificate = os.environ.get("REQUESTS_CA_BUNDLE", "")
    return bool(certificate) and any((folder / "sandbox.json").exists() for folder in Path(certificate).parents[:2])


def store_secret(settings: Settings, profile: str, secret: str) -> Literal["keyring", "memory"]:
    """Keep a secret in the keyring where one answers within two seconds, else until the program ends.

    Returns:
        Where it is kept.
    """

    def store() -> None:
        import keyring

        first = getattr(keyring.get_keyring(), "backends", [keyring.get_keyring()])[0]
        if re.search(r"(?i)plaintext|\.file|null|fail", f"{type(first).__module__}.{type(first).__name__}"):
            raise LookupError("this keyring keeps nothing, or keeps it in a file")
        keyring.set_password(_KEYRING, profile, secret)
        if keyring.get_password(_KEYRING, profile) != secret:
            raise LookupError("the keyring does not give back what was stored")

    if _answers(store):
        _memory.pop(profile, None)
        return "keyring"
    _memory[profile] = secret
    return "memory"


def forget_secret(profile: str) -> None:
    """Remove a profile's secret from the keyring and from memory."""

    def remove() -> None:
        import keyring

        keyring.delete_password(_KEYRING, profile)

    _memory.pop(profile, None)
    _answers(remove)


def _answers(call: Callable[[], None]) -> bool:
    """Whether a keyring call ends well in time; a locked keyring may wait for a window that nobody sees."""
    ended: list[bool] = []

    def run() -> None:
        try:
            call()
        except Exception:  # keyring back ends raise whatever they like; any of it means: not usable
            return
        ended.append(True)

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(_KEYRING_SECONDS)
    return bool(ended)


def _secret(settings: Settings, given: str | None) -> str | None:
    if given:
        return given
    if settings.client_secret:
        return settings.client_secret.get_secret_value()
    if settings.profile in _memory:
        return _memory[settings.profile]
    found: list[str | None] = []

    def read() -> None:
        import keyring

        found.append(keyring.get_password(_KEYRING, settings.profile))

    return found[0] if _answers(read) and found else None


def _credential(
    settings: Settings, profile: Profile, prompt: Callable[[DeviceCode], None] | None, secret: str | None
) -> TokenCredential:
    from azure import identity

    from tui.services.clients import ENDPOINTS

    common: dict[str, Any] = {
        "authority": ENDPOINTS[profile.cloud].authority,
        "connection_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "retry_total": 3,
    }
    match profile.method:
        case "cli":
            return identity.AzureCliCredential(tenant_id=profile.tenant, process_timeout=_CLI_SECONDS)
        case "device-code":
            if prompt is None:
                raise UsageError(
                    "Signing in by device code needs a person at the terminal.",
                    next_step="Use the wizard, or another method for this profile.",
                )
            show = prompt

            def shown(url: str, code: str, expires: datetime) -> None:
                show(DeviceCode(code, url, f"Open {url} on any device and enter the code {code}.", expires))

            if profile.tenant:
                common["tenant_id"] = profile.tenant
            return identity.DeviceCodeCredential(prompt_callback=shown, **common)
        case "service-principal":
            _require(profile, "tenant", "client_id")
            found = _secret(settings, secret)
            if not found:
                raise SignInRequired(
                    "The service principal's secret is not known.",
                    code="SecretMissing",
                    next_step="Type it on the sign-in screen, or set PHIFT_CLIENT_SECRET.",
                )
            return identity.ClientSecretCredential(profile.tenant, profile.client_id, found, **common)
        case "certificate":
            _require(profile, "tenant", "client_id", "certificate")
            try:
                return identity.CertificateCredential(
                    profile.tenant, profile.client_id, profile.certificate, password=_secret(settings, secret), **common
                )
            except (ValueError, OSError) as error:
                raise SignInRequired(
                    f"The certificate {profile.certificate} cannot be used: {error}.",
                    code="CertificateUnusable",
                    next_step="Give a PEM or PFX file that holds the private key, and its passphrase if it has one.",
                ) from None
        case "managed-identity":
            return identity.ManagedIdentityCredential(client_id=profile.client_id or None, **common)
        case "environment":
            return identity.EnvironmentCredential(**common)


def _require(profile: Profile, *fields: str) -> None:
    for name in fields:
        if not getattr(profile, name):
            raise UsageError(
                f"The profile lacks {name!r}, which signing in by {profile.method} needs.",
                code="ProfileIncomplete",
                next_step=f"Add {name} to the profile in the settings file.",
            )


def _in_thread(call: Callable[[], str], cancel: Cancel) -> str:
    """Run a call that cannot be cancelled; when the user gives up, it is left to end by itself."""
    results: list[str] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again in the calling thread
            failures.append(error)
        ended.set()

    threading.Thread(target=run, name="sign-in", daemon=True).start()
    while not ended.wait(0.1):
        if cancel.is_set:
            raise Cancelled("The sign-in was given up.")
    if failures:
        raise failures[0]
    return results[0]


def _identity(token: str, method: SignInMethod | Literal["sandbox"]) -> Identity:
    """Who the access token is for; its signature is Azure's business."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        claims = {}
    names = ("upn", "unique_name", "preferred_username", "app_displayname", "name", "appid")
    name = next((str(claims[key]) for key in names if claims.get(key)), "unknown")
    expires = claims.get("exp")
    return Identity(
        name=name,
        object_id=str(claims.get("oid", "")),
        tenant=str(claims.get("tid", "")),
        method=method,
        expires=datetime.fromtimestamp(expires, UTC) if isinstance(expires, int | float) else None,
    )
