"""The sandbox's server: one application that answers for every host, and what each request passes on its way."""

from __future__ import annotations

import errno
import hashlib
import hmac
import logging
import secrets
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import ModuleType

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tui.sandbox import (
    access,
    arm,
    authorization,
    blobs,
    control,
    data,
    datastores,
    deployments,
    discovery,
    graph,
    history,
    identity,
    inference,
    jobs,
    managed_identity,
    marketplace,
    models,
    online,
    prices,
    registry,
    serverless,
    storage_access,
    supervisor,
    tracked,
    usages,
    workspaces,
)
from tui.sandbox.blob_store import BlobStore
from tui.sandbox.clock import Clock, calendar_for
from tui.sandbox.errors import ServiceError, render
from tui.sandbox.faults import Faults
from tui.sandbox.hosts import MACHINE, plane_of
from tui.sandbox.identity import AUDIENCES, Identity
from tui.sandbox.operations import Operations
from tui.sandbox.paths import canonical
from tui.sandbox.proxy import Proxy
from tui.sandbox.recording import Recorder
from tui.sandbox.state import State
from tui.sandbox.supervisor import Supervisor

log = logging.getLogger(__name__)

# Which modules answer on which plane; each has a function `routes(sandbox)`. One line per module.
PLANES: dict[str, tuple[ModuleType, ...]] = {
    # `tracked` comes last: it answers for any provider's resources.
    "arm": (
        *(authorization, arm, deployments, workspaces),
        *(datastores, data, models, jobs, serverless, online, usages, marketplace),
        tracked,
    ),
    "azureml": (discovery, registry, history),
    "oauth": (identity,),
    "graph": (graph,),
    "prices": (prices,),
    "control": (control,),
    "blob": (blobs,),
    "openai": (inference,),
    MACHINE: (managed_identity,),
}
# Modules with an async context manager `lifespan(sandbox)` that runs for as long as the server does.
SERVICES: tuple[ModuleType, ...] = (supervisor,)

MEGABYTE = 1024 * 1024
# Resource Manager refuses bodies over 4 MB; a blob's single PUT may be 5000 MB, which nothing here needs.
BODY_LIMITS = {"blob": 1024 * MEGABYTE, "azureml": 64 * MEGABYTE}
BODY_LIMIT = 4 * MEGABYTE


@dataclass(frozen=True)
class Config:
    """How a sandbox runs.

    Attributes:
        folder: Its state folder.
        pace: What the durations of long operations are multiplied by; 0 makes them instant.
    """

    folder: Path
    pace: float = 1.0


class Sandbox:
    """One sandbox: its state, its time, its identities, and what is wrong with it at the moment."""

    def __init__(self, folder: Path, *, pace: float = 1.0, as_of: date | None = None) -> None:
        self.config = Config(folder, pace)
        self.state = State(folder)
        settings = self.state.settings
        if as_of is not None:
            settings.set("calendar_days", calendar_for(as_of).days)
        self.clock = Clock(timedelta(days=settings.get("calendar_days", 0)))
        self.operations = Operations(self)
        self.identity = Identity(self)
        self.faults = Faults(self)
        self.proxy: Proxy | None = None
        self.blobs = BlobStore(folder / "blobs")
        self.supervisor = Supervisor(self, models.register_tuned)
        self.deleted: list[Callable[[str], None]] = [
            self.supervisor.forget,
            lambda _: storage_access.drop_orphans(self),
        ]
        if settings.get("master_key") is None:
            settings.set("master_key", secrets.token_hex(32))
        self._master_key = bytes.fromhex(settings.get("master_key"))
        if settings.get("subscription") is None:
            settings.set("subscription", access.found(self, self.identity.directory.home))
        self.subscription: str = settings.get("subscription")
        access.admit_machine(self)

    def secret(self, purpose: str) -> bytes:
        """Return 32 secret bytes that belong to `purpose`, the same in every run of this sandbox.

        Account keys and endpoint keys are made from them, with a generation number in the purpose, so that keys
        need no place on the disk.
        """
        return hmac.new(self._master_key, purpose.encode(), hashlib.sha256).digest()

    def delete(self, resource_id: str) -> None:
        """Remove a resource with all that lives in it, end its operations, and tell those who wait for that.

        The functions in `deleted` end the processes of what was removed and remove its files.
        """
        with self.state.transaction():
            self.operations.cancel(resource_id)
            self.state.delete_tree(resource_id)
        for tell in self.deleted:
            tell(resource_id)


