"""The project's tuned models: listing and deleting (which azure-ai-ml cannot)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.services import deployments
from tui.services.errors import Conflict, NotFound
from tui.services.jobs import parse_time

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

_API = "2024-10-01"


@dataclass(frozen=True)
class TunedModel:
    """One version of a registered model."""

    name: str
    version: str
    base: str
    """Name of the base model; empty: not told."""
    id: str
    """Resource id."""
    created: datetime | None

    def to_json(self) -> dict[str, Any]:
        """The model for programs."""
        return {**asdict(self), "created": self.created.isoformat() if self.created else None}


def listing(azure: Azure, workspace: Workspace, name: str = "") -> list[TunedModel]:
    """All versions of the project's models, or of one, by name, the newest version first."""
    names = [name] if name else [_name(item) for item in azure.pages(f"{workspace.id}/models", api_version=_API)]
    found = []
    for one in names:
        path = f"{workspace.id}/models/{one}/versions"
        versions = [_model(one, item) for item in azure.pages(path, api_version=_API)]
        found += sorted(versions, key=lambda model: model.created.timestamp() if model.created else 0.0, reverse=True)
    return sorted(found, key=lambda model: model.name.casefold())


def select(azure: Azure, workspace: Workspace, name: str, version: str = "") -> list[TunedModel]:
    """The versions that a name, or a name and a version, mean.

    Raises:
        NotFound: there is none.
    """
    found = [model for model in listing(azure, workspace, name) if not version or model.version == version]
    if not found:
        raise NotFound(t("The project has no model {name}.", name=f"{name}:{version}" if version else name))
    return found


def delete(azure: Azure, workspace: Workspace, name: str, version: str) -> None:
    """Delete one version, and the name with its last version.

    Raises:
        Conflict: an endpoint serves it; the endpoint has to go first.
    """
    container = f"{workspace.id}/models/{name}"
    serving = [
        endpoint.name
        for endpoint in deployments.listing(azure, workspace)
        if endpoint.model.casefold().endswith(f"/models/{name}/versions/{version}".casefold())
    ]
    if serving:
        raise Conflict(
            t("The model {name}:{version} is served by {names}.", name=name, version=version, names=", ".join(serving)),
            code="ModelIsDeployed",
            next_step=t("Delete that endpoint first: `phift-tui deployments delete {name}`.", name=serving[0]),
        )
    deployments.remove(
        azure, f"{container}/versions/{version}", stage=t("Deleting {name}:{version}", name=name, version=version)
    )
    if not any(azure.pages(f"{container}/versions", api_version=_API)):
        deployments.remove(azure, container, stage=t("Deleting {name}", name=name))


def _name(item: dict[str, Any]) -> str:
    return str(item.get("name") or str(item.get("id", "")).rpartition("/")[2])


def _model(name: str, item: dict[str, Any]) -> TunedModel:
    properties = item.get("properties") or {}
    own = properties.get("properties") or {}
    base = str(own.get("baseModelId") or own.get("baseWeightsId") or "")
    if "/models/" in base:
        base = base.partition("/models/")[2].partition("/")[0]
    return TunedModel(
        name=name,
        version=_name(item),
        base=base,
        id=str(item.get("id", "")),
        created=parse_time((item.get("systemData") or {}).get("createdAt")),
    )
