"""Template deployments: the resources of a template, made one after another while their operations can be watched."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access, templates, tracked, workspaces
from tui.sandbox.clock import iso
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import Principal, principal_of
from tui.sandbox.operations import finisher, retry_after
from tui.sandbox.paths import GROUP, name_of, segment_after
from tui.sandbox.tracked import remove, require_group
from tui.sandbox.wire import answer, json_body, page, section

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

TYPE = "Microsoft.Resources/deployments"
STEP = "Microsoft.Resources/deployments/operations"
_STEP_SECONDS = 0.4  # a storage account or a vault, at pace 1


def begin(
    sandbox: Sandbox, resource_id: str, asked: dict[str, Any], principal: Principal
) -> tuple[dict[str, Any], str]:
    """Begin a deployment; returns its body and the operation that ends it.

    Raises:
        ServiceError: What Azure's preflight answers: a bad template, an unregistered provider, a missing permission.
    """
    group = require_group(sandbox, resource_id)
    properties = section(asked, "properties")
    template = section(properties, "template")
    if not template:
        raise ServiceError(400, "InvalidRequestContent", "The deployment needs the property 'template'.")
    given = section(properties, "parameters")
    resources = templates.expand(template, given, group, sandbox.identity.directory.tenant_of(resource_id).id)
    _preflight(sandbox, resources, principal)
    correlation = str(uuid.uuid4())
    now = iso(sandbox.clock.now())
    known = {resource.id.lower(): resource for resource in resources}
    body = {
        "id": resource_id,
        "name": name_of(resource_id),
        "type": TYPE,
        "properties": {
            "templateHash": str(uuid.uuid4().int % 10**19),
            "parameters": _shown(template, given),
            "mode": str(properties.get("mode", "Incremental")).capitalize(),
            "provisioningState": "Accepted",
            "timestamp": now,
            "duration": "PT0S",
            "correlationId": correlation,
            "providers": _providers(resources),
            "dependencies": [
                {
                    "dependsOn": [
                        {
                            "id": known[item.lower()].id,
                            "resourceType": known[item.lower()].type,
                            "resourceName": name_of(item),
                        }
                        for item in resource.depends_on
                        if item.lower() in known
                    ],
                    "id": resource.id,
                    "resourceType": resource.type,
                    "resourceName": name_of(resource.id),
                }
                for resource in resources
                if any(item.lower() in known for item in resource.depends_on)
            ],
        },
    }
    with sandbox.state.transaction():
        sandbox.state.delete_tree(resource_id)
        sandbox.state.put(resource_id, TYPE, body)
        at = 0.0
        for resource in resources:
            step_id = f"{resource_id}/operations/{uuid.uuid4().hex[:16].upper()}"
            payload = {
                "deployment": resource_id,
                "resource": {"id": resource.id, "type": resource.type, "body": resource.body},
                "principal": {
                    "oid": principal.oid,
                    "name": principal.name,
                    "kind": principal.kind,
                    "tenant": principal.tenant,
                },
            }
            sandbox.operations.plan("deployment-step", step_id, at, payload)
            at += _seconds(resource)
            sandbox.operations.plan("deployment-step-end", step_id, at, payload)
        operation = sandbox.operations.plan("deployment", resource_id, at, {"started": now})
    sandbox.operations.begun()
    return sandbox.state.require(resource_id), operation


def _seconds(resource: templates.Resource) -> float:
    if resource.type.lower() == workspaces.TYPE.lower():
        return workspaces.SECONDS.get(str(resource.body.get("kind", "")).lower(), 3.0)
    return _STEP_SECONDS


def _preflight(sandbox: Sandbox, resources: list[templates.Resource], principal: Principal) -> None:
    problems = []
    for resource in resources:
        namespace = resource.type.partition("/")[0]
        access.require_registered(sandbox, resource.id.split("/")[2], namespace)
        action = f"{resource.type}/write"
        hub = resource.type == workspaces.TYPE and str(resource.body.get("kind")).lower() == "hub"
        held = access.permissions_at(sandbox, resource.id, principal.oid)
        if not access.allows(held, action) or (hub and not access.allows(held, f"{workspaces.TYPE}/hubs/write")):
            problems.append(
                f"'Authorization failed for template resource '{name_of(resource.id)}' of type '{resource.type}'. "
                f"The client '{principal.name}' with object id '{principal.oid}' does not have permission to perform "
                f"action '{action}' at scope '{resource.id}'.'"
            )
    if problems:
        raise ServiceError(
            403, "InvalidTemplateDeployment", f"Deployment failed with multiple errors: {','.join(problems)}"
        )


def _shown(template: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters as a deployment shows them: secure ones without their value."""
    declared = {name.lower(): entry for name, entry in section(template, "parameters").items()}
    shown = {}
    for name, entry in given.items():
        kind = str(declared.get(name.lower(), {}).get("type", "String"))
        secure = kind.lower().startswith("secure")
        shown[name] = {"type": kind[0].upper() + kind[1:]} if secure else {"type": kind[0].upper() + kind[1:], **entry}
    return shown


