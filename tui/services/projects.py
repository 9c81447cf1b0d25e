"""Hubs and projects: listing, reading and creating, with live stages and a way to stop.

Creation is done by plain resource manager calls: the SDK's `begin_create` patches a hub that exists, goes ahead on any
error of its first GET, cannot be cancelled and says nothing until it ends.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tui.messages import t
from tui.recipe import Target
from tui.services.errors import NotFound, PermissionDenied, PhiftError, UsageError
from tui.services.journal import Journal
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from tui.services.clients import Azure

API = "2024-10-01"
STORAGE_API = "2023-04-01"
VAULT_API = "2023-07-01"
_ACCOUNT_API = "2024-10-01"
_CONNECTION_API = "2024-10-01"
_GROUP_API = "2022-09-01"
_JOIN_API = "2023-06-01-preview"
"""Which azure-ai-ml sends for it."""


@dataclass(frozen=True)
class Workspace:
    """A hub or a project."""

    id: str
    """Resource id."""
    name: str
    kind: Literal["hub", "project", "default"]
    """`default`: a plain machine learning workspace."""
    subscription: str
    resource_group: str
    location: str
    workspace_id: str = ""
    """GUID; part of the id of its models."""
    discovery_url: str = ""
    """Where the run history and metrics of the region are."""
    hub_id: str = ""
    """Of a project: resource id of its hub."""
    state: str = ""
    """Provisioning state."""
    storage_id: str = ""
    """Resource id of its storage account."""
    vault_id: str = ""
    """Resource id of its key vault."""
    default_group: str = ""
    """Of a hub: the resource group in which those who may not create workspaces make projects by joining it."""


def hubs(azure: Azure, subscription: str, *, cancel: Cancel | None = None) -> list[Workspace]:
    """The hubs of a subscription that the identity may see, by name."""
    return _list(azure, subscription, "hub", cancel)


def projects(azure: Azure, subscription: str, hub_id: str = "", *, cancel: Cancel | None = None) -> list[Workspace]:
    """The projects of a subscription, or of one hub, by name."""
    found = _list(azure, subscription, "project", cancel)
    return [project for project in found if not hub_id or project.hub_id.casefold() == hub_id.casefold()]


def _list(azure: Azure, subscription: str, kind: str, cancel: Cancel | None) -> list[Workspace]:
    path = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/workspaces"
    bodies = azure.pages(path, api_version=API, params={"kind": kind}, cancel=cancel)
    found = [_workspace(body) for body in bodies]
    return sorted((space for space in found if space.kind == kind), key=lambda space: space.name.casefold())


def subscription_of(azure: Azure, target: Target) -> str:
    """The target's subscription, or the only enabled one that the identity may see.

    Raises:
        UsageError: none is given, and there is none or more than one.
    """
    if target.subscription:
        return target.subscription
    from tui.services.access import subscriptions

    found = [one for one in subscriptions(azure) if one.state in ("Enabled", "Warned", "PastDue")]
    if len(found) == 1:
        return found[0].id
    listed = ", ".join(f"{one.name} ({one.id})" for one in found) or t("none")
    raise UsageError(
        t("Which subscription is meant? {name} sees: {listed}.", name=azure.identity.name, listed=listed),
        code="SubscriptionNotChosen",
        next_step=t("Set target.subscription in the recipe."),
    )


def get(azure: Azure, subscription: str, resource_group: str, name: str) -> Workspace:
    """The hub or project of that name.

    Raises:
        NotFound: it does not exist, or the identity may not see it.
    """
    return at(azure, workspace_path(subscription, resource_group, name))


def at(azure: Azure, resource_id: str) -> Workspace:
    """The hub or project of that resource id; errors as `get`."""
    return _workspace(azure.rest("GET", resource_id, api_version=API))


def workspace_path(subscription: str, resource_group: str, name: str) -> str:
    """Resource id of a hub or project."""
    return f"{_group(subscription, resource_group)}/providers/Microsoft.MachineLearningServices/workspaces/{name}"


def _group(subscription: str, resource_group: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{resource_group}"


def _workspace(body: dict[str, Any]) -> Workspace:
    parts = str(body.get("id", "")).split("/")
    properties = body.get("properties") or {}
    kind = str(body.get("kind") or "default").lower()
    config = properties.get("workspaceHubConfig") or {}
    return Workspace(
        id=str(body.get("id", "")),
        name=str(body.get("name") or parts[-1]),
        kind="hub" if kind == "hub" else "project" if kind == "project" else "default",
        subscription=parts[2] if len(parts) > 4 else "",
        resource_group=parts[4] if len(parts) > 4 else "",
        location=str(body.get("location", "")),
        workspace_id=str(properties.get("workspaceId") or ""),
        discovery_url=str(properties.get("discoveryUrl") or ""),
        hub_id=str(properties.get("hubResourceId") or ""),
        state=str(properties.get("provisioningState") or ""),
        storage_id=str(properties.get("storageAccount") or ""),
        vault_id=str(properties.get("keyVault") or ""),
        default_group=str(config.get("defaultWorkspaceResourceGroup") or "").rpartition("/")[2],
    )


def ensure_hub(
    azure: Azure, target: Target, *, journal: Journal, report: Report | None = None, cancel: Cancel | None = None
) -> Workspace:
    """The target's hub, made with its resource group, storage account and key vault where it does not exist.

    Every step asks first and creates only what is absent, so it can be stopped and repeated at any point.

    Raises:
        UsageError: the name belongs to something that is not a hub, or to a hub in another region.
        PhiftError: Azure refused.
    """
    subscription, group = target.subscription, target.resource_group
    report = report or _silent
    report(Progress(t("Looking for the hub"), 0, 4, "steps", target.hub))
    path = workspace_path(subscription, group, target.hub)
    existing = _existing(azure, path, API, cancel)
    short = _short_name(subscription, group, target.hub)
    if existing:
        if not _settled(existing):
            existing = _wait(azure, path, API, t("Creating the hub {name}", name=target.hub), report, cancel)
        hub = _checked(_workspace(existing), "hub", target)
        if target.ai_services:
            _connect_ai_services(azure, target, path, short, journal, report, cancel)
        return hub
    report(Progress(t("Resource group"), 1, 4, "steps", group))
    _ensure(
        azure,
        journal,
        "resource-group",
        _group(subscription, group),
        _GROUP_API,
        {"location": target.location},
        t("Resource group"),
        report,
        cancel,
    )
    storage = f"{_group(subscription, group)}/providers/Microsoft.Storage/storageAccounts/st{short}"
    report(Progress(t("Storage account"), 2, 4, "steps", f"st{short}"))
    _ensure(
        azure,
        journal,
        "storage",
        storage,
        STORAGE_API,
        {
            "location": target.location,
            "sku": {"name": "Standard_LRS"},
            "kind": "StorageV2",
            "properties": {
                "supportsHttpsTrafficOnly": True,
                "allowBlobPublicAccess": False,
                "minimumTlsVersion": "TLS1_2",
                "encryption": {
                    "services": {"blob": {"enabled": True}, "file": {"enabled": True}},
                    "keySource": "Microsoft.Storage",
                },
            },
        },
        t("Creating the storage account"),
        report,
        cancel,
    )
    vault = f"{_group(subscription, group)}/providers/Microsoft.KeyVault/vaults/kv{short}"
    report(Progress(t("Key vault"), 3, 4, "steps", f"kv{short}"))
    _ensure(
        azure,
        journal,
        "key-vault",
        vault,
        VAULT_API,
        {
            "location": target.location,
            "properties": {
                "tenantId": azure.identity.tenant,
                "sku": {"name": "standard", "family": "A"},
                "accessPolicies": [],
                "enableRbacAuthorization": True,
            },
        },
        t("Creating the key vault"),
        report,
        cancel,
    )
    report(Progress(t("Hub"), 4, 4, "steps", target.hub))
    made = _ensure(
        azure,
        journal,
        "hub",
        path,
        API,
        {
            "location": target.location,
            "kind": "Hub",
            "sku": {"name": "Basic", "tier": "Basic"},
            "identity": {"type": "SystemAssigned"},
            "properties": {"friendlyName": target.hub, "storageAccount": storage, "keyVault": vault},
        },
        t("Creating the hub {name}", name=target.hub),
        report,
        cancel,
    )
    if target.ai_services:
        _connect_ai_services(azure, target, path, short, journal, report, cancel)
    return _workspace(made)


def ensure_project(
    azure: Azure,
    target: Target,
    hub: Workspace,
    *,
    journal: Journal,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> Workspace:
    """The target's project below `hub`, made where it does not exist.

    Raises:
        UsageError: the name belongs to something that is not a project of this hub.
        PhiftError: Azure refused.
    """
    report = report or _silent
    report(Progress(t("Looking for the project"), 0, 1, "steps", target.project))
    path = workspace_path(target.subscription, target.resource_group, target.project)
    wanted = {
        "location": hub.location,
        "kind": "Project",
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"type": "SystemAssigned"},
        "properties": {"friendlyName": target.project, "hubResourceId": hub.id},
    }
    stage = t("Creating the project {name}", name=target.project)
    try:
        body = _ensure(azure, journal, "project", path, API, wanted, stage, report, cancel)
    except PermissionDenied:
        if hub.default_group.casefold() != target.resource_group.casefold():
            raise
        # Who may not create workspaces (Azure AI Developer) may still have the hub make one in its own group.
        join = f"{region_host(azure, hub)}/rp/workspaces{hub.id}/join/{target.project}"
        with journal.intent("project", target.project, "", path, API):
            answer = azure.send("PUT", join, api_version=_JOIN_API, body=wanted, report=report, cancel=cancel)
            body = azure.poll(answer, resource=path, api_version=API, stage=stage, report=report, cancel=cancel)
    project = _checked(_workspace(body), "project", target)
    if project.hub_id.casefold() != hub.id.casefold():
        raise UsageError(
            t(
                "The project {name} belongs to the hub {other}, not to {hub}.",
                name=project.name,
                other=project.hub_id.rpartition("/")[2],
                hub=hub.name,
            ),
            code="ProjectOfAnotherHub",
            next_step=t("Choose that hub, or another name for the project."),
        )
    return project


def region_host(azure: Azure, workspace: Workspace) -> str:
    """Address of the services of the workspace's region: run history, metrics, MLflow, joining a hub."""
    if workspace.discovery_url:
        return "/".join(workspace.discovery_url.split("/")[:3])
    return f"https://{workspace.location.replace(' ', '').lower()}.{azure.endpoints.azureml}"


