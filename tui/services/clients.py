"""Azure as this program talks to it: one signed-in identity, a REST pipeline, and the SDK's clients."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from tui.messages import t
from tui.services import log
from tui.services.answers import error_from, error_in
from tui.services.errors import PhiftError, ServiceError, SignInRequired, Throttled, Unreachable
from tui.services.progress import Cancel, Progress, Report
from tui.services.redaction import redact
from tui.settings import Cloud, Settings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from tui.services.identity import Identity
    from tui.services.projects import Workspace
    from tui.services.tokens import Tokens

_FINISHED = {"succeeded", "failed", "canceled", "cancelled"}
_OUTAGE = 1800.0
"""Seconds for which a network that is gone is waited out; a run that is left alone overnight outlives a maintenance."""
_FAILING = 30.0
"""Seconds for which a failure of Azure's own is waited out, which may be about this request alone."""
_AGAIN = 5.0
_AGAIN_AT_MOST = 60.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Endpoints:
    """Host names of one Azure cloud."""

    arm: str
    authority: str
    storage: str
    azureml: str
    registry: str
    """Host that knows where the model registries are."""
    ai_services: str
    sdk_name: str


# Source: azure-ai-ml's _azure_environments.py, which a test holds this against (its import takes seconds); Microsoft's
# lists of endpoints for Azure Government and Azure operated by 21Vianet.
ENDPOINTS: Mapping[Cloud, Endpoints] = {
    "public": Endpoints(
        "https://management.azure.com",
        "login.microsoftonline.com",
        "core.windows.net",
        "api.azureml.ms",
        "eastus.api.azureml.ms",
        "cognitiveservices.azure.com",
        "AzureCloud",
    ),
    "government": Endpoints(
        "https://management.usgovcloudapi.net",
        "login.microsoftonline.us",
        "core.usgovcloudapi.net",
        "api.ml.azure.us",
        "usgovarizona.api.ml.azure.us",
        "cognitiveservices.azure.us",
        "AzureUSGovernment",
    ),
    "china": Endpoints(
        "https://management.chinacloudapi.cn",
        "login.chinacloudapi.cn",
        "core.chinacloudapi.cn",
        "api.ml.azure.cn",
        "chinaeast2.api.ml.azure.cn",
        "cognitiveservices.azure.cn",
        "AzureChinaCloud",
    ),
}


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers (case-insensitive), the JSON body ({} where there is none), the bytes."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    content: bytes = b""


