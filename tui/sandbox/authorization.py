"""The routes of Microsoft.Authorization: effective permissions, role assignments, role definitions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import access
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import principal_of
from tui.sandbox.paths import name_of
from tui.sandbox.wire import answer, json_body, page, section

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_FILTER = re.compile(r"\s*(?:(atScope)\(\)|(assignedTo)\('([^']*)'\)|(principalId)\s+eq\s+'([^']*)')\s*", re.IGNORECASE)
_ROLE_NAME = re.compile(r"roleName\s+eq\s+'([^']*)'", re.IGNORECASE)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of Microsoft.Authorization, at any scope of a subscription."""
    service = _Authorization(sandbox)
    base = "/{scope:path}/providers/Microsoft.Authorization"
    return [
        Route(f"{base}/permissions", service.permissions, methods=["GET"]),
        Route(f"{base}/roleAssignments", service.assignments, methods=["GET"]),
        Route(f"{base}/roleAssignments/{{name}}", service.assignment, methods=["GET"]),
        Route(f"{base}/roleAssignments/{{name}}", service.put_assignment, methods=["PUT"]),
        Route(f"{base}/roleAssignments/{{name}}", service.delete_assignment, methods=["DELETE"]),
        Route(f"{base}/roleDefinitions", service.definitions, methods=["GET"]),
        Route(f"{base}/roleDefinitions/{{name}}", service.definition, methods=["GET"]),
        Route(f"{base}/classicAdministrators", service.classic, methods=["GET"]),
        # A definition's own identifier may also stand without a scope in front.
        Route("/providers/Microsoft.Authorization/roleDefinitions", service.definitions, methods=["GET"]),
        Route("/providers/Microsoft.Authorization/roleDefinitions/{name}", service.definition, methods=["GET"]),
    ]


class _Authorization:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def permissions(self, request: Request) -> Response:
        return answer({"value": access.permissions_at(self._sandbox, _scope(request), principal_of(request).oid)})

    async def assignments(self, request: Request) -> Response:
        scope, text = _scope(request), request.query_params.get("$filter", "")
        above = access.assignments_over(self._sandbox, scope)
        inside = scope.lower().rstrip("/") + "/"
        below = [
            body
            for body in self._sandbox.state.of_type(access.ASSIGNMENT)
            if body["properties"]["scope"].lower().startswith(inside)
        ]
        match = _FILTER.fullmatch(text) if text else None
        if text and match is None:
            raise ServiceError(400, "BadRequest", f"The filter '{text}' is not supported.")
        if match is None:
            found = above + below
        elif match[1]:
            found = above
        else:
            oid = match[3] if match[2] else match[5]
            found = [body for body in above + below if body["properties"]["principalId"] == oid]
        return answer(page(request, lambda offset, count: found[offset : offset + count]))

    async def assignment(self, request: Request) -> Response:
        return answer(self._assignment(request))

    async def put_assignment(self, request: Request) -> Response:
        properties = section(await json_body(request), "properties")
        role_id, oid = str(properties.get("roleDefinitionId", "")), str(properties.get("principalId", ""))
        try:
            role = access.role_named(name_of(role_id))
        except KeyError as error:
            raise ServiceError(
                400,
                "RoleDefinitionDoesNotExist",
                f"The specified role definition with ID '{name_of(role_id)}' does not exist.",
            ) from error
        directory = self._sandbox.identity.directory
        known = directory.principal_type(oid)
        if known is None and not properties.get("principalType"):
            raise ServiceError(
                400,
                "PrincipalNotFound",
                f"Principal {oid} does not exist in the directory {principal_of(request).tenant}.",
            )
        kind = known or str(properties["principalType"])
        scope = _scope(request)
        same = [
            body
            for body in access.assignments_over(self._sandbox, scope, oid)
            if body["properties"]["scope"].lower() == scope.lower()
            and name_of(body["properties"]["roleDefinitionId"]) == role["id"]
            and body["name"].lower() != request.path_params["name"].lower()
        ]
        if same:
            raise ServiceError(409, "RoleAssignmentExists", "The role assignment already exists.")
        body = access.assign(self._sandbox, scope, role["name"], oid, kind, request.path_params["name"])
        return answer(body, 201)

    async def delete_assignment(self, request: Request) -> Response:
        body = self._sandbox.state.get(request.url.path)
        if body is None:
            return Response(status_code=204)
        self._sandbox.state.delete(request.url.path)
        return answer(body)

    async def definitions(self, request: Request) -> Response:
        match = _ROLE_NAME.search(request.query_params.get("$filter", ""))
        shown = [role for role in access.roles() if match is None or role["name"].lower() == match[1].lower()]
        return answer({"value": [self._definition(role) for role in shown]})

    async def definition(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            return answer(self._definition(access.role_named(name)))
        except KeyError as error:
            raise ServiceError(
                404, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{name}' does not exist."
            ) from error

    async def classic(self, request: Request) -> Response:
        return answer({"value": []})

    def _assignment(self, request: Request) -> dict[str, Any]:
        body = self._sandbox.state.get(request.url.path)
        if body is None:
            raise ServiceError(
                404, "RoleAssignmentNotFound", f"The role assignment '{request.path_params['name']}' is not found."
            )
        return body

    def _definition(self, role: dict[str, Any]) -> dict[str, Any]:
        base = f"/subscriptions/{self._sandbox.subscription}/providers/Microsoft.Authorization/roleDefinitions"
        lists = {key: role[key] for key in ("actions", "notActions", "dataActions", "notDataActions")}
        return {
            "id": f"{base}/{role['id']}",
            "type": "Microsoft.Authorization/roleDefinitions",
            "name": role["id"],
            "properties": {
                "roleName": role["name"],
                "type": "BuiltInRole",
                "description": role["description"],
                "assignableScopes": ["/"],
                "permissions": [lists],
            },
        }


def _scope(request: Request) -> str:
    return "/" + str(request.path_params["scope"])
