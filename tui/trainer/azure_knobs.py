"""What Azure's three hyperparameters of a fine-tuning job mean for the model that is really trained here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Knobs:
    """Azure's three numbers, as the trainer takes them."""

    choices: dict[str, Any]
    """Choices of a `TrainingConfig`."""
    used: dict[str, str] = field(default_factory=dict)
    """Of each number, by its name on the wire: what was asked, what is used, and why; empty where all are as asked."""
    warnings: list[str] = field(default_factory=list)
    """Those of `used` that a person has to know about: a learning rate that was held at its bound."""


def from_azure_hyperparameters(
    parameters: Mapping[str, Any], model: str, *, default_learning_rate: float = DEFAULT_LEARNING_RATE
) -> Knobs:
    """What a fine-tuning job's `hyperParameters` become.

    Azure's values are made for models of billions of parameters. For a stand-in (`tiny`, `small`) they are read as what
    the person meant by them:

    * epochs are honoured as given: passes over the training file;
    * the learning rate is relative: its ratio to `default_learning_rate` times the stand-in's own rate, within a tenth
      and three times of it, and a warning says where it was held at such a bound;
    * the batch size is a multiplier (as the portal calls it) of the stand-in's own batch;
    * fewer than `SHORT` epochs of `tiny` take half of that batch and Muon: AdamW's few steps would teach it too little.

    For any other model, named or not, all three are taken as they are.

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
        return Knobs({"batch_size": batch, "learning_rate": rate, "epochs": epochs})
    recipe = RECIPES[model]
    own = recipe.learning_rate[recipe.method]
    asked = rate / default_learning_rate
    ratio = min(max(asked, SLOWEST), FASTEST)
    used_rate = float(f"{own * ratio:.6g}")
    if ratio == asked:
        why = (
            f"the stand-in '{model}' takes the ratio to the model's default, {asked:.6g} times "
            f"{default_learning_rate:g}, and applies it to its own rate, {own:g}"
        )
    else:
        why = (
            f"the stand-in '{model}' follows rates from {default_learning_rate * SLOWEST:g} to "
            f"{default_learning_rate * FASTEST:g}, as {SLOWEST:g} to {FASTEST:g} times its own rate, {own:g}; any "
            "other is held at that bound"
        )
    # A tuned stand-in is a folder, of which the configuration could not tell what recipe it follows.
    chosen: dict[str, Any] = {"method": recipe.method, "schedule": recipe.schedule}
    chosen |= {"batch_size": batch * recipe.batch_size, "learning_rate": used_rate, "epochs": epochs}
    rows = f"a multiplier of the stand-in's own batch, {recipe.batch_size}"
    if model == "tiny" and epochs < SHORT:
        chosen |= {"batch_size": batch * (recipe.batch_size // 2), "optimizer": "muon"}
        rows += f", halved (and Muon for AdamW) below {SHORT} epochs, where its steps would be too few"
    used = {
        BATCH: f"asked {batch}, used {chosen['batch_size']}, because it is {rows}",
        RATE: f"asked {rate:g}, used {used_rate:g}, because {why}",
        EPOCHS: f"asked {epochs}, used {epochs}",
    }
    return Knobs(chosen, used, [] if ratio == asked else [f"{RATE} {used[RATE]}"])


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