class Azure:
    """One signed-in identity and everything needed to call Azure with it. Any thread may use it."""

    def __init__(
        self, credential: Tokens, identity: Identity, settings: Settings, *, sandbox: bool, stand_in: str = ""
    ) -> None:
        self.credential = credential
        self.identity = identity
        self.settings = settings
        self.sandbox = sandbox
        self.stand_in = stand_in  # the model that trains and answers in the sandbox: `tiny` or `small`
        self.endpoints = ENDPOINTS["public" if sandbox else settings.active_profile().cloud]
        self._clock_offset = timedelta(0)
        from tui.services import pipeline

        log.capture(settings)
        self.transport = pipeline.Patient(settings, credential)
        self._signed, self._anonymous = pipeline.build(credential, f"{self.endpoints.arm}/.default", self.transport)
        self._local = threading.local()

    @contextmanager
    def sdk(self, report: Report | None = None, cancel: Cancel | None = None) -> Iterator[None]:
        """Call the SDK: its exceptions are turned into the error tree, and its waits are told and can be cancelled."""
        with translated(), self.transport.waiting(report, cancel):
            yield

    def now(self) -> datetime:
        """The time by Azure's clock, from the last answer's `Date`."""
        return datetime.now(UTC) + self._clock_offset

    def today(self) -> date:
        """The day by Azure's clock."""
        return self.now().date()

    def rest(
        self,
        method: str,
        path: str,
        *,
        api_version: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        report: Report | None = None,
        cancel: Cancel | None = None,
    ) -> dict[str, Any]:
        """Call Azure once (with bounded retries) and return the JSON body.

        Args:
            method: HTTP method.
            path: path below the resource manager, or a whole URL.
            api_version: value of `api-version`; empty: the URL has it already.
            body: JSON document to send.
            params: further query parameters.
            headers: further headers.
            report: told when Azure asks to wait.
            cancel: ends a wait.

        Raises:
            PhiftError: Azure refused, could not be reached, or wants a longer wait than a minute.
        """
        return self.send(
            method,
            path,
            api_version=api_version,
            body=body,
            params=params,
            headers=headers,
            report=report,
            cancel=cancel,
        ).body

    def send(
        self,
        method: str,
        path: str,
        *,
        api_version: str = "",
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        raw: bool = False,
        patience: float | None = None,
        report: Report | None = None,
        cancel: Cancel | None = None,
    ) -> Answer:
        """The same as `rest`, with status and headers.

        `signed=False` sends no token, `raw=True` expects no JSON, `patience` bounds the seconds that a try waits for an
        answer, and all tries together at twice that.
        """
        from azure.core.rest import HttpRequest

        url = path if path.startswith("https://") else f"{self.endpoints.arm}{path}"
        query = dict(params or {})
        if api_version:
            query["api-version"] = api_version
        request = HttpRequest(method, url, params=query, headers=dict(headers or {}), json=body)
        client = self._signed if signed else self._anonymous
        bounds: dict[str, Any] = {"read_timeout": patience, "timeout": 2 * patience} if patience else {}
        with translated(), self.transport.waiting(report, cancel):
            response = client.send_request(request, **bounds)
        self._set_clock(response.headers.get("Date", ""))
        content = response.content
        if response.status_code >= 400:
            raise error_from(
                response.status_code, response.headers, content.decode("utf-8", "replace"), response.reason
            )
        return Answer(response.status_code, response.headers, {} if raw else _json(content), content)

    def pages(
        self, path: str, *, api_version: str, params: Mapping[str, str] | None = None, cancel: Cancel | None = None
    ) -> Iterator[dict[str, Any]]:
        """The items of a list, page after page; one that a later page repeats, as the list changed, is given once."""
        body = self.rest("GET", path, api_version=api_version, params=params, cancel=cancel)
        given: set[str] = set()
        while True:
            for item in body.get("value") or []:
                if isinstance(item, dict) and (known := str(item.get("id") or "").casefold()) not in given:
                    given.update((known,) if known else ())
                    yield item
            following = body.get("nextLink")
            if not following:
                return
            body = self.rest("GET", following, api_version="", cancel=cancel)

    def poll(
        self,
        answer: Answer,
        *,
        resource: str,
        api_version: str,
        stage: str = "",
        deleting: bool = False,
        report: Report | None = None,
        cancel: Cancel | None = None,
    ) -> dict[str, Any]:
        """Wait for a long-running operation and return the resource it made ({} where there is none).

        Args:
            answer: what the PUT, POST or DELETE answered.
            resource: path of the resource, read when the operation has no status of its own, and at the end.
            api_version: API version of the resource.
            stage: what to report while waiting.
            deleting: whether the resource is to be gone at the end.
            report: told of every poll.
            cancel: stops the waiting; the operation itself goes on in Azure.

        Raises:
            PhiftError: the operation failed or was cancelled in Azure.
        """
        watch = answer.headers.get("Azure-AsyncOperation", "")
        location = answer.headers.get("Location", "") if answer.status == 202 else ""
        wait = _retry_after(answer.headers)
        started = time.monotonic()
        cancel = cancel or Cancel()
        while True:
            cancel.check()
            if watch:
                latest = self._asked(watch, "", report, cancel)
                state = str(latest.body.get("status", ""))
                if state.lower() in _FINISHED:
                    if state.lower() != "succeeded":
                        raise error_in(latest.body, t("The operation ended as {state}.", state=state))
                    break
            elif location:
                latest = self._asked(location, "", report, cancel)
                state = ""
                if latest.status != 202:
                    break
            elif deleting:
                return {}
            else:
                latest = self._asked(resource, api_version, report, cancel)
                state = str((latest.body.get("properties") or {}).get("provisioningState") or "Succeeded")
                if state.lower() in _FINISHED:
                    if state.lower() != "succeeded":
                        raise error_in(latest.body.get("properties"), t("The resource ended as {state}.", state=state))
                    return latest.body
            wait = _retry_after(latest.headers, wait)
            if report and stage:
                report(Progress(stage, round(time.monotonic() - started, 1), None, "s", state))
            cancel.sleep(wait)
        if deleting or not resource:
            return {}
        return self.rest("GET", resource, api_version=api_version, cancel=cancel)

    def _asked(self, path: str, api_version: str, report: Report | None, cancel: Cancel) -> Answer:
        def ask() -> Answer:
            return self.send("GET", path, api_version=api_version, report=report, cancel=cancel)

        return self.outlast(ask, report, cancel)

    def outlast(self, call: Callable[[], _T], report: Report | None, cancel: Cancel) -> _T:
        """Repeat what can be repeated for as long as Azure cannot be reached, half an hour at most, and say so.

        A sandbox that died is started again; on Azure nothing of the kind is needed.

        Raises:
            PhiftError: of the call, where it is about anything else, or at the end of that time.
            Cancelled: cancelled.
        """
        began, tries = time.monotonic(), 0
        while True:
            try:
                return call()
            except (Unreachable, Throttled) as error:
                waited = time.monotonic() - began
                bound = _FAILING if error.code in ("InternalServerError", "Http500") else _OUTAGE
                if waited > bound or error.code == "UntrustedCertificate":
                    raise
                if report:
                    stage = t("Azure cannot be reached; asking again until it answers")
                    report(Progress(stage, round(waited), None, "s", error.message))
            tries += 1
            cancel.sleep(min(_AGAIN * tries, _AGAIN_AT_MOST))
            if self.identity.method == "sandbox":
                from tui.services.identity import use_sandbox

                use_sandbox(self.settings)

    def ml(self, workspace: Workspace | None = None) -> MLClient:
        """The SDK's client for a workspace; one a thread, as its thread safety is not documented."""
        key = workspace.id if workspace else ""
        clients: dict[str, MLClient] = self._local.__dict__.setdefault("clients", {})
        if key not in clients:
            with translated():
                clients[key] = _ml_client(self, workspace)
        return clients[key]

    def _set_clock(self, stamp: str) -> None:
        with suppress(ValueError, TypeError):  # a proxy's answer may have no date, or none that can be read
            self._clock_offset = parsedate_to_datetime(stamp) - datetime.now(UTC)


