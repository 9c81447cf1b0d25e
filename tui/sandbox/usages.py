"""Compute usages of a region: the virtual-machine core quotas, which are not what limits serverless fine-tuning."""

from __future__ import annotations

import json
import math
import uuid
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access
from tui.sandbox.errors import ServiceError
from tui.sandbox.models import DEPLOYMENT_TYPE
from tui.sandbox.wire import answer, page

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

USAGES = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/usages"
ALL = "cores"
# Azure keeps a fifth of the instances free for upgrades, except of the machines with these chips ("Virtual machine
# quota allocation for deployment" in the how-to on online endpoints).
UPGRADE_SHARE = 1.2
WITHOUT_UPGRADE_SHARE = ("_A100_", "_H100_")


def families(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the families of virtual machines: ``name``, ``label``, ``limit`` in cores and the cores of their sizes."""
    limits = sandbox.state.settings.get("quota", {})
    listed: list[dict[str, Any]] = access.catalogue("vm_quotas")["families"]
    return [{**family, "limit": limits.get(family["name"], family["limit"])} for family in listed]


def require_cores(sandbox: Sandbox, deployment_id: str, location: str, size: str, instances: int) -> None:
    """Raise Azure's 400 where a deployment's machines exceed what its family, or all together, have left in a region.

    A size of a family that is not listed counts for nothing, as nothing is known of it.
    """
    used = _used(sandbox, location, besides=deployment_id)
    family, needed = _taken(sandbox, size, instances)
    for one in families(sandbox):
        if one["name"] in (family, ALL) and used.get(one["name"], 0) + needed > one["limit"]:
            subscription = deployment_id.split("/")[2]
            words = (
                f"Not enough quota available for {size} in SubscriptionId {subscription}. Current usage/limit: "
                f"{used.get(one['name'], 0)}/{one['limit']}. Additional needed: {needed} Please see troubleshooting "
                "guide, available here: https://aka.ms/oe-tsg#error-outofquota"
            )
            problem = {
                "errors": {"VmSize": [words]},
                "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
                "title": "One or more validation errors occurred.",
                "status": 400,
                "traceId": f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
            }
            detail = {
                "code": "InferencingClientCreateDeploymentFailed",
                "message": f"InferencingClient HttpRequest error, error detail: {json.dumps(problem)}",
            }
            raise ServiceError(400, "BadRequest", "The request is invalid.", details=[detail])


def beyond_quota(sandbox: Sandbox, resources: dict[str, Any]) -> str:
    """Return why a job's machines can never be had, or "" where the quota holds them.

    Azure takes such a job and fails it as it is prepared. A job whose machines are only in use waits in the queue.

    Args:
        resources: A job's ``resources``; of several ``instanceTypes`` one that can be had is enough.
    """
    nodes = int(resources.get("instanceCount") or 1)
    refusals = []
    for size in (resources.get("instanceType"), *(resources.get("instanceTypes") or [])):
        if not size:
            continue
        family, cores = _cores(sandbox, str(size))
        needed = cores * nodes
        limits = [one for one in families(sandbox) if one["name"] in (family, ALL) and needed > one["limit"]]
        if not limits:
            return ""
        label = limits[-1]["label"].replace(" Family ", " family ").replace("Cluster Dedicated vCPUs", "vCPU quota")
        # The wording is Azure's, from MicrosoftLearning/mslearn-dp100#35.
        refusals.append(
            "Job submission to AzureML Compute encountered an Exception with status code JobNodeCountExceedsCoreQuota, "
            f"The specified subscription has a {label} of {limits[-1]['limit']} and is less than the requested job "
            f"node count of {nodes} which maps to {needed} vCPUs. Talk to your Subscription Admin or refer to "
            "https://docs.microsoft.com/azure/machine-learning/how-to-manage-quotas#request-quota-increases to "
            f"increase the {label}"
        )
    return refusals[0] if refusals else ""


def _cores(sandbox: Sandbox, size: str) -> tuple[str | None, int]:
    """Return the family of a size and the cores of one machine, None and 0 where no family lists it."""
    for family in families(sandbox):
        for known, cores in family.get("sizes", {}).items():
            if known.lower() == size.lower():
                return family["name"], cores
    return None, 0


def _taken(sandbox: Sandbox, size: str, instances: int) -> tuple[str | None, int]:
    """Return the family of a size, None where none lists it, and the cores that so many instances take from it."""
    family, cores = _cores(sandbox, size)
    spared = any(chip in size.upper() for chip in WITHOUT_UPGRADE_SHARE)
    return family, cores * (instances if spared else math.ceil(instances * UPGRADE_SHARE))


def _used(sandbox: Sandbox, location: str, besides: str = "") -> dict[str, int]:
    """Return the cores in use in a region by family, and of all families under ``cores``."""
    used: dict[str, int] = {}
    for body in sandbox.state.of_type(DEPLOYMENT_TYPE):
        if body["location"] == location and body["id"].lower() != besides.lower():
            family, cores = _taken(sandbox, body["properties"]["instanceType"], body["sku"]["capacity"])
            for name in (family, ALL) if family else ():
                used[name] = used.get(name, 0) + cores
    return used


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The route of the usages."""

    async def list_usages(request: Request) -> Response:
        location, subscription = request.path_params["location"].lower(), request.path_params["subscription"]
        if location not in {region["name"] for region in access.catalogue("regions")["regions"]}:
            raise ServiceError(
                400,
                "NoRegisteredProviderFound",
                f"No registered resource provider found for location '{location}' and type 'locations/usages'.",
            )
        used = _used(sandbox, location)
        base = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
        items = [
            {
                "id": f"{base}/usages/{family['name']}",
                "type": "Microsoft.MachineLearningServices/usages",
                "amlWorkspaceLocation": location,
                "name": {"value": family["name"], "localizedValue": family["label"]},
                "unit": "Count",
                "currentValue": used.get(family["name"], 0),
                "limit": family["limit"],
            }
            for family in families(sandbox)
        ]
        return answer(page(request, lambda offset, count: items[offset : offset + count]))

    return [Route(USAGES, list_usages, methods=["GET"])]
