"""Faults on demand: what can go wrong between a client and Azure, by route, probability, count and seed."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
from starlette.types import Message, Scope, Send

from tui.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_METHODS = ("", "*", "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
KINDS = {
    "reset-before": "the connection breaks before the request has an effect",
    "reset-after": "the connection breaks after the request had its effect, before the answer",
    "slow": "the answer comes after --seconds",
    "truncate": "the answer's body breaks off in the middle",
    "expired-token": "401: the access token has expired",
    "expired-sas": "403 of the blob service: the shared access signature has expired",
    "stale": "a GET answers what it answered first",
    "not-ready": "424: the endpoint's resource says Succeeded, the endpoint itself does not answer yet",
}
"""The kinds of faults besides any status from 400 to 599, which is a kind by its number."""

# What Azure words for the statuses that a caller is meant to try again on.
_STATUSES = {
    429: ("TooManyRequests", "The request is being throttled. Please try after the number of seconds in Retry-After."),
    500: ("InternalServerError", "Encountered internal server error. Diagnostic information is in the request id."),
    502: ("BadGateway", "The gateway received an invalid response from the upstream server."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable. Please try again later."),
    504: ("GatewayTimeout", "The gateway did not receive a response from 'Microsoft.MachineLearningServices' in time."),
}


@dataclass
class Fault:
    """One armed fault.

    Attributes:
        route: ``[METHOD ]PATTERN`` over host and path; ``*`` stands for any text, so ``*/jobs/*`` is every job's route.
        kind: A key of `KINDS` or a status as text.
        probability: The share of matching requests that it strikes.
        count: How many times at most; None without limit.
        seed: Makes the strikes of a probability repeatable.
        seconds: How late a slow answer is, and what Retry-After asks for.
        skip: How many matching requests pass first.
        id: Its number, given when it is armed.
        fired: How often it has struck.
        drawn: How many requests have matched.
    """

    route: str
    kind: str
    probability: float = 1.0
    count: int | None = None
    seed: int = 0
    seconds: float = 1.0
    skip: int = 0
    id: int = 0
    fired: int = 0
    drawn: int = 0
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)
    dice: random.Random = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the values; raises ValueError that names the field."""
        status = int(self.kind) if self.kind.isdigit() else None
        if self.kind not in KINDS and (status is None or not 400 <= status <= 599):
            raise ValueError(f"kind: {self.kind!r} is neither a status from 400 to 599 nor one of {', '.join(KINDS)}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: {self.probability} is not between 0 and 1")
        if self.count is not None and self.count < 1:
            raise ValueError(f"count: {self.count} is not positive")
        if self.seconds < 0 or self.skip < 0:
            raise ValueError("seconds and skip: must not be negative")
        method, _, pattern = self.route.strip().rpartition(" ")
        method = method.strip().upper()
        if method not in _METHODS:
            raise ValueError(f"route: {method!r} is no method of HTTP; use {', '.join(_METHODS[2:])}, * or none")
        target = ".*".join(re.escape(part) for part in pattern.split("*"))
        self.pattern = re.compile(f"{method if method.isalpha() else '[A-Z]+'} {target}", re.IGNORECASE)
        self.dice = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        for _ in range(self.drawn):
            self.dice.random()

    def strikes(self, request: str) -> bool:
        """Return whether it strikes this request ("METHOD host/path"), and count it."""
        if (self.count is not None and self.fired >= self.count) or not self.pattern.fullmatch(request):
            return False
        self.drawn += 1
        struck = self.dice.random() < self.probability and self.drawn > self.skip
        self.fired += struck
        return struck

    def to_json(self) -> dict[str, Any]:
        """Return its values, counters included."""
        return {key: value for key, value in asdict(self).items() if key not in ("pattern", "dice")}


class Faults:
    """The faults that are armed in one sandbox; they and their counters are part of its state."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._armed = [Fault(**values) for values in sandbox.state.settings.get("faults", [])]
        self._answers: dict[tuple[int, str], list[Message]] = {}
        sandbox.clock.skew = timedelta(seconds=sandbox.state.settings.get("skew", 0))

    @property
    def armed(self) -> list[dict[str, Any]]:
        """The armed faults with their counters."""
        return [fault.to_json() for fault in self._armed]

    def arm(self, values: dict[str, Any]) -> dict[str, Any]:
        """Arm one fault; raises ValueError or TypeError for bad values."""
        fault = Fault(**{key: value for key, value in values.items() if key not in ("id", "fired", "drawn")})
        fault.id = max((one.id for one in self._armed), default=0) + 1
        self._armed.append(fault)
        self._keep()
        return fault.to_json()

    def clear(self, number: int | None = None) -> None:
        """Disarm one fault or, with the clock put right, all of them."""
        self._armed = [fault for fault in self._armed if number is not None and fault.id != number]
        self._answers.clear()
        if number is None:
            self.skew(0)
        self._keep()

    def skew(self, seconds: float) -> None:
        """Put the services' clock ahead of the machine's (behind it where negative)."""
        self._sandbox.state.settings.set("skew", seconds)
        self._sandbox.clock.skew = timedelta(seconds=seconds)

    @asynccontextmanager
    async def around(self, scope: Scope, send: Send) -> AsyncIterator[tuple[bool, Send]]:
        """Wrap the handling of one request; yields whether it is blocked and what to send the answer through.

        Raises:
            ServiceError: The answer of a fault that is a refusal.
        """
        fault = self._struck(scope)
        if fault is None:
            yield False, send
        elif fault.kind == "reset-before":
            self._reset(scope)
            yield True, send
        elif fault.kind == "reset-after":
            yield False, _swallow
            self._reset(scope)
        elif fault.kind == "slow":
            await anyio.sleep(fault.seconds)
            yield False, send
        elif fault.kind == "truncate":
            yield False, _Truncated(send)
        elif fault.kind == "stale":
            known = self._answers.get((fault.id, scope["path"]))
            if known is None:
                keeper = _Keeper(send)
                yield False, keeper
                self._answers[fault.id, scope["path"]] = keeper.messages
            else:
                yield True, send
                for message in known:
                    await send(message)
        else:
            raise self._refusal(fault)

    def _struck(self, scope: Scope) -> Fault | None:
        if not self._armed or scope["plane"] == "control":
            return None
        request = f"{scope['method']} {scope['host']}{scope['path']}"
        struck = next((fault for fault in self._armed if fault.strikes(request)), None)
        if struck is not None:
            scope["fault"] = struck.kind  # what a fault makes of an answer is not recorded as the service's
            self._keep()
        return struck

    def _refusal(self, fault: Fault) -> ServiceError:
        headers = {"Retry-After": str(max(1, round(fault.seconds)))}
        if fault.kind == "expired-token":
            message = "The access token expiry UTC time is earlier than current UTC time."
            challenge = (
                f'Bearer authorization_uri="https://login.windows.net/{self._sandbox.identity.tenant}", '
                f'error="invalid_token", error_description="{message}"'
            )
            return ServiceError(401, "ExpiredAuthenticationToken", message, headers={"WWW-Authenticate": challenge})
        if fault.kind == "expired-sas":
            return ServiceError(
                403,
                "AuthenticationFailed",
                "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
                "correctly including the signature. Signature not valid in the specified time frame.",
            )
        if fault.kind == "not-ready":
            return ServiceError(424, "DeploymentNotReady", "The deployment is not ready to serve requests yet.")
        status = int(fault.kind)
        code, message = _STATUSES.get(status, ("RequestFailed", f"The request failed with status {status}."))
        return ServiceError(status, code, message, headers=headers if status in (429, 503) else None)

    def _reset(self, scope: Scope) -> None:
        proxy = self._sandbox.proxy
        if proxy is not None and scope.get("client"):
            proxy.reset(scope["client"][1])

    def _keep(self) -> None:
        self._sandbox.state.settings.set("faults", self.armed)


async def _swallow(message: Message) -> None:
    """Send nothing: the connection is about to break."""


class _Keeper:
    """Sends an answer on and keeps its messages."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(dict(message))
        await self._send(message)


class _Truncated:
    """Announces the whole body and sends half of it; the server closes the connection of an answer left unfinished."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._start is None:
            return
        headers = [(key, value) for key, value in self._start["headers"] if key != b"content-length"]
        length = (b"content-length", str(max(2, len(self._body))).encode())
        await self._send({**self._start, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": self._body[: len(self._body) // 2], "more_body": True})