def _json(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content) if content.strip() else {}
    except ValueError:
        raise Unreachable(
            t("The answer was cut off or is not JSON."),
            code="BadAnswer",
            meaning=t("The connection broke in the middle, or a proxy answered in Azure's place."),
            next_step=t("Try again; if it happens always, look at the proxy settings."),
            raw=redact(content[:2000].decode("utf-8", "replace")),
        ) from None
    return body if isinstance(body, dict) else {"value": body}


def _retry_after(headers: Mapping[str, str], otherwise: float = 2.0) -> float:
    try:
        asked = float(headers.get("Retry-After", otherwise))
    except ValueError:
        return otherwise
    return min(asked, 30.0) if asked >= 0 else otherwise  # "nan" is a number to Python, and no time to wait


@contextmanager
def translated() -> Iterator[None]:
    """Turn the exceptions of the Azure SDK into the error tree.

    Raises:
        PhiftError: in place of anything that azure-core, azure-identity, azure-ai-ml or the network raised.
    """
    from azure.core import exceptions as core

    try:
        yield
    except PhiftError:
        raise
    except core.ClientAuthenticationError as error:
        raise sign_in_error(error) from None
    except core.HttpResponseError as error:
        response: Any = error.response
        if response is None or isinstance(error, core.IncompleteReadError):
            raise unreachable(error) from None
        raise error_from(response.status_code, response.headers, _body(response), str(response.reason)) from None
    except (core.ServiceRequestError, core.ServiceResponseError, OSError) as error:
        raise unreachable(error) from None
    except core.AzureError as error:  # what azure-ai-ml itself finds wrong, before anything is sent
        raise ServiceError(redact(str(error)), code=type(error).__name__) from None


