"""Managed online endpoints and their deployments: a model on machines of one's own, addressed by its endpoint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import base_models, usages
from tui.sandbox.models import DEPLOYMENT_TYPE
from tui.sandbox.operations import begin, finisher
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.serverless import keys, refuse, renewed_key
from tui.sandbox.versions import workspace_of
from tui.sandbox.wire import answer, json_body, page, section, system_data

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

ONLINE_TYPE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
# "Endpoint names must start with a letter, end with a letter or digit, and have 3 to 32 characters."
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]")
ENDPOINT_SECONDS, DEPLOYMENT_SECONDS, DELETE_SECONDS = 2.0, 6.0, 1.0
AUTH_MODES = {"key": "Key", "amltoken": "AMLToken", "aadtoken": "AADToken"}
PROBE = {"failureThreshold": 30, "successThreshold": 1, "timeout": "PT2S", "period": "PT10S", "initialDelay": "PT10S"}
DEPLOYMENT_DEFAULTS: dict[str, Any] = {
    "endpointComputeType": "Managed",
    "description": None,
    "properties": {},
    "codeConfiguration": None,
    "environmentId": None,
    "environmentVariables": {},
    "scaleSettings": {"scaleType": "Default"},
    "requestSettings": {
        "requestTimeout": "PT5S",
        "maxConcurrentRequestsPerInstance": 1,
        "maxQueueWait": "PT0.5S",
    },
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "appInsightsEnabled": False,
    "modelMountPath": None,
    "egressPublicNetworkAccess": "Enabled",
}


def deployed(sandbox: Sandbox, endpoint: dict[str, Any]) -> dict[str, Any]:
    """The deployment that gets an endpoint's traffic.

    Raises:
        ServiceError: 503 where no deployment has traffic.
    """
    traffic = endpoint["properties"].get("traffic") or {}
    for name, share in sorted(traffic.items(), key=lambda item: -item[1]):
        body = sandbox.state.get(f"{endpoint['id']}/deployments/{name}")
        if share > 0 and body is not None and body["properties"]["provisioningState"] == "Succeeded":
            return body
    raise refuse("No deployment of this endpoint gets traffic.", "NoTraffic", 503)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of managed online endpoints and deployments."""
    state = sandbox.state

    def endpoint_id(request: Request) -> str:
        return f"{workspace_of(sandbox, request)['id']}/onlineEndpoints/{request.path_params['name']}"

    def deployment_id(request: Request) -> str:
        return f"{require_endpoint(request)['id']}/deployments/{request.path_params['deployment']}"

    def require_endpoint(request: Request) -> dict[str, Any]:
        body = state.get(endpoint_id(request))
        if body is None:
            raise refuse(f"Online endpoint {request.path_params['name']} was not found.", "NotFound", 404)
        return body

    def require_deployment(request: Request) -> dict[str, Any]:
        body = state.get(deployment_id(request))
        if body is None:
            raise refuse(f"Online deployment {request.path_params['deployment']} was not found.", "NotFound", 404)
        return body

    def check_traffic(identifier: str, traffic: dict[str, Any]) -> None:
        total = sum(share for share in traffic.values() if isinstance(share, int))
        if total not in (0, 100):
            raise refuse(f"Traffic adds up to {total}; it has to be 0 or 100.", "BadArgument")
        for name, share in traffic.items():
            if share and state.get(f"{identifier}/deployments/{name}") is None:
                raise refuse(f"Traffic names the deployment '{name}', which does not exist.", "BadArgument")

    async def put_endpoint(request: Request) -> Response:
        workspace, identifier, name = workspace_of(sandbox, request), endpoint_id(request), request.path_params["name"]
        body = await json_body(request)
        given, present = section(body, "properties"), state.get(identifier)
        if not NAME.fullmatch(name):
            raise refuse(
                f"The endpoint name '{name}' is not valid: 3 to 32 letters, digits and hyphens.", "InvalidName"
            )
        region = str(body.get("location") or workspace["location"]).replace(" ", "").lower()
        if present is None and any(o["location"] == region for o in state.of_type(ONLINE_TYPE, name)):
            raise refuse(
                f"There is already an endpoint with this name, endpoint names must be unique within a region: {name}.",
                "NameNotAvailable",
            )
        mode = AUTH_MODES.get(str(given.get("authMode") or "Key").lower())
        if mode is None:
            raise refuse(f"The authMode '{given.get('authMode')}' is not valid.", "BadArgument")
        traffic = section(given, "traffic")
        check_traffic(identifier, traffic)
        host = f"https://{name}.{region}.inference.ml.azure.com"
        resource = {
            "id": identifier,
            "name": name,
            "type": ONLINE_TYPE,
            "location": region,
            "kind": "Managed",
            "identity": body.get("identity") or {"type": "SystemAssigned"},
            "tags": section(body, "tags"),
            "properties": {
                "description": given.get("description"),
                "authMode": mode,
                "properties": section(given, "properties"),
                "traffic": traffic,
                "mirrorTraffic": section(given, "mirrorTraffic"),
                "publicNetworkAccess": given.get("publicNetworkAccess") or "Enabled",
                "compute": None,
                "scoringUri": f"{host}/v1/chat/completions",
                "swaggerUri": f"{host}/swagger.json",
                "provisioningState": "Updating" if present else "Creating",
            },
            "systemData": system_data(
                request.scope["principal"], sandbox.clock.now(), present["systemData"] if present else None
            ),
        }
        with state.transaction():
            state.put(identifier, ONLINE_TYPE, resource)
            headers = begin(sandbox, "online-ready", identifier, ENDPOINT_SECONDS, {"type": ONLINE_TYPE})
        return answer(state.require(identifier), 200 if present else 201, headers)

    async def put_deployment(request: Request) -> Response:
        endpoint, identifier = require_endpoint(request), deployment_id(request)
        body = await json_body(request)
        given, present = section(body, "properties"), state.get(identifier)
        model = given.get("model")
        if not isinstance(model, str) or not model:
            raise refuse("The model field is required: the sandbox serves chat models.", "BadArgument")
        if not given.get("instanceType"):
            raise refuse("The instanceType field is required.", "BadArgument")
        sku: dict[str, Any] = {"name": "Default", **section(body, "sku")}
        instances = sku.setdefault("capacity", 1)
        if not isinstance(instances, int) or instances < 1:
            raise refuse("The sku.capacity field must be a whole number of instances, 1 or more.", "BadArgument")
        usages.require_cores(sandbox, identifier, endpoint["location"], str(given["instanceType"]), instances)
        base_models.origin(sandbox, model)  # a machine of one's own has no list of models; the model has to exist
        filled = {name: value for name, value in given.items() if value is not None}
        resource = {
            "id": identifier,
            "name": request.path_params["deployment"],
            "type": DEPLOYMENT_TYPE,
            "location": endpoint["location"],
            "kind": "Managed",
            "identity": None,
            "sku": {"tier": "Standard", "size": None, "family": None, **sku},
            "tags": section(body, "tags"),
            "properties": {
                **DEPLOYMENT_DEFAULTS,
                **filled,
                "provisioningState": "Updating" if present else "Creating",
            },
            "systemData": system_data(
                request.scope["principal"], sandbox.clock.now(), present["systemData"] if present else None
            ),
        }
        with state.transaction():
            state.put(identifier, DEPLOYMENT_TYPE, resource)
            headers = begin(sandbox, "online-ready", identifier, DEPLOYMENT_SECONDS, {"type": DEPLOYMENT_TYPE})
        sandbox.supervisor.warm_up()
        return answer(state.require(identifier), 200 if present else 201, headers)

    async def get_endpoint(request: Request) -> Response:
        return answer(require_endpoint(request))

    async def get_deployment(request: Request) -> Response:
        return answer(require_deployment(request))

    async def list_endpoints(request: Request) -> Response:
        parent = workspace_of(sandbox, request)["id"]
        return answer(page(request, lambda at, count: state.children(parent, ONLINE_TYPE, offset=at, limit=count)))

    async def list_deployments(request: Request) -> Response:
        parent = require_endpoint(request)["id"]
        return answer(page(request, lambda at, count: state.children(parent, DEPLOYMENT_TYPE, offset=at, limit=count)))

    async def patch_endpoint(request: Request) -> Response:
        body, given = require_endpoint(request), await json_body(request)
        body["tags"] = {**body["tags"], **section(given, "tags")}
        state.put(body["id"], ONLINE_TYPE, body)
        return answer(body)

    async def list_keys(request: Request) -> Response:
        body = require_endpoint(request)
        if body["properties"]["authMode"] != "Key":
            raise refuse(f"The endpoint's authMode is {body['properties']['authMode']}; it has no keys.", "BadArgument")
        return answer(keys(sandbox, body["id"]))

    async def regenerate_keys(request: Request) -> Response:
        return await renewed_key(sandbox, require_endpoint(request)["id"], request)

    async def get_logs(request: Request) -> Response:
        body = require_deployment(request)
        return answer(
            {"content": f"{body['systemData']['createdAt']} deployment {body['name']} is served by the sandbox.\n"}
        )

    def deletion(identifier: str, kind: str) -> Response:
        body = state.get(identifier)
        if body is None:
            return Response(status_code=204)
        body["properties"]["provisioningState"] = "Deleting"
        with state.transaction():
            sandbox.operations.cancel(identifier)
            state.put(identifier, kind, body)
            headers = begin(sandbox, "online-delete", identifier, DELETE_SECONDS)
        return Response(status_code=202, headers=headers)

    async def delete_endpoint(request: Request) -> Response:
        return deletion(endpoint_id(request), ONLINE_TYPE)

    async def delete_deployment(request: Request) -> Response:
        endpoint, name = require_endpoint(request), request.path_params["deployment"]
        if (endpoint["properties"].get("traffic") or {}).get(name):
            raise refuse(
                f"The deployment '{name}' still gets traffic; set its traffic to 0 first.", "DeploymentHasTraffic"
            )
        return deletion(deployment_id(request), DEPLOYMENT_TYPE)

    one = f"{WORKSPACE}/onlineEndpoints/{{name}}"
    inner = f"{one}/deployments/{{deployment}}"
    return [
        Route(f"{WORKSPACE}/onlineEndpoints", list_endpoints, methods=["GET"]),
        Route(one, put_endpoint, methods=["PUT"]),
        Route(one, patch_endpoint, methods=["PATCH"]),
        Route(one, get_endpoint, methods=["GET"]),
        Route(one, delete_endpoint, methods=["DELETE"]),
        Route(f"{one}/listKeys", list_keys, methods=["POST"]),
        Route(f"{one}/regenerateKeys", regenerate_keys, methods=["POST"]),
        Route(f"{one}/deployments", list_deployments, methods=["GET"]),
        Route(inner, put_deployment, methods=["PUT"]),
        Route(inner, get_deployment, methods=["GET"]),
        Route(inner, delete_deployment, methods=["DELETE"]),
        Route(f"{inner}/getLogs", get_logs, methods=["POST"]),
    ]


@finisher("online-ready")
def _ready(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    body = sandbox.state.require(resource_id)
    body["properties"]["provisioningState"] = "Succeeded"
    sandbox.state.put(resource_id, payload["type"], body)


@finisher("online-delete")
def _deleted(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    sandbox.state.delete_tree(resource_id)
