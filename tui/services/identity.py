"""Signing in: which identity is used, by which method, and where its secret is kept."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui.messages import t
from tui.paths import expanded
from tui.services import keyrings, log
from tui.services.errors import AccessError, PhiftError, SignInRequired, UsageError
from tui.services.progress import Cancel, in_thread
from tui.settings import Profile, Settings, SignInMethod

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.identity import DeviceCodeCredential
    from msal import SerializableTokenCache

    from tui.sandbox.daemon import SandboxInfo
    from tui.services.clients import Azure
    from tui.services.tokens import Tokens

_CLI_SECONDS = 30

Kept = Literal["", "keyring", "memory"]
"""Where what the next start needs is kept; memory: until the program ends; empty: not by this program."""

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
    kept: Kept = ""
    """Where the secret, or the sign-in by device code, is kept."""


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
            t("The sandbox is not installed."),
            code="SandboxNotInstalled",
            meaning=t("Missing: {names}. Azure itself works without them.", names=", ".join(missing)),
            next_step=t("Run {command}.", command="`pip install 'phift-tui[sandbox]'`"),
        )
    from tui.sandbox import daemon

    try:
        info = daemon.start(settings.sandbox_folder, as_of=as_of)
    except (OSError, daemon.SandboxError) as error:
        raise PhiftError(
            t("The sandbox could not be started: {reason}.", reason=error),
            code="SandboxNotStarted",
            next_step=t(
                "Mend that and repeat the step; the log is {file}.", file=settings.sandbox_folder / "sandbox.log"
            ),
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
        secret: of the service principal, or passphrase of the certificate; kept once Azure has taken it. Else the one
            kept or PHIFT_CLIENT_SECRET.
        cancel: gives up waiting for the person or the network.

    Raises:
        SignInRequired: Azure did not accept the sign-in, or something it needs is missing.
        Cancelled: given up.
    """
    from tui.services.clients import ENDPOINTS, Azure, translated

    log.capture(settings)
    profile = settings.active_profile()
    stand_in = ""
    if sandbox:
        stand_in = _stand_in(use_sandbox(settings))
        profile = profile.model_copy(update={"method": "environment", "tenant": "", "cloud": "public"})
    else:
        _leave_sandbox()
    with translated():
        tokens, kept = in_thread(lambda: _tokens(settings, profile, prompt, secret), cancel or Cancel())
        tokens.cancel = lambda: cancel
        token = tokens.get_token(f"{ENDPOINTS[profile.cloud].arm}/.default").token
    where = store_secret(settings, settings.profile, secret) if secret else kept()
    identity = _identity(token, "sandbox" if sandbox else profile.method, where)
    _same_tenant(profile, identity)
    known = sandbox or _environment_is_a_sandboxs()
    return Azure(tokens, identity, settings, sandbox=known, stand_in=stand_in)


def _same_tenant(profile: Profile, identity: Identity) -> None:
    """Refuse a sign-in to another tenant than the profile's, by a way that goes to the one it belongs to.

    Raises:
        UsageError: it is another; a tenant given by its domain is not looked at.
    """
    wanted = profile.tenant.lower()
    if profile.method not in ("environment", "managed-identity") or "." in wanted:
        return
    if wanted and identity.tenant and wanted != identity.tenant.lower():
        raise UsageError(
            t("This identity belongs to the tenant {tenant} and cannot go to another.", tenant=identity.tenant),
            code="OtherTenant",
            next_step=t("Set AZURE_TENANT_ID to {tenant}, or sign in as a service principal.", tenant=profile.tenant)
            if profile.method == "environment"
            else t("Empty the tenant, or choose another way to sign in."),
        )


def _stand_in(info: SandboxInfo) -> str:
    """The model that the sandbox trains and answers with."""
    from tui.sandbox import daemon

    try:
        return str(daemon.control(info, "GET", "/status").get("stand_in", ""))
    except daemon.SandboxError:
        return ""  # the sign-in that follows says what is wrong with it


