"""Turns what Azure answers when it refuses into the error tree: code, request id, what it means, what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.messages import mark, t
from tui.services.errors import (
    AccessError,
    Conflict,
    ModelUnavailable,
    NotFound,
    PermissionDenied,
    PhiftError,
    ProviderNotRegistered,
    ServiceError,
    SignInRequired,
    Throttled,
    Unreachable,
)
from tui.services.redaction import redact

_RAW_LIMIT = 20_000
_BLOB_ERROR = re.compile(r"<Code>(?P<code>[^<]*)</Code>\s*<Message>(?P<message>[^<]*)", re.S)


@dataclass(frozen=True)
class _Known:
    kind: type[PhiftError]
    meaning: str
    next_step: str


# Azure's codes (outer or inner) that deserve more than their own words. Sources: Azure Resource Manager's and Azure
# Storage's error code references; the fine-tuning documentation.
_KNOWN = {
    "authorizationfailed": _Known(
        PermissionDenied,
        mark("The signed-in identity lacks a role assignment for this action."),
        mark("Run `phift-tui doctor`: it names the missing permission and the command that grants it."),
    ),
    "linkedauthorizationfailed": _Known(
        PermissionDenied,
        mark("The signed-in identity lacks a permission on another resource that this one uses."),
        mark("Run `phift-tui doctor`: it names the missing permission and the command that grants it."),
    ),
    "authorizationpermissionmismatch": _Known(
        PermissionDenied,
        mark("Storage is opened by identity here, and the role for its data is missing; Owner does not include it."),
        mark("Have the role Storage Blob Data Contributor assigned on the storage account."),
    ),
    "keybasedauthenticationnotpermitted": _Known(
        PermissionDenied,
        mark("The storage account of the hub forbids keys."),
        mark(
            "Have the role Storage Blob Data Contributor assigned on the storage account; uploads then go by identity."
        ),
    ),
    "missingsubscriptionregistration": _Known(
        ProviderNotRegistered,
        mark("The subscription is not registered for a resource provider that this step needs."),
        mark("Register it on the access screen, or have an administrator run `az provider register`."),
    ),
    "subscriptionnotregistered": _Known(
        ProviderNotRegistered,
        mark("The subscription is not registered for a resource provider that this step needs."),
        mark("Register it on the access screen, or have an administrator run `az provider register`."),
    ),
    "modelnotsupportedbymaas": _Known(
        ModelUnavailable,
        mark("This model cannot be fine-tuned serverless in this region."),
        mark("Choose a region of the model, or another model; the model screen shows both."),
    ),
    # The two codes below are not seen in Azure's documents; the sandbox answers with them.
    "modelretired": _Known(
        ModelUnavailable,
        mark("Microsoft has retired this model."),
        mark("Choose its successor; the model screen names it."),
    ),
    "modelnotsupported": _Known(
        ModelUnavailable,
        mark("This model cannot be fine-tuned."),
        mark("Choose another model; the model screen shows which can be."),
    ),
    "invalidauthenticationtoken": _Known(
        SignInRequired, mark("The sign-in is no longer valid."), mark("Sign in again; nothing is lost.")
    ),
    "expiredauthenticationtoken": _Known(
        SignInRequired, mark("The sign-in has expired."), mark("Sign in again; nothing is lost.")
    ),
    # Storage's for a signature: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
    "authenticationfailed": _Known(
        AccessError,
        mark("The credential of the request is not accepted: it has expired, or this machine's clock is wrong."),
        mark("Compare `date -u` with the real time, then try again; nothing is lost."),
    ),
    "resourcegroupnotfound": _Known(
        NotFound,
        mark("The resource group does not exist, or the identity may not see it."),
        mark("Choose another or create it."),
    ),
    "subscriptionnotfound": _Known(
        NotFound,
        mark("The subscription does not exist in this tenant, or the identity may not see it."),
        mark("Choose the tenant and subscription again."),
    ),
    "quotaexceeded": _Known(
        ServiceError,
        mark("A limit of the subscription is reached."),
        mark("Free what is no longer used, or ask for more quota."),
    ),
    "content_filter": _Known(
        ServiceError,
        mark("Azure AI Content Safety refused the prompt or the answer; the endpoint works."),
        mark("Reword the message, or deploy without content safety where that is allowed."),
    ),
    "requestdisallowedbypolicy": _Known(
        PermissionDenied,
        mark("An Azure policy of the organisation forbids this resource."),
        mark("Show the message to its administrator."),
    ),
}

_BY_STATUS: dict[int, _Known] = {
    401: _Known(SignInRequired, mark("The sign-in is not accepted."), mark("Sign in again; nothing is lost.")),
    403: _Known(
        PermissionDenied,
        mark("The signed-in identity is not allowed to do this."),
        mark("Run `phift-tui doctor`: it names the missing permission and the command that grants it."),
    ),
    404: _Known(NotFound, "", ""),
    409: _Known(Conflict, "", ""),
    412: _Known(Conflict, "", ""),
    429: _Known(
        Throttled,
        mark("Azure limits how often it may be asked."),
        mark("Wait a little; the step can be repeated safely."),
    ),
}


def error_from(status: int, headers: Mapping[str, str], body: str, reason: str = "") -> PhiftError:
    """The error for an answer with a status of 400 or more, secrets masked.

    Args:
        status: HTTP status.
        headers: the answer's headers, case-insensitive.
        body: the answer's body: Azure Resource Manager's JSON, the machine learning planes', storage's XML, Entra's,
            OpenAI's, or anything else.
        reason: HTTP reason phrase, for a body that says nothing.
    """
    codes, message = _read(body)
    header_code = headers.get("x-ms-error-code")
    if header_code and header_code not in codes:
        codes.append(header_code)
    request_id = (
        headers.get("x-ms-request-id") or headers.get("x-ms-correlation-request-id") or headers.get("request-id") or ""
    )
    code, known = _telling(codes, f"Http{status}")
    known = known or _BY_STATUS.get(status, _Known(ServiceError, "", ""))
    if status >= 500 and known.kind is ServiceError and not known.meaning:
        # Whether the request took effect is as little known as when no answer came.
        meaning = mark("Azure failed on its own side; retries did not help.")
        known = _Known(Unreachable, meaning, mark("Try again in some minutes."))
    text = redact(message or t("Azure answered {status}.", status=f"{status} {reason}".strip())).strip()
    return known.kind(
        text if text.endswith((".", "!", "?")) else f"{text}.",
        code=code,
        meaning=t(known.meaning),
        next_step=t(known.next_step),
        request_id=request_id,
        raw=redact(body[:_RAW_LIMIT]),
    )


def error_in(document: Any, fallback: str) -> PhiftError:
    """The error inside a successful answer: a failed operation, a failed run."""
    codes, message = _read(json.dumps(document)) if document else ([], "")
    code, known = _telling(codes, "")
    known = known or _Known(ServiceError, "", "")
    return known.kind(
        redact(message or fallback),
        code=code or None,
        meaning=t(known.meaning),
        next_step=t(known.next_step),
        raw=redact(json.dumps(document, indent=1)[:_RAW_LIMIT]),
    )


def _additional(error: dict[str, Any], kind: str) -> Any:
    """What Resource Manager's `additionalInfo` says of a kind; machine learning puts its inner error there."""
    listed = error.get("additionalInfo")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("type") == kind and isinstance(entry.get("info"), dict):
            return entry["info"].get("value")
    return None


