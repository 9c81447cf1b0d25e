"""The model catalogue: which models can be tuned, by which engine, where, until when, and with which defaults.

Read from the `azureml` registry by plain REST, because the SDK drops the metadata (its `list` has empty tags, its
entity no `systemMetadata`). Microsoft keeps the same facts in up to three places of an entry
(`properties.systemMetadata`, `properties.tags`, `properties.properties`); all are read, and what stands in none of them
is unknown, which is not "no".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import assets
from tui.messages import t
from tui.recipe import Engine, Recipe, write_private
from tui.services.errors import ModelUnavailable, NotFound, UsageError
from tui.settings import Settings

if TYPE_CHECKING:
    from tui.dataset.rules import Rules
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
    license: str = ""
    tasks: tuple[str, ...] = ()
    """Fine-tuning tasks, `chat-completion` among them."""
    engines: Mapping[Engine, Availability] = field(default_factory=dict)
    """What the entry says of each engine, its dates aside."""
    regions: tuple[str, ...] = ()
    """Regions where serverless fine-tuning is offered; empty: unknown."""
    instance_types: tuple[str, ...] = ()
    """GPU sizes on which it can be tuned, the one with the fewest cores first."""
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

    def retirements(self, on: date) -> list[str]:
        """Until when it can be tuned, and until when it answers once deployed: a sentence for each known date."""
        said = []
        if self.finetune_retirement:
            past = self.finetune_retirement <= on
            word = t("Fine-tuning ended on {date}.") if past else t("Fine-tuning ends on {date}.")
            said.append(word.format(date=self.finetune_retirement))
        if self.inference_retirement:
            past = self.inference_retirement <= on
            word = (
                t("Serverless deployments of it answered until {date}.")
                if past
                else t("Serverless deployments of it answer until {date}.")
            )
            said.append(word.format(date=self.inference_retirement))
        return said

    def to_json(self, on: date) -> dict[str, Any]:
        """The entry for programs, with its status on a day."""
        document = asdict(self)
        for key, value in document.items():
            if isinstance(value, date):
                document[key] = value.isoformat()
        return {**document, "status": self.status(on)}

    def availability(self, engine: Engine, on: date, region: str = "") -> Availability:
        """Whether `engine` can tune it on a day, in a region where one is given."""
        said = self.engines.get(engine, Availability(None, t("the catalogue does not say")))
        if engine == "script":
            return said
        if self.status(on) == "retired":
            if self.finetune_retirement is None:
                return Availability(False, t("fine-tuning is retired"))
            return Availability(False, t("fine-tuning is retired since {date}", date=self.finetune_retirement))
        if engine == "serverless" and region and self.regions and region not in self.regions:
            return Availability(
                False, t("not offered in {region}; offered in {names}", region=region, names=", ".join(self.regions))
            )
        return said


@dataclass(frozen=True)
class Catalogue:
    """The models, and how old this knowledge is."""

    models: tuple[Model, ...]
    fetched: datetime
    source: Source
    as_of: date
    """The day by Azure's clock when it was fetched (the sandbox's calendar can be set back)."""

    def to_json(self) -> dict[str, Any]:
        """The catalogue for programs."""
        return {
            "fetched": self.fetched.isoformat(),
            "source": self.source,
            "models": [model.to_json(self.today()) for model in self.models],
        }

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
        return _shipped()


def find(catalogue: Catalogue, name: str, version: str = "") -> Model | None:
    """The model called `name` (case-insensitive), the newest version unless one is given."""
    named = [model for model in catalogue.models if model.name.casefold() == name.casefold()]
    return next((model for model in named if not version or model.version == version), None)


def _cache_file(settings: Settings, sandbox: bool) -> Path:
    cloud = "sandbox" if sandbox else settings.active_profile().cloud
    return settings.state / f"catalogue-{cloud}.json"


def models(azure: Azure, *, refresh: bool = False) -> Catalogue:
    """The catalogue: the cached one where it is a day old at most, else read from the registry.

    Args:
        azure: the connection.
        refresh: read it anew in any case.

    Raises:
        PhiftError: the registry cannot be read.
    """
    known = cached(azure.settings, sandbox=azure.sandbox)
    young = datetime.now(UTC) - known.fetched < STALE and known.today() == azure.today()
    if known.source == "cache" and young and not refresh:
        return known
    registry = _registry(azure)
    bodies = []
    for name in _candidates():
        try:
            versions = list(azure.pages(f"{registry}/models/{name}/versions", api_version=_API))
        except NotFound:
            continue
        if versions:
            newest: dict[str, Any] = max(versions, key=_version_number)
            bodies.append({"model": name, **newest})
    document = {
        "fetched": datetime.now(UTC).isoformat(),
        "as_of": azure.today().isoformat(),
        "models": bodies,
    }
    write_private(_cache_file(azure.settings, azure.sandbox), json.dumps(document))
    return _catalogue(document, "registry")


def named(catalogue: Catalogue, name: str) -> Model:
    """The model called `name`.

    Raises:
        UsageError: the catalogue has none; the next step names those that it has.
    """
    model = find(catalogue, name)
    if model is None:
        known = ", ".join(sorted(known.name for known in catalogue.models))
        raise UsageError(
            t("The catalogue has no model called {name!r}.", name=name),
            next_step=t("Choose one of {known}.", known=known),
        )
    return model


def require(azure: Azure, recipe: Recipe) -> Model:
    """The recipe's model, where its engine can tune it in its region today; asked before anything is uploaded.

    Raises:
        ModelUnavailable: retired, not offered there, or not in the catalogue; with the dates and what still works.
    """
    catalogue = models(azure)
    return check(catalogue, recipe, azure.today())


def check(catalogue: Catalogue, recipe: Recipe, today: date) -> Model:
    """The same against a catalogue at hand; see `require`."""
    name, engine, region = recipe.model.name, recipe.model.engine, recipe.target.location
    model = find(catalogue, name, recipe.model.version)
    if model is None:
        known = ", ".join(sorted(other.name for other in catalogue.models if other.status(today) == "available"))
        version = recipe.model.version
        raise ModelUnavailable(
            t("The catalogue has no model {name!r} of version {version}.", name=name, version=version)
            if version
            else t("The catalogue has no model called {name!r}.", name=name),
            code="ModelNotFound",
            meaning=t("Nothing was uploaded."),
            next_step=t("Choose one of: {known}.", known=known),
        )
    available = model.availability(engine, today, region)
    if available.ok is not False:
        return model
    meaning = t("Nothing was uploaded.")
    if model.status(today) == "retired" and model.finetune_retirement:
        meaning += " " + (
            t("Fine-tuning was deprecated on {first} and ended on {last}.", first=model.finetune_deprecation,
              last=model.finetune_retirement)
            if model.finetune_deprecation
            else t("Fine-tuning ended on {date}.", date=model.finetune_retirement)
        )  # fmt: skip
    raise ModelUnavailable(
        t(
            "{model} cannot be fine-tuned by the engine {engine!r}: {reason}.",
            model=model.name,
            engine=engine,
            reason=available.reason,
        ),
        meaning=meaning,
        next_step=" ".join(ways(catalogue, model, engine, today, region)),
    )


def ways(catalogue: Catalogue, model: Model, engine: Engine, today: date, region: str) -> list[str]:
    """What still works where `engine` does not take `model`: sentences for a person."""
    found = []
    if model.status(today) == "retired":
        successor = find(catalogue, model.successor) if model.successor else None
        if successor and successor.availability(engine, today, region).ok:
            found.append(t("Tune its successor {name}.", name=successor.name))
        found.append(
            t(
                "Or use the engine script with weights of {name} that you have, in Azure or in the sandbox.",
                name=model.name,
            )
        )
    elif model.regions and region not in model.regions:
        found.append(t("Use a hub in one of: {names}.", names=", ".join(model.regions)))
    return found or [t("Choose another model or engine.")]


def today(azure: Azure) -> date:
    """The day by Azure's clock; the sandbox's calendar can be set back."""
    return azure.today()


def rules(model: Model | None, engine: Engine) -> Rules:
    """What data must satisfy for a model (None: any) and an engine, for `tui.dataset.check`."""
    from tui.dataset.rules import Rules
    from tui.dataset.tokens import vocabulary_of

    context = model.context_length if model else None
    vocabulary = vocabulary_of(model.name if model else "")
    if engine == "script":  # our trainer reads either, and has no limit of the service's
        return Rules(
            context_tokens=context,
            max_bytes=2**63 - 1,
            tool_calls=False,
            bom="any",
            roles=frozenset({"system", "user", "assistant"}),
            vocabulary=vocabulary,
        )
    return Rules(context_tokens=context, vocabulary=vocabulary)


def _candidates() -> list[str]:
    """Names worth asking for: the registry has thousands, and its list has no metadata."""
    return [model.name for model in _shipped().models]


def _shipped() -> Catalogue:
    return _catalogue(json.loads((assets.ROOT / _SNAPSHOT).read_text("utf-8")), "snapshot")


def _registry(azure: Azure) -> str:
    """Address of the registry's resources, which Microsoft moves between regions and subscriptions."""
    host = f"https://{azure.endpoints.registry}"
    found = azure.rest("GET", f"{host}/registrymanagement/v1.0/registries/{REGISTRY}/discovery", api_version="")
    base = str(found["primaryRegionResourceProviderUri"]).rstrip("/")
    return (
        f"{base}/mferp/managementfrontend/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroup']}"
        f"/providers/Microsoft.MachineLearningServices/registries/{REGISTRY}"
    )


