"""Who the sandbox knows: its tenants, and in each the application, the person and the managed identities."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

HOME_NAME = "phift-tui sandbox"
HOME_DOMAIN = "phift-tui-sandbox.onmicrosoft.com"
PERSON = f"person@{HOME_DOMAIN}"
USER_ASSIGNED = "Microsoft.ManagedIdentity/userAssignedIdentities"
# Names of a tenant that stand for "whichever the account is in".
ANY_TENANT = {"common", "organizations"}


@dataclass(frozen=True)
class Tenant:
    """One tenant; the application and the person have an object of their own in each.

    Attributes:
        id: The tenant's id.
        name: Its display name.
        domain: Its default domain, by which it can be named as well.
        application_oid: The application's service principal.
        person_oid: The person, who is a guest in every tenant but the first.
    """

    id: str
    name: str
    domain: str
    application_oid: str
    person_oid: str


@dataclass(frozen=True)
class Account:
    """What an access token is issued for.

    Attributes:
        tenant: The tenant that issues it.
        oid: The object id, which role assignments name.
        client_id: The application that asks: for a person's token, the client that the person uses.
        person: Whether it is the person rather than an application.
        resource_id: The resource that a managed identity belongs to, "" for any other.
    """

    tenant: Tenant
    oid: str
    client_id: str
    person: bool = False
    resource_id: str = ""


class Directory:
    """The tenants of one sandbox and who is in them."""

    def __init__(self, sandbox: Sandbox, known: dict[str, str]) -> None:
        self._sandbox = sandbox
        self._client_id = known["client_id"]
        self._system = (known["machine_oid"], known["machine_client_id"])
        self.home = Tenant(known["tenant"], HOME_NAME, HOME_DOMAIN, known["application_oid"], known["person_oid"])

    def tenants(self) -> list[Tenant]:
        """Return all tenants, the sandbox's own first."""
        return [self.home, *(Tenant(**one) for one in self._sandbox.state.settings.get("tenants", []))]

    def tenant(self, asked: str) -> Tenant | None:
        """Return the tenant with this id or domain, the first one for ``common`` and ``organizations``, or None."""
        wanted = asked.lower()
        if wanted in ANY_TENANT:
            return self.home
        return next((one for one in self.tenants() if wanted in (one.id, one.domain)), None)

    def tenant_of(self, resource_id: str) -> Tenant:
        """Return the tenant of the subscription that a resource is in; the first one where that is not known."""
        body = self._sandbox.state.get("/".join(resource_id.split("/")[:3])) or {}
        return self.tenant(str(body.get("tenantId", ""))) or self.home

    def application(self, tenant: Tenant) -> Account:
        """Return the application as `tenant` knows it."""
        return Account(tenant, tenant.application_oid, self._client_id)

    def person(self, tenant: Tenant, client_id: str) -> Account:
        """Return the person who has signed in to `tenant` by the client `client_id`."""
        return Account(tenant, tenant.person_oid, client_id, person=True)

    def system_assigned(self) -> Account | None:
        """Return the managed identity of the machine that the clients run on, or None where it has none.

        The machine is an Azure VM that exists as far as this identity needs it to.
        """
        if self._sandbox.state.settings.get("machine_identity", "system") == "none":
            return None
        oid, client_id = self._system
        resource_id = (
            f"/subscriptions/{self._sandbox.subscription}/resourcegroups/sandbox-machine/providers/Microsoft.Compute/"
            "virtualMachines/sandbox-machine"
        )
        return Account(self.home, oid, client_id, resource_id=resource_id)

    def user_assigned(self) -> list[Account]:
        """Return the user-assigned identities: all that were made in the first tenant count as the machine's."""
        made = [body for body in self._sandbox.state.of_type(USER_ASSIGNED) if self.tenant_of(body["id"]) == self.home]
        return [
            Account(
                self.home, body["properties"]["principalId"], body["properties"]["clientId"], resource_id=body["id"]
            )
            for body in made
        ]

    def managed(self) -> list[Account]:
        """Return all managed identities."""
        system = self.system_assigned()
        return [*([system] if system else []), *self.user_assigned()]

    def principal_type(self, oid: str) -> str | None:
        """Return ``User`` or ``ServicePrincipal``, or None for an object that no tenant knows."""
        if any(oid == tenant.person_oid for tenant in self.tenants()):
            return "User"
        applications = [tenant.application_oid for tenant in self.tenants()]
        return "ServicePrincipal" if oid in [*applications, *(one.oid for one in self.managed())] else None


def guest(name: str, before: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is kept of the tenant called `name`: what `before` has of it, or a new one."""
    for one in before:
        if one["name"] == name:
            return one
    label = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum()) or "tenant"
    made = {key: str(uuid.uuid4()) for key in ("id", "application_oid", "person_oid")}
    return {**made, "name": name, "domain": f"{label}.onmicrosoft.com"}
