"""Long-running operations: they take their time, survive a restart and finish by themselves."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import segment_after

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

log = logging.getLogger(__name__)

Finisher = Callable[["Sandbox", str, dict[str, Any]], None]
_FINISHERS: dict[str, Finisher] = {}


def finisher(kind: str) -> Callable[[Finisher], Finisher]:
    """Register the function that makes an operation of `kind` come true.

    It is called with the sandbox, the resource's identifier and the payload, inside a transaction, once the
    operation is due; it must not await. A ServiceError that it raises becomes the operation's failure.
    """

    def register(function: Finisher) -> Finisher:
        _FINISHERS[kind] = function
        return function

    return register


class Operations:
    """The operations of one sandbox, kept in its state."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._wake: asyncio.Event | None = None

    def start(self, kind: str, resource_id: str, seconds: float, payload: dict[str, Any] | None = None) -> str:
        """Begin an operation that finishes after `seconds` at pace 1; returns its identifier.

        At pace 0 it is finished when this returns, so that its outcome can be read at once.
        """
        operation_id = self.plan(kind, resource_id, seconds, payload or {})
        self.begun()
        return operation_id

    def plan(self, kind: str, resource_id: str, seconds: float, payload: dict[str, Any]) -> str:
        """Write an operation down without looking at the clock yet; for several that are begun together.

        Those that fall due at the same instant finish in the order in which they were planned.
        """
        operation_id = str(uuid.uuid4())
        started = datetime.now(UTC).timestamp()
        with self._sandbox.state.transaction():
            self._sandbox.state.execute(
                "INSERT INTO operations (id, kind, resource_id, payload, status, started, due) "
                "VALUES (?, ?, ?, ?, 'InProgress', ?, ?)",
                (
                    operation_id,
                    kind,
                    resource_id,
                    json.dumps(payload),
                    started,
                    started + seconds * self._sandbox.config.pace,
                ),
            )
        return operation_id

    def begun(self) -> None:
        """Finish what is due already and wake the ticker for the rest; call it outside of transactions."""
        self.finish_due()
        if self._wake is not None:
            self._wake.set()

    def get(self, operation_id: str) -> dict[str, Any]:
        """Return the body of an operation's status as Resource Manager answers it; raises 404 for an unknown one."""
        self.finish_due()
        rows = self._sandbox.state.execute(
            "SELECT kind, resource_id, status, started, due, ended, error FROM operations WHERE id = ?", (operation_id,)
        )
        if not rows:
            raise ServiceError(404, "OperationNotFound", f"The operation '{operation_id}' was not found.")
        _, resource_id, status, started, due, ended, error = rows[0]
        now = datetime.now(UTC).timestamp()
        body: dict[str, Any] = {
            "id": resource_id,
            "name": operation_id,
            "status": status,
            "startTime": iso(datetime.fromtimestamp(started, UTC)),
        }
        if status == "InProgress":
            body["percentComplete"] = round(min(99.0, 100 * (now - started) / max(due - started, 0.001)), 1)
        else:
            body["endTime"] = iso(datetime.fromtimestamp(ended, UTC))
            body["percentComplete"] = 100
        if error is not None:
            body["error"] = json.loads(error)
        return body

    def pending(self, resource_id: str, kind: str | None = None) -> list[str]:
        """Return the identifiers of the operations still going on for a resource, all kinds or one."""
        rows = self._sandbox.state.execute(
            "SELECT id, kind FROM operations WHERE status = 'InProgress' AND resource_id = ? COLLATE NOCASE",
            (resource_id,),
        )
        return [row[0] for row in rows if kind is None or row[1] == kind]

    def cancel(self, resource_id: str) -> None:
        """End the operations still going on for a resource and for what lives in it: it is being deleted."""
        with self._sandbox.state.transaction():
            self._sandbox.state.execute(
                "UPDATE operations SET status = 'Canceled', ended = ? WHERE status = 'InProgress' "
                "AND (resource_id = ? COLLATE NOCASE "
                "OR (resource_id > ? COLLATE NOCASE AND resource_id < ? COLLATE NOCASE))",
                (datetime.now(UTC).timestamp(), resource_id, resource_id + "/", resource_id + "0"),
            )

    def finish_due(self) -> None:
        """Finish every operation whose time has come."""
        now = datetime.now(UTC).timestamp()
        due = self._sandbox.state.execute(
            "SELECT id, kind, resource_id, payload FROM operations "
            "WHERE status = 'InProgress' AND due <= ? ORDER BY due, rowid",
            (now,),
        )
        for operation_id, kind, resource_id, payload in due:
            self._finish(operation_id, kind, resource_id, json.loads(payload))

    def _finish(self, operation_id: str, kind: str, resource_id: str, payload: dict[str, Any]) -> None:
        state = self._sandbox.state
        status, error = "Succeeded", None
        try:
            with state.transaction():
                # Marked first: a finisher that reads its own operation through `get` must not run again.
                self._mark(operation_id, status, None)
                _FINISHERS[kind](self._sandbox, resource_id, payload)
        except ServiceError as failure:
            status, error = "Failed", {"code": failure.code, "message": failure.message}
            if failure.details is not None:
                error["details"] = json.loads(json.dumps(failure.details))
            self._mark(operation_id, status, json.dumps(error))
        log.info("operation %s %s of %s: %s", operation_id, kind, resource_id, status)

    def _mark(self, operation_id: str, status: str, error: str | None) -> None:
        with self._sandbox.state.transaction():
            self._sandbox.state.execute(
                "UPDATE operations SET status = ?, ended = ?, error = ? WHERE id = ?",
                (status, datetime.now(UTC).timestamp(), error, operation_id),
            )

    async def tick(self) -> None:
        """Finish operations as they fall due, for as long as the server runs; sleeps while nothing is under way."""
        self._wake = asyncio.Event()
        while True:
            self._wake.clear()
            self.finish_due()
            rows = self._sandbox.state.execute("SELECT min(due) FROM operations WHERE status = 'InProgress'")
            due = rows[0][0]
            delay = None if due is None else max(0.01, due - datetime.now(UTC).timestamp())
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue


