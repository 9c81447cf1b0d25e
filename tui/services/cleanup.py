"""Cleaning up: what exists, what is billed by the hour, and removing it in the order that Azure asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from tui.services import costs, deployments, jobs, projects
from tui.services.errors import PhiftError
from tui.services.jobs import parse_time
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

Kind = Literal["endpoint", "model", "job", "data", "project", "hub"]
_API = "2024-10-01"
# Azure refuses to delete a model that is deployed and a hub that has projects.
_ORDER: tuple[Kind, ...] = ("endpoint", "job", "model", "data", "project", "hub")


@dataclass(frozen=True)
class Item:
    """Something that exists in Azure."""

    kind: Kind
    id: str
    """Resource id."""
    name: str
    billable: bool
    """Whether it costs while it only stands there."""
    hourly: costs.Price | None
    """Its price an hour; None: not known, or nothing."""
    created: datetime | None
    accrued: float | None = None
    """What it has cost since it was created, at that price: an estimate; None: not known."""
    reason_kept: str = ""
    """Why it cannot be removed now; empty: it can."""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """The item for programs."""
        return {
            **{name: getattr(self, name) for name in ("kind", "id", "name", "billable", "reason_kept", "detail")},
            "hourly": self.hourly.amount if self.hourly else None,
            "accrued": self.accrued,
            "created": self.created.isoformat() if self.created else None,
        }

    def line(self) -> str:
        """The item in one line for a person."""
        parts = [f"{self.kind} {self.name}"]
        if self.billable:
            rate = f"{self.hourly.amount:.2f} {self.hourly.currency} an hour" if self.hourly else "price not known"
            parts.append(f"is billed: {rate}")
            if self.hourly and self.accrued is not None:
                parts.append(f"about {self.accrued:.2f} {self.hourly.currency} so far")
        if self.detail:
            parts.append(self.detail)
        if self.reason_kept:
            parts.append(f"kept: {self.reason_kept}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Outcome:
    """What came of removing an item."""

    item: Item
    removed: bool
    error: PhiftError | None = None

    def to_json(self) -> dict[str, Any]:
        """The outcome for programs."""
        return {
            "kind": self.item.kind,
            "name": self.item.name,
            "removed": self.removed,
            "error": self.error.to_json() if self.error else None,
        }

    def line(self) -> str:
        """The outcome in one line for a person."""
        what = f"{self.item.kind} {self.item.name}"
        return f"{what} removed" if self.error is None else f"{what} not removed: {self.error.message}"


def inventory(azure: Azure, workspace: Workspace) -> list[Item]:
    """Everything of a project and its hub that this program can make, billable things first.

    Args:
        azure: the connection.
        workspace: the project.
    """
    endpoints = deployments.listing(azure, workspace)
    all_jobs = jobs.listing(azure, workspace)
    base_of = {job.output_model: job.model for job in all_jobs if job.output_model}
    found = [_endpoint(azure, endpoint, base_of.get(endpoint.model_name, "")) for endpoint in endpoints]
    for job in all_jobs:
        kept = "" if job.terminal else f"it is {job.status}; cancel it first"
        found.append(
            Item(
                "job",
                f"{workspace.id}/jobs/{job.name}",
                job.name,
                not job.terminal,
                None,
                job.created,
                reason_kept=kept,
                detail=job.status,
            )
        )
    found += _assets(azure, workspace, "models", "model", {endpoint.model_name: endpoint for endpoint in endpoints})
    found += _assets(azure, workspace, "data", "data", {})
    found += _spaces(azure, workspace)
    return sorted(found, key=lambda item: (not item.billable, _ORDER.index(item.kind), item.name.casefold()))


def _endpoint(azure: Azure, endpoint: deployments.Endpoint, base: str) -> Item:
    prices = costs.prices(azure, endpoint.location, azure.settings, instance_type=endpoint.instance_type)
    if endpoint.kind == "online":
        price = prices.of_instance(endpoint.instance_type)
    else:
        price = prices.of(base, "hosting") if base else None
    accrued = None
    if price and price.each is not None and endpoint.created:
        accrued = price.each * max((azure.now() - endpoint.created).total_seconds(), 0.0) / 3600
    return Item("endpoint", endpoint.id, endpoint.name, True, price, endpoint.created, accrued, detail=endpoint.state)


def _assets(
    azure: Azure, workspace: Workspace, folder: str, kind: Kind, deployed: dict[str, deployments.Endpoint]
) -> list[Item]:
    found = []
    for container in azure.pages(f"{workspace.id}/{folder}", api_version=_API):
        name = str(container.get("name") or str(container.get("id", "")).rpartition("/")[2])
        path = f"{workspace.id}/{folder}/{name}"
        for version in azure.pages(f"{path}/versions", api_version=_API):
            label = str(version.get("name") or str(version.get("id", "")).rpartition("/")[2])
            kept = f"it is served by {deployed[name].name}" if name in deployed else ""
            created = parse_time((version.get("systemData") or {}).get("createdAt"))
            found.append(
                Item(kind, f"{path}/versions/{label}", f"{name}:{label}", False, None, created, reason_kept=kept)
            )
    return found


def _spaces(azure: Azure, workspace: Workspace) -> list[Item]:
    found = [Item("project", workspace.id, workspace.name, False, None, None)]
    if not workspace.hub_id:
        return found
    siblings = [
        project.name
        for project in projects.projects(azure, workspace.subscription, workspace.hub_id)
        if project.id.casefold() != workspace.id.casefold()
    ]
    kept = f"it has other projects: {', '.join(siblings)}" if siblings else ""
    # The data in the storage account costs a little each month; Microsoft's list has its price by use, not by the hour.
    stays = "its storage account and key vault stay in the resource group"
    name = workspace.hub_id.rpartition("/")[2]
    found.append(Item("hub", workspace.hub_id, name, False, None, None, reason_kept=kept, detail=stays))
    return found


def remove(
    azure: Azure,
    items: Sequence[Item],
    *,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> list[Outcome]:
    """Remove items in the order that Azure asks for: endpoint, job, model, data, project, hub.

    One that cannot be removed does not stop the others. An item's `reason_kept` is not looked at: removing another item
    of the same call may take it away, and otherwise Azure refuses.

    Returns:
        What came of each, in the order in which they were removed.

    Raises:
        Cancelled: cancelled between two items.
    """
    cancel = cancel or Cancel()
    outcomes = []
    ordered = sorted(items, key=lambda item: _ORDER.index(item.kind))
    for number, item in enumerate(ordered):
        cancel.check()
        if report:
            report(Progress(f"Removing the {item.kind} {item.name}", number, len(ordered), "items"))
        try:
            _remove(azure, item, report, cancel)
            outcomes.append(Outcome(replace(item, reason_kept=""), True))
        except PhiftError as error:
            cancel.check()
            outcomes.append(Outcome(item, False, error))
    return outcomes


def _remove(azure: Azure, item: Item, report: Report | None, cancel: Cancel) -> None:
    version = jobs.API if item.kind == "job" else _API
    deployments.remove(azure, item.id, api_version=version, stage=f"Removing {item.name}", report=report, cancel=cancel)
    container = item.id.rpartition("/versions/")[0]
    if item.kind in ("model", "data") and not any(azure.pages(f"{container}/versions", api_version=_API)):
        deployments.remove(azure, container, stage=f"Removing {item.name}", report=report, cancel=cancel)