def _telling(codes: list[str], otherwise: str) -> tuple[str, _Known | None]:
    """The innermost code that something is known of, else the innermost."""
    for code in reversed(codes):
        if code.lower() in _KNOWN:
            return code, _KNOWN[code.lower()]
    return (codes[-1] if codes else otherwise), None


def _read(body: str) -> tuple[list[str], str]:
    """Codes from the outermost to the innermost, and the message."""
    try:
        document = json.loads(body)
    except ValueError:
        found = _BLOB_ERROR.search(body)
        if found:
            return [found["code"]], found["message"].partition("\n")[0]
        return [], ""
    if not isinstance(document, dict):
        return [], ""
    error = document.get("error", document)
    if isinstance(error, str):  # Entra: {"error": "invalid_client", "error_description": "AADSTS…"}
        return [error], str(document.get("error_description", "")).partition("\n")[0].partition(" Trace ID:")[0]
    if not isinstance(error, dict):
        return [], ""
    if "error" in error and isinstance(error["error"], dict):  # run history wraps it twice
        error = error["error"]
    codes = [str(error["code"])] if error.get("code") else []
    message = str(error.get("message") or "")
    inner = error.get("innererror") or error.get("innerError") or _additional(error, "InnerError")
    while isinstance(inner, dict):
        if inner.get("code"):
            codes.append(str(inner["code"]))
        inner = inner.get("innererror") or inner.get("innerError")
    listed = error.get("details")
    details = [detail for detail in listed if isinstance(detail, dict)] if isinstance(listed, list) else []
    for detail in details:
        if not message and detail.get("message"):
            message = str(detail["message"])
        # A failed template deployment says only "see details"; the reason is the first detail's.
        elif codes[-1:] == ["DeploymentFailed"] and detail.get("message"):
            codes.append(str(detail.get("code") or "DeploymentFailed"))
            message = str(detail["message"])
    return codes, message
