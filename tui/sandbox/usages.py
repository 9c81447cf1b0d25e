"""Compute usages of a region: the virtual-machine core quotas, which are not what limits serverless fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access
from tui.sandbox.errors import ServiceError
from tui.sandbox.wire import answer, page

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

USAGES = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}/usages"


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
        families: list[dict[str, Any]] = access.catalogue("vm_quotas")["families"]
        base = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
        items = [
            {
                "id": f"{base}/usages/{family['name']}",
                "type": "Microsoft.MachineLearningServices/usages",
                "amlWorkspaceLocation": location,
                "name": {"value": family["name"], "localizedValue": family["label"]},
                "unit": "Count",
                "currentValue": 0,
                "limit": family["limit"],
            }
            for family in families
        ]
        return answer(page(request, lambda offset, count: items[offset : offset + count]))

    return [Route(USAGES, list_usages, methods=["GET"])]
