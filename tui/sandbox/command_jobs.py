"""Command jobs: those whose command is the project's trainer are trained here; any other is refused with the reason."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.sandbox import base_models, data
from tui.sandbox.base_models import Base
from tui.sandbox.finetuning import Plan, refuse
from tui.sandbox.wire import section
from tui.trainer.azure_knobs import FASTEST, SLOWEST
from tui.trainer.config import RECIPES, ConfigError, TrainingConfig

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_TRAINER = re.compile(r"-m\s+trainer\s+train\s+(?P<arguments>.*)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs)\.([A-Za-z_]\w*)\s*\}\}")


def shape(given: dict[str, Any]) -> dict[str, Any]:
    """A command job's properties as Azure answers them.

    Raises:
        ServiceError: 400 UserError for a missing command or environment.
    """
    for name in ("command", "environmentId"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise refuse(f"The {name} field is required.")
    absent_as_null = (
        "description", "displayName", "codeId", "computeId", "componentId", "identity", "notificationSetting",
        "distribution", "limits", "queueSettings", "resources", "parameters",
    )  # fmt: skip
    return {
        "tags": dict(section(given, "tags")),
        "properties": dict(section(given, "properties")),
        "status": None,
        "experimentName": given.get("experimentName") or "Default",
        "services": None,
        "isArchived": bool(given.get("isArchived", False)),
        "jobType": "Command",
        "command": given["command"],
        "environmentId": given["environmentId"],
        "environmentVariables": section(given, "environmentVariables"),
        "inputs": section(given, "inputs"),
        "outputs": {
            name: {"description": None, "uri": None, "assetName": None, "mode": "ReadWriteMount", **output}
            for name, output in section(given, "outputs").items()
        },
        **{name: given.get(name) for name in absent_as_null},
    }


def trainer_options(command: str) -> dict[str, str]:
    """The options of `python -m trainer train` in a command line, by name.

    Raises:
        ServiceError: 400 UserError when the command is not the trainer's.
    """
    match = _TRAINER.search(command)
    if match is None:
        raise refuse(
            "The sandbox has no clusters: the only command jobs it runs are those of the project's own trainer "
            "(python -m trainer train …).",
            "CommandNotSupported",
        )
    words = shlex.split(match["arguments"])
    if len(words) % 2 or any(not word.startswith("--") for word in words[::2]):
        raise refuse(f"The trainer's options are not pairs of --name and value: {match['arguments']}")
    return {word.removeprefix("--"): value for word, value in zip(words[::2], words[1::2], strict=True)}


def prepare(sandbox: Sandbox, workspace: dict[str, Any], name: str, given: dict[str, Any]) -> Plan:
    """Check a new command job and return what to do.

    Raises:
        ServiceError: 400 UserError when it is not the trainer's or a choice is wrong, 404 for a missing input.
    """
    properties = shape(given)
    options = trainer_options(properties["command"])
    if properties["codeId"]:
        data.locate(sandbox, workspace["id"], properties["codeId"])

    def uri_of(value: str) -> str | None:
        match = _PLACEHOLDER.fullmatch(value)
        if match is None or match[1] == "outputs":
            return None
        entry = properties["inputs"].get(match[2])
        if not isinstance(entry, dict):
            raise refuse(f"The command names the input '{match[2]}', which the job does not have.")
        return str(entry.get("uri") or entry.get("value"))

    model_uri = uri_of(options.get("model", ""))
    base = base_models.start(sandbox, model_uri or options.get("model", ""))
    files = {}
    for option in ("train-file", "validation-file"):
        uri = uri_of(options.get(option, ""))
        if uri is not None:
            files[option] = data.locate(sandbox, workspace["id"], uri)
    if "train-file" not in files:
        raise refuse("The trainer's --train-file has to be an input of the job.")
    choices = _choices(options)
    properties["displayName"] = properties["displayName"] or name
    properties["properties"] |= {
        "azureml.original_model_id": model_uri or "",
        "azureml.ModelName": base.name,
        "_azureml.ComputeTargetType": "sandbox",
    }

    notes = [*_scaled_down(properties), *_unusual_rate(choices, base)]

    def fill(folder: Path) -> None:
        fetched = {name: data.fetch(sandbox, place, folder / "inputs" / name) for name, place in files.items()}
        config = {
            **choices,
            "model": base.weights,
            "train_file": str(fetched["train-file"]),
            "validation_file": str(fetched["validation-file"]) if "validation-file" in fetched else None,
            "output_dir": str(folder / "output"),
            "notes": [f"sandbox: {note}" for note in notes],
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2))

    return Plan(properties, base, notes, fill)


def _unusual_rate(choices: dict[str, Any], base: Base) -> list[str]:
    """What to tell of a learning rate that was made for Phi and meets a stand-in, which takes it as it is."""
    recipe = RECIPES.get(base.stand_in)
    rate = choices.get("learning_rate")
    if recipe is None or rate is None:
        return []
    own = recipe.learning_rate[choices.get("method") or recipe.method]
    if SLOWEST * own <= rate <= FASTEST * own:
        return []
    return [
        f"learning_rate {rate:g} is used as asked, and the stand-in '{base.stand_in}' learns at about {own:g}: from a "
        "much lower rate it learns next to nothing, and at a much higher one it forgets all"
    ]


def _scaled_down(properties: dict[str, Any]) -> list[str]:
    """What to tell of a job that asks for more than the one process that the sandbox trains with."""
    machines = int(section(properties, "resources").get("instanceCount") or 1)
    processes = int(section(properties, "distribution").get("processCountPerInstance") or 1)
    if machines * processes == 1:
        return []
    return [
        f"machines and processes asked {machines} × {processes}, used 1 × 1, because the sandbox has no cluster: the "
        f"global batch is a {machines * processes}th of that on Azure, and neither DDP nor FSDP runs"
    ]


def _choices(options: dict[str, str]) -> dict[str, Any]:
    """The trainer's choices among its options, in the types of its configuration."""
    given = {
        name.replace("-", "_"): value
        for name, value in options.items()
        if name not in ("model", "train-file", "validation-file", "output-dir")
    }
    values: dict[str, Any] = {}
    for name, text in given.items():
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    try:
        TrainingConfig.from_dict({"model": "tiny", "train_file": "/train", "output_dir": "/output", **values})
    except ConfigError as error:
        raise refuse(f"The trainer's options are not valid: {error}") from error
    return values