def ai_services(azure: Azure, subscription: str, *, cancel: Cancel | None = None) -> list[str]:
    """Resource ids of the subscription's Azure AI Services accounts, by name."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/accounts"
    found = [
        str(body.get("id", ""))
        for body in azure.pages(path, api_version=_ACCOUNT_API, cancel=cancel)
        if body.get("kind") == "AIServices"
    ]
    return sorted(found, key=lambda account: account.rpartition("/")[2].casefold())


def made_with(hub: Workspace) -> list[str]:
    """Resource ids of the storage account and the key vault that this program made for a hub, and for nothing else."""
    short = _short_name(hub.subscription, hub.resource_group, hub.name)
    return [made for made in (hub.storage_id, hub.vault_id) if made.rpartition("/")[2] in (f"st{short}", f"kv{short}")]


def _checked(workspace: Workspace, kind: Literal["hub", "project"], target: Target) -> Workspace:
    name, group = workspace.name, workspace.resource_group
    if workspace.kind != kind:
        raise UsageError(
            t("{name} exists in {group} and is not a hub.", name=name, group=group)
            if kind == "hub"
            else t("{name} exists in {group} and is not a project.", name=name, group=group),
            code="NameTaken",
            next_step=t("Choose another name."),
        )
    if workspace.state.lower() in ("failed", "canceled"):
        raise PhiftError(
            t("{name} exists, but its creation ended as {state}.", name=name, state=workspace.state),
            code="WorkspaceFailed",
            next_step=t(
                "Delete it in the portal or by `{command}`, or choose another name.",
                command=f"az ml workspace delete -n {name} -g {group}",
            ),
        )
    if kind == "hub" and workspace.location.replace(" ", "").lower() != target.location.lower():
        raise UsageError(
            t(
                "The hub {name} is in {there}, not in {here}.",
                name=name,
                there=workspace.location,
                here=target.location,
            ),
            code="HubInAnotherRegion",
            meaning=t("The region of the hub decides which models can be tuned."),
            next_step=t("Set the location to {region}, or choose another hub.", region=workspace.location),
        )  # fmt: skip
    return workspace


def _silent(progress: Progress) -> None:
    """Reports go nowhere."""


def _settled(body: dict[str, Any]) -> bool:
    state = str((body.get("properties") or {}).get("provisioningState") or "Succeeded").lower()
    return state in ("succeeded", "failed", "canceled")


def _existing(azure: Azure, path: str, api_version: str, cancel: Cancel | None) -> dict[str, Any] | None:
    try:
        return azure.rest("GET", path, api_version=api_version, cancel=cancel)
    except NotFound:
        return None


def _wait(
    azure: Azure, path: str, api_version: str, stage: str, report: Report, cancel: Cancel | None
) -> dict[str, Any]:
    """Wait for a resource that somebody is creating."""
    from tui.services.clients import Answer

    return azure.poll(
        Answer(200, {}), resource=path, api_version=api_version, stage=stage, report=report, cancel=cancel
    )


def _ensure(
    azure: Azure,
    journal: Journal,
    kind: str,
    path: str,
    api_version: str,
    body: dict[str, Any],
    stage: str,
    report: Report,
    cancel: Cancel | None,
) -> dict[str, Any]:
    """The resource at `path`, created where a GET says that it is absent."""
    existing = _existing(azure, path, api_version, cancel)
    if existing and _settled(existing):
        return existing
    if existing:
        return _wait(azure, path, api_version, stage, report, cancel)
    with journal.intent(kind, path.rpartition("/")[2], "", path, api_version):
        answer = azure.send("PUT", path, api_version=api_version, body=body, report=report, cancel=cancel)
        return azure.poll(answer, resource=path, api_version=api_version, stage=stage, report=report, cancel=cancel)


def _short_name(subscription: str, group: str, hub: str) -> str:
    """A name for the hub's storage and vault: global, at most 22 characters, the same each time it is asked for.

    Being derived and not random, a creation that was interrupted finds what it has made already.
    """
    digest = hashlib.sha256(f"{subscription}/{group}/{hub}".lower().encode()).hexdigest()
    return re.sub(r"[^a-z0-9]", "", hub.lower())[:10] + digest[:12]


def _connect_ai_services(
    azure: Azure,
    target: Target,
    hub_path: str,
    short: str,
    journal: Journal,
    report: Report,
    cancel: Cancel | None,
) -> None:
    """Connect the hub to an Azure AI Services account, a new one for `new`, by identity and not by key."""
    account = target.ai_services
    if account == "new":
        account = (
            f"{_group(target.subscription, target.resource_group)}"
            f"/providers/Microsoft.CognitiveServices/accounts/ai{short}"
        )
        report(Progress(t("Azure AI Services"), None, None, "", f"ai{short}"))
        _ensure(
            azure,
            journal,
            "ai-services",
            account,
            _ACCOUNT_API,
            {
                "location": target.location,
                "kind": "AIServices",
                "sku": {"name": "S0"},
                "identity": {"type": "SystemAssigned"},
                "properties": {"customSubDomainName": f"ai{short}"},
            },
            t("Creating Azure AI Services"),
            report,
            cancel,
        )
    body = azure.rest("GET", account, api_version=_ACCOUNT_API, cancel=cancel)
    properties = body.get("properties") or {}
    name = str(body.get("name") or account.rpartition("/")[2])
    domain = properties.get("customSubDomainName") or name
    endpoint = properties.get("endpoint") or f"https://{domain}.{azure.endpoints.ai_services}/"
    path = f"{hub_path}/connections/{name}"
    if _existing(azure, path, _CONNECTION_API, cancel):
        return
    with journal.intent("connection", name, hub_path, path, _CONNECTION_API):
        azure.rest(
            "PUT",
            path,
            api_version=_CONNECTION_API,
            cancel=cancel,
            body={
                "properties": {
                    "category": "AIServices",
                    "target": endpoint,
                    "authType": "AAD",
                    "isSharedToAll": True,
                    "metadata": {"ApiType": "Azure", "ResourceId": account},
                }
            },
        )
