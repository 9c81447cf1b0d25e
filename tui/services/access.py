"""The access doctor: what this identity may do, which step would fail, and which command mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tui.recipe import Recipe
from tui.services import catalog, projects
from tui.services.errors import ModelUnavailable, NotFound, PermissionDenied, PhiftError
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from tui.services.clients import Azure

_SUBSCRIPTIONS_API = "2022-12-01"
_RESOURCES_API = "2022-09-01"
_AUTHORIZATION_API = "2022-04-01"
_STORAGE_API = "2023-04-01"
_ML = "Microsoft.MachineLearningServices"
_REGISTER_SECONDS = 600.0

Level = Literal["ok", "warning", "problem", "unknown"]
_Presence = Literal["present", "absent", "hidden"]
OnFinding = Callable[["Finding"], None]


@dataclass(frozen=True)
class Tenant:
    """A directory that the identity belongs to."""

    id: str
    name: str
    domain: str


@dataclass(frozen=True)
class Subscription:
    """A subscription that the identity may see."""

    id: str
    name: str
    state: str
    """`Enabled`, `Warned`, `PastDue`, `Disabled`, `Deleted`."""
    kind: str
    """Offer as the quota id tells it (`PayAsYouGo`, `FreeTrial`, …); empty: unknown."""
    tenant: str = ""

    @property
    def is_free(self) -> bool:
        """Whether its offer is one that fine-tuning excludes: free trial, student, sponsored passes."""
        return bool(re.match(r"(?i)free|azureforstudents|azurepass|devtools|msdn", self.kind)) and not re.match(
            r"(?i)msdn", self.kind
        )


@dataclass(frozen=True)
class ResourceGroup:
    """A resource group."""

    name: str
    location: str


@dataclass(frozen=True)
class Finding:
    """One thing that was examined."""

    code: str
    """Stable identifier, such as `provider.Microsoft.Network`."""
    level: Level
    title: str
    detail: str = ""
    step: str = ""
    """Step of the flow that fails without it."""
    role: str = ""
    """Role that mends it."""
    command: str = ""
    """Exact `az` command that mends it."""

    def to_json(self) -> dict[str, str]:
        """The finding for programs, empty fields left out."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Provider:
    """A resource provider that the flow needs."""

    namespace: str
    step: str
    always: bool


# Source: fine-tune-serverless.md of MicrosoftDocs/azure-ai-docs names Microsoft.Network; the others are those of the
# resources that a hub is made of.
PROVIDERS = (
    Provider(_ML, "project", True),
    Provider("Microsoft.Storage", "project", True),
    Provider("Microsoft.KeyVault", "project", True),
    Provider("Microsoft.Network", "submit", True),
    Provider("Microsoft.CognitiveServices", "project", False),
)


@dataclass(frozen=True)
class _Need:
    """An action that a step takes."""

    action: str
    step: str
    what: str
    role: str
    scope: Literal["subscription", "group"]
    data: bool = False


_DEVELOPER = "Azure AI Developer"
# Azure AI Developer's definition excludes creating hubs and reading their keys (hub-rbac-foundry.md), so Contributor is
# named where it does not suffice.
_GROUP_NEED = _Need(
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "project",
    "create the resource group",
    "Contributor",
    "subscription",
)
_HUB_NEEDS = (
    _Need(
        "Microsoft.Storage/storageAccounts/write", "project", "create the hub's storage account", "Contributor", "group"
    ),
    _Need("Microsoft.KeyVault/vaults/write", "project", "create the hub's key vault", "Contributor", "group"),
    _Need(f"{_ML}/workspaces/write", "project", "create the hub", "Contributor", "group"),
    _Need(f"{_ML}/workspaces/hubs/write", "project", "create the hub", "Contributor", "group"),
)
_PROJECT_NEEDS = (
    _Need(f"{_ML}/workspaces/hubs/join/action", "project", "add a project to the hub", _DEVELOPER, "group"),
    _Need(f"{_ML}/workspaces/write", "project", "create the project", "Contributor", "group"),
)
_RUN_NEEDS = (
    _Need(f"{_ML}/workspaces/datastores/listSecrets/action", "upload", "upload the data", _DEVELOPER, "group"),
    _Need(f"{_ML}/workspaces/data/versions/write", "upload", "register the data", _DEVELOPER, "group"),
    _Need(f"{_ML}/workspaces/jobs/write", "submit", "submit the job", _DEVELOPER, "group"),
    _Need(f"{_ML}/workspaces/jobs/cancel/action", "monitor", "cancel the job", _DEVELOPER, "group"),
    _Need(f"{_ML}/workspaces/serverlessEndpoints/write", "deploy", "deploy the model", _DEVELOPER, "group"),
    _Need(
        f"{_ML}/workspaces/serverlessEndpoints/listKeys/action", "ask", "read the endpoint's key", _DEVELOPER, "group"
    ),
    _Need(f"{_ML}/workspaces/serverlessEndpoints/delete", "clean up", "delete the endpoint", _DEVELOPER, "group"),
    _Need(f"{_ML}/workspaces/models/versions/delete", "clean up", "delete the model", _DEVELOPER, "group"),
)
_BLOB_NEED = _Need(
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "upload",
    "upload the data by identity",
    "Storage Blob Data Contributor",
    "group",
    data=True,
)