def _environment_is_a_sandboxs() -> bool:
    """Whether the variables of `phift-tui sandbox env` are set, so that what is shown is labelled as the sandbox's."""
    certificate = os.environ.get("REQUESTS_CA_BUNDLE", "")
    return bool(certificate) and any((folder / "sandbox.json").exists() for folder in Path(certificate).parents[:2])


def store_secret(settings: Settings, profile: str, secret: str) -> Literal["keyring", "memory"]:
    """Keep a secret in the keyring where one answers within two seconds, else until the program ends.

    Returns:
        Where it is kept.
    """
    if keyrings.put(profile, secret):
        _memory.pop(profile, None)
        return "keyring"
    _memory[profile] = secret
    return "memory"


def forget_secret(profile: str) -> None:
    """Remove a profile's secret and its sign-in by device code from the keyring and from memory."""
    _memory.pop(profile, None)
    keyrings.forget(profile)
    keyrings.forget(_sign_in_of(profile))


def _sign_in_of(profile: str) -> str:
    """The keyring's name for a profile's sign-in by device code."""
    return f"{profile} (sign-in)"


def _secret(settings: Settings, given: str | None) -> tuple[str | None, Kept]:
    """The secret or passphrase, and where it is kept."""
    if given:
        return given, "memory"
    if settings.client_secret:
        return settings.client_secret.get_secret_value(), ""
    if settings.profile in _memory:
        return _memory[settings.profile], "memory"
    found = keyrings.get(settings.profile)
    return found, "keyring" if found else ""


class _SignIn:
    """A sign-in by device code, which outlives the program where a keyring can keep it."""

    def __init__(self, settings: Settings, prompt: Callable[[DeviceCode], None], profile: Profile) -> None:
        from azure.identity import AuthenticationRecord, DeviceCodeCredential
        from msal import SerializableTokenCache

        from tui.services.clients import ENDPOINTS

        self._name = _sign_in_of(settings.profile)
        self._cache: SerializableTokenCache = SerializableTokenCache()
        self.kept: Kept = "memory"
        options: dict[str, Any] = _options(settings, profile)
        if profile.tenant:
            options["tenant_id"] = profile.tenant
        if profile.client_id:
            options["client_id"] = profile.client_id
        try:
            document = json.loads(keyrings.get(self._name) or "")
            record = AuthenticationRecord.deserialize(document["record"])
            same = record.authority == ENDPOINTS[profile.cloud].authority and document["profile"] == _same(profile)
        except (ValueError, KeyError, TypeError):
            same = False  # nothing kept, or by another version
        if same:
            self._cache.deserialize(document["cache"])
            self._cache.has_state_changed = True  # asked to be kept once more, which says whether it still can be
            options["authentication_record"] = record
            del options["authority"]  # the record's, which is the same

        def shown(url: str, code: str, expires: datetime) -> None:
            message = t("Open {url} on any device and enter the code {code}.", url=url, code=code)
            prompt(DeviceCode(code, url, message, expires))

        self._profile = _same(profile)
        self.credential: DeviceCodeCredential = DeviceCodeCredential(
            prompt_callback=shown, _cache=self._cache, **options
        )

    def keep(self) -> None:
        """Put what the next start needs into the keyring, where it has changed."""
        record = self.credential._auth_record  # what `authenticate` returns, which always asks the person
        if record is None or not self._cache.has_state_changed:
            return
        document = {"record": record.serialize(), "cache": self._cache.serialize(), "profile": self._profile}
        self.kept = "keyring" if keyrings.put(self._name, json.dumps(document)) else "memory"


def _same(profile: Profile) -> str:
    """What of a profile makes its sign-in that of another."""
    return "/".join((profile.cloud, profile.tenant, profile.client_id))


