"""What a project has cost so far, reckoned from journal, jobs and endpoints: an estimate, not Azure's bill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.services import cleanup, costs, deployments, jobs
from tui.services.jobs import Job, parse_time
from tui.services.journal import DONE, FOUND, Entry, Journal

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.deployments import Endpoint
    from tui.services.projects import Workspace

# Azure's clock is known by answers' `Date`, to a second.
_CLOCK = timedelta(seconds=1)


@dataclass(frozen=True)
class Spent:
    """What one job or endpoint has cost."""

    name: str
    low: float | None
    """None: not known."""
    high: float | None
    basis: str
    """How it was reckoned, or why it is not known, for a person."""


@dataclass(frozen=True)
class Spending:
    """What a project has cost so far."""

    items: tuple[Spent, ...]
    currency: str
    sandbox: bool

    @property
    def low(self) -> float:
        """Sum of the least amounts that are known."""
        return sum(item.low or 0.0 for item in self.items)

    @property
    def high(self) -> float:
        """Sum of the highest amounts that are known."""
        return sum(item.high or 0.0 for item in self.items)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of what has cost something that is not known; the sums are without it."""
        return tuple(item.name for item in self.items if item.low is None)

    def line(self) -> str:
        """The sum in one line for a person."""
        amount = costs.amount_of(self.low, self.high, self.currency)
        parts = [t("Spent in this project so far: about {amount}", amount=amount)]
        if self.unknown:
            parts.append(t("not known and not in it: {names}", names=", ".join(self.unknown)))
        if self.sandbox:
            parts.append(t("in the sandbox nothing is billed"))
        return "; ".join(parts)

    def lines(self) -> list[str]:
        """The sum, then what it is made of, for a person."""
        found = [self.line()]
        for item in self.items:
            amount = t("unknown")
            if item.low is not None and item.high is not None:
                amount = costs.amount_of(item.low, item.high, self.currency)
            found.append(f"{item.name}: {amount} ({item.basis})")
        return [*found, t("Tokens asked of endpoints and Content Safety are billed by use and not counted here.")]

    def to_json(self) -> dict[str, Any]:
        """The spending for programs."""
        return {
            "low": self.low,
            "high": self.high,
            "currency": self.currency,
            "unknown": list(self.unknown),
            "items": [asdict(item) for item in self.items],
        }


def so_far(azure: Azure, workspace: Workspace) -> Spending:
    """What the project's jobs and endpoints have cost, as far as this machine's journal and Azure's lists tell.

    Args:
        azure: the connection.
        workspace: the project.
    """
    entries = Journal(azure.settings.journal).of(workspace.id)
    all_jobs = jobs.listing(azure, workspace, archived=True)
    submitted = {entry.name: entry for entry in entries if entry.kind == "job"}
    found = [_job(azure, job, submitted.get(job.name)) for job in all_jobs]
    standing = deployments.listing(azure, workspace)
    bases = {job.output_model: job.model for job in all_jobs if job.output_model}
    for endpoint in standing:
        item = cleanup.endpoint_item(azure, endpoint, bases.get(endpoint.model_name, ""))
        if item.billable:
            basis = t("hosting since it was made") if item.accrued is not None else t("its price is not known")
            found.append(Spent(endpoint.name, item.accrued, item.accrued, basis))
    found += _removed(azure, workspace, entries, standing, bases)
    return Spending(tuple(found), costs.CURRENCY, azure.sandbox)


def _job(azure: Azure, job: Job, entry: Entry | None) -> Spent:
    cost: dict[str, Any] = (entry.detail.get("cost") if entry else None) or {}
    if "machine_hour" in cost:
        if job.started is None:
            return Spent(job.name, 0.0, 0.0, t("it has not started"))
        hours = max(((job.ended or azure.now()) - job.started).total_seconds(), 0.0) / 3600
        amount = hours * float(cost["machine_hour"])
        return Spent(job.name, amount, amount, t("{hours} hours of its machines", hours=f"{hours:.2f}"))
    if "low" not in cost:
        return Spent(job.name, None, None, t("not submitted from this machine, or its price was not known"))
    low, high = float(cost["low"]), float(cost["high"])
    if job.status in ("Failed", "Canceled"):
        # Stated in the cost page of Azure OpenAI's fine-tuning; for Phi only assumed.
        return Spent(job.name, 0.0, high, t("it ended without a model, which Azure OpenAI does not bill"))
    if job.terminal:
        return Spent(job.name, low, high, t("tokens × epochs × price at the submission"))
    return Spent(job.name, 0.0, high, t("it has not ended; billed by the tokens that it trains on"))


def _removed(
    azure: Azure, workspace: Workspace, entries: list[Entry], standing: list[Endpoint], bases: dict[str, str]
) -> Iterator[Spent]:
    """The endpoints that were made from this machine and are there no longer."""
    there = {endpoint.name.casefold(): endpoint for endpoint in standing}
    lists: dict[str, costs.Prices] = {}
    for entry in entries:
        model = str(entry.detail.get("model", ""))
        if entry.kind != "endpoint" or entry.outcome not in (DONE, FOUND) or model.startswith("azureml://registries/"):
            continue
        made, removed = entry.ended, parse_time(entry.detail.get("removed"))
        same = there.get(entry.name.casefold())
        if same and (removed is None or same.created is None or same.created < removed + _CLOCK):
            continue  # it stands, never removed or after a removal that failed, and is counted as such
        machine = str(entry.detail.get("instance", ""))
        if machine not in lists:
            lists[machine] = costs.prices(azure, workspace.location, azure.settings, instance_type=machine)
        prices = lists[machine]
        base = bases.get(deployments.name_in(model), "")
        price = prices.of_instance(machine) if machine else prices.of(base, "hosting") if base else None
        if made is None or removed is None:
            yield Spent(entry.name, None, None, t("removed elsewhere; when is not known"))
        elif price is None or price.each is None:
            yield Spent(entry.name, None, None, t("its price is not known"))
        else:
            amount = price.each * _hours(made, removed)
            yield Spent(entry.name, amount, amount, t("hosting until it was removed"))


def _hours(begin: datetime, end: datetime) -> float:
    return max((end - begin).total_seconds(), 0.0) / 3600