def tenants(azure: Azure) -> list[Tenant]:
    """The directories that the identity belongs to."""
    return [
        Tenant(str(item.get("tenantId", "")), str(item.get("displayName") or ""), str(item.get("defaultDomain") or ""))
        for item in azure.pages("/tenants", api_version=_SUBSCRIPTIONS_API)
    ]


def subscriptions(azure: Azure) -> list[Subscription]:
    """The subscriptions that the identity may see, by name."""
    found = [_subscription(item) for item in azure.pages("/subscriptions", api_version=_SUBSCRIPTIONS_API)]
    return sorted(found, key=lambda item: item.name.casefold())


def _subscription(item: dict[str, Any]) -> Subscription:
    quota = str((item.get("subscriptionPolicies") or {}).get("quotaId") or "")
    return Subscription(
        id=str(item.get("subscriptionId", "")),
        name=str(item.get("displayName", "")),
        state=str(item.get("state", "")),
        kind=quota.partition("_")[0],
        tenant=str(item.get("tenantId") or ""),
    )


def resource_groups(azure: Azure, subscription: str) -> list[ResourceGroup]:
    """The resource groups of a subscription, by name."""
    path = f"/subscriptions/{subscription}/resourcegroups"
    found = [
        ResourceGroup(str(item.get("name", "")), str(item.get("location", "")))
        for item in azure.pages(path, api_version=_RESOURCES_API)
    ]
    return sorted(found, key=lambda item: item.name.casefold())


def locations(azure: Azure, subscription: str) -> list[str]:
    """The regions of a subscription, by name such as `eastus2`."""
    path = f"/subscriptions/{subscription}/locations"
    return sorted(str(item.get("name", "")) for item in azure.pages(path, api_version=_SUBSCRIPTIONS_API))


def create_resource_group(azure: Azure, subscription: str, name: str, location: str) -> ResourceGroup:
    """Create a resource group; one that exists is left as it is.

    Raises:
        PermissionDenied: the identity may not.
    """
    path = f"/subscriptions/{subscription}/resourceGroups/{name}"
    try:
        body = azure.rest("GET", path, api_version=_RESOURCES_API)
    except NotFound:
        body = azure.rest("PUT", path, api_version=_RESOURCES_API, body={"location": location})
    return ResourceGroup(str(body.get("name", name)), str(body.get("location", location)))


def registration(azure: Azure, subscription: str, namespace: str) -> str:
    """Registration state of a resource provider: `Registered`, `NotRegistered`, `Registering`, …"""
    path = f"/subscriptions/{subscription}/providers/{namespace}"
    return str(azure.rest("GET", path, api_version=_RESOURCES_API).get("registrationState", ""))


