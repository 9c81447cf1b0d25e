"""Entra ID: tenant and instance discovery, the token endpoint with its flows, and the check of every bearer token."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox.daemon import write_private
from tui.sandbox.directory import ANY_TENANT, PERSON, Account, Directory, Tenant
from tui.sandbox.errors import ServiceError
from tui.sandbox.wire import answer

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

LOGIN = "https://login.microsoftonline.com"
TOKEN_SECONDS = 3599
REFRESH_DAYS = 90
_DEVICE_SECONDS = 900
_PERSON_SECONDS = 4.0  # how long the person whom the sandbox plays takes to enter a device code, at pace 1
_ALIASES = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]

AUDIENCES = {
    "arm": ("https://management.azure.com", "https://management.core.windows.net"),
    "azureml": ("https://management.azure.com", "https://management.core.windows.net", "https://ml.azure.com"),
    "blob": ("https://storage.azure.com",),
    "graph": ("https://graph.microsoft.com", "https://graph.windows.net"),
}


@dataclass(frozen=True)
class Principal:
    """Who sends a request, read from a verified token.

    Attributes:
        oid: The object id, which role assignments name.
        name: What ``createdBy`` shows: the application's name or the person's sign-in name.
        kind: ``Application`` or ``User``, as ``createdByType`` spells it.
        tenant: The tenant's id.
        claims: All claims of the token.
    """

    oid: str
    name: str
    kind: str
    tenant: str
    claims: dict[str, Any]


class Identity:
    """Who is who in one sandbox, and the key that signs what says so."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        settings = sandbox.state.settings
        known = settings.get("identity")
        if known is None:
            known = {
                "tenant": str(uuid.uuid4()),
                "client_id": str(uuid.uuid4()),
                "client_secret": secrets.token_urlsafe(30),
                "application_oid": str(uuid.uuid4()),
                "person_oid": str(uuid.uuid4()),
            }
        # State of an older version has no machine.
        machine = {key: str(uuid.uuid4()) for key in ("machine_oid", "machine_client_id")}
        known = {**machine, **known}
        settings.set("identity", known)
        self.directory = Directory(sandbox, known)
        self.tenant: str = known["tenant"]
        self.client_id: str = known["client_id"]
        self.client_secret: str = known["client_secret"]
        self.application_oid: str = known["application_oid"]
        self.person_oid: str = known["person_oid"]
        self.machine_oid: str = known["machine_oid"]
        self._key = _signing_key(sandbox.state.folder / "signing.key")
        numbers = self._key.public_key().public_numbers()
        self._jwk = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "n": _base64(numbers.n.to_bytes(256, "big")),
            "e": _base64(numbers.e.to_bytes(3, "big")),
        }
        self._jwk["kid"] = _base64(hashlib.sha256(self._jwk["n"].encode()).digest()[:20])
        self._verified: dict[str, dict[str, Any]] = {}

    @property
    def jwks(self) -> dict[str, Any]:
        """The public key set."""
        return {"keys": [self._jwk]}

    def issue(self, audience: str, account: Account, *, seconds: int = TOKEN_SECONDS) -> str:
        """Return a signed access token of `account`."""
        now = int(self._sandbox.clock.issuing().timestamp())
        issuer = f"https://sts.windows.net/{account.tenant.id}/"
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": issuer,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "aio": _base64(os.urandom(24)),
            "appid": account.client_id,
            "appidacr": "0" if account.person else "2" if account.resource_id else "1",
            "idp": issuer,
            "oid": account.oid,
            "sub": account.oid,
            "tid": account.tenant.id,
            "uti": _base64(os.urandom(16)),
            "ver": "1.0",
        }
        if account.person:
            # In a tenant where the person is a guest, the home tenant is the identity provider.
            claims |= {"idtyp": "user", "unique_name": PERSON, "name": "Sandbox Person", "scp": "user_impersonation"}
            claims |= (
                {"upn": PERSON}
                if account.tenant.id == self.tenant
                else {"idp": f"https://sts.windows.net/{self.tenant}/"}
            )
        else:
            claims["idtyp"] = "app"
        if account.resource_id:
            claims["xms_mirid"] = account.resource_id
        return self.sign(claims)

    def sign(self, claims: dict[str, Any]) -> str:
        """Return `claims` as a signed token."""
        return jwt.encode(claims, self._key, "RS256", {"kid": self._jwk["kid"]})

    def claims_of(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that this sandbox signed; raises `jwt.InvalidTokenError` for any other.

        Expiry and audience are the caller's to check, since each plane words those refusals differently.
        """
        known = self._verified.get(token)
        if known is None:
            known = jwt.decode(
                token,
                self._key.public_key(),
                ["RS256"],
                options={"verify_exp": False, "verify_aud": False, "verify_nbf": False, "verify_iat": False},
            )
            if len(self._verified) > 1000:
                self._verified.clear()
            self._verified[token] = known
        return known

    def authenticate(self, request: Request, audiences: tuple[str, ...]) -> Principal:
        """Return who sent `request`; raises Azure's 401 unless it carries a live token of ours for an audience."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise self._unauthorized(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
                "The authentication failed because of missing 'Authorization' header.",
            )
        try:
            claims = self.claims_of(token.strip())
        except jwt.InvalidTokenError as error:
            raise self._unauthorized(
                "InvalidAuthenticationToken", "The access token is invalid.", str(error)
            ) from error
        now = self._sandbox.clock.issuing().timestamp()
        if claims["exp"] <= now or claims["nbf"] > now + 300:
            message = (
                f"The access token expiry UTC time '{_when(claims['exp'])}' is earlier than current UTC time "
                f"'{_when(now)}'."
            )
            raise self._unauthorized("ExpiredAuthenticationToken", message, message)
        audience = str(claims["aud"])
        if audience.rstrip("/") not in audiences:
            allowed = ",".join(audiences)
            message = (
                f"The access token has been obtained for wrong audience or resource '{audience}'. It should exactly "
                f"match with one of the allowed audiences '{allowed}'."
            )
            raise self._unauthorized("InvalidAuthenticationTokenAudience", message, message)
        person = claims["idtyp"] == "user"
        name = PERSON if person else claims["oid"]
        return Principal(claims["oid"], name, "User" if person else "Application", claims["tid"], claims)

    def require_tenant(self, principal: Principal, tenant: str) -> None:
        """Raise Azure's 401 unless the token was issued by the tenant of what is asked for."""
        if principal.tenant == tenant:
            return
        raise self._unauthorized(
            "InvalidAuthenticationTokenTenant",
            f"The access token is from the wrong issuer 'https://sts.windows.net/{principal.tenant}/'. It must match "
            f"the tenant 'https://sts.windows.net/{tenant}/' associated with this subscription. Please use the "
            f"authority (URL) 'https://login.windows.net/{tenant}' to get the token. Note, if the subscription is "
            "transferred to another tenant there is no impact to the services, but information about new tenant "
            "could take time to propagate (up to an hour). If you just transferred your subscription and see this "
            "error message, please try back later.",
            "The access token is from the wrong issuer. It must match the tenant associated with this subscription. "
            "Please use correct authority to get the token.",
            tenant,
        )

    def _unauthorized(self, code: str, message: str, description: str, tenant: str = "") -> ServiceError:
        challenge = (
            f'Bearer authorization_uri="https://login.windows.net/{tenant or self.tenant}", error="invalid_token", '
            f'error_description="{description.replace(chr(34), chr(39))}"'
        )
        return ServiceError(401, code, message, headers={"WWW-Authenticate": challenge})


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of login.microsoftonline.com."""
    service = _Service(sandbox)
    return [
        Route("/common/discovery/instance", service.instance),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", service.openid),
        Route("/{tenant}/.well-known/openid-configuration", service.openid),
        Route("/{tenant}/discovery/v2.0/keys", service.keys),
        Route("/{tenant}/discovery/keys", service.keys),
        Route("/{tenant}/oauth2/v2.0/token", service.token, methods=["POST"]),
        Route("/{tenant}/oauth2/token", service.token, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/devicecode", service.devicecode, methods=["POST"]),
        Route("/{tenant}/oauth2/devicecode", service.devicecode, methods=["POST"]),
    ]


class _Service:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._identity = sandbox.identity
        self._grants: dict[str, Callable[[Tenant, dict[str, str], str], Response]] = {
            "client_credentials": self._client_credentials,
            "urn:ietf:params:oauth:grant-type:device_code": self._device_code,
            "device_code": self._device_code,
            "refresh_token": self._refresh_token,
        }

    async def instance(self, request: Request) -> Response:
        entry = {"preferred_network": _ALIASES[0], "preferred_cache": _ALIASES[1], "aliases": _ALIASES}
        return answer(
            {
                "tenant_discovery_endpoint": f"{LOGIN}/common/v2.0/.well-known/openid-configuration",
                "api-version": request.query_params.get("api-version", "1.1"),
                "metadata": [entry],
            }
        )

    async def openid(self, request: Request) -> Response:
        found = self._tenant(request)
        asked = str(request.path_params["tenant"]).lower()
        tenant = "{tenantid}" if asked in ANY_TENANT else found.id
        base = f"{LOGIN}/{asked}"
        return answer(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{LOGIN}/{tenant}/v2.0",
                "request_uri_parameter_supported": False,
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "http_logout_supported": True,
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "tenant_region_scope": "NA",
                "cloud_instance_name": "microsoftonline.com",
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": "graph.microsoft.com",
            }
        )

    async def keys(self, request: Request) -> Response:
        self._tenant(request)
        return answer(self._identity.jwks)

    async def devicecode(self, request: Request) -> Response:
        self._tenant(request)
        form = await _form(request)
        code, user_code = (
            secrets.token_urlsafe(48),
            "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ2345679") for _ in range(9)),
        )
        pace = self._sandbox.config.pace
        now = self._sandbox.clock.issuing().timestamp()
        person = self._sandbox.state.settings.get("person", "enters the code")
        self._sandbox.state.settings.set(
            f"device/{code}",
            {
                "user_code": user_code,
                "client_id": form.get("client_id", ""),
                "scope": _scope(form),
                "expires": now + _DEVICE_SECONDS,
                "answer": "yes" if person == "enters the code" else None,
                "answered": now + _PERSON_SECONDS * pace,
            },
        )
        uri = "https://microsoft.com/devicelogin"
        return answer(
            {
                "user_code": user_code,
                "device_code": code,
                "verification_uri": uri,
                "expires_in": _DEVICE_SECONDS,
                "interval": max(1, round(5 * min(1.0, pace))),
                "message": f"To sign in, use a web browser to open the page {uri} and enter the code {user_code} to "
                "authenticate.",
            }
        )

    async def token(self, request: Request) -> Response:
        tenant = self._tenant(request)
        form = await _form(request)
        grant = form.get("grant_type", "")
        flow = self._grants.get(grant)
        if flow is None:
            raise ServiceError(
                400,
                "unsupported_grant_type" if grant else "invalid_request",
                f"AADSTS70003: The app requested an unsupported grant type '{grant}'."
                if grant
                else "AADSTS900144: The request body must contain the following parameter: 'grant_type'.",
            )
        return flow(tenant, form, _scope(form))

    def _client_credentials(self, tenant: Tenant, form: dict[str, str], scope: str) -> Response:
        identity = self._identity
        client_id = form.get("client_id", "")
        if not secrets.compare_digest(client_id.lower(), identity.client_id):
            raise ServiceError(
                400,
                "unauthorized_client",
                f"AADSTS700016: Application with identifier '{client_id}' was not found in the directory "
                f"'{tenant.name}'. This can happen if the application has not been installed by the administrator of "
                "the tenant or consented to by any user in the tenant. You may have sent your authentication request "
                "to the wrong tenant.",
            )
        if "client_assertion" in form:
            self._check_assertion(tenant, form["client_assertion"])
        elif not secrets.compare_digest(form.get("client_secret", ""), identity.client_secret):
            raise ServiceError(
                401,
                "invalid_client",
                "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the "
                f"client secret value, not the client secret ID, for a secret added to app '{client_id}'.",
            )
        token = identity.issue(audience_of(scope), identity.directory.application(tenant))
        return answer(
            {
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "ext_expires_in": TOKEN_SECONDS,
                "access_token": token,
            }
        )

    def _check_assertion(self, tenant: Tenant, assertion: str) -> None:
        """A signed assertion counts where the certificate's public key was added to the application."""
        token_url = f"{LOGIN}/{tenant.id}/oauth2/v2.0/token"
        for pem in self._sandbox.state.settings.get("certificates", []):
            try:
                jwt.decode(assertion, pem, ["RS256", "PS256"], audience=[token_url], issuer=self._identity.client_id)
            except jwt.InvalidTokenError:
                continue
            return
        raise ServiceError(
            401,
            "invalid_client",
            "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on "
            "application.",
        )

    def _device_code(self, tenant: Tenant, form: dict[str, str], scope: str) -> Response:
        settings = self._sandbox.state.settings
        key = f"device/{form.get('device_code') or form.get('code', '')}"
        pending = settings.get(key)
        if pending is None:
            raise ServiceError(
                400, "invalid_grant", "AADSTS54005: OAuth2 Authorization code was already redeemed or never issued."
            )
        now = self._sandbox.clock.issuing().timestamp()
        if now > pending["expires"]:
            raise ServiceError(
                400,
                "expired_token",
                "AADSTS70020: The provided value for the input parameter 'device_code' is expired.",
            )
        if pending["answer"] is None or now < pending["answered"]:
            raise ServiceError(
                400,
                "authorization_pending",
                "AADSTS70016: OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
            )
        settings.delete(key)
        if pending["answer"] == "no":
            raise ServiceError(400, "authorization_declined", "AADSTS70018: The user denied the authorization request.")
        return self._person_tokens(tenant, pending["client_id"], pending["scope"])

    def _refresh_token(self, tenant: Tenant, form: dict[str, str], scope: str) -> Response:
        try:
            claims = self._identity.claims_of(form.get("refresh_token", ""))
        except jwt.InvalidTokenError as error:
            raise ServiceError(
                400, "invalid_grant", "AADSTS9002313: Invalid request. Request is malformed or invalid."
            ) from error
        if claims.get("aud") != "refresh" or claims["exp"] < self._sandbox.clock.issuing().timestamp():
            raise ServiceError(400, "invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity.")
        return self._person_tokens(tenant, claims["appid"], scope or claims["scope"])

    def _person_tokens(self, tenant: Tenant, client_id: str, scope: str) -> Response:
        identity = self._identity
        person = identity.directory.person(tenant, client_id)
        now = self._sandbox.clock.issuing()
        claims = {
            "aud": client_id,
            "iss": f"{LOGIN}/{tenant.id}/v2.0",
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(now.timestamp()) + TOKEN_SECONDS,
            "name": "Sandbox Person",
            "oid": person.oid,
            "preferred_username": PERSON,
            "sub": person.oid,
            "tid": tenant.id,
            "ver": "2.0",
        }
        refresh = {
            "aud": "refresh",
            "appid": client_id,
            "scope": scope,
            "exp": int((now + timedelta(days=REFRESH_DAYS)).timestamp()),
            "jti": str(uuid.uuid4()),
        }
        info = {"uid": identity.person_oid, "utid": identity.tenant}
        return answer(
            {
                "token_type": "Bearer",
                "scope": scope,
                "expires_in": TOKEN_SECONDS,
                "ext_expires_in": TOKEN_SECONDS,
                "access_token": identity.issue(audience_of(scope), person),
                "refresh_token": identity.sign(refresh),
                "id_token": identity.sign(claims),
                "client_info": _base64(json.dumps(info).encode()),
            }
        )

    def _tenant(self, request: Request) -> Tenant:
        asked = str(request.path_params["tenant"]).lower()
        found = self._identity.directory.tenant(asked)
        if found is None:
            raise ServiceError(
                400,
                "invalid_tenant" if request.method == "GET" else "invalid_request",
                f"AADSTS90002: Tenant '{asked}' not found. Check to make sure you have the correct tenant ID and are "
                "signing into the correct cloud.",
            )
        return found


