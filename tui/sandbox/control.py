"""The sandbox's own controls, behind a host name that no client of Azure asks for and the application's secret."""

from __future__ import annotations

import secrets
from datetime import date
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tui.sandbox import base_models, scenarios
from tui.sandbox.access import RESOURCE_GROUP
from tui.sandbox.clock import calendar_for
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import answer_device
from tui.sandbox.wire import answer, json_body

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the routes of the control host."""
    service = _Control(sandbox)
    return [
        Route("/status", service.status, methods=["GET"]),
        Route("/calendar", service.calendar, methods=["PUT"]),
        Route("/device", service.device, methods=["POST"]),
        Route("/certificates", service.certificate, methods=["POST"]),
        Route("/resources", service.empty, methods=["DELETE"]),
        Route("/scenario", service.scenario, methods=["PUT"]),
        Route("/faults", service.faults, methods=["GET"]),
        Route("/faults", service.arm, methods=["POST"]),
        Route("/faults", service.clear, methods=["DELETE"]),
        Route("/faults/{number:int}", service.clear, methods=["DELETE"]),
    ]


def allow(sandbox: Sandbox, request: Request) -> None:
    """Raise 401 unless the request carries the sandbox's client secret as its bearer token."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not secrets.compare_digest(given.encode(), sandbox.identity.client_secret.encode()):
        raise ServiceError(401, "Unauthorized", "The controls need the sandbox's client secret as bearer token.")


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def status(self, request: Request) -> Response:
        clock = self._sandbox.clock
        return answer(
            {
                "date": clock.today().isoformat(),
                "skew": clock.skew.total_seconds(),
                "pace": self._sandbox.config.pace,
                "faults": self._sandbox.faults.armed,
                "stand_in": base_models.stand_in(self._sandbox),
            }
        )

    async def calendar(self, request: Request) -> Response:
        value = (await json_body(request)).get("as_of")
        try:
            calendar = calendar_for(date.fromisoformat(str(value)))
        except ValueError as error:
            raise ServiceError(400, "BadDate", f"as_of: {error}") from error
        self._sandbox.clock.calendar = calendar
        self._sandbox.state.settings.set("calendar_days", calendar.days)
        return answer({"date": self._sandbox.clock.today().isoformat()})

    async def device(self, request: Request) -> Response:
        body = await json_body(request)
        if not answer_device(self._sandbox, str(body.get("user_code", "")), "no" if body.get("decline") else "yes"):
            raise ServiceError(404, "UnknownCode", "No sign-in waits for this code.")
        return answer({})

    async def certificate(self, request: Request) -> Response:
        pem = str((await json_body(request)).get("pem", ""))
        try:
            key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        except ValueError as error:
            raise ServiceError(400, "BadCertificate", f"pem: {error}") from error
        settings = self._sandbox.state.settings
        public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        settings.set("certificates", [*settings.get("certificates", []), public])
        return answer({})

    async def empty(self, request: Request) -> Response:
        for group in self._sandbox.state.of_type(RESOURCE_GROUP):
            self._sandbox.delete(group["id"])
        return answer({})

    async def scenario(self, request: Request) -> Response:
        scenarios.apply(self._sandbox, await json_body(request))
        return answer({})

    async def faults(self, request: Request) -> Response:
        return answer({"faults": self._sandbox.faults.armed})

    async def arm(self, request: Request) -> Response:
        try:
            return answer(self._sandbox.faults.arm(await json_body(request)))
        except (TypeError, ValueError) as error:
            raise ServiceError(400, "BadFault", f"fault: {error}") from error

    async def clear(self, request: Request) -> Response:
        number = request.path_params.get("number")
        if number is not None and number not in [fault["id"] for fault in self._sandbox.faults.armed]:
            raise ServiceError(404, "UnknownFault", f"No armed fault has the number {number}; list them first.")
        self._sandbox.faults.clear(number)
        return answer({"faults": self._sandbox.faults.armed})
