"""What every plane does with a request and an answer: JSON bodies, pages, system data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from tui.sandbox.identity import Principal

JSON = "application/json; charset=utf-8"


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer as Resource Manager sends it."""
    return Response(json.dumps(body, separators=(",", ":")), status, headers=headers, media_type=JSON)


async def json_body(request: Request) -> dict[str, Any]:
    """Return the request's JSON object ({} for an empty body); raises Azure's 400 for anything else."""
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise ServiceError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{error}'."
        ) from error
    if not isinstance(body, dict):
        raise ServiceError(400, "InvalidRequestContent", "The request content must be a JSON object.")
    return body


def section(body: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under `key`, {} where it is absent or null; raises Azure's 400 where it is something else."""
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ServiceError(400, "InvalidRequestContent", f"The value of '{key}' must be a JSON object.")
    return value


def url_of(request: Request) -> str:
    """Return the absolute URL of the request as the client wrote it, without port and query."""
    path = request.scope.get("asked_path", request.scope["path"])
    return f"https://{request.headers['host'].partition(':')[0]}{path}"


def page(
    request: Request, fetch: Callable[[int, int], list[dict[str, Any]]], *, size: int = 100, top: str = "$top"
) -> dict[str, Any]:
    """Return one page of a list with the link to the next.

    Args:
        request: Its ``$top`` asks for smaller pages; its ``$skipToken`` is the one of our own link.
        fetch: Called with an offset and a count, returns that many items or fewer.
        size: The largest page.
        top: The query parameter that asks for smaller pages.
    """
    query = dict(parse_qsl(request.url.query, keep_blank_values=True))
    asked = query.get(top, "")
    count = max(1, min(size, int(asked))) if asked.isdigit() else size
    token = query.get("$skipToken") or query.get("$skip") or "0"
    if not re.fullmatch(r"\d{1,9}", token):
        raise ServiceError(400, "InvalidSkipToken", f"The skip token '{token}' is not one that this service issued.")
    offset = int(token)
    items = fetch(offset, count + 1)
    body: dict[str, Any] = {"value": items[:count]}
    if len(items) > count:
        query.pop("$skip", None)
        body["nextLink"] = f"{url_of(request)}?{urlencode({**query, '$skipToken': str(offset + count)}, safe='$,')}"
    return body


def system_data(principal: Principal, now: datetime, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the ``systemData`` of a resource that `principal` writes at `now`; `before` is the one it had."""
    changed = {
        "lastModifiedAt": iso(now),
        "lastModifiedBy": principal.name,
        "lastModifiedByType": principal.kind,
    }
    if before:
        return {**before, **changed}
    return {"createdAt": iso(now), "createdBy": principal.name, "createdByType": principal.kind, **changed}
