"""The HTTP pipelines below everything: bounded waits that are told and can be cancelled, tokens replaced when refused.

Imports azure-core, so it is imported where it is needed and not before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from azure.core import PipelineClient
from azure.core.pipeline import policies
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.util import Retry

from tui import __version__
from tui.messages import t
from tui.services.errors import Throttled
from tui.services.progress import Cancel, Progress, Report, in_thread, listening

if TYPE_CHECKING:
    from tui.services.tokens import Tokens
    from tui.settings import Settings

_PATIENCE = 60.0
"""Longest single wait, in seconds, that Azure may impose on a call."""
_TOLD_FROM = 1.0
_GRACE = 3.0


class _Prompt(HTTPAdapter):
    """Sends a small body at once behind a proxy too, where urllib3 would let it wait for the head's receipt: 40 ms."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The connections through a proxy, with the options that those without one have."""
        return super().proxy_manager_for(proxy, socket_options=HTTPConnection.default_socket_options, **options)


class Patient(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily and untyped
    """Sends requests, and waits between tries: no longer than a minute, told to whom it concerns, until cancelled.

    All waiting of azure-core and of the SDK's clients goes through `sleep`: `Retry-After`, back-off, and the polling of
    long-running operations. All their tokens go through `send`, which replaces one that Azure calls expired before this
    machine's clock does: the SDK's own clients would end the step there.
    """

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        super().__init__(connection_timeout=settings.connect_timeout, read_timeout=settings.read_timeout)
        self.open()
        # Without tries of its own, as azure-core mounts its adapter: the pipeline above counts them.
        self.session.mount("https://", _Prompt(max_retries=Retry(total=False, redirect=False, raise_on_status=False)))
        self._tokens = tokens
        tokens.cancel = self._cancel
        self._local = threading.local()

    @contextmanager
    def waiting(self, report: Report | None, cancel: Cancel | None) -> Iterator[None]:
        """In this thread, tell `report` of waits and let `cancel` end them."""
        before = self._local.__dict__.get("for")
        self._local.__dict__["for"] = (report, cancel)
        try:
            yield
        finally:
            self._local.__dict__["for"] = before

    def _here(self) -> tuple[Report | None, Cancel | None]:
        """Who is told of a wait in this thread, and what ends it: the call's own, else the thread's."""
        report, cancel = self._local.__dict__.get("for") or (None, None)
        threads_report, threads_cancel = listening()
        return report or threads_report, cancel or threads_cancel

    def _cancel(self) -> Cancel | None:
        return self._here()[1]

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request, once more with another token where its token was refused.

        Raises:
            Cancelled: cancelled while no answer came; what changes something has had some seconds more to be answered.
        """
        response = self._answer(request, options)
        scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
        if response.status_code != 401 or scheme != "Bearer":
            return response
        another = self._tokens.in_place_of(token)
        if another is None or another == token:
            return response
        response.internal_response.close()
        request.headers["Authorization"] = f"Bearer {another}"
        if hasattr(request.data, "seek"):
            request.data.seek(0)
        return self._answer(request, options)

    def _answer(self, request: Any, options: dict[str, Any]) -> Any:
        cancel = self._here()[1]
        call = partial(super().send, request, **options)
        if cancel is None:
            return call()
        cancel.check()
        return in_thread(call, cancel, grace=0.0 if request.method in ("GET", "HEAD") else _GRACE)

    def sleep(self, duration: float) -> None:
        """Wait.

        Raises:
            Throttled: the wait is longer than anybody should sit through.
            Cancelled: cancelled.
        """
        report, cancel = self._here()
        if duration > _PATIENCE:
            raise Throttled(
                t("Azure asks to wait {seconds} s before the next call.", seconds=f"{duration:.0f}"),
                meaning=t("Too many calls were made in this subscription; yours and those of others count together."),
                next_step=t("Repeat the step in {seconds} s; nothing is lost.", seconds=f"{duration:.0f}"),
            )
        if report and duration >= _TOLD_FROM:
            report(Progress(t("Waiting for Azure"), 0.0, duration, "s", t("Azure asked to wait, or did not answer")))
        (cancel or Cancel()).sleep(duration)


def build(tokens: Tokens, scope: str, transport: Patient) -> tuple[PipelineClient[Any, Any], PipelineClient[Any, Any]]:
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

    return client(ARMChallengeAuthenticationPolicy(tokens, scope)), client()
