"""What Azure's three hyperparameters of a fine-tuning job mean for the model that is really trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .config import RECIPES

BATCH = "per_device_train_batch_size"
RATE = "learning_rate"
EPOCHS = "num_train_epochs"

DEFAULT_LEARNING_RATE = 2e-5
"""What Azure's samples for Phi send; the model's own default in the catalogue is better where it is known."""
SHORT = 6
"""Epochs below which `tiny` is trained in more and longer steps: measured, see docs/training.md."""
SLOWEST, FASTEST = 0.1, 3.0
"""How far a learning rate may move a stand-in's own: outside of this it learns nothing, or forgets all."""


def from_azure_hyperparameters(
    parameters: Mapping[str, Any], model: str, *, default_learning_rate: float = DEFAULT_LEARNING_RATE
) -> dict[str, Any]:
    """Choices of a `TrainingConfig` for a fine-tuning job's `hyperParameters`, with `notes` that say what was changed.

    Azure's values are made for models of billions of parameters. For a stand-in (`tiny`, `small`) they are read as what
    the person meant by them:

    * epochs are honoured as given: passes over the training file;
    * the learning rate is relative: its ratio to `default_learning_rate` times the stand-in's own rate, within a tenth
      and three times of it;
    * the batch size is a multiplier (as the portal calls it) of the stand-in's own batch;
    * fewer than `SHORT` epochs of `tiny` take half of that batch and Muon: AdamW's few steps would teach it too little.

    For any other model all three are taken as they are.

    Args:
        parameters: `per_device_train_batch_size`, `learning_rate`, `num_train_epochs`; numbers, or strings as on the
            wire; each may be missing.
        model: `tiny`, `small`, a folder, or a hub id, as in `TrainingConfig.model`.
        default_learning_rate: The catalogue's default of the model that was asked for.

    Raises:
        ValueError: one line with the name at fault: unknown, not a number, or out of range.
    """
    for name in parameters:
        if name not in (BATCH, RATE, EPOCHS):
            raise ValueError(f"{name} is not a hyperparameter of this task; use {BATCH}, {RATE} and {EPOCHS}")
    batch = int(_number(parameters, BATCH, 1, 256, whole=True, default=1))
    rate = _number(parameters, RATE, 0, 1, whole=False, default=default_learning_rate)
    epochs = int(_number(parameters, EPOCHS, 1, 100, whole=True, default=1))
    if rate == 0:
        raise ValueError(f"{RATE} is 0; nothing would be learned")
    if model not in ("tiny", "small"):
        return {"batch_size": batch, "learning_rate": rate, "epochs": epochs, "notes": []}
    recipe = RECIPES[model]
    own_rate = recipe.learning_rate[recipe.method]
    ratio = min(max(rate / default_learning_rate, SLOWEST), FASTEST)
    short = model == "tiny" and epochs < SHORT
    chosen: dict[str, Any] = {
        "batch_size": batch * (recipe.batch_size // 2 if short else recipe.batch_size),
        "learning_rate": float(f"{own_rate * ratio:.6g}"),
        "epochs": epochs,
    }
    limited = "" if ratio == rate / default_learning_rate else " (limited)"
    notes = [
        f"sandbox: learning rate {rate:g} is {rate / default_learning_rate:g} of the model's default; the stand-in "
        f"{model!r} trains with {ratio:g}{limited} of its own, {chosen['learning_rate']:g}",
        f"sandbox: batch size multiplier {batch} is {chosen['batch_size']} rows a step for the stand-in",
        f"sandbox: {epochs} epochs as asked",
    ]
    if short:
        chosen["optimizer"] = "muon"
        notes.append(f"sandbox: fewer than {SHORT} epochs: half of the stand-in's usual batch, and Muon for AdamW")
    return {**chosen, "notes": notes}


def _number(parameters: Mapping[str, Any], name: str, low: float, high: float, *, whole: bool, default: float) -> float:
    value = parameters.get(name, default)
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r}, which is not a number") from None
    if not low <= number <= high or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} is {value}; it has to be {kind} from {low:g} to {high:g}")
    return number
