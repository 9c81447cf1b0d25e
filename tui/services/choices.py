"""A recipe's choices as a job's body has them: written for a submission, and read for the next run of a job."""

from __future__ import annotations

import re
import shlex
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tui.messages import t
from tui.recipe import Hyperparameters, Recipe, loads

if TYPE_CHECKING:
    from tui.services.jobs import Job

# The wire's keys of a fine-tuning job's hyperparameters, as in Microsoft's samples, and the recipe's fields. The
# portal's labels (batch size multiplier, learning rate, epochs) are no keys; a wrong key may be ignored without a word.
_KEYS = {
    "per_device_train_batch_size": "batch_size_multiplier",
    "learning_rate": "learning_rate",
    "num_train_epochs": "epochs",
}
# The options of the trainer's command, which are the fields of `tui.trainer.config.TrainingConfig` with hyphens, and
# the recipe's fields.
_OPTIONS = {
    "batch-size": "batch_size_multiplier",
    "gradient-accumulation-steps": "gradient_accumulation",
    "learning-rate": "learning_rate",
    "epochs": "epochs",
    "seed": "seed",
    "method": "method",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
}
_LORA_OPTIONS = {"lora-rank": "lora_rank", "lora-alpha": "lora_alpha"}
_WORDS = ("method", "loss", "optimizer", "schedule")
_REGISTRY = "azureml://registries/"


def hyperparameters(chosen: Hyperparameters) -> dict[str, str]:
    """The hyperparameters of a fine-tuning job as the wire has them: all strings, numbers as plain decimals."""
    return {key: _written(chosen, field) for key, field in _KEYS.items()}


def command(recipe: Recipe, *, validation: bool) -> str:
    """The command of the `script` engine's job, with every choice of the recipe that the trainer takes.

    Args:
        recipe: the choices.
        validation: whether there are validation rows.
    """
    chosen = recipe.hyperparameters
    options = {"model": "${{inputs.model}}", "train-file": "${{inputs.train}}"}
    if validation:
        options["validation-file"] = "${{inputs.validation}}"
    options["output-dir"] = "${{outputs.registered_model}}"
    fields = _OPTIONS | (_LORA_OPTIONS if chosen.method == "lora" else {})
    options |= {option: _written(chosen, field) for option, field in fields.items()}
    words = " ".join(f"--{option} {value}" for option, value in options.items())
    return f"pip install -r trainer/requirements.txt && python -m trainer train {words}"


def _written(chosen: Hyperparameters, field: str) -> str:
    value = getattr(chosen, field)
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    return str(value).replace("-", "_")


def told(properties: dict[str, Any]) -> dict[str, Any]:
    """The choices that a job's body tells, by their names in `Recipe.with_`; what it does not tell is not there.

    Args:
        properties: `properties` of the job's body.

    Raises:
        ValueError: a number of the job is none.
    """
    details = properties.get("fineTuningDetails") or {}
    inputs = properties.get("inputs") or {}
    resources = properties.get("resources") or {}
    model = str((details.get("model") or inputs.get("model") or {}).get("uri") or "")
    training = str((details.get("trainingData") or inputs.get("train") or {}).get("uri") or "")
    validation = details.get("validationData") or inputs.get("validation")
    registered = model.startswith(_REGISTRY)
    found: dict[str, Any] = {
        "model__version": _part(model, "versions") if registered else "",
        "model__weights": "" if registered or details else model,
        "model__compute": str(properties.get("computeId") or "").rpartition("/")[2],
        "model__instance_type": resources.get("instanceType") or next(iter(resources.get("instanceTypes") or ()), ""),
        "model__instance_count": resources.get("instanceCount"),
        "data__asset": asset(training).partition(":")[0],
        "validation__mode": "" if validation else "none",
    }
    given = {_KEYS[key]: value for key, value in (details.get("hyperParameters") or {}).items() if key in _KEYS}
    fields = _OPTIONS | _LORA_OPTIONS
    options = _options(str(properties.get("command") or ""))
    given |= {fields[option]: value for option, value in options.items() if option in fields}
    found |= {f"hyperparameters__{name}": _read(name, str(value)) for name, value in given.items()}
    return {name: value for name, value in found.items() if value not in ("", None)}


def _options(command: str) -> dict[str, str]:
    """The options of the trainer's command and their values."""
    words = shlex.split(command)
    return {word.removeprefix("--"): value for word, value in pairwise(words) if word.startswith("--")}


def _read(field: str, text: str) -> str | int | float:
    if field in _WORDS:
        return text.replace("_", "-")
    return float(text) if field == "learning_rate" else int(float(text))


def _part(path: str, kind: str) -> str:
    found = re.search(rf"/{kind}/([^/]+)", path)
    return found[1] if found else ""


def asset(uri: str) -> str:
    """A data asset as `name:version`, of its resource id or its short form; empty: it is none."""
    name = _part(uri, "data")
    if name:
        return f"{name}:{_part(uri, 'versions')}"
    return uri.removeprefix("azureml:") if re.fullmatch(r"azureml:[^/:]+:[^/:]+", uri) else ""


def recipe_of(job: Job, recipe: Recipe, noted: str = "") -> tuple[Recipe, tuple[str, ...]]:
    """The recipe with a job's choices put in, and what of them could not be taken, for a person.

    Args:
        job: the job, as Azure has it.
        recipe: the one being edited; what the job does not tell stays as it is there.
        noted: the recipe that the journal kept when the job was submitted from this machine, as TOML; it tells all.

    Raises:
        RecipeError: the job has a value that the recipe does not take.
    """
    if noted:
        return loads(noted).with_(name=recipe.name), ()
    changes: dict[str, Any] = dict(job.choices or {})
    for field, text in (
        ("model__name", job.model),
        ("model__engine", job.engine or ""),
        ("output__model", job.output_model),
        ("output__experiment", job.experiment),
    ):
        if text:
            changes[field] = text
    left: list[str] = []
    if job.training_uri:
        held = asset(job.training_uri) or job.training_uri
        left.append(t("the training file: on Azure it is {asset}, here yours stays", asset=held))
    if job.validation_uri:
        held = asset(job.validation_uri) or job.validation_uri
        left.append(t("how the validation rows were chosen: on Azure they are {asset}", asset=held))
    for key, value in (job.hyperparameters or {}).items():
        if key not in _KEYS:
            left.append(t("the hyperparameter {name} = {value}", name=key, value=value))
    return recipe.with_(**changes), tuple(left)
