"""Serverless endpoints: one model behind an address of its own, billed while it stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import base_models, models
from tui.sandbox.errors import ServiceError
from tui.sandbox.models import SERVERLESS_TYPE
from tui.sandbox.operations import begin, finisher
from tui.sandbox.paths import WORKSPACE
from tui.sandbox.versions import workspace_of
from tui.sandbox.wire import answer, json_body, page, section, system_data

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,50}[A-Za-z0-9])?")
CREATE_SECONDS, DELETE_SECONDS, KEYS_SECONDS = 3.0, 1.0, 0.5
AUTH_MODES = {mode.lower(): mode for mode in ("Key", "AAD", "KeyAndAAD")}
TOKENS_SINCE = "2025-12-01"  # of the older api-versions all but the first know the mode Key only
TOKENS_FIRST = "2024-01-01-preview"
SAFETY_SINCE = "2024-04-01"  # the field is in no version before
SAFETY = {status.lower(): status for status in ("Enabled", "Disabled")}
KEY_NAMES = ("Primary", "Secondary")


def refuse(message: str, inner: str, status: int = 400) -> ServiceError:
    """The refusal that the endpoint service words as a user's error."""
    return ServiceError(status, "UserError", message, inner={"code": inner})


def address(name: str, region: str) -> str:
    """Where an endpoint answers."""
    return f"https://{name}.{region}.models.ai.azure.com"


def keys(sandbox: Sandbox, endpoint_id: str) -> dict[str, str]:
    """The two keys of an endpoint (serverless or online), 32 letters and digits each as Azure's are."""
    made = {}
    for name in KEY_NAMES:
        generation = sandbox.state.settings.get(_generation(endpoint_id, name), 0)
        secret = sandbox.secret(f"endpoint/{endpoint_id.lower()}/{name}/{generation}")
        made[f"{name.lower()}Key"] = secret.hex()[:32]
    return made


def _generation(endpoint_id: str, name: str) -> str:
    return f"endpoint-key/{endpoint_id.lower()}/{name}"


def renew_key(sandbox: Sandbox, endpoint_id: str, name: str) -> None:
    """Make a new Primary or Secondary key of an endpoint."""
    setting = _generation(endpoint_id, name)
    sandbox.state.settings.set(setting, sandbox.state.settings.get(setting, 0) + 1)


