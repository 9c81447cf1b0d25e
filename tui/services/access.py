"""What the identity has on Azure: tenants, subscriptions, groups, regions, providers, quota, permissions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.services import projects
from tui.services.errors import NotFound, PhiftError
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from tui.services.clients import Azure

_SUBSCRIPTIONS_API = "2022-12-01"
RESOURCES_API = "2022-09-01"
_AUTHORIZATION_API = "2022-04-01"
ML = "Microsoft.MachineLearningServices"
_REGISTER_SECONDS = 600.0


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
        for item in azure.pages(path, api_version=RESOURCES_API)
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
        body = azure.rest("GET", path, api_version=RESOURCES_API)
    except NotFound:
        body = azure.rest("PUT", path, api_version=RESOURCES_API, body={"location": location})
    return ResourceGroup(str(body.get("name", name)), str(body.get("location", location)))


def registration(azure: Azure, subscription: str, namespace: str) -> str:
    """Registration state of a resource provider: `Registered`, `NotRegistered`, `Registering`, …"""
    path = f"/subscriptions/{subscription}/providers/{namespace}"
    return str(azure.rest("GET", path, api_version=RESOURCES_API).get("registrationState", ""))


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

    azure.rest("POST", f"/subscriptions/{subscription}/providers/{namespace}/register", api_version=RESOURCES_API)
    stage = t("Registering {name}", name=namespace)
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
            t("{name} is still being registered after ten minutes.", name=namespace),
            code="ProviderRegistering",
            next_step=t("It goes on in Azure; come back later."),
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
    path = f"/subscriptions/{subscription}/providers/{ML}/locations/{location}/usages"
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
    # `*` stands for any number of characters, slashes included; case does not count (role-definitions.md). `/*/` stands
    # for a single slash too: Microsoft's roles take `workspaces/write` out of what they grant as `workspaces/*/write`,
    # and AzureML Data Scientist is kept from making computes by `workspaces/computes/*/write` (built-in-roles.md).
    pieces = (re.escape(piece).replace(r"\*", ".*") for piece in pattern.split("/*/"))
    return re.fullmatch("/(?:.*/)?".join(pieces), action, re.IGNORECASE) is not None
