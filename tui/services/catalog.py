"""The model catalogue: which models can be tuned, by which engine, where, until when, and with which defaults.

Read from the `azureml` registry by plain REST, because the SDK drops the metadata (its `list` has empty tags, its entity no
`systemMetadata`). Microsoft keeps the same facts in up to three places of an entry (`properties.systemMetadata`,
`properties.tags`, `properties.properties`); all are read, and what stands in none of them is unknown, which is not "no".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui.recipe import Engine, Recipe, write_private
from tui.services.errors import ModelUnavailable, NotFound
from tui.settings import Settings

if TYPE_CHECKING:
    from tui.dataset.check import Rules
    from tui.services.clients import Azure

Status = Literal["available", "deprecated", "retired", "unknown"]
Source = Literal["registry", "cache", "snapshot"]

REGISTRY = "azureml"
STALE = timedelta(hours=24)
"""Age from which a cached catalogue is fetched anew."""
_API = "2021-10-01-dataplanepreview"
_SNAPSHOT = "catalog/models.json"


@dataclass(frozen=True)
class Availability:
    """Whether an engine can tune a model."""

    ok: bool | None
    """None: the catalogue does not say."""
    reason: str = ""
    """Why not, or what has to be given."""


@dataclass(frozen=True)
class Range:
    """A hyperparameter's default and limits; None: the catalogue does not say."""

    default: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Model:
    """One model of the catalogue."""

    name: str
    version: str
    asset_id: str
    """`azureml://registries/…/versions/…`, as a job takes it."""
    display_name: str = ""
    summary: str = ""
    context_length: int | None = None
    """Tokens."""
    max_output: int | None = None
    """Tokens."""
    license: str = ""
    tasks: tuple[str, ...] = ()
    """Fine-tuning tasks, `chat-completion` among them."""
    engines: Mapping[Engine, Availability] = field(default_factory=dict)
    """What the entry says of each engine, its dates aside."""
    regions: tuple[str, ...] = ()
    """Regions where serverless fine-tuning is offered; empty: unknown."""
    instance_types: tuple[str, ...] = ()
    """GPU sizes on which it can be tuned, smallest first as listed."""
    learning_rate: Range = Range()
    batch_size: Range = Range()
    """Examples a step and device."""
    epochs: Range = Range()
    finetune_deprecation: date | None = None
    finetune_retirement: date | None = None
    inference_deprecation: date | None = None
    inference_retirement: date | None = None
    successor: str = ""
    """Model that Microsoft names in its place; empty: none named."""
    preview: bool = False
    archived: bool = False

    def status(self, on: date) -> Status:
        """Whether it can be fine-tuned on a day; `unknown` where the entry says nothing of fine-tuning."""
        if self.finetune_retirement and on >= self.finetune_retirement:
            return "retired"
        if self.archived:
            return "retired"
        if self.finetune_deprecation and on >= self.finetune_deprecation:
            return "deprecated"
        return "available" if self.tasks or self.finetune_retirement else "unknown"

    def availability(self, engine: Engine, on: date, region: str = "") -> Availability:
        """Whether `engine` can tune it on a day, in a region where one is given."""
        said = self.engines.get(engine, Availability(None, "the catalogue does not say"))
        if engine == "script":
            return said
        if self.status(on) == "retired":
            since = f" since {self.finetune_retirement}" if self.finetune_retirement else ""
            return Availability(False, f"fine-tuning is retired{since}")
        if engine == "serverless" and region and self.regions and region not in self.regions:
            return Availability(False, f"not offered in {region}; offered in {', '.join(self.regions)}")
        return said


@dataclass(frozen=True)
class Catalogue:
    """The models, and how old this knowledge is."""

    models: tuple[Model, ...]
    fetched: datetime
    source: Source
    as_of: date
    """The day by Azure's clock when it was fetched (the sandbox's calendar can be set back)."""

    def today(self) -> date:
        """The day by Azure's clock now."""
        return self.as_of + (datetime.now(UTC).date() - self.fetched.date()) if self.source != "snapshot" else _today()


def _today() -> date:
    return datetime.now(UTC).date()


def cached(settings: Settings, *, sandbox: bool = False) -> Catalogue:
    """What is known without the network: the catalogue fetched last, or the one shipped with the program."""
    try:
        document = json.loads(_cache_file(settings, sandbox).read_text(encoding="utf-8"))
        return _catalogue(document, "cache")
    except (OSError, ValueError, KeyError, TypeError):
        # No cache yet, or one written by another version: the shipped snapshot is always there.
        return _catalogue(json.loads(resources.files("assets").joinpath(_SNAPSHOT).read_text("utf-8")), "snapshot")


def find(catalogue: Catalogue, name: str, version: str = "") -> Model | None:
    """The model called `name` (case-insensitive), the newest version unless one is given."""
    named = [model for model in catalogue.models if model.name.casefold() == name.casefold()]
    return next((model for model in named if not version or model.version == version), None)


def _cache_file(settings: Settings, sandbox: bool) -> Path:
    cloud = "sandbox" if sandbox else settings.active_profile().cloud
    return settings.state / f"catalogue-{cloud}.json"
