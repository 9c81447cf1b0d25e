"""Who is signed in, or how to, as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.content import Content

from tui import text
from tui.messages import n, t

if TYPE_CHECKING:
    from tui.services.access import Tenant
    from tui.services.identity import DeviceCode, Identity

METHODS = (
    ("cli", "Azure CLI", "As who `az login` signed in on this machine."),
    ("device-code", "Device code", "Type a code in a browser on any machine."),
    ("service-principal", "Service principal", "Application id and secret; for servers."),
    ("certificate", "Certificate", "Application id and a certificate file."),
    ("managed-identity", "Managed identity", "The identity of this Azure machine."),
    ("environment", "Environment", "AZURE_CLIENT_ID and its companions, as set in this shell."),
)
"""Ways to sign in: name, title and help, not translated yet."""
BY_ITSELF = frozenset({"cli", "managed-identity", "environment"})
"""Ways that ask nobody anything, so that they are tried as the page is opened."""
FIELDS = {
    "cli": ("tenant",),
    "device-code": ("tenant", "client_id"),
    "service-principal": ("tenant", "client_id", "secret"),
    "certificate": ("tenant", "client_id", "certificate"),
    "managed-identity": ("client_id",),
    "environment": (),
}
"""What each way may be given."""
KEPT = {
    "keyring": "in the keyring, for the next start too",
    "memory": "kept until you quit",
}
"""Where the secret or the sign-in by device code is kept; not translated yet."""


def code_content(code: DeviceCode) -> Content:
    """Where to type a device code, and how long it is valid."""
    minutes = max(int((code.expires - datetime.now(UTC)).total_seconds() / 60), 0)
    left = n(
        "Valid until {time}: {count} minute left.",
        "Valid until {time}: {count} minutes left.",
        minutes,
        time=f"{code.expires.astimezone():%H:%M}",
    )
    return Content.assemble(
        (t("Open this address in a browser on any machine:"), ""),
        ("\n\n  " + text.clean_line(code.url), "bold"),
        "\n\n" + t("and type this code:"),
        ("\n\n  " + text.clean_line(code.code), "bold $text-accent"),
        "\n\n" + left,
    )


def identity_content(who: Identity, profile: str) -> Content:
    """The identity in use; `profile` is empty where there are none."""
    rows = [
        (t("Profile"), profile),
        (t("Signed in as"), who.name),
        (t("Method"), who.method),
        (t("Tenant"), who.tenant),
        (t("Object id"), who.object_id),
        (t("Sign-in"), t(KEPT[who.kept]) if who.kept else ""),
    ]
    width = max(len(label) for label, _ in rows) + 2
    lines = [Content.styled("✓ " + t("Signed in"), "bold $text-success"), Content("")]
    lines += [
        Content.assemble((f"{label:<{width}}", "$text-quiet"), text.clean_line(value, limit=100))
        for label, value in rows
        if value
    ]
    return Content("\n").join(lines)


def tenant_content(tenant: Tenant, current: str) -> Content:
    """A directory to choose; the one in use is marked."""
    return Content.assemble(
        "● " if tenant.id == current else "○ ",
        text.clean_line(tenant.name or tenant.id, limit=40),
        (f"  {text.clean_line(tenant.domain, limit=60)}", "$text-quiet"),
    )