def _providers(resources: list[templates.Resource]) -> list[dict[str, Any]]:
    listed: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        namespace, _, kind = resource.type.partition("/")
        entry = {"resourceType": kind, "locations": [resource.body.get("location")]}
        if entry not in listed.setdefault(namespace, []):
            listed[namespace].append(entry)
    return [{"namespace": namespace, "resourceTypes": kinds} for namespace, kinds in listed.items()]


@finisher("deployment-step")
def _begin_step(sandbox: Sandbox, step_id: str, payload: dict[str, Any]) -> None:
    """Make one resource of a deployment, unless the deployment has failed or is gone."""
    deployment = sandbox.state.get(payload["deployment"])
    if deployment is None or deployment["properties"]["provisioningState"] in ("Failed", "Canceled"):
        return
    deployment["properties"]["provisioningState"] = "Running"
    sandbox.state.put(deployment["id"], TYPE, deployment)
    resource = payload["resource"]
    principal = Principal(claims={}, **payload["principal"])
    step: dict[str, Any] = {
        "id": step_id,
        "operationId": name_of(step_id),
        "properties": {
            "provisioningOperation": "Create",
            "provisioningState": "Running",
            "timestamp": iso(sandbox.clock.now()),
            "duration": "PT0S",
            "trackingId": str(uuid.uuid4()),
            "statusCode": "Created",
            "targetResource": {
                "id": resource["id"],
                "resourceType": resource["type"],
                "resourceName": name_of(resource["id"]),
            },
        },
    }
    try:
        with sandbox.state.transaction():
            if resource["type"].lower() == workspaces.TYPE.lower():
                workspaces.begin(sandbox, resource["id"], resource["body"], principal)
            else:
                tracked.create(sandbox, resource["id"], resource["type"], resource["body"], principal)
    except ServiceError as error:
        failure = {"code": error.code, "message": error.message}
        step["properties"] |= {
            "provisioningState": "Failed",
            "statusCode": "Conflict" if error.status == 409 else "BadRequest",
            "statusMessage": {"status": "Failed", "error": failure},
        }
        deployment["properties"] |= {"provisioningState": "Failed", "error": _failed(failure)}
        sandbox.state.put(deployment["id"], TYPE, deployment)
    sandbox.state.put(step_id, STEP, step)


@finisher("deployment-step-end")
def _end_step(sandbox: Sandbox, step_id: str, payload: dict[str, Any]) -> None:
    step = sandbox.state.get(step_id)
    if step is None or step["properties"]["provisioningState"] == "Failed":
        return
    started = datetime.fromisoformat(step["properties"]["timestamp"])
    step["properties"] |= {
        "provisioningState": "Succeeded",
        "statusCode": "OK",
        "duration": _duration(sandbox, started),
    }
    sandbox.state.put(step_id, STEP, step)


