"""The network gone at each step: told with what to do next, nothing lost or done twice, and it goes on afterwards."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from tui.recipe import Recipe, Target
from tui.services import (
    catalog,
    chat,
    cleanup,
    clients,
    costs,
    deployments,
    doctor,
    identity,
    jobs,
    projects,
    runs,
    spending,
    submissions,
    uploads,
)
from tui.services.clients import Azure
from tui.services.errors import Cancelled, PhiftError, Unreachable
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress
from tui.services.projects import Workspace
from tui.services.submissions import Submission
from tui.settings import Settings

NOBODY = "http://127.0.0.1:9"  # the port of the discard service, which no machine offers any more


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    for policy in (
        "azure.core.pipeline.policies.RetryPolicy",
        "azure.storage.blob._shared.policies.StorageRetryPolicy",
    ):
        monkeypatch.setattr(f"{policy}.sleep", lambda *arguments, **options: None)


@contextmanager
def no_network() -> Iterator[None]:
    """The proxy is gone, for all clients of this process."""
    before = os.environ["HTTPS_PROXY"]
    os.environ["HTTPS_PROXY"] = os.environ["https_proxy"] = NOBODY
    try:
        yield
    finally:
        os.environ["HTTPS_PROXY"] = before
        del os.environ["https_proxy"]


def lost(call: Callable[[], object]) -> PhiftError:
    with no_network(), pytest.raises(Unreachable) as raised:
        call()
    error = raised.value
    assert error.next_step
    assert error.exit_code == 5
    return error


def test_signing_in(azure: Azure, settings: Settings) -> None:
    lost(lambda: identity.connect(settings))
    assert identity.connect(settings).identity.object_id == azure.identity.object_id


def test_looking_at_access(azure: Azure, recipe: Recipe) -> None:
    lost(lambda: doctor.examine(azure, recipe))
    assert "unknown" not in {finding.level for finding in doctor.examine(azure, recipe)}


def test_the_catalogue_and_the_prices_known_last_stay(azure: Azure, recipe: Recipe) -> None:
    catalog.models(azure)
    lost(lambda: catalog.models(azure, refresh=True))
    assert catalog.cached(azure.settings, sandbox=True).source == "cache"
    with no_network():
        assert costs.prices(azure, "eastus2", azure.settings).source == "snapshot"
    assert costs.prices(azure, "eastus2", azure.settings).source == "retail api"
    with no_network():
        assert costs.prices(azure, "eastus2", azure.settings).source == "cache"


def test_a_hub_is_made_afterwards_and_once(azure: Azure, own_target: Target, journal: Journal) -> None:
    lost(lambda: projects.ensure_hub(azure, own_target, journal=journal))
    made = projects.ensure_hub(azure, own_target, journal=journal)
    assert made.state == "Succeeded"
    assert [entry.outcome for entry in journal.recent() if entry.kind == "hub"] == ["done"]


def test_an_upload_a_submit_and_the_watching_go_on(
    azure: Azure, project: Workspace, recipe: Recipe, journal: Journal, chats: Callable[..., Path]
) -> None:
    file = chats(12, seed="outage")
    lost(lambda: uploads.upload(azure, project, file, "outage", journal=journal))
    training = uploads.upload(azure, project, file, "outage", journal=journal)
    model, name = catalog.require(azure, recipe), submissions.new_name(recipe)
    wanted = Submission(project, recipe, model, training, None, name, rows=12)

    def submit() -> jobs.Job:
        return submissions.submit(azure, wanted, journal=journal)

    lost(submit)
    assert submit().name == submit().name == name
    assert [job.name for job in jobs.listing(azure, project)].count(name) == 1
    told: list[PhiftError] = []
    cancel = Cancel()

    def hear(error: PhiftError) -> None:
        told.append(error)
        cancel.set()

    with no_network(), pytest.raises(PhiftError, match="No longer watching"):
        runs.follow(azure, project, name, on_lost=hear, cancel=cancel)
    assert isinstance(told[0], Unreachable)
    assert runs.Watch(azure, project, name).poll().job.name == name
    lost(lambda: jobs.cancel(azure, project, name))
    assert jobs.cancel(azure, project, name).status in ("CancelRequested", "Canceled", "Completed")


def test_endpoints_and_the_clean_up(azure: Azure, project: Workspace) -> None:
    for call in (
        lambda: deployments.listing(azure, project),
        lambda: cleanup.inventory(azure, project),
        lambda: spending.so_far(azure, project),
    ):
        lost(call)
        call()


def test_what_can_be_repeated_is_told_and_goes_on_when_the_network_is_back(
    azure: Azure, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "_AGAIN", 0.0)
    told: list[str] = []
    with ExitStack() as outage:
        outage.enter_context(no_network())

        def hear(progress: Progress) -> None:
            told.append(progress.stage)
            outage.close()

        found = azure.outlast(lambda: azure.rest("GET", project.id, api_version=projects.API), hear, Cancel())
    assert found["name"] == project.name
    assert told == ["Azure cannot be reached; asking again until it answers"]


def test_waiting_for_the_network_ends_when_cancelled_and_after_half_an_hour(
    azure: Azure, project: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = Cancel()

    def ask() -> object:
        return azure.rest("GET", project.id, api_version=projects.API)

    with no_network(), pytest.raises(Cancelled):
        azure.outlast(ask, lambda progress: cancel.set(), cancel)
    monkeypatch.setattr(clients, "_OUTAGE", -1.0)
    with no_network(), pytest.raises(Unreachable):
        azure.outlast(ask, None, Cancel())


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_call_that_hangs_is_left_at_once(
    azure: Azure, project: Workspace, monkeypatch: pytest.MonkeyPatch, upset: Callable[..., None], method: str
) -> None:
    monkeypatch.setattr("tui.services.pipeline._GRACE", 0.0)
    upset(f"{method} */workspaces/*", "slow", seconds=600)
    cancel = Cancel()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        azure.rest(method, project.id, api_version=projects.API, body={}, cancel=cancel)


@pytest.mark.usefixtures("azure")
def test_a_chat_that_hangs_is_left_at_once(upset: Callable[..., None]) -> None:
    upset("POST *.models.ai.azure.com/*", "slow", seconds=600)
    cancel = Cancel()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        chat.complete(
            "https://nobody.eastus2.models.ai.azure.com",
            SecretStr("k"),
            [{"role": "user", "content": "?"}],
            cancel=cancel,
        )