async def renewed_key(sandbox: Sandbox, endpoint_id: str, request: Request) -> Response:
    """The answer to a regenerateKeys request of an endpoint (serverless or online).

    Raises:
        ServiceError: 400 UserError where it names no key.
    """
    given = await json_body(request)
    name = str(given.get("keyType", "")).capitalize()
    if name not in KEY_NAMES:
        raise refuse(f"The keyType '{given.get('keyType')}' is not valid; use Primary or Secondary.", "BadArgument")
    return Response(
        status_code=202, headers=begin(sandbox, "renew-endpoint-key", endpoint_id, KEYS_SECONDS, {"key": name})
    )


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of serverless endpoints."""
    state = sandbox.state

    def identifier(request: Request) -> str:
        return f"{workspace_of(sandbox, request)['id']}/serverlessEndpoints/{request.path_params['name']}"

    def require(request: Request) -> dict[str, Any]:
        body = state.get(identifier(request))
        if body is None:
            raise refuse(f"Serverless endpoint {request.path_params['name']} was not found.", "NotFound", 404)
        return body

    def check_model(model_id: str, region: str, endpoint_id: str) -> None:
        base_models.check_deployable(sandbox, model_id, region)
        model = models.find_by_asset_id(sandbox, model_id)
        if model is None:
            return
        users = [name for name in models.users_of(sandbox, model) if name != endpoint_id.rsplit("/", 1)[-1]]
        if users:
            raise refuse(
                f"The model {model_id} is already deployed as '{users[0]}'. Only one deployment is permitted for a "
                "custom model.",
                "Conflict",
                409,
            )

    def shown(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        """An endpoint as the version asked for answers it."""
        if request.query_params["api-version"] >= SAFETY_SINCE:
            return body
        properties = {name: value for name, value in body["properties"].items() if name != "contentSafety"}
        return {**body, "properties": properties}

    async def put(request: Request) -> Response:
        workspace, endpoint_id, name = workspace_of(sandbox, request), identifier(request), request.path_params["name"]
        body = await json_body(request)
        given, present = section(body, "properties"), state.get(identifier(request))
        if not NAME.fullmatch(name):
            raise refuse(f"The endpoint name '{name}' is not valid: use letters, digits and hyphens.", "InvalidName")
        model_id = section(given, "modelSettings").get("modelId")
        if not isinstance(model_id, str) or not model_id:
            raise refuse("The modelSettings.modelId field is required.", "BadArgument")
        auth_mode = AUTH_MODES.get(str(given.get("authMode") or "Key").lower())
        version = request.query_params["api-version"]
        if auth_mode != "Key" and version < TOKENS_SINCE and version != TOKENS_FIRST:
            auth_mode = None
        safety = SAFETY.get(str(section(given, "contentSafety").get("contentSafetyStatus") or "Enabled").lower())
        if auth_mode is None or safety is None:
            raise refuse("authMode or contentSafety.contentSafetyStatus is not valid.", "BadArgument")
        region = str(body.get("location") or workspace["location"]).replace(" ", "").lower()
        if present is not None and present["properties"]["modelSettings"]["modelId"] != model_id:
            raise refuse("The model of an endpoint cannot be changed; create another endpoint.", "Immutable")
        if present is None:
            for other in state.of_type(SERVERLESS_TYPE, name):
                if other["location"] == region:
                    raise refuse(
                        f"Serverless endpoint name '{name}' is not available. Please select a different name.",
                        "NameNotAvailable",
                    )
        check_model(model_id, region, endpoint_id)
        properties = {
            "authMode": auth_mode,
            "contentSafety": {"contentSafetyStatus": safety},
            "modelSettings": {"modelId": model_id},
            "provisioningState": "Updating" if present else "Creating",
            "endpointState": present["properties"]["endpointState"] if present else "Creating",
            "inferenceEndpoint": {"uri": address(name, region), "headers": {}},
            "marketplaceSubscriptionId": None,
        }
        resource = {
            "id": endpoint_id,
            "name": name,
            "type": SERVERLESS_TYPE,
            "location": region,
            "kind": body.get("kind"),
            "sku": body.get("sku") or {"name": "Consumption"},
            "identity": body.get("identity"),
            "tags": section(body, "tags"),
            "properties": properties,
            "systemData": system_data(
                request.scope["principal"], sandbox.clock.now(), present["systemData"] if present else None
            ),
        }
        with state.transaction():
            state.put(endpoint_id, SERVERLESS_TYPE, resource)
            headers = begin(sandbox, "create-serverless", endpoint_id, CREATE_SECONDS)
        sandbox.supervisor.warm_up()
        return answer(shown(request, state.require(endpoint_id)), 200 if present else 201, headers)

    async def patch(request: Request) -> Response:
        body, given = require(request), await json_body(request)
        body["tags"] = {**body["tags"], **section(given, "tags")}
        state.put(body["id"], SERVERLESS_TYPE, body)
        return answer(shown(request, body))

    async def get(request: Request) -> Response:
        return answer(shown(request, require(request)))

    async def list_all(request: Request) -> Response:
        workspace = workspace_of(sandbox, request)

        def fetch(offset: int, count: int) -> list[dict[str, Any]]:
            found = state.children(workspace["id"], SERVERLESS_TYPE, offset=offset, limit=count)
            return [shown(request, body) for body in found]

        return answer(page(request, fetch))

    async def list_keys(request: Request) -> Response:
        return answer(keys(sandbox, require(request)["id"]))

    async def regenerate_keys(request: Request) -> Response:
        return await renewed_key(sandbox, require(request)["id"], request)

    async def delete(request: Request) -> Response:
        endpoint_id = identifier(request)
        body = state.get(endpoint_id)
        if body is None:
            return Response(status_code=204)
        body["properties"] |= {"provisioningState": "Deleting", "endpointState": "Deleting"}
        with state.transaction():
            sandbox.operations.cancel(endpoint_id)
            state.put(endpoint_id, SERVERLESS_TYPE, body)
            headers = begin(sandbox, "delete-serverless", endpoint_id, DELETE_SECONDS)
        return Response(status_code=202, headers=headers)

    one = f"{WORKSPACE}/serverlessEndpoints/{{name}}"
    return [
        Route(f"{WORKSPACE}/serverlessEndpoints", list_all, methods=["GET"]),
        Route(one, put, methods=["PUT"]),
        Route(one, patch, methods=["PATCH"]),
        Route(one, get, methods=["GET"]),
        Route(one, delete, methods=["DELETE"]),
        Route(f"{one}/listKeys", list_keys, methods=["POST"]),
        Route(f"{one}/regenerateKeys", regenerate_keys, methods=["POST"]),
    ]


@finisher("create-serverless")
def _created(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    body = sandbox.state.require(resource_id)
    body["properties"] |= {"provisioningState": "Succeeded", "endpointState": "Online"}
    sandbox.state.put(resource_id, SERVERLESS_TYPE, body)


@finisher("delete-serverless")
def _deleted(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    sandbox.state.delete_tree(resource_id)
    for name in KEY_NAMES:
        renew_key(sandbox, resource_id, name)  # an endpoint made again under this name has other keys


@finisher("renew-endpoint-key")
def _key_renewed(sandbox: Sandbox, resource_id: str, payload: dict[str, Any]) -> None:
    renew_key(sandbox, resource_id, payload["key"])