def build_app(sandbox: Sandbox) -> Starlette:
    """Return the application that answers for every host of `sandbox`."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for service in SERVICES:
                await stack.enter_async_context(service.lifespan(sandbox))
            group = await stack.enter_async_context(anyio.create_task_group())
            group.start_soon(sandbox.operations.tick)
            yield
            group.cancel_scope.cancel()

    return Starlette(lifespan=lifespan, middleware=[Middleware(_front(sandbox))])


def _front(sandbox: Sandbox) -> Callable[[ASGIApp], ASGIApp]:
    return lambda inner: Front(sandbox, inner)


class Front:
    """What every request passes: host, limits, faults, token, permission; and every answer: headers, error shape."""

    def __init__(self, sandbox: Sandbox, inner: ASGIApp) -> None:
        self._sandbox = sandbox
        self._inner = inner
        self._recorder = Recorder.from_environment()
        self._routers = {
            plane: Router(
                [route for module in modules for route in module.routes(sandbox)],
                redirect_slashes=False,
                default=_no_route,
            )
            for plane, modules in PLANES.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        request_id = str(uuid.uuid4())
        host = Request(scope).headers.get("host", "").partition(":")[0].lower()
        plane = scope.get("plane") or plane_of(host) or ""
        scope["plane"] = plane
        scope["request_id"] = request_id
        scope["host"] = host
        scope["asked_path"] = scope["path"]
        if plane in ("arm", "azureml"):
            scope["path"] = canonical(scope["path"])
        sender = _Sender(self._sandbox, scope, send)
        if self._recorder is not None:
            receive, sender.observe = self._recorder.watch(scope, receive)
        limited = _limited(receive, BODY_LIMITS.get(plane, BODY_LIMIT))
        try:
            async with self._sandbox.faults.around(scope, sender) as (blocked, sending):
                if not blocked:
                    await self._answer(scope, limited, sending)
        except ServiceError as error:
            await self._refuse(error, scope, receive, sender)
        except HTTPException as error:
            refusal = ServiceError(
                error.status_code,
                "MethodNotAllowed",
                f"The requested resource does not support http method '{scope['method']}'.",
            )
            await self._refuse(refusal, scope, receive, sender)
        except Exception as error:
            if sender.started:
                raise
            log.exception("%s %s%s", scope["method"], host, scope["path"])
            reason = "The sandbox failed to process the request; see its log."
            if _disk_full(error):
                folder = self._sandbox.config.folder
                reason = f"The disk below {folder} is full: free some space there and try again; nothing was changed."
            await self._refuse(ServiceError(500, "InternalServerError", reason), scope, receive, sender)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        plane = scope["plane"]
        request = Request(scope, receive)
        if plane not in self._routers:
            raise ServiceError(404, "NotFound", f"No service answers at '{scope['host']}'.")
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > BODY_LIMITS.get(plane, BODY_LIMIT):
            raise _too_large()
        if plane in ("arm", "azureml", "graph"):
            if (
                any(segment in ("", ".", "..") for segment in scope["path"].strip("/").split("/"))
                and scope["path"] != "/"
            ):
                raise ServiceError(
                    400, "InvalidResourceName", "The request path contains an empty or relative segment."
                )
            access.check(self._sandbox, request, AUDIENCES[plane])
        elif plane == "control":
            control.allow(self._sandbox, request)
        self._sandbox.operations.finish_due()
        await self._routers[plane](scope, receive, send)

    async def _refuse(self, error: ServiceError, scope: Scope, receive: Receive, sender: _Sender) -> None:
        response: Response = render(error, scope["plane"], scope["request_id"], self._sandbox.clock.now())
        response.headers["x-ms-failure-cause"] = "service" if error.status >= 500 else "gateway"
        await response(scope, receive, sender)


class _Sender:
    """Sends an answer with the headers that every answer of Azure carries."""

    def __init__(self, sandbox: Sandbox, scope: Scope, send: Send) -> None:
        self._sandbox = sandbox
        self._scope = scope
        self._send = send
        self.started = False
        self.observe: Callable[[Message], None] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": [*message["headers"], *self._headers(dict(message["headers"]))]}
        if self.observe is not None:
            self.observe(message)
        await self._send(message)

    def _headers(self, present: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        scope, now = self._scope, self._sandbox.clock.now()
        asked = dict(scope["headers"])
        request_id = scope["request_id"]
        correlation = asked.get(b"x-ms-correlation-request-id", request_id.encode()).decode("latin-1")
        headers = {
            "date": format_datetime(now, usegmt=True),
            "x-ms-request-id": request_id,
            "strict-transport-security": "max-age=31536000; includeSubDomains",
            "x-content-type-options": "nosniff",
        }
        if b"x-ms-client-request-id" in asked:
            headers["x-ms-client-request-id"] = asked[b"x-ms-client-request-id"].decode("latin-1")
        if scope["plane"] == "arm":
            kind = "reads" if scope["method"] in ("GET", "HEAD") else "writes"
            headers |= {
                "cache-control": "no-cache",
                "pragma": "no-cache",
                "expires": "-1",
                "x-ms-correlation-request-id": correlation,
                "x-ms-routing-request-id": f"EASTUS2:{now:%Y%m%dT%H%M%SZ}:{request_id}",
                f"x-ms-ratelimit-remaining-subscription-{kind}": "249",
            }
        elif scope["plane"] == "azureml":
            headers["x-ms-correlation-request-id"] = correlation
        return [
            (key.encode(), value.encode("latin-1")) for key, value in headers.items() if key.encode() not in present
        ]


def _disk_full(error: Exception) -> bool:
    number = getattr(error, "errno", None)
    return (
        number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    )


def _limited(receive: Receive, limit: int) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large()
        return message

    return limited


def _too_large() -> ServiceError:
    return ServiceError(413, "RequestContentTooLarge", "The request content size exceeds the maximum size allowed.")


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    plane, path = scope["plane"], scope["asked_path"]
    if plane == "oauth":
        raise ServiceError(404, "invalid_request", f"AADSTS90015: Requested page '{path}' was not found.")
    raise ServiceError(404, "ResourceNotFound", f"The resource or operation '{path}' was not found.")