def _version_number(body: dict[str, Any]) -> tuple[int, str]:
    name = str(body.get("name", ""))
    return (int(name), name) if name.isdigit() else (-1, name)


def _catalogue(document: Mapping[str, Any], source: Source) -> Catalogue:
    found = tuple(_model(body) for body in document["models"])
    return Catalogue(
        models=tuple(
            sorted(found, key=lambda model: (bool(model.archived or model.finetune_retirement), model.name.casefold()))
        ),
        fetched=datetime.fromisoformat(document["fetched"]),
        source=source,
        as_of=date.fromisoformat(document["as_of"]),
    )


class _Entry:
    """One registry entry, whose facts may stand in any of three places."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        properties = body.get("properties") or {}
        self.own = _lower(properties.get("properties"))
        self.tags = _lower(properties.get("tags"))
        self.system = _flat(_document(properties.get("systemMetadata") or properties.get("system_metadata")))
        self.archived = bool(properties.get("isArchived"))
        self.description = str(properties.get("description") or "")

    def get(self, *names: str) -> Any:
        """The first value that one of the names has in any place; None: nowhere."""
        for name in names:
            key = _key(name)
            for place in (self.system, self.tags, self.own):
                if place.get(key) not in (None, ""):
                    return place[key]
        return None

    def words(self, *names: str) -> tuple[str, ...]:
        """The same as a list: a JSON list, a list in a string, or words set apart by commas or semicolons."""
        value = self.get(*names)
        if isinstance(value, str):
            value = value.strip("[] ").replace(";", ",").split(",")
        if not isinstance(value, list):
            return ()
        words = (str(word).strip(" '\"") for word in value)
        return tuple(word for word in words if word)

    def day(self, *names: str) -> date | None:
        """The same as a date."""
        value = self.get(*names)
        try:
            return date.fromisoformat(str(value)[:10]) if value else None
        except ValueError:
            return None


def _key(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _document(value: Any) -> Mapping[str, Any]:
    """A JSON object, or one in a string; anything else tells nothing."""
    if isinstance(value, str):
        try:
            value = json.loads(value.replace("'", '"'))
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}


def _lower(place: Any) -> dict[str, Any]:
    return {_key(str(key)): value for key, value in _document(place).items()}


def _flat(place: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves of nested metadata by their own names, which are unique in Microsoft's entries."""
    found: dict[str, Any] = {}
    for key, value in place.items():
        if isinstance(value, Mapping):
            found.update(_flat(value))
        else:
            found[_key(str(key))] = value
    return found