def accepted(
    sandbox: Sandbox, operation_id: str, resource_id: str, location: str, family: str = "mfe"
) -> dict[str, str]:
    """Return the headers that tell a client where to follow an operation.

    Args:
        sandbox: Whose pace decides how soon the client is asked to come back.
        operation_id: As `Operations.start` returned it.
        resource_id: The resource that is being changed; its subscription is read from it.
        location: The region, for instance ``eastus2``.
        family: ``mfe`` for jobs, models and endpoints, ``workspace`` for workspaces.
    """
    subscription = segment_after(resource_id, "subscriptions")
    base = (
        f"https://management.azure.com/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices"
        f"/locations/{location}"
    )
    query = f"{operation_id}?api-version=2024-10-01-preview"
    return {
        "Azure-AsyncOperation": f"{base}/{family}OperationsStatus/{query}",
        "Location": f"{base}/{family}OperationResults/{query}",
        **retry_after(sandbox),
    }


def begin(
    sandbox: Sandbox, kind: str, resource_id: str, seconds: float, payload: dict[str, Any] | None = None
) -> dict[str, str]:
    """Begin an operation on what lives in a workspace; returns the headers that tell where to follow it."""
    workspace = sandbox.state.require("/".join(resource_id.split("/")[:9]))
    return accepted(
        sandbox, sandbox.operations.start(kind, resource_id, seconds, payload), resource_id, workspace["location"]
    )


def retry_after(sandbox: Sandbox) -> dict[str, str]:
    """Return the header that paces a poller: whole seconds as Azure's, milliseconds where the sandbox runs faster."""
    if sandbox.config.pace >= 1:
        return {"Retry-After": str(round(sandbox.config.pace))}
    return {"x-ms-retry-after-ms": str(max(10, round(1000 * sandbox.config.pace)))}