def register_provider(
    azure: Azure,
    subscription: str,
    namespace: str,
    *,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Register a resource provider and wait until it is.

    Raises:
        PermissionDenied: the identity may not register providers (Owner and Contributor of the subscription may).
        PhiftError: still not registered after ten minutes.
    """
    from tui.services.clients import wait_until

    azure.rest("POST", f"/subscriptions/{subscription}/providers/{namespace}/register", api_version=_RESOURCES_API)
    stage = f"Registering {namespace}"
    if report:
        report(Progress(stage))
    done = wait_until(
        lambda: registration(azure, subscription, namespace) == "Registered",
        stage=stage,
        seconds=_REGISTER_SECONDS,
        every=3.0,
        report=report,
        cancel=cancel,
    )
    if not done:
        raise PhiftError(
            f"{namespace} is still being registered after ten minutes.",
            code="ProviderRegistering",
            next_step="It goes on in Azure; come back later.",
        )


@dataclass(frozen=True)
class Quota:
    """Cores of a family of virtual machines in a region."""

    family: str
    cores: int
    """Cores of one machine of the size that was asked for."""
    used: int
    limit: int


def quota(azure: Azure, subscription: str, location: str, size: str) -> Quota | None:
    """The quota that machines of a size take from; None where Azure's list has no family that can be told.

    Args:
        azure: the connection.
        subscription: its id.
        location: the region.
        size: such as `Standard_NC24ads_A100_v4`.
    """
    found = re.fullmatch(r"(?i)Standard_([A-Z]+)(\d+)([a-z]*)((?:_[A-Z0-9]+)*?)(?:_(v\d+))?", size)
    if not found:
        return None
    series, cores, features, chip, version = (part or "" for part in found.groups())
    # Families are named by series, features (without those for RDMA and isolation), chip and version, in two orders.
    names = {
        _plain(f"standard{series}{marks}{first}{second}family")
        for marks in (features, features.replace("r", ""), re.sub("[ir]", "", features))
        for first, second in ((chip, version), (version, chip))
    }
    path = f"/subscriptions/{subscription}/providers/{_ML}/locations/{location}/usages"
    for item in azure.pages(path, api_version=projects.API):
        name = item.get("name") or {}
        if _plain(str(name.get("value", ""))) in names:
            used, limit = int(item.get("currentValue") or 0), int(item.get("limit") or 0)
            return Quota(str(name.get("localizedValue") or name["value"]), int(cores), used, limit)
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def permissions(azure: Azure, scope: str) -> list[dict[str, Any]]:
    """The effective permissions of the identity at a scope: entries of actions and excluded actions.

    They include roles that come through groups and from scopes above, which role assignments by name do not.
    """
    path = f"{scope}/providers/Microsoft.Authorization/permissions"
    return list(azure.pages(path, api_version=_AUTHORIZATION_API))


def allowed(entries: Iterable[dict[str, Any]], action: str, *, data: bool = False) -> bool:
    """Whether permissions include an action: in one entry, a pattern of `actions` matches and none of `notActions`."""
    yes, no = ("dataActions", "notDataActions") if data else ("actions", "notActions")
    return any(
        any(_matches(pattern, action) for pattern in entry.get(yes) or [])
        and not any(_matches(pattern, action) for pattern in entry.get(no) or [])
        for entry in entries
    )


def _matches(pattern: str, action: str) -> bool:
    # `*` stands for any number of characters, slashes included; matching ignores case (Azure RBAC's definition).
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


def examine(
    azure: Azure, recipe: Recipe, *, on_finding: OnFinding | None = None, cancel: Cancel | None = None
) -> list[Finding]:
    """Look at everything that the recipe's run will need; nothing is registered or created.

    Args:
        azure: the connection.
        recipe: what is to be run; its target's subscription must be set.
        on_finding: told of each finding as it is made.
        cancel: stops between two questions.

    Returns:
        The findings in the order of the flow; those of level `problem` stop the run.
    """
    findings: list[Finding] = []
    cancel = cancel or Cancel()

    def add(finding: Finding) -> None:
        cancel.check()
        findings.append(finding)
        if on_finding:
            on_finding(finding)

    doctor = _Doctor(azure, recipe)
    for examination in (
        doctor.subscription,
        doctor.providers,
        doctor.region,
        doctor.permissions,
        doctor.quota,
        doctor.storage,
    ):
        try:
            for finding in examination():
                add(finding)
        except PhiftError as error:
            if not isinstance(error, PermissionDenied | NotFound) and error.exit_code != 5:
                raise
            add(
                Finding(
                    f"{examination.__name__}.unknown",
                    "unknown",
                    f"The {examination.__name__} could not be examined",
                    " ".join(error.lines()[:1]),
                )
            )
    return findings


class _Doctor:
    """One examination; what one question learns, later ones use."""

    def __init__(self, azure: Azure, recipe: Recipe) -> None:
        self.azure = azure
        self.recipe = recipe
        self.target = recipe.target
        self.scope = f"/subscriptions/{self.target.subscription}"
        self.group = f"{self.scope}/resourceGroups/{self.target.resource_group}"
        self.hub: projects.Workspace | None = None
        self.model: catalog.Model | None = None
        self.usable = True

    def subscription(self) -> Iterable[Finding]:
        # The list has every subscription with any role in it; reading one directly takes a role on the subscription.
        wanted = self.target.subscription.casefold()
        item = next((one for one in subscriptions(self.azure) if one.id.casefold() == wanted), None)
        if item is None:
            self.usable = False
            yield Finding(
                "subscription.missing",
                "problem",
                "The subscription cannot be seen by this identity",
                f"{self.target.subscription}; signed in as {self.azure.identity.name}",
                "project",
                "Reader",
                self._assign("Reader", self.scope),
            )
            return
        if item.state not in ("Enabled", "Warned", "PastDue"):
            yield Finding(
                "subscription.state",
                "problem",
                f"The subscription {item.name} is {item.state}",
                "Nothing can be created in it.",
                "project",
            )
        elif item.is_free:
            yield Finding(
                "subscription.free",
                "problem",
                f"The subscription {item.name} is of the kind {item.kind}",
                "Fine-tuning needs a paid subscription; free and trial ones are refused.",
                "submit",
                "",
                "az account list --output table   # choose a paid one, or upgrade this one in the portal",
            )
        else:
            kind = item.kind or "kind not said"
            yield Finding("subscription", "ok", f"Subscription {item.name}", kind)

    def providers(self) -> Iterable[Finding]:
        if not self.usable:
            return
        for provider in PROVIDERS:
            if not provider.always and not self.target.ai_services:
                continue
            state = registration(self.azure, self.target.subscription, provider.namespace)
            code = f"provider.{provider.namespace}"
            if state == "Registered":
                yield Finding(code, "ok", f"{provider.namespace} is registered")
            elif state == "Registering":
                yield Finding(code, "warning", f"{provider.namespace} is being registered", step=provider.step)
            else:
                yield Finding(
                    code,
                    "problem",
                    f"{provider.namespace} is not registered",
                    "Registering is free and done once for a subscription.",
                    provider.step,
                    "Contributor",
                    f"az provider register --namespace {provider.namespace} --subscription {self.target.subscription}",
                )

    def region(self) -> Iterable[Finding]:
        if not self.usable:
            return
        try:
            model = self.model = catalog.require(self.azure, self.recipe)
        except ModelUnavailable as error:
            yield Finding("model", "problem", error.message, f"{error.meaning} {error.next_step}".strip(), "submit")
            return
        where = model.availability(self.recipe.model.engine, self.azure.today(), self.target.location)
        level: Level = "ok" if where.ok else "unknown"
        yield Finding(
            "model",
            level,
            f"{model.name} can be tuned in {self.target.location}"
            if where.ok
            else f"{model.name} in {self.target.location}: not known",
            where.reason,
        )

    def permissions(self) -> Iterable[Finding]:
        if not self.usable:
            return
        group = self._presence(self.group, _RESOURCES_API)
        above = permissions(self.azure, self.scope)
        entries = above if group == "absent" else permissions(self.azure, self.group)
        place = (self.target.subscription, self.target.resource_group)
        hub = "absent" if group == "absent" else self._presence(projects.workspace_path(*place, self.target.hub))
        project = "absent" if hub == "absent" else self._presence(projects.workspace_path(*place, self.target.project))
        if hub == "present":
            self.hub = projects.get(self.azure, *place, self.target.hub)
        yield self._hub_finding(group, hub)
        presences: list[tuple[_Presence, tuple[_Need, ...]]] = [
            (group, (_GROUP_NEED,)),
            (hub, _HUB_NEEDS),
            (project, _PROJECT_NEEDS),
            ("absent", _RUN_NEEDS),
        ]
        looked = 0
        denied = False
        for presence, needs in presences:
            for need in needs if presence != "present" else ():
                looked += 1
                wide = need.scope == "subscription" or group == "absent"
                if allowed(above if wide else entries, need.action):
                    continue
                denied = True
                hidden = "; needed only where it does not exist, which cannot be seen" if presence == "hidden" else ""
                yield Finding(
                    f"permission.{need.action}",
                    "warning" if presence == "hidden" else "problem",
                    f"Not permitted: {need.what}",
                    need.action + hidden,
                    need.step,
                    need.role,
                    self._assign(need.role, self.scope if wide else self.group),
                )
        if not denied:
            yield Finding("permissions", "ok", "All steps are permitted", f"{looked} actions looked at")

    def quota(self) -> Iterable[Finding]:
        if not self.usable:
            return
        choice = self.recipe.model
        if choice.engine == "serverless":
            yield Finding(
                "quota",
                "ok",
                "Serverless fine-tuning takes no quota of virtual machines",
                "An endpoint answers at most 200,000 tokens and 1,000 requests a minute.",
            )
            return
        if choice.compute or self.model is None:
            return  # an existing cluster has its machines
        size = choice.instance_type or next(iter(self.model.instance_types), "")
        found = quota(self.azure, self.target.subscription, self.target.location, size) if size else None
        if found is None:
            yield Finding("quota", "unknown", f"The quota for {size or 'the GPU size'} is not known", step="submit")
            return
        needed = found.cores * choice.instance_count
        level: Level = "ok" if needed <= found.limit - found.used else "problem"
        yield Finding(
            "quota",
            level,
            f"{choice.instance_count} × {size}: {needed} cores of {found.limit - found.used} that are free",
            found.family if level == "ok" else f"{found.family}; ask for more in the portal: Machine Learning, Quotas.",
            "submit",
            command=""
            if level == "ok"
            else f"az ml compute list-usage --location {self.target.location} --output table",
        )

    def storage(self) -> Iterable[Finding]:
        if self.hub is None or not self.hub.storage_id:
            return
        body = self.azure.rest("GET", self.hub.storage_id, api_version=_STORAGE_API)
        if (body.get("properties") or {}).get("allowSharedKeyAccess") is not False:
            yield Finding("storage", "ok", "The hub's storage account takes uploads by key")
            return
        entries = permissions(self.azure, self.hub.storage_id)
        if allowed(entries, _BLOB_NEED.action, data=True):
            yield Finding("storage", "ok", "The hub's storage account takes uploads by identity")
            return
        yield Finding(
            "storage",
            "problem",
            "The hub's storage account forbids keys, and the role for its data is missing",
            "Owner and Contributor do not include it.",
            "upload",
            _BLOB_NEED.role,
            self._assign(_BLOB_NEED.role, self.hub.storage_id),
        )

    def _presence(self, path: str, api_version: str = projects.API) -> _Presence:
        try:
            self.azure.rest("GET", path, api_version=api_version)
        except NotFound:
            return "absent"
        except PermissionDenied:
            return "hidden"
        return "present"

    def _hub_finding(self, group: _Presence, hub: _Presence) -> Finding:
        if hub == "hidden":
            return Finding(
                "hub", "unknown", f"The hub {self.target.hub} cannot be seen by this identity", step="project"
            )
        if self.hub is None:
            made = f", with the resource group {self.target.resource_group}" if group == "absent" else ""
            return Finding("hub", "ok", f"The hub {self.target.hub} will be created{made}")
        if self.hub.kind != "hub":
            return Finding(
                "hub", "problem", f"{self.hub.name} exists and is not a hub", "Choose another name.", "project"
            )
        if self.hub.location.replace(" ", "").lower() != self.target.location.lower():
            return Finding(
                "hub",
                "problem",
                f"The hub {self.hub.name} is in {self.hub.location}, not in {self.target.location}",
                "The region of the hub decides which models can be tuned.",
                "project",
            )
        return Finding("hub", "ok", f"The hub {self.hub.name} exists", self.hub.location)

    def _assign(self, role: str, scope: str) -> str:
        return f'az role assignment create --assignee {self.azure.identity.object_id} --role "{role}" --scope {scope}'