@finisher("deployment")
def _end(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    body = sandbox.state.get(resource_id)
    if body is None:
        return
    properties = body["properties"]
    properties["duration"] = _duration(sandbox, datetime.fromisoformat(payload["started"]))
    properties["timestamp"] = iso(sandbox.clock.now())
    if properties["provisioningState"] != "Failed":
        properties["provisioningState"] = "Succeeded"
        steps = sandbox.state.children(resource_id, STEP)
        properties["outputResources"] = [{"id": step["properties"]["targetResource"]["id"]} for step in steps]
    sandbox.state.put(resource_id, TYPE, body)


def _failed(failure: dict[str, Any]) -> dict[str, Any]:
    return {
        "code": "DeploymentFailed",
        "message": "At least one resource deployment operation failed. Please list deployment operations for details. "
        "Please see https://aka.ms/arm-deployment-operations for usage details.",
        "details": [failure],
    }


def _duration(sandbox: Sandbox, started: datetime) -> str:
    return f"PT{max(0.0, (sandbox.clock.now() - started).total_seconds()):.7f}S"


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of deployments and of their operations."""
    service = _Deployments(sandbox)
    collection = f"{GROUP}/providers/Microsoft.Resources/deployments"
    # The SDK's older client lists operations without the provider in the path.
    plain = f"{GROUP}/deployments/{{name}}/operations"
    return [
        Route(collection, service.listed, methods=["GET"]),
        Route(f"{collection}/{{name}}", service.get, methods=["GET", "HEAD"]),
        Route(f"{collection}/{{name}}", service.put, methods=["PUT"]),
        Route(f"{collection}/{{name}}", service.delete, methods=["DELETE"]),
        Route(f"{collection}/{{name}}/operationStatuses/{{operation}}", service.status, methods=["GET"]),
        Route(f"{collection}/{{name}}/operations", service.steps, methods=["GET"]),
        Route(plain, service.steps, methods=["GET"]),
        Route(f"{plain}/{{operation}}", service.step, methods=["GET"]),
    ]


class _Deployments:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def listed(self, request: Request) -> Response:
        group = require_group(self._sandbox, request.url.path)
        found = self._sandbox.state.of_type(TYPE)
        inside = group["id"].lower() + "/"
        shown = [body for body in found if body["id"].lower().startswith(inside)]
        return answer(page(request, lambda offset, count: shown[offset : offset + count]))

    async def get(self, request: Request) -> Response:
        return answer(self._deployment(request))

    async def put(self, request: Request) -> Response:
        path = request.url.path
        existed = self._sandbox.state.get(path)
        if existed is not None and existed["properties"]["provisioningState"] in ("Accepted", "Running"):
            raise ServiceError(
                409,
                "DeploymentActive",
                f"Unable to edit or replace deployment '{existed['name']}': it is still active.",
            )
        body, operation = begin(self._sandbox, path, await json_body(request), principal_of(request))
        subscription = segment_after(path, "subscriptions")
        group = segment_after(path, "resourceGroups")
        status = (
            f"https://management.azure.com/subscriptions/{subscription}/resourcegroups/{group}/providers/{TYPE}/"
            f"{body['name']}/operationStatuses/{operation}?api-version=2020-06-01"
        )
        return answer(body, 200 if existed else 201, {"Azure-AsyncOperation": status, **retry_after(self._sandbox)})

    async def delete(self, request: Request) -> Response:
        remove(self._sandbox, request.url.path)
        return Response(status_code=204)

    async def status(self, request: Request) -> Response:
        operation = self._sandbox.operations.get(request.path_params["operation"])
        body = self._deployment(request)
        answered: dict[str, Any] = {"status": operation["status"]}
        if operation["status"] == "InProgress":
            answered["status"] = body["properties"]["provisioningState"]
        elif body["properties"]["provisioningState"] == "Failed":
            answered = {"status": "Failed", "error": body["properties"]["error"]}
        return answer(answered, headers=retry_after(self._sandbox) if operation["status"] == "InProgress" else None)

    async def steps(self, request: Request) -> Response:
        found = self._sandbox.state.children(self._deployment(request)["id"], STEP)
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def step(self, request: Request) -> Response:
        return answer(
            self._sandbox.state.require(
                f"{self._deployment(request)['id']}/operations/{request.path_params['operation']}"
            )
        )

    def _deployment(self, request: Request) -> dict[str, Any]:
        require_group(self._sandbox, request.url.path)
        body = self._sandbox.state.get(
            f"{GROUP.format(**request.path_params)}/providers/{TYPE}/{request.path_params['name']}"
        )
        if body is None:
            raise ServiceError(
                404, "DeploymentNotFound", f"Deployment '{request.path_params['name']}' could not be found."
            )
        return body