def _body(response: Any) -> str:
    try:
        text = response.text
        return str(text() if callable(text) else text)
    except Exception:  # an answer whose body was streamed away or is no text has only its status to say
        return ""


def sign_in_error(error: Exception) -> PhiftError:
    """A refusal to sign in, in words; Entra's own code (`AADSTS…`) where it gave one."""
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ServiceRequestError | ServiceResponseError):
            return unreachable(cause)
        cause = cause.__cause__ or cause.__context__
    text = redact(str(error)).strip()
    code = next((word.strip(":,.()") for word in text.split() if word.startswith("AADSTS")), None)
    first = text.partition("\n")[0].partition(" Trace ID:")[0]
    return SignInRequired(
        first or t("Azure did not accept the sign-in."),
        code=code,
        meaning=t("Nothing can be asked of Azure until the sign-in works."),
        next_step=t("Run `az login` in a shell, or choose another way to sign in.")
        if "Azure CLI" in text or "az login" in text
        else t("Sign in again, or choose another way to sign in."),
        raw=text[:4000],
    )


def unreachable(error: Exception) -> Unreachable:
    """No answer from Azure, with the likely reason."""
    text = redact(str(error))
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
        return Unreachable(
            t("The certificate of the answering server is not trusted."),
            code="UntrustedCertificate",
            meaning=t("A company proxy that opens TLS stands between, or the machine's certificates are out of date."),
            next_step=t("Set REQUESTS_CA_BUNDLE to the certificate file that your network uses."),
            raw=text,
        )
    if "timed out" in text.lower() or "timeout" in text.lower():
        message = t("Azure did not answer in time.")
    elif "Name or service not known" in text or "resolve" in text.lower():
        message = t("The name of the Azure server could not be resolved.")
    elif "ProxyError" in text or "Tunnel connection failed" in text or "connect to proxy" in text:
        message = t("The proxy did not let the request through.")
    else:
        message = t("Azure could not be reached.")
    return Unreachable(
        message,
        meaning=t("What was sent may or may not have taken effect; it is looked up before it is repeated."),
        next_step=t("Check the network and HTTPS_PROXY, then repeat the step."),
        raw=text[:4000],
    )


_sdk = threading.Lock()


def load_sdk(settings: Settings) -> None:
    """Import azure-ai-ml (seconds), and take away what it would print, run and send unasked.

    Its import puts handlers on standard error, which are moved to the log; its job submission runs `git` in the current
    folder and sends repository, branch and commit along, which is replaced by sending nothing, as there is no switch.
    """
    with _sdk:
        import azure.ai.ml  # noqa: F401
        from azure.ai.ml.operations import _job_operations

        if not callable(getattr(_job_operations, "get_git_properties", None)):
            raise PhiftError(
                t("This version of azure-ai-ml is not supported."), next_step=t("Install azure-ai-ml 1.35.")
            )
        _job_operations.get_git_properties = _no_properties
        log.capture(settings)


def _no_properties() -> dict[str, str]:
    return {}


def _ml_client(azure: Azure, workspace: Workspace | None) -> MLClient:
    load_sdk(azure.settings)
    from azure.ai.ml import MLClient

    client = MLClient(
        azure.credential,
        subscription_id=workspace.subscription if workspace else None,
        resource_group_name=workspace.resource_group if workspace else None,
        workspace_name=workspace.name if workspace else None,
        show_progress=False,
        enable_telemetry=False,
        cloud=azure.endpoints.sdk_name,
        retry_total=3,
        transport=azure.transport,
    )
    log.capture(azure.settings)
    return client


def wait_until(
    done: Callable[[], bool], *, stage: str, seconds: float, every: float, report: Report | None, cancel: Cancel | None
) -> bool:
    """Ask `done` every so many seconds until it says yes; False after `seconds`."""
    started = time.monotonic()
    while not done():
        passed = time.monotonic() - started
        if passed > seconds:
            return False
        if report:
            report(Progress(stage, round(passed, 1), None, "s"))
        (cancel or Cancel()).sleep(every)
    return True
