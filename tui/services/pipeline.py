"""The HTTP pipelines below everything: bounded waits that are told and can be cancelled, tokens replaced when refused.

Imports azure-core, so it is imported where it is needed and not before.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.core import PipelineClient
from azure.core.pipeline import policies
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from tui import __version__
from tui.services.errors import Throttled
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from tui.settings import Settings

_PATIENCE = 60.0
"""Longest single wait, in seconds, that Azure may impose on a call."""
_TOLD_FROM = 1.0


class Patient(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily and untyped
    """Sends requests, and waits between tries: no longer than a minute, told to whom it concerns, until cancelled.

    All waiting of azure-core and of the SDK's clients goes through `sleep`: `Retry-After`, back-off, and the polling of
    long-running operations.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(connection_timeout=settings.connect_timeout, read_timeout=settings.read_timeout)
        self._local = threading.local()
        self.on_wait: Report | None = None
        """Told of waits that have no listener of their own."""

    @contextmanager
    def waiting(self, report: Report | None, cancel: Cancel | None) -> Iterator[None]:
        """In this thread, tell `report` of waits and let `cancel` end them."""
        before = self._local.__dict__.get("for")
        self._local.__dict__["for"] = (report, cancel)
        try:
            yield
        finally:
            self._local.__dict__["for"] = before

    def sleep(self, duration: float) -> None:
        """Wait.

        Raises:
            Throttled: the wait is longer than anybody should sit through.
            Cancelled: cancelled.
        """
        report, cancel = self._local.__dict__.get("for") or (None, None)
        if duration > _PATIENCE:
            raise Throttled(
                f"Azure asks to wait {duration:.0f} s before the next call.",
                meaning="Too many calls were made in this subscription; yours and those of others count together.",
                next_step=f"Repeat the step in {duration:.0f} s; nothing is lost.",
            )
        report = report or self.on_wait
        if report and duration >= _TOLD_FROM:
            report(Progress("Waiting for Azure", 0.0, duration, "s", "Azure asked to slow down"))
        (cancel or Cancel()).sleep(duration)


class _Signed(ARMChallengeAuthenticationPolicy):
    """Signs requests; a token that Azure calls expired before this machine's clock does is replaced, once."""

    def on_challenge(self, request: Any, response: Any) -> bool:
        if not super().on_challenge(request, response):
            # A claims challenge that no cached token meets, worded as continuous access evaluation words it.
            claims = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}
            self.authorize_request(request, *self._scopes, claims=json.dumps(claims))
        return True


def build(
    credential: TokenCredential, scope: str, transport: Patient
) -> tuple[PipelineClient[Any, Any], PipelineClient[Any, Any]]:
    """A client that signs its requests for `scope`, and one that does not sign."""

    def client(*signing: Any) -> PipelineClient[Any, Any]:
        chain = [
            policies.RequestIdPolicy(),
            policies.UserAgentPolicy(f"phift-tui/{__version__}"),
            policies.RedirectPolicy(),
            policies.RetryPolicy(
                retry_total=4, retry_status=3, retry_connect=2, retry_read=2, retry_backoff_factor=0.5
            ),
            *signing,
        ]
        return PipelineClient(base_url="", policies=chain, transport=transport)

    return client(_Signed(credential, scope)), client()