def answer_device(sandbox: Sandbox, user_code: str, reply: str) -> bool:
    """Enter `user_code` on the device login page and accept ("yes") or decline ("no"); returns whether it was known."""
    rows = sandbox.state.execute("SELECT key, value FROM settings WHERE key LIKE 'device/%'")
    for key, text in rows:
        pending = json.loads(text)
        if pending["user_code"] == user_code.strip().upper():
            sandbox.state.settings.set(key, {**pending, "answer": reply, "answered": 0})
            return True
    return False


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


def _scope(form: dict[str, str]) -> str:
    """Return the scopes asked for; the older endpoint names a resource instead."""
    resource = form.get("resource")
    return f"{resource}/.default" if resource else form.get("scope", "")


def audience_of(scope: str) -> str:
    """Return the audience of the resource that the first resource scope in `scope` names."""
    for word in scope.split():
        if "://" in word:
            return word.rsplit("/", 1)[0]
    raise ServiceError(
        400,
        "invalid_scope",
        f"AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the input "
        f"parameter 'scope' is not valid. The scope {scope} is not valid.",
    )


def _signing_key(path: Path) -> rsa.RSAPrivateKey:
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(path, pem)
    return key


def _when(timestamp: float) -> str:
    return f"{datetime.fromtimestamp(timestamp, UTC):%m/%d/%Y %H:%M:%S}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def principal_of(request: Request) -> Principal:
    """Return who sent a request on a plane that checks tokens."""
    principal: Principal = request.scope["principal"]
    return principal
