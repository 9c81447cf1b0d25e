"""The `azureml` registry: discovery, models and components, from the catalogue snapshot as of the sandbox's date."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import segment_after
from tui.sandbox.wire import answer, page

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_HOST = "https://eastus.api.azureml.ms/"
# The registry lives in a subscription of Microsoft's; the sandbox's stands for it.
_SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
_GROUP = "registry-builtin-prod-eastus-01"
_DEPLOYMENT_ONLY = "deployment_only"


def find(sandbox: Sandbox, name: str, version: str | None = None) -> dict[str, Any] | None:
    """Return a model of the registry as it answers it on the sandbox's date, the newest version unless one is named.

    None where the registry has none of that name, or had none yet.
    """
    versions = [body for body in _models(sandbox) if _name(body).lower() == name.lower()]
    if version is not None:
        versions = [body for body in versions if body["name"] == version]
    return max(versions, key=lambda body: int(body["name"]), default=None)


def named_in(sandbox: Sandbox, uri: str) -> dict[str, Any]:
    """Return the model that an ``azureml://registries/…/models/…`` reference names; raises the service's 404."""
    name, version = segment_after(uri, "models"), segment_after(uri, "versions")
    registry = str(segment_after(uri, "registries"))
    body = find(sandbox, str(name), version) if registry.lower() == "azureml" else None
    if body is None:
        raise _missing(f"models/{name}" + (f"/versions/{version}" if version else ""), registry)
    return body


def day(body: dict[str, Any], key: str) -> date | None:
    """Return a date of a model's lifecycle, for instance ``finetuneRetirementDate``; None where none is set."""
    text = body["properties"]["systemMetadata"].get("deprecation", {}).get(key)
    return datetime.fromisoformat(text).date() if text else None


def defaults(body: dict[str, Any]) -> dict[str, Any]:
    """Return a model's recommended hyperparameters by name; {} where the catalogue has none."""
    found: dict[str, Any] = json.loads(body["properties"]["tags"].get("model_specific_defaults", "{}"))
    return found


def require_tunable(sandbox: Sandbox, body: dict[str, Any], location: str, *, serverless: bool) -> None:
    """Raise what Azure answers where a model cannot be fine-tuned on the sandbox's date in a region.

    Serverless training is offered in some regions only, for most models; a retired model trains nowhere.
    """
    name, system = _name(body), body["properties"]["systemMetadata"]
    retired = day(body, "finetuneRetirementDate")
    if retired is not None and sandbox.clock.today() >= retired:
        raise _refused(f"Fine-tuning of the model {name} was retired on {retired}.", "ModelRetired")
    if not system.get("tasks", {}).get("fineTuningTasks"):
        raise _refused(f"The model {name} does not support fine-tuning.", "ModelNotSupported")
    regions = system.get("maasFinetuning", {}).get("maasFinetuningDeployRegions", [])
    if serverless and location not in regions:
        offered = f" It is offered in {', '.join(regions)}." if regions else ""
        raise _refused(
            f"The model {name} is not supported for serverless fine-tuning in region {location}.{offered}",
            "ModelNotSupportedByMaaS",
        )


def require_deployable(sandbox: Sandbox, body: dict[str, Any], location: str) -> None:
    """Raise what Azure answers where a base model cannot be deployed to a serverless endpoint on the sandbox's date."""
    name, system = _name(body), body["properties"]["systemMetadata"]
    retired = day(body, "inferenceRetirementDate")
    if retired is not None and sandbox.clock.today() >= retired:
        raise _refused(f"The model {name} was retired on {retired}.", "ModelRetired")
    if "ServerlessMaaS" not in system.get("deploymentOptions", []):
        raise _refused(f"The model {name} is not offered as a serverless endpoint.", "ModelNotSupportedByMaaS")
    require_hosting_region(location)


def require_hosting_region(location: str) -> None:
    """Raise what Azure answers in a region that hosts no serverless endpoint of these models."""
    facts = access.catalogue("regions")
    hosting = [*facts["fine_tuning"], *facts[_DEPLOYMENT_ONLY]]
    if location not in hosting:
        raise _refused(
            f"Serverless endpoints of this model are not supported in region {location}; they are in "
            f"{', '.join(hosting)}.",
            "ModelNotSupportedByMaaS",
        )


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of the registry on a region's host."""
    service = _Registry(sandbox)
    registry = (
        "/mferp/managementfrontend/subscriptions/{subscription}/resourceGroups/{group}"
        "/providers/Microsoft.MachineLearningServices/registries/{registry}"
    )
    one = "{kind}/{name}"
    return [
        Route("/registrymanagement/v1.0/registries/{registry}/discovery", service.discovery, methods=["GET"]),
        Route(registry + "/{kind}", service.containers, methods=["GET"]),
        Route(f"{registry}/{one}", service.container, methods=["GET"]),
        Route(f"{registry}/{one}/versions", service.versions, methods=["GET"]),
        Route(f"{registry}/{one}/versions/{{version}}", service.version, methods=["GET"]),
    ]


