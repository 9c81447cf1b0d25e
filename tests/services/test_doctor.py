"""The access doctor in the sandbox's scenarios: what would fail, at which step, and the command that mends it."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable

import pytest

import assets
from tui.recipe import Recipe, Target
from tui.services import access, doctor, projects
from tui.services.clients import Azure
from tui.services.doctor import Finding
from tui.services.errors import Cancelled, PermissionDenied
from tui.services.progress import Cancel, Progress
from tui.services.projects import Workspace

Upset = Callable[..., None]


def scenario(name: str) -> dict[str, object]:
    found = tomllib.loads((assets.ROOT / "scenarios" / f"{name}.toml").read_text("utf-8"))
    return {key: value for key, value in found.items() if key not in ("title", "description")}


def problems(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings if finding.level == "problem"}


@pytest.fixture
def fresh(recipe: Recipe, own_target: Target) -> Recipe:
    """A recipe whose hub and project do not exist."""
    return recipe.with_(target=own_target.model_dump())


def test_an_owner_finds_everything_in_order(azure: Azure, fresh: Recipe) -> None:
    told: list[Finding] = []
    findings = doctor.examine(azure, fresh, on_finding=told.append)
    assert told == findings
    assert {finding.level for finding in findings} == {"ok"}
    assert {"subscription", "provider.Microsoft.Network", "model", "hub", "permissions"} <= {f.code for f in findings}
    groups = {group.name for group in access.resource_groups(azure, fresh.target.subscription)}
    assert fresh.target.resource_group not in groups


def test_a_missing_provider_has_its_command(azure: Azure, fresh: Recipe, upset: Upset) -> None:
    upset(**scenario("network-unregistered"))
    (finding,) = problems(doctor.examine(azure, fresh)).values()
    assert finding.code == "provider.Microsoft.Network"
    assert finding.step == "submit"
    assert finding.command == (
        f"az provider register --namespace Microsoft.Network --subscription {fresh.target.subscription}"
    )


def test_registering_mends_it_with_its_progress(azure: Azure, fresh: Recipe, upset: Upset) -> None:
    upset(**scenario("network-unregistered"))
    told: list[Progress] = []
    access.register_provider(azure, fresh.target.subscription, "Microsoft.Network", report=told.append)
    assert told
    assert problems(doctor.examine(azure, fresh)) == {}


def test_a_developer_may_run_but_not_create(
    azure: Azure, fresh: Recipe, recipe: Recipe, project: Workspace, upset: Upset
) -> None:
    upset(**scenario("ai-developer"))
    found = {finding.code: finding for finding in doctor.examine(azure, fresh)}
    hub = found["permission.Microsoft.MachineLearningServices/workspaces/hubs/write"]
    assert (hub.level, hub.step, hub.role) == ("problem", "project", "Contributor")
    assert hub.command.startswith(
        f'az role assignment create --assignee {azure.identity.object_id} --role "Contributor"'
    )
    # Whether the resource group exists cannot be seen with this role, so that it may not be created is a warning.
    assert found["permission.Microsoft.Resources/subscriptions/resourceGroups/write"].level == "warning"
    assert not any(
        finding.step in ("upload", "submit", "deploy") for finding in problems(list(found.values())).values()
    )
    with pytest.raises(PermissionDenied):
        access.register_provider(azure, fresh.target.subscription, "Microsoft.Network")


def test_a_developer_is_offered_the_hub_that_exists_and_nothing_is_missing_with_it(
    azure: Azure, fresh: Recipe, project: Workspace, upset: Upset
) -> None:
    upset(**scenario("ai-developer"))
    (offer,) = (one for one in doctor.examine(azure, fresh) if one.code == "hub.other")
    hub = projects.at(azure, offer.hub)
    assert hub.kind == "hub"
    taken = fresh.with_(
        target__hub=hub.name, target__resource_group=hub.default_group, target__location=hub.location,
        target__project="joined",
    )  # fmt: skip
    assert problems(doctor.examine(azure, taken)) == {}


def test_a_reader_is_told_each_step_that_fails(azure: Azure, recipe: Recipe, project: Workspace, upset: Upset) -> None:
    upset(**scenario("reader"))
    found = problems(doctor.examine(azure, recipe))
    assert {"upload", "submit", "deploy", "ask", "clean up"} <= {finding.step for finding in found.values()}
    assert {finding.role for finding in found.values()} == {"Azure AI Developer"}


@pytest.mark.parametrize(
    ("engine", "actions", "none"),
    [
        ("serverless", {"serverlessEndpoints/write"}, "onlineEndpoints"),
        ("managed", {"onlineEndpoints/write", "onlineEndpoints/deployments/write"}, "codes"),
        ("script", {"codes/versions/write", "onlineEndpoints/listKeys/action"}, "serverlessEndpoints"),
    ],
)
def test_an_engine_asks_for_the_actions_that_it_takes(
    azure: Azure, recipe: Recipe, project: Workspace, upset: Upset, engine: str, actions: set[str], none: str
) -> None:
    upset(**scenario("reader"))
    codes = problems(doctor.examine(azure, recipe.with_(model__engine=engine))).keys()
    prefix = "permission.Microsoft.MachineLearningServices/workspaces/"
    assert {f"{prefix}{action}" for action in actions} <= codes
    assert not [code for code in codes if f"/{none}/" in code]


@pytest.mark.parametrize(
    "name",
    ["ai-developer", "disabled-subscription", "free-subscription", "keys-forbidden", "network-unregistered", "reader"],
)
def test_what_is_not_in_order_names_the_step_and_what_to_do(
    azure: Azure, recipe: Recipe, project: Workspace, upset: Upset, name: str
) -> None:
    upset(**scenario(name))
    found = [finding for finding in doctor.examine(azure, recipe) if finding.level != "ok"]
    assert found
    for finding in found:
        assert finding.step in doctor.STEPS
        assert any("this step fails" in line for line in finding.lines())
        assert finding.command.startswith("az "), finding.code


def test_storage_without_keys_asks_for_the_data_role(
    azure: Azure, recipe: Recipe, project: Workspace, upset: Upset
) -> None:
    upset(**scenario("keys-forbidden"))
    (finding,) = problems(doctor.examine(azure, recipe)).values()
    assert finding.role == "Storage Blob Data Contributor"
    assert finding.command.endswith(f"--scope {project.storage_id}")
    upset(access={"role": "Owner", "data_role": "Storage Blob Data Contributor"})
    assert problems(doctor.examine(azure, recipe)) == {}


@pytest.mark.parametrize(
    ("name", "code"), [("free-subscription", "subscription.free"), ("disabled-subscription", "subscription.state")]
)
def test_a_subscription_that_cannot_is_told(azure: Azure, fresh: Recipe, upset: Upset, name: str, code: str) -> None:
    upset(**scenario(name))
    assert code in problems(doctor.examine(azure, fresh))


def test_an_unknown_subscription_ends_the_examination(azure: Azure, fresh: Recipe) -> None:
    findings = doctor.examine(azure, fresh.with_(target__subscription="00000000-0000-0000-0000-000000000000"))
    assert [finding.code for finding in findings] == ["subscription.missing"]


@pytest.mark.parametrize(
    ("size", "count", "level"),
    [
        ("Standard_NC24ads_A100_v4", 1, "ok"),
        ("Standard_NC24ads_A100_v4", 2, "problem"),
        ("Standard_ND96amsr_A100_v4", 1, "problem"),
        ("Standard_ND96isr_H100_v5", 1, "problem"),
        ("Standard_NC4as_T4_v3", 1, "unknown"),
        ("what is this", 1, "unknown"),
    ],
)
def test_machines_need_quota(azure: Azure, fresh: Recipe, size: str, count: int, level: str) -> None:
    recipe = fresh.with_(model__engine="script", model__instance_type=size, model__instance_count=count)
    found = {finding.code: finding for finding in doctor.examine(azure, recipe)}["quota"]
    assert found.level == level
    assert bool(found.command) == (level == "problem")


def test_a_region_without_the_model_names_those_with_it(azure: Azure, fresh: Recipe) -> None:
    (finding,) = problems(doctor.examine(azure, fresh.with_(target__location="westeurope"))).values()
    assert finding.code == "model"
    assert "eastus2" in f"{finding.title} {finding.detail}"


def test_a_hub_elsewhere_is_told(azure: Azure, recipe: Recipe, project: Workspace) -> None:
    elsewhere = recipe.with_(target__location="eastus")
    assert project.location == "eastus2"
    assert "hub" in problems(doctor.examine(azure, elsewhere))


def test_it_can_be_stopped(azure: Azure, fresh: Recipe) -> None:
    cancel = Cancel()
    with pytest.raises(Cancelled):
        doctor.examine(azure, fresh, on_finding=lambda finding: cancel.set(), cancel=cancel)


def test_findings_are_for_programs_too(azure: Azure, fresh: Recipe) -> None:
    finding = doctor.examine(azure, fresh)[0]
    assert set(finding.to_json()) <= {field.name for field in dataclasses.fields(Finding)}


def test_groups_locations_and_tenants(azure: Azure, own_target: Target) -> None:
    subscription = own_target.subscription
    made = access.create_resource_group(azure, subscription, own_target.resource_group, "westus3")
    assert made in access.resource_groups(azure, subscription)
    again = access.create_resource_group(azure, subscription, own_target.resource_group, "eastus")
    assert again.location == "westus3"
    assert "eastus2" in access.locations(azure, subscription)
    assert [tenant.id for tenant in access.tenants(azure)] == [azure.identity.tenant]