def _options(settings: Settings, profile: Profile) -> dict[str, Any]:
    """What all of azure-identity's credentials are given."""
    from tui.services.clients import ENDPOINTS

    return {
        "authority": ENDPOINTS[profile.cloud].authority,
        "connection_timeout": settings.connect_timeout,
        "read_timeout": settings.read_timeout,
        "retry_total": 3,
    }


def _tokens(
    settings: Settings, profile: Profile, prompt: Callable[[DeviceCode], None] | None, secret: str | None
) -> tuple[Tokens, Callable[[], Kept]]:
    """The profile's credential, and what tells where the secret or sign-in is kept."""
    from tui.services.tokens import Tokens

    if profile.method == "device-code":
        if prompt is None:
            raise UsageError(
                t("Signing in by device code needs a person at the terminal."),
                next_step=t("Use the wizard, or another method for this profile."),
            )
        sign_in = _SignIn(settings, prompt, profile)
        return Tokens(sign_in.credential, got=sign_in.keep), lambda: sign_in.kept
    credential, kept = _credential(settings, profile, secret)
    return Tokens(credential, claims=profile.method != "cli"), lambda: kept


def _credential(settings: Settings, profile: Profile, secret: str | None) -> tuple[TokenCredential, Kept]:
    from azure import identity

    common = _options(settings, profile)
    match profile.method:
        case "cli":
            return identity.AzureCliCredential(tenant_id=profile.tenant, process_timeout=_CLI_SECONDS), ""
        case "service-principal":
            _require(profile, "tenant", "client_id")
            found, kept = _secret(settings, secret)
            if not found:
                raise SignInRequired(
                    t("The service principal's secret is not known."),
                    code="SecretMissing",
                    next_step=t("Type it on the sign-in screen, or set PHIFT_CLIENT_SECRET."),
                )
            return identity.ClientSecretCredential(profile.tenant, profile.client_id, found, **common), kept
        case "certificate":
            _require(profile, "tenant", "client_id", "certificate")
            passphrase, kept = _secret(settings, secret)
            path = str(expanded(profile.certificate))
            try:
                return identity.CertificateCredential(
                    profile.tenant, profile.client_id, path, password=passphrase, **common
                ), kept
            except (ValueError, TypeError, OSError) as error:
                raise SignInRequired(
                    t("The certificate {file} cannot be used: {reason}.", file=profile.certificate, reason=error),
                    code="CertificateUnusable",
                    next_step=t("Give a PEM or PFX file that holds the private key, and its passphrase if it has one."),
                ) from None
        case "managed-identity":
            # Off Azure nobody answers at its address: seconds must do, where the SDK's own tries take minutes.
            common |= {"connection_timeout": 2, "read_timeout": 10, "retry_total": 1, "retry_status": 1}
            return identity.ManagedIdentityCredential(client_id=profile.client_id or None, **common), ""
        case _:
            return identity.EnvironmentCredential(**common), ""


def _require(profile: Profile, *fields: str) -> None:
    for name in fields:
        if not getattr(profile, name):
            raise UsageError(
                t("The profile lacks {name!r}, which signing in by {method} needs.", name=name, method=profile.method),
                code="ProfileIncomplete",
                next_step=t("Add {name} to the profile in the settings file.", name=name),
            )


def _identity(token: str, method: SignInMethod | Literal["sandbox"], kept: Kept) -> Identity:
    """Who the access token is for; its signature is Azure's business."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        claims = {}
    names = ("upn", "unique_name", "preferred_username", "app_displayname", "name", "appid")
    name = next((str(claims[key]) for key in names if claims.get(key)), t("unknown"))
    expires = claims.get("exp")
    return Identity(
        name=name,
        object_id=str(claims.get("oid", "")),
        tenant=str(claims.get("tid", "")),
        method=method,
        expires=datetime.fromtimestamp(expires, UTC) if isinstance(expires, int | float) else None,
        kept=kept,
    )
