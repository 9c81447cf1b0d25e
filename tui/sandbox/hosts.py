"""The host names that the sandbox stands for; the proxy, the certificate and the dispatcher all read this table."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import assets

CONTROL = "control.phift-tui.invalid"
# The plane of the machine's own endpoints, which no host name stands for.
MACHINE = "machine"

# The regions with machine learning: the certificate names each one's sub-domains, as a wildcard stands for one label.
REGIONS: tuple[str, ...] = tuple(
    region["name"] for region in json.loads((assets.ROOT / "catalog/regions.json").read_text("utf-8"))["regions"]
)


@dataclass(frozen=True)
class Host:
    """One family of host names.

    Attributes:
        plane: The key of the routes and of the error shape that answer there.
        pattern: What a requested host must match entirely.
        names: The names on the certificate.
    """

    plane: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]


_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"

HOSTS = (
    Host("arm", re.compile(r"management\.azure\.com"), ("management.azure.com",)),
    Host(
        "oauth",
        re.compile(r"login\.microsoftonline\.com|login\.windows\.net|login\.microsoft\.com"),
        ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com"),
    ),
    Host("graph", re.compile(r"graph\.microsoft\.com"), ("graph.microsoft.com",)),
    Host("blob", re.compile(rf"{_LABEL}\.blob\.core\.windows\.net"), ("*.blob.core.windows.net",)),
    Host("azureml", re.compile(rf"{_LABEL}\.api\.azureml\.ms"), ("*.api.azureml.ms",)),
    Host("prices", re.compile(r"prices\.azure\.com"), ("prices.azure.com",)),
    Host(
        "openai",
        re.compile(rf"{_LABEL}\.(?:{'|'.join(REGIONS)})\.(?:models\.ai|inference\.ml)\.azure\.com"),
        tuple(f"*.{region}.{zone}.azure.com" for region in REGIONS for zone in ("models.ai", "inference.ml")),
    ),
    Host("control", re.compile(re.escape(CONTROL)), (CONTROL,)),
)


def plane_of(host: str) -> str | None:
    """Return the plane that answers at `host` (a name without port, any case), or None for a host not served."""
    lowered = host.lower()
    return next((entry.plane for entry in HOSTS if entry.pattern.fullmatch(lowered)), None)
