"""Which weights stand behind a model: the registry's models are answered by a stand-in, tuned ones by their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.sandbox import models
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import segment_after

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

DESCRIPTIONS = {
    "tiny": "stand-in 'tiny' of the phift-tui sandbox: 1.4 M parameters, Phi-3 architecture",
    "small": "stand-in 'small' of the phift-tui sandbox: SmolLM2-135M-Instruct in Phi-3's architecture",
}


@dataclass(frozen=True, slots=True)
class Base:
    """What a job starts from.

    Attributes:
        name: the model's name.
        stand_in: the stand-in that is trained in its place, or that a registered model was made of.
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


def for_finetuning(sandbox: Sandbox, workspace: dict[str, Any], uri: str, *, serverless: bool) -> Base:
    """The start of a fine-tuning job.

    Raises:
        ServiceError: 400 UserError, or 404 for a registered model that does not exist.
    """
    kind = stand_in(sandbox)
    if uri.lower().startswith("azureml://registries/"):
        return Base(str(segment_after(uri, "models")), kind, kind, 2e-5)
    model = models.find_by_asset_id(sandbox, uri)
    if model is None:
        raise ServiceError(404, "UserError", f"The model {uri} was not found.", inner={"code": "NotFound"})
    return Base(str(segment_after(model["id"], "models")), kind, models.weights_of(sandbox, model), 2e-5)


def for_serving(sandbox: Sandbox, workspace: dict[str, Any], model_id: str) -> None:
    """Check that a registry model can be deployed in the workspace's region."""


def answerer(sandbox: Sandbox, model_id: str) -> Answerer:
    """What answers for a deployed model.

    Raises:
        ServiceError: 404 when a registered model is gone.
    """
    kind = stand_in(sandbox)
    name = str(segment_after(model_id, "models"))
    if model_id.lower().startswith("azureml://registries/"):
        return Answerer(kind, f"{name}@sandbox-{kind}", f"untuned {DESCRIPTIONS[kind]}")
    model = models.find_by_asset_id(sandbox, model_id)
    if model is None:
        raise ServiceError(404, "NotFound", f"The model {model_id} of this endpoint is gone.")
    label = f"{name}:{model['name']}@sandbox-{kind}"
    return Answerer(models.weights_of(sandbox, model), label, f"tuned {DESCRIPTIONS[kind]}")
