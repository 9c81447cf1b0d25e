"""Which weights stand behind a model: the registry's models are answered by a stand-in, tuned ones by their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.sandbox import models, registry
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import segment_after

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

# What Azure's samples for Phi send, for models whose catalogue entry names no learning rate.
DEFAULT_LEARNING_RATE = 2e-5
DESCRIPTIONS = {
    "tiny": "stand-in 'tiny' of the phift-tui sandbox: 1.4 M parameters, Phi-3 architecture",
    "small": "stand-in 'small' of the phift-tui sandbox: SmolLM2-135M-Instruct in Phi-3's architecture",
}


@dataclass(frozen=True, slots=True)
class Base:
    """What a job starts from.

    Attributes:
        name: the model's name.
        stand_in: the stand-in that is trained in its place, or that a registered model was made of; empty for weights
            that somebody uploaded.
        weights: what the trainer loads: the stand-in's name, or a folder.
        learning_rate: the catalogue's default for the model, which given rates are read relative to.
    """

    name: str
    stand_in: str
    weights: str
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Answerer:
    """What answers an endpoint's chats: what the serving process loads, and how it is called in answers."""

    weights: str
    label: str
    description: str


def stand_in(sandbox: Sandbox) -> str:
    """The stand-in for all models of the registry: `tiny`, or `small` where the sandbox was set so."""
    return str(sandbox.state.settings.get("stand_in", "tiny"))


def _registered(model_id: str) -> bool:
    return model_id.lower().startswith("azureml://registries/")


def _tuned(sandbox: Sandbox, model_id: str) -> dict[str, Any]:
    """A model of a workspace.

    Raises:
        ServiceError: 404 UserError.
    """
    model = models.find_by_asset_id(sandbox, model_id)
    if model is None:
        raise ServiceError(404, "UserError", f"The model {model_id} was not found.", inner={"code": "NotFound"})
    return model


def origin(sandbox: Sandbox, model_id: str) -> dict[str, Any] | None:
    """The registry's entry that a model is, or was tuned from; None for weights that somebody uploaded."""
    if _registered(model_id):
        return registry.named_in(sandbox, model_id)
    base = _tuned(sandbox, model_id)["properties"]["properties"].get("baseModelId", "")
    return registry.named_in(sandbox, base) if _registered(base) else None


def start(sandbox: Sandbox, model_id: str) -> Base:
    """What a training that names `model_id` starts from.

    Raises:
        ServiceError: 404 UserError.
    """
    entry = origin(sandbox, model_id)
    rate = float(registry.defaults(entry).get("learning_rate", DEFAULT_LEARNING_RATE)) if entry else None
    kind = weights = stand_in(sandbox)
    if not _registered(model_id):
        model = _tuned(sandbox, model_id)
        kind = model["properties"]["properties"].get(models.STAND_IN, "")
        weights = models.weights_of(sandbox, model)
    return Base(str(segment_after(model_id, "models")), kind, weights, rate or DEFAULT_LEARNING_RATE)


def check_tunable(sandbox: Sandbox, workspace: dict[str, Any], model_id: str, *, serverless: bool) -> None:
    """Refuse a fine-tuning job of a model that is retired, or not offered where the workspace is.

    Raises:
        ServiceError: 400 UserError with the inner code ModelRetired, ModelNotSupported or ModelNotSupportedByMaaS; 404.
    """
    entry = origin(sandbox, model_id)
    if entry is not None:
        registry.require_tunable(sandbox, entry, workspace["location"], serverless=serverless)


def check_deployable(sandbox: Sandbox, model_id: str, region: str) -> None:
    """Refuse a serverless endpoint for a model that is retired, or not offered in `region`.

    Raises:
        ServiceError: 400 UserError with the inner code ModelRetired or ModelNotSupportedByMaaS; 404.
    """
    entry = origin(sandbox, model_id)
    if entry is None:
        registry.require_hosting_region(region)
    else:
        registry.require_deployable(sandbox, entry, region)


def answerer(sandbox: Sandbox, model_id: str) -> Answerer:
    """What answers for a deployed model.

    Raises:
        ServiceError: 404 when the model is retired by now, or gone.
    """
    kind, name = stand_in(sandbox), str(segment_after(model_id, "models"))
    entry = origin(sandbox, model_id)
    retired = registry.day(entry, "inferenceRetirementDate") if entry else None
    if retired is not None and sandbox.clock.today() >= retired:
        raise ServiceError(404, "ModelRetired", f"The model of this endpoint was retired on {retired}.")
    if _registered(model_id):
        return Answerer(kind, f"{name}@sandbox-{kind}", f"untuned {DESCRIPTIONS[kind]}")
    model = _tuned(sandbox, model_id)
    kind = model["properties"]["properties"].get(models.STAND_IN)
    if kind is None:
        return Answerer(models.weights_of(sandbox, model), f"{name}:{model['name']}", "weights that were uploaded")
    label = f"{name}:{model['name']}@sandbox-{kind}"
    return Answerer(models.weights_of(sandbox, model), label, f"tuned {DESCRIPTIONS[kind]}")
