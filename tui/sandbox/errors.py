"""Errors of the emulated services, rendered in the body shape of the plane that raised them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from starlette.responses import Response


class ServiceError(Exception):
    """An answer of 400 or more, as the emulated service words it.

    Args:
        status: The HTTP status.
        code: Azure's error code, for instance ``ResourceNotFound``.
        message: What Azure says to the caller.
        inner: The ``innerError`` object of the machine-learning planes.
        details: Further errors under ``details``.
        headers: Headers to send beside the body, for instance ``Retry-After``.
        param: The offending field, where the OpenAI shape names it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        inner: dict[str, Any] | None = None,
        details: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.details = details
        self.headers = headers or {}
        self.param = param


def not_found(resource_id: str) -> ServiceError:
    """Return Azure's 404 for a resource of any provider, worded as Resource Manager words it."""
    segments = [part for part in resource_id.split("/") if part]
    lowered = [part.lower() for part in segments]
    if "providers" not in lowered:
        return ServiceError(404, "ResourceNotFound", f"The resource '{resource_id}' could not be found.")
    at = len(lowered) - 1 - lowered[::-1].index("providers")
    namespace, pairs = segments[at + 1], segments[at + 2 :]
    kind = "/".join([namespace, *pairs[0::2]])
    name = "/".join(pairs[1::2])
    where = ""
    if "resourcegroups" in lowered:
        where = f" under resource group '{segments[lowered.index('resourcegroups') + 1]}'"
    return ServiceError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}'{where} was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def render(error: ServiceError, plane: str, request_id: str, now: datetime) -> Response:
    """Return the answer for `error` in the shape of `plane` ("arm", "azureml", "blob", "oauth", "openai" …)."""
    body, media_type = _SHAPES.get(plane, _arm)(error, request_id, now)
    return Response(body, error.status, headers=error.headers, media_type=media_type)


def _arm(error: ServiceError, request_id: str, now: datetime) -> tuple[str, str]:
    inner: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.details is not None:
        inner["details"] = error.details
    if error.inner is not None:
        # The machine-learning provider tells its inner error, and where it happened, as additional information.
        facts = {
            "ComponentName": "managementfrontend",
            "Correlation": {"operation": request_id.replace("-", ""), "request": request_id[:16].replace("-", "")},
            "Environment": "eastus2",
            "Location": "eastus2",
            "Time": now.isoformat(),
            "InnerError": error.inner,
        }
        inner.setdefault("details", [])
        inner["additionalInfo"] = [{"type": kind, "info": {"value": value}} for kind, value in facts.items()]
    return json.dumps({"error": inner}), "application/json; charset=utf-8"


def _azureml(error: ServiceError, request_id: str, now: datetime) -> tuple[str, str]:
    body = {
        "error": {
            "code": error.code,
            "severity": None,
            "message": error.message,
            "messageFormat": None,
            "messageParameters": None,
            "referenceCode": None,
            "detailsUri": None,
            "target": None,
            "details": error.details or [],
            "innerError": error.inner,
            "debugInfo": None,
            "additionalInfo": None,
        },
        "correlation": {"operation": request_id.replace("-", ""), "request": request_id[:16].replace("-", "")},
        "environment": "eastus2",
        "location": "eastus2",
        "time": now.isoformat(),
        "componentName": "sandbox",
        "statusCode": error.status,
    }
    return json.dumps(body), "application/json; charset=utf-8"


def _blob(error: ServiceError, request_id: str, now: datetime) -> tuple[str, str]:
    error.headers.setdefault("x-ms-error-code", error.code)
    body = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}\n"
        f"RequestId:{request_id}\nTime:{now.isoformat()}</Message></Error>"
    )
    return body, "application/xml"


def _oauth(error: ServiceError, request_id: str, now: datetime) -> tuple[str, str]:
    """Entra's shape: `code` is the OAuth error, the AADSTS number stands at the head of the message."""
    number = error.message.removeprefix("AADSTS").split(":", 1)[0]
    body = {
        "error": error.code,
        "error_description": f"{error.message} Trace ID: {request_id} Correlation ID: {request_id} "
        f"Timestamp: {now:%Y-%m-%d %H:%M:%SZ}",
        "error_codes": [int(number)] if number.isdigit() else [],
        "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
        "trace_id": request_id,
        "correlation_id": request_id,
        "error_uri": f"https://login.microsoftonline.com/error?code={number}",
    }
    return json.dumps(body), "application/json; charset=utf-8"


def _machine(error: ServiceError, request_id: str, now: datetime) -> tuple[str, str]:
    """The endpoints of managed identities: IMDS speaks OAuth, App Service has words of its own."""
    body: dict[str, Any]
    if error.code[:1].islower():
        body = {"error": error.code, "error_description": error.message}
    else:
        body = {"statusCode": error.status, "message": error.message, "correlationId": request_id}
    return json.dumps(body), "application/json; charset=utf-8"


def _openai(error: ServiceError, request_id: str, now: datetime) -> tuple[str, str]:
    inner: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "type": None,
        "status": error.status,
    }
    if error.inner is not None:
        inner["innererror"] = error.inner
    return json.dumps({"error": inner}), "application/json"


_SHAPES: dict[str, Callable[[ServiceError, str, datetime], tuple[str, str]]] = {
    "arm": _arm,
    "azureml": _azureml,
    "blob": _blob,
    "machine": _machine,
    "oauth": _oauth,
    "openai": _openai,
}