def _model(body: Mapping[str, Any]) -> Model:
    entry = _Entry(body)
    version = str(body.get("name") or "")
    name = str(body.get("model") or str(body.get("id", "")).partition("/models/")[2].partition("/")[0])
    defaults = _lower(_document(entry.get("model_specific_defaults")))
    tasks = entry.words("fineTuningTasks", "finetuning-tasks", "fine-tuning-tasks")
    options = entry.words("deploymentOptions")
    computes = entry.words(
        "finetuneComputes", "finetune_compute_allow_list", "finetuneRecommendedSkus", "finetune-recommended-sku"
    )
    regions = entry.words("maasFinetuningDeployRegions", "maas-finetuning-deploy-regions")
    context = entry.get("textContextWindow", "context_window", "contextLength")
    return Model(
        name=name,
        version=version,
        asset_id=f"azureml://registries/{REGISTRY}/models/{name}/versions/{version}",
        display_name=str(entry.get("displayName") or name),
        summary=str(entry.get("summary") or entry.description.partition("\n")[0]),
        context_length=_integer(context),
        license=str(entry.get("license") or ""),
        tasks=tasks,
        engines=_engines(tasks, options, computes, regions),
        regions=tuple(region.replace(" ", "").lower() for region in regions),
        instance_types=tuple(sorted(computes, key=_cores)),
        learning_rate=_range(defaults, "learning_rate"),
        batch_size=_range(defaults, "per_device_train_batch_size"),
        epochs=_range(defaults, "num_train_epochs"),
        finetune_deprecation=entry.day("finetuneDeprecationDate"),
        finetune_retirement=entry.day("finetuneRetirementDate"),
        inference_deprecation=entry.day("inferenceDeprecationDate"),
        inference_retirement=entry.day("inferenceRetirementDate"),
        successor=str(
            entry.get("successor", "suggestedReplacement", "replacementModel") or _successors().get(name, "")
        ),
        preview=str(entry.get("preview")).lower() == "true",
        archived=entry.archived,
    )


