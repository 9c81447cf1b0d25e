"""Faults on demand: what can go wrong between a client and Azure, by route, probability and count, repeatable by seed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.types import Scope, Send

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox


class Faults:
    """The faults that are armed in one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @asynccontextmanager
    async def around(self, scope: Scope, send: Send) -> AsyncIterator[tuple[bool, Send]]:
        """Wrap the handling of one request; yields whether it is blocked and what to send the answer through."""
        yield False, send
