"""Hubs and projects: made once, found again, left as they are, finished after an interruption."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from tui.recipe import Target
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo
from tui.services import projects
from tui.services.clients import Azure
from tui.services.errors import Cancelled, NotFound, PermissionDenied, Unreachable, UsageError
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress
from tui.services.projects import Workspace

Upset = Callable[..., None]


def make(azure: Azure, target: Target, journal: Journal) -> tuple[Workspace, Workspace]:
    hub = projects.ensure_hub(azure, target, journal=journal)
    return hub, projects.ensure_project(azure, target, hub, journal=journal)


def test_everything_is_made_in_its_order_and_journalled(azure: Azure, own_target: Target, journal: Journal) -> None:
    told: list[Progress] = []
    hub = projects.ensure_hub(azure, own_target, journal=journal, report=told.append)
    project = projects.ensure_project(azure, own_target, hub, journal=journal, report=told.append)
    assert (hub.kind, project.kind, project.hub_id) == ("hub", "project", hub.id)
    assert project.workspace_id
    assert project.discovery_url.startswith("https://eastus2.api.azureml.ms")
    kinds = [(entry.kind, entry.outcome) for entry in reversed(journal.recent())]
    made = ("resource-group", "storage", "key-vault", "hub", "project")
    assert kinds == [(kind, "done") for kind in made]
    stages = [progress.stage for progress in told]
    assert stages.index("Storage account") < stages.index("Key vault") < stages.index("Hub")
    assert hub.id in [one.id for one in projects.hubs(azure, own_target.subscription)]
    assert [one.id for one in projects.projects(azure, own_target.subscription, hub.id)] == [project.id]


def test_what_exists_is_not_touched(azure: Azure, own_target: Target, journal: Journal, settings: object) -> None:
    hub, project = make(azure, own_target, journal)
    path = f"{hub.id}?api-version={projects.API}"
    before = azure.rest("GET", f"https://management.azure.com{path}", api_version="")
    entries = len(journal.recent())
    assert make(azure, own_target, journal) == (hub, project)
    after = azure.rest("GET", f"https://management.azure.com{path}", api_version="")
    assert after["systemData"]["lastModifiedAt"] == before["systemData"]["lastModifiedAt"]
    assert len(journal.recent()) == entries


def test_an_interrupted_creation_goes_on_where_it_was(
    azure: Azure, own_target: Target, journal: Journal, upset: Upset
) -> None:
    upset("PUT management.azure.com/*/vaults/*", "reset-before", count=4)
    with pytest.raises(Unreachable):
        make(azure, own_target, journal)
    assert [(entry.kind, entry.outcome) for entry in journal.open()] == [("key-vault", None)]
    assert [entry.outcome for entry in journal.reconcile(azure)] == ["absent"]
    hub, _ = make(azure, own_target, journal)
    assert hub.state == "Succeeded"
    # The storage account of the first attempt is the hub's: nothing was made twice.
    assert [entry.name for entry in journal.recent() if entry.kind == "storage"] == [hub.storage_id.rpartition("/")[2]]


def test_a_lost_answer_is_found_again(azure: Azure, own_target: Target, journal: Journal, upset: Upset) -> None:
    upset("PUT management.azure.com/*/storageAccounts/*", "reset-after", count=4)
    with pytest.raises(Unreachable):
        make(azure, own_target, journal)
    assert [entry.outcome for entry in journal.reconcile(azure)] == ["found"]
    make(azure, own_target, journal)


def test_creation_can_be_stopped(azure: Azure, own_target: Target, journal: Journal) -> None:
    cancel = Cancel()

    def stop(progress: Progress) -> None:
        if progress.stage == "Key vault":
            cancel.set()

    with pytest.raises(Cancelled):
        projects.ensure_hub(azure, own_target, journal=journal, report=stop, cancel=cancel)
    with pytest.raises(NotFound):
        projects.get(azure, own_target.subscription, own_target.resource_group, own_target.hub)


def test_an_error_of_the_first_question_creates_nothing(
    azure: Azure, own_target: Target, journal: Journal, upset: Upset
) -> None:
    upset(access={"role": "Reader", "group": "elsewhere"})
    with pytest.raises(PermissionDenied):
        projects.ensure_hub(azure, own_target, journal=journal)
    assert journal.recent() == []


def test_a_name_that_is_something_else_is_refused(azure: Azure, own_target: Target, journal: Journal) -> None:
    hub, project = make(azure, own_target, journal)
    crossed = own_target.model_copy(update={"hub": project.name})
    with pytest.raises(UsageError, match="is not a hub"):
        projects.ensure_hub(azure, crossed, journal=journal)
    elsewhere = own_target.model_copy(update={"location": "westus3"})
    with pytest.raises(UsageError, match="eastus2"):
        projects.ensure_hub(azure, elsewhere, journal=journal)
    second = own_target.model_copy(update={"hub": "another-hub"})
    other = projects.ensure_hub(azure, second, journal=journal)
    with pytest.raises(UsageError, match=hub.name):
        projects.ensure_project(azure, own_target, other, journal=journal)


@pytest.mark.parametrize("service", ["new", "existing"])
def test_ai_services_are_connected_by_identity(
    azure: Azure, own_target: Target, journal: Journal, service: str
) -> None:
    if service == "existing":
        make(azure, own_target.model_copy(update={"ai_services": "new"}), journal)
        account = next(entry.detail["id"] for entry in journal.recent() if entry.kind == "ai-services")
        wanted = own_target.model_copy(update={"ai_services": account, "hub": "second-hub"})
    else:
        wanted = own_target.model_copy(update={"ai_services": "new"})
    hub = projects.ensure_hub(azure, wanted, journal=journal)
    connections = list(azure.pages(f"{hub.id}/connections", api_version="2024-10-01"))
    (properties,) = [connection["properties"] for connection in connections]
    assert (properties["category"], properties["authType"]) == ("AIServices", "AAD")
    projects.ensure_hub(azure, wanted, journal=journal)
    assert len(list(azure.pages(f"{hub.id}/connections", api_version="2024-10-01"))) == 1


def test_the_only_subscription_is_meant_where_none_is_named(azure: Azure, sandbox: SandboxInfo) -> None:
    assert projects.subscription_of(azure, Target()) == sandbox.subscription
    assert projects.subscription_of(azure, Target(subscription="chosen")) == "chosen"


def test_no_usable_subscription_is_told(azure: Azure, sandbox: SandboxInfo, upset: Upset) -> None:
    daemon.control(sandbox, "PUT", "/scenario", {"subscription": {"state": "Disabled"}})
    with pytest.raises(UsageError, match="sees: none"):
        projects.subscription_of(azure, Target())


def test_who_may_not_make_workspaces_has_the_hub_make_the_project(
    azure: Azure, own_target: Target, journal: Journal, upset: Upset
) -> None:
    hub = projects.ensure_hub(azure, own_target, journal=journal)
    upset(access={"role": "Azure AI Developer"})
    made = projects.ensure_project(azure, own_target, hub, journal=journal)
    assert (made.kind, made.hub_id, made.state) == ("project", hub.id, "Succeeded")
    assert [(entry.kind, entry.outcome) for entry in journal.recent(2)] == [("project", "done"), ("project", "failed")]
    with pytest.raises(PermissionDenied):
        projects.ensure_hub(azure, own_target.model_copy(update={"hub": "another"}), journal=journal)
    upset(access={"role": "Reader"})
    with pytest.raises(PermissionDenied):
        projects.ensure_project(azure, own_target.model_copy(update={"project": "another"}), hub, journal=journal)


def test_what_was_made_with_a_hub_is_known_by_its_name(azure: Azure, own_target: Target, journal: Journal) -> None:
    hub = projects.ensure_hub(azure, own_target, journal=journal)
    assert projects.made_with(hub) == [hub.storage_id, hub.vault_id]
    other = dataclasses.replace(hub, storage_id=f"{hub.storage_id}x", vault_id="")
    assert projects.made_with(other) == []


def test_an_account_that_is_there_is_offered_and_connected(
    azure: Azure, own_target: Target, journal: Journal, upset: Upset
) -> None:
    group = own_target.resource_group
    azure.rest("PUT", f"/subscriptions/{own_target.subscription}/resourceGroups/{group}", api_version="2022-09-01",
               body={"location": "eastus2"})  # fmt: skip
    upset(ai_services=[{"group": group, "location": "swedencentral", "name": "waiting"}])
    (account,) = [one for one in projects.ai_services(azure, own_target.subscription) if one.endswith("/waiting")]
    hub, _ = make(azure, own_target.model_copy(update={"ai_services": account}), journal)
    (connection,) = azure.pages(f"{hub.id}/connections", api_version="2024-04-01-preview")
    assert connection["properties"]["metadata"]["ResourceId"] == account
    assert connection["properties"]["authType"] == "AAD"