def _engines(
    tasks: Iterable[str], options: Iterable[str], computes: Iterable[str], regions: Iterable[str]
) -> dict[Engine, Availability]:
    tunable = any(task.replace("_", "-").lower() == "chat-completion" for task in tasks)
    unknown = Availability(None, t("the catalogue does not say"))
    if not tunable:
        no = Availability(False, t("the catalogue lists no chat fine-tuning for it")) if tasks else unknown
        return {"serverless": no, "managed": no, "script": Availability(True, t("with its weights"))}
    serverless = unknown
    if regions or any("maas" in option.lower() for option in options):
        serverless = Availability(True)
    elif options:
        serverless = Availability(False, t("the catalogue does not offer it serverless"))
    return {
        "serverless": serverless,
        "managed": Availability(True) if computes else unknown,
        "script": Availability(True, t("with its weights")),
    }


@cache
def _successors() -> Mapping[str, str]:
    """Microsoft's suggested replacements, which stand in its documentation and not in the registry."""
    found: Mapping[str, str] = json.loads((assets.ROOT / "catalog/successors.json").read_text("utf-8"))["successors"]
    return found


def _cores(size: str) -> tuple[int, str]:
    """Cores of a virtual machine size such as `Standard_NC24ads_A100_v4`, which its name begins with."""
    digits = re.search(r"\d+", size)
    return (int(digits[0]) if digits else 0, size)


def _range(defaults: Mapping[str, Any], name: str) -> Range:
    return Range(*(_number(defaults.get(_key(name + suffix))) for suffix in ("", "_min", "_max")))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and math.isfinite(number) else None
