"""The REST pipeline: bounded retries that can be seen and stopped, and refusals in the error tree."""

from __future__ import annotations

import logging
import stat
import sys
import threading
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import CredentialUnavailableError
from pydantic import SecretStr

from tui.sandbox.daemon import SandboxInfo
from tui.services import access, chat, log
from tui.services.clients import Azure, load_sdk, translated, unreachable
from tui.services.errors import (
    Cancelled,
    NotFound,
    PermissionDenied,
    PhiftError,
    ServiceError,
    SignInRequired,
    Throttled,
    Unreachable,
)
from tui.services.progress import Cancel, Progress, listen
from tui.settings import Settings

Upset = Callable[..., None]
PATH = "/subscriptions"
API = "2022-12-01"


@pytest.mark.parametrize("kind", ["503", "500", "429", "reset-before", "truncate"])
def test_what_passes_is_waited_out(azure: Azure, upset: Upset, kind: str) -> None:
    upset("GET management.azure.com/subscriptions", kind, count=1, seconds=0)
    assert access.subscriptions(azure)


@pytest.mark.parametrize(
    ("kind", "error"), [("503", ServiceError), ("reset-before", Unreachable), ("truncate", Unreachable)]
)
def test_what_lasts_is_told_after_few_tries(azure: Azure, upset: Upset, kind: str, error: type[ServiceError]) -> None:
    upset("GET management.azure.com/subscriptions", kind, count=20, seconds=0)
    with pytest.raises(error) as raised:
        azure.rest("GET", PATH, api_version=API)
    assert raised.value.next_step


def test_an_expired_token_is_replaced_and_the_call_goes_on(azure: Azure, upset: Upset) -> None:
    upset("GET management.azure.com/subscriptions", "expired-token", count=1)
    assert access.subscriptions(azure)


def test_waiting_is_told_and_can_be_stopped(azure: Azure, upset: Upset) -> None:
    upset("GET management.azure.com/subscriptions", "429", count=20, seconds=50)
    cancel = Cancel()
    told: list[Progress] = []

    def report(progress: Progress) -> None:
        told.append(progress)
        threading.Timer(0.05, cancel.set).start()

    with pytest.raises(Cancelled):
        azure.rest("GET", PATH, api_version=API, report=report, cancel=cancel)
    assert told[0].total == 50


def test_a_thread_is_told_of_the_waits_of_calls_without_a_listener_and_stops_them(azure: Azure, upset: Upset) -> None:
    upset("GET management.azure.com/subscriptions", "429", count=20, seconds=50)
    cancel, told, ended = Cancel(), list[Progress](), list[Exception]()

    def hear(progress: Progress) -> None:
        told.append(progress)
        cancel.set()

    def task() -> None:
        listen(hear, cancel)
        try:
            access.subscriptions(azure)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=task)
    thread.start()
    thread.join()
    assert told[0].total == 50
    assert ended


def test_a_wait_that_is_too_long_is_an_error_at_once(azure: Azure, upset: Upset) -> None:
    upset("GET management.azure.com/subscriptions", "429", count=20, seconds=500)
    with pytest.raises(Throttled, match="500 s"):
        azure.rest("GET", PATH, api_version=API)


def test_a_refusal_keeps_azures_code_and_request_id(azure: Azure, sandbox: SandboxInfo) -> None:
    with pytest.raises(NotFound) as raised:
        azure.rest("GET", f"/subscriptions/{sandbox.subscription}/resourceGroups/absent", api_version="2022-09-01")
    assert raised.value.code == "ResourceGroupNotFound"
    assert raised.value.request_id
    assert "absent" in raised.value.message


def test_a_missing_permission_names_the_action(azure: Azure, sandbox: SandboxInfo, upset: Upset) -> None:
    upset(access={"role": "Reader"})
    path = f"/subscriptions/{sandbox.subscription}/resourceGroups/mine"
    with pytest.raises(PermissionDenied, match="resourceGroups/write"):
        azure.rest("PUT", path, api_version="2022-09-01", body={"location": "eastus2"})


def test_only_loopback_is_reached(azure: Azure) -> None:
    with pytest.raises(Unreachable):
        azure.rest("GET", "https://example.com/", api_version="")


def test_reasons_of_silence_are_told_apart() -> None:
    codes = {
        unreachable(OSError(text)).code
        for text in ("certificate verify failed", "Read timed out", "Name or service not known", "refused")
    }
    assert codes == {"UntrustedCertificate", "Unreachable"}


def raised_by(error: Exception, cause: Exception | None = None) -> PhiftError:
    with pytest.raises(PhiftError) as raised, translated():
        raise error from cause
    return raised.value


def test_the_sdks_exceptions_are_told_apart() -> None:
    from azure.ai.ml.exceptions import ErrorTarget, ValidationException

    unsent = ServiceRequestError("connection refused")
    assert type(raised_by(unsent)) is Unreachable
    assert type(raised_by(ClientAuthenticationError("Authentication failed"), unsent)) is Unreachable
    assert type(raised_by(ClientAuthenticationError("AADSTS50034: no such user"))) is SignInRequired
    assert "az login" in raised_by(CredentialUnavailableError("Azure CLI not found on path")).next_step
    wrong = raised_by(ValidationException("bad name", "bad name", target=ErrorTarget.JOB))
    assert (type(wrong), wrong.code) == (ServiceError, "ValidationException")
    assert type(raised_by(Throttled("later"))) is Throttled


def test_a_wrong_endpoint_key_is_not_repeated(azure: Azure) -> None:
    with pytest.raises(ServiceError) as raised:
        chat.complete("https://nobody.eastus2.models.ai.azure.com", SecretStr("hunter2"), [])
    assert "hunter2" not in "".join([*raised.value.lines(), raised.value.raw])


def test_the_sdk_prints_nothing_and_its_words_are_in_the_log(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    load_sdk(settings)
    secret = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    for name in [name for name in logging.Logger.manager.loggerDict if name.startswith("azure")]:
        assert not any(
            isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
            for handler in logging.getLogger(name).handlers
            if not isinstance(handler, logging.FileHandler)
        )
    logging.getLogger("azure.ai.ml").warning("a token: %s", secret)
    warnings.warn("an experimental class", stacklevel=1)
    written = log.log_file(settings)
    assert "a token: [secret]" in written.read_text()
    assert secret not in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert capfd.readouterr() == ("", "")


def test_an_item_that_a_later_page_repeats_is_given_once() -> None:
    pages = [
        {"value": [{"id": "/a", "page": 1}, {"name": "no id"}, "odd"], "nextLink": "https://elsewhere"},
        {"value": [{"id": "/A", "page": 2}, {"id": "/b"}, {"name": "no id"}]},
    ]
    service = SimpleNamespace(rest=lambda *rest, **more: pages.pop(0))
    found = list(Azure.pages(cast(Azure, service), "/list", api_version="v"))
    assert found == [{"id": "/a", "page": 1}, {"name": "no id"}, {"id": "/b"}, {"name": "no id"}]
