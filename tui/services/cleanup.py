"""Cleaning up: what exists, what is billed by the hour, and removing it in the order that Azure asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from tui.messages import mark, t
from tui.services import costs, deployments, jobs, projects
from tui.services.errors import Conflict, PhiftError
from tui.services.jobs import parse_time
from tui.services.progress import Cancel, Progress, Report

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

Kind = Literal["endpoint", "model", "job", "data", "project", "hub", "storage", "vault"]
_API = "2024-10-01"
KINDS: dict[Kind, str] = {
    "endpoint": mark("endpoint"),
    "job": mark("job"),
    "model": mark("model"),
    "data": mark("data"),
    "project": mark("project"),
    "hub": mark("hub"),
    "storage": mark("storage account"),
    "vault": mark("key vault"),
}
"""The kinds in words (not translated yet), in the order in which Azure lets them go: it refuses to delete a model that
is deployed and a hub that has projects, and a hub without its storage is broken."""
_ORDER = tuple(KINDS)


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
        parts = [f"{t(KINDS[self.kind])} {self.name}"]
        if self.billable and self.hourly is None:
            parts.append(t("is billed: price not known"))
        elif self.billable and self.hourly:
            amount, currency = f"{self.hourly.amount:.2f}", self.hourly.currency
            parts.append(t("is billed: {amount} {currency} an hour", amount=amount, currency=currency))
            if self.accrued is not None:
                parts.append(t("about {amount} {currency} so far", amount=f"{self.accrued:.2f}", currency=currency))
        if self.detail:
            parts.append(self.detail)
        if self.reason_kept:
            parts.append(t("kept: {reason}", reason=self.reason_kept))
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
        kind, name = t(KINDS[self.item.kind]), self.item.name
        if self.error is None:
            return t("{kind} {name} removed", kind=kind, name=name)
        return t("{kind} {name} not removed: {reason}", kind=kind, name=name, reason=self.error.message)


def inventory(azure: Azure, workspace: Workspace) -> list[Item]:
    """Everything of a project and its hub that this program can make, billable things first.

    Args:
        azure: the connection.
        workspace: the project.
    """
    endpoints = deployments.listing(azure, workspace)
    all_jobs = jobs.listing(azure, workspace)
    base_of = {job.output_model: job.model for job in all_jobs if job.output_model}
    found = [endpoint_item(azure, endpoint, base_of.get(endpoint.model_name, "")) for endpoint in endpoints]
    for job in all_jobs:
        kept = "" if job.terminal else t("it is {status}; cancel it first", status=job.status)
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


def endpoint_item(azure: Azure, endpoint: deployments.Endpoint, base: str) -> Item:
    """An endpoint with its price and what it has cost; `base` is the name of its base model, empty: not known."""
    if endpoint.serves_a_base_model:
        by_token = (
            t("made for a comparison, billed by the token")
            if endpoint.of_comparison
            else t("billed by the token, not by the hour")
        )
        return Item("endpoint", endpoint.id, endpoint.name, False, None, endpoint.created, detail=by_token)
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
            kept = t("it is served by {name}", name=deployed[name].name) if name in deployed else ""
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
    kept = t("it has other projects: {names}", names=", ".join(siblings)) if siblings else ""
    hub = projects.at(azure, workspace.hub_id)
    made = projects.made_with(hub)
    stays = "" if made else t("its storage account and key vault stay: this program did not make them")
    found.append(Item("hub", hub.id, hub.name, False, None, None, reason_kept=kept, detail=stays))
    needed = t("the hub {name} needs it; it goes after the hub", name=hub.name)
    for resource in made:
        kind: Kind = "storage" if "/storageaccounts/" in resource.casefold() else "vault"
        # Microsoft's list has these prices by use and not by the hour.
        detail = t("made with the hub; billed by what it holds and how it is used")
        name = resource.rpartition("/")[2]
        found.append(Item(kind, resource, name, False, None, None, reason_kept=kept or needed, detail=detail))
    return found


def remove(
    azure: Azure,
    items: Sequence[Item],
    *,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> list[Outcome]:
    """Remove items in the order that Azure asks for: endpoint, job, model, data, project, hub, its storage and vault.

    One that cannot be removed does not stop the others. An item's `reason_kept` is not looked at: removing another item
    of the same call may take it away, and otherwise Azure refuses.

    Returns:
        What came of each, in the order in which they were removed.

    Raises:
        Cancelled: cancelled between two items.
    """
    cancel = cancel or Cancel()
    outcomes: list[Outcome] = []
    ordered = sorted(items, key=lambda item: _ORDER.index(item.kind))
    for number, item in enumerate(ordered):
        cancel.check()
        if report:
            report(Progress(t("Removing {name}", name=item.name), number, len(ordered), "items", t(KINDS[item.kind])))
        try:
            if item.kind in ("storage", "vault") and any(one.item.kind == "hub" and one.error for one in outcomes):
                raise Conflict(t("The hub is still there and needs it."), code="HubNeedsIt")
            azure.outlast(partial(_remove, azure, item, report, cancel), report, cancel)
            outcomes.append(Outcome(replace(item, reason_kept=""), True))
        except PhiftError as error:
            cancel.check()
            outcomes.append(Outcome(item, False, error))
    return [_with_its_project(outcome, outcomes) for outcome in outcomes]


def _with_its_project(outcome: Outcome, all_: Sequence[Outcome]) -> Outcome:
    """What could not be removed by itself is gone all the same when its project is."""
    gone = [one.item.id.casefold() for one in all_ if one.removed and one.item.kind == "project"]
    if outcome.error and outcome.item.id.casefold().startswith(tuple(f"{project}/" for project in gone)):
        return Outcome(replace(outcome.item, reason_kept=""), True)
    return outcome


def _remove(azure: Azure, item: Item, report: Report | None, cancel: Cancel) -> None:
    version = {"job": jobs.API, "storage": projects.STORAGE_API, "vault": projects.VAULT_API}.get(item.kind, _API)
    stage = t("Removing {name}", name=item.name)
    deployments.remove(azure, item.id, api_version=version, stage=stage, report=report, cancel=cancel)
    container = item.id.rpartition("/versions/")[0]
    if item.kind in ("model", "data") and not any(azure.pages(f"{container}/versions", api_version=_API)):
        deployments.remove(azure, container, stage=stage, report=report, cancel=cancel)
