"""Signatures of the storage service: making SAS tokens, and verifying SAS tokens and Shared Key headers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

from tui.sandbox.errors import ServiceError

VERSION = "2023-11-03"
SERVICE_SAS_HEADERS = ("rscc", "rscd", "rsce", "rscl", "rsct")


def sign(key: str, text: str) -> str:
    """Base64 HMAC-SHA256 of `text` with a base64 account key, as all storage signatures are."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def _account_text(account: str, query: Mapping[str, str]) -> str:
    """String to sign of an account SAS ("Create an account SAS", version 2020-12-06 and later)."""
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    parts = [account, *(query.get(name, "") for name in names)]
    if query.get("sv", "") >= "2020-12-06":
        parts.append(query.get("ses", ""))
    return "\n".join(parts) + "\n"


def _service_text(account: str, container: str, blob: str, query: Mapping[str, str]) -> str:
    """String to sign of a service SAS ("Create a service SAS", version 2018-11-09 and later)."""
    resource = f"/blob/{account}/{container}" + (f"/{blob}" if query.get("sr") == "b" else "")
    parts = [query.get("sp", ""), query.get("st", ""), query.get("se", ""), resource]
    parts += [query.get(name, "") for name in ("si", "sip", "spr", "sv", "sr", "snapshot")]
    if query.get("sv", "") >= "2020-12-06":
        parts.append(query.get("ses", ""))
    return "\n".join([*parts, *(query.get(name, "") for name in SERVICE_SAS_HEADERS)])


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_sas(account: str, key: str, permissions: str, expires: datetime) -> str:
    """An account SAS for containers and objects of the blob service, without the leading question mark."""
    query = {"sv": VERSION, "ss": "bf", "srt": "co", "se": _time(expires), "sp": permissions, "spr": "https"}
    return urlencode({**query, "sig": sign(key, _account_text(account, query))})


def service_sas(account: str, key: str, container: str, blob: str, permissions: str, expires: datetime) -> str:
    """A service SAS for one blob, or for a whole container where `blob` is empty; without the leading question mark."""
    query = {"sv": VERSION, "sr": "b" if blob else "c", "se": _time(expires), "sp": permissions, "spr": "https"}
    return urlencode({**query, "sig": sign(key, _service_text(account, container, blob, query))})


def _refused(detail: str) -> ServiceError:
    message = (
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
        "including the signature."
    )
    return ServiceError(403, "AuthenticationFailed", f"{message} {detail}")


def _parse_time(text: str) -> datetime:
    for pattern in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise _refused(f"{text!r} is not a valid ISO 8601 time.")


def verify_sas(
    query_string: str, account: str, container: str, blob: str, keys: list[str], now: datetime, needed: str
) -> None:
    """Accept a request that carries a SAS, or refuse it as Azure does.

    Args:
        query_string: the raw query of the request.
        keys: the account's base64 keys, any of which may have signed.
        needed: permissions any one of which is enough, such as "cw" for creating a blob.

    Raises:
        ServiceError: 403 AuthenticationFailed (bad signature, outside its time), AuthorizationPermissionMismatch,
            AuthorizationResourceTypeMismatch or AuthorizationServiceMismatch.
    """
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    of_account = "ss" in query
    text = _account_text(account, query) if of_account else _service_text(account, container, blob, query)
    signature = query.get("sig", "")
    if not any(hmac.compare_digest(sign(key, text), signature) for key in keys):
        raise _refused("Signature did not match.")
    if query.get("st") and now < _parse_time(query["st"]):
        raise _refused(
            f"Signature not valid in the specified time frame: Start [{query['st']}] - Current [{_time(now)}]"
        )
    if not query.get("se") or now >= _parse_time(query["se"]):
        raise _refused(
            f"Signature not valid in the specified time frame: Expiry [{query.get('se', '')}] - Current [{_time(now)}]"
        )
    if of_account:
        if "b" not in query["ss"]:
            raise ServiceError(
                403,
                "AuthorizationServiceMismatch",
                "This request is not authorized to perform this operation using this service.",
            )
        kind = "o" if blob else ("c" if container else "s")
        if kind not in query.get("srt", ""):
            raise ServiceError(
                403,
                "AuthorizationResourceTypeMismatch",
                "This request is not authorized to perform this operation using this resource type.",
            )
    if not set(needed) & set(query.get("sp", "")):
        raise ServiceError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission.",
        )


def shared_key_text(method: str, account: str, raw_path: str, query_string: str, headers: Mapping[str, str]) -> str:
    """String to sign of a Shared Key header ("Authorize with Shared Key", blob service, from 2015-02-21 on)."""
    length = headers.get("content-length", "")
    standard = [
        headers.get("content-encoding", ""),
        headers.get("content-language", ""),
        "" if length == "0" else length,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        "" if "x-ms-date" in headers else headers.get("date", ""),
        *(
            headers.get(name, "")
            for name in ("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range")
        ),
    ]
    own = sorted((name, value) for name, value in headers.items() if name.startswith("x-ms-"))
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        values.setdefault(name.lower(), []).append(value)
    resource = f"/{account}{raw_path}" + "".join(
        f"\n{name}:{','.join(sorted(values[name]))}" for name in sorted(values)
    )
    return "\n".join([method, *standard, *(f"{name}:{value.strip()}" for name, value in own), resource])


def verify_shared_key(
    authorization: str,
    method: str,
    account: str,
    raw_path: str,
    query_string: str,
    headers: Mapping[str, str],
    keys: list[str],
) -> None:
    """Accept a request with `Authorization: SharedKey account:signature`, or refuse it.

    Raises:
        ServiceError: 403 AuthenticationFailed.
    """
    claimed, _, signature = authorization.removeprefix("SharedKey ").partition(":")
    text = shared_key_text(method, account, raw_path, query_string, headers)
    if claimed != account or not any(hmac.compare_digest(sign(key, text), signature) for key in keys):
        raise _refused("The MAC signature found in the HTTP request is not the same as any computed signature.")