class _Registry:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def discovery(self, request: Request) -> Response:
        self._check(request)
        return answer(
            {
                "registryName": "azureml",
                "tenantId": self._sandbox.identity.tenant,
                "primaryRegion": "eastus",
                "regions": list(access.catalogue("regions")["fine_tuning"]),
                "subscriptionId": _SUBSCRIPTION,
                "resourceGroup": _GROUP,
                "workspaceName": None,
                "primaryRegionResourceProviderUri": _HOST,
            }
        )

    async def containers(self, request: Request) -> Response:
        newest: dict[str, dict[str, Any]] = {}
        for body in self._entries(request):
            before = newest.get(_name(body))
            if before is None or _order(body) > _order(before):
                newest[_name(body)] = body
        found = [self._container(request, body) for body in newest.values()]
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def container(self, request: Request) -> Response:
        return answer(self._container(request, max(self._named(request), key=_order)))

    async def versions(self, request: Request) -> Response:
        found = sorted(self._named(request), key=_order, reverse=True)
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def version(self, request: Request) -> Response:
        wanted = request.path_params["version"]
        for body in self._named(request):
            if body["name"] == wanted:
                return answer(body)
        raise _missing(f"{request.path_params['kind']}/{request.path_params['name']}/versions/{wanted}", "azureml")

    def _container(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        # As on Azure, a container tells a name and the latest version; tags and properties stay empty.
        return {
            "id": body["id"].rpartition("/versions/")[0],
            "name": _name(body),
            "type": body["type"],
            "properties": {
                "description": None,
                "tags": {},
                "properties": {},
                "isArchived": body["properties"]["isArchived"],
                "latestVersion": body["name"],
                "nextVersion": None,
            },
            "systemData": body["systemData"],
        }

    def _named(self, request: Request) -> list[dict[str, Any]]:
        name = request.path_params["name"]
        found = [body for body in self._entries(request) if _name(body).lower() == name.lower()]
        if not found:
            raise _missing(f"{request.path_params['kind']}/{name}", request.path_params["registry"])
        return found

    def _entries(self, request: Request) -> list[dict[str, Any]]:
        self._check(request)
        kind = request.path_params["kind"]
        if kind == "models":
            return _models(self._sandbox)
        if kind == "components":
            return _components()
        return []

    def _check(self, request: Request) -> None:
        registry = request.path_params["registry"]
        if registry.lower() != "azureml":
            raise ServiceError(404, "RegistryNotFound", f"Registry {registry} was not found.")


def _models(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the entries that the registry has on the sandbox's date, archived ones marked from their day on."""
    today, found = sandbox.clock.today(), []
    for entry in access.catalogue("models")["models"]:
        body = {key: value for key, value in entry.items() if key not in ("model", "snapshot")}
        released, archived = entry["snapshot"]["released"], entry["snapshot"]["archived"]
        if today < date.fromisoformat(released):
            continue
        is_archived = archived is not None and today >= date.fromisoformat(archived)
        body["properties"] = {**body["properties"], "isArchived": is_archived}
        body["systemData"] = _system_data(released)
        found.append(body)
    return found


def _components() -> list[dict[str, Any]]:
    facts = access.catalogue("components")
    found = []
    for spec in facts["components"]:
        identifier = f"azureml://registries/azureml/components/{spec['name']}/versions/{spec['version']}"
        properties = {
            "description": spec["description"],
            "tags": {},
            "properties": {},
            "isArchived": False,
            "isAnonymous": False,
            "componentSpec": spec,
        }
        found.append(
            {
                "id": identifier,
                "name": spec["version"],
                "type": "components",
                "properties": properties,
                "systemData": _system_data(facts["date"]),
            }
        )
    return found


def _system_data(day_text: str) -> dict[str, Any]:
    moment = f"{day_text}T00:00:00.0000000+00:00"
    return {
        "createdAt": moment,
        "createdBy": "Microsoft",
        "createdByType": "User",
        "lastModifiedAt": moment,
        "lastModifiedBy": "Microsoft",
        "lastModifiedByType": "User",
    }


def _name(body: dict[str, Any]) -> str:
    return str(body["id"]).split("/versions/")[0].rpartition("/")[2]


def _order(body: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in body["name"].split("."))


def _missing(what: str, registry: str) -> ServiceError:
    return ServiceError(
        404,
        "UserError",
        f"Asset azureml://registries/{registry}/{what} was not found.",
        inner={"code": "NotFoundError", "innerError": None},
    )


def _refused(message: str, code: str) -> ServiceError:
    return ServiceError(400, "UserError", message, inner={"code": "BadArgument", "innerError": {"code": code}})
