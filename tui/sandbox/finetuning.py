"""Fine-tuning jobs: the checks Azure makes at submission, the body it answers with, and the trainer's configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.sandbox import access, base_models, data
from tui.sandbox.base_models import Base
from tui.sandbox.blob_store import Address
from tui.sandbox.errors import ServiceError
from tui.sandbox.paths import segment_after
from tui.sandbox.versions import ASSET_NAME
from tui.sandbox.wire import section
from tui.trainer.azure_knobs import RATE, from_azure_hyperparameters

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

TASKS = {name.lower(): name for name in ("ChatCompletion", "TextCompletion")}
# "You can't use free or trial Azure subscriptions" (prerequisites of serverless fine-tuning).
FREE_OFFERS = ("FreeTrial_", "AzureForStudents_", "AzurePass_")
INPUT = {"description": None, "uri": None, "mode": "ReadOnlyMount", "jobInputType": None}


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked job: the properties to answer with, its start, what to tell the user, and how to fill its folder."""

    properties: dict[str, Any]
    base: Base
    notes: list[str]
    fill: Callable[[Path], None]


def refuse(message: str, inner: str = "BadArgument", status: int = 400) -> ServiceError:
    """The refusal that the job service words as a user's error."""
    return ServiceError(status, "UserError", message, inner={"code": inner})


def shape(given: dict[str, Any]) -> dict[str, Any]:
    """A job's properties as Azure answers them: every property present, enumerations in their own spelling.

    Raises:
        ServiceError: 400 UserError for a missing or wrong property.
    """
    details = section(given, "fineTuningDetails")
    provider = str(details.get("modelProvider", ""))
    if provider.lower() != "custom":
        raise refuse(f"The sandbox fine-tunes models of the provider Custom, not '{provider}'.")
    task = TASKS.get(str(details.get("taskType", "")).lower())
    if task is None:
        raise refuse(f"The taskType '{details.get('taskType')}' is not valid; use ChatCompletion.")
    inputs = {}
    for name in ("trainingData", "validationData", "model"):
        value = section(details, name)
        if not value:
            if name != "validationData":
                raise refuse(f"The fineTuningDetails.{name} field is required.")
            continue
        if not isinstance(value.get("uri"), str) or not value["uri"]:
            raise refuse(f"The fineTuningDetails.{name}.uri field is required.")
        inputs[name] = {**INPUT, **{key: value[key] for key in INPUT if value.get(key) is not None}}
    hyperparameters = details.get("hyperParameters")
    if hyperparameters is not None and not isinstance(hyperparameters, dict):
        raise refuse("fineTuningDetails.hyperParameters has to be an object of strings.")
    outputs = {}
    for name, output in section(given, "outputs").items():
        if not isinstance(output, dict) or not output.get("jobOutputType"):
            raise refuse(f"outputs.{name} has to be an object with a jobOutputType.")
        if output.get("assetName") and not ASSET_NAME.fullmatch(str(output["assetName"])):
            raise refuse(f"outputs.{name}.assetName '{output['assetName']}' is not a valid model name.")
        outputs[name] = {
            "description": output.get("description"),
            "uri": None,
            "assetName": output.get("assetName"),
            "mode": output.get("mode") or "ReadWriteMount",
            "jobOutputType": output["jobOutputType"],
        }
    if not any(output["assetName"] for output in outputs.values()):
        raise refuse("outputs needs an output with an assetName: the name to register the tuned model under.")
    return {
        "description": given.get("description"),
        "tags": dict(section(given, "tags")),
        "properties": dict(section(given, "properties")),
        "displayName": given.get("displayName"),
        "status": None,
        "experimentName": given.get("experimentName") or "Default",
        "services": None,
        "computeId": given.get("computeId"),
        "isArchived": bool(given.get("isArchived", False)),
        "identity": given.get("identity"),
        "componentId": given.get("componentId"),
        "notificationSetting": given.get("notificationSetting"),
        "jobType": "FineTuning",
        "fineTuningDetails": {
            "taskType": task,
            **inputs,
            "modelProvider": "Custom",
            "hyperParameters": hyperparameters,
        },
        "resources": given.get("resources"),
        "queueSettings": given.get("queueSettings"),
        "outputs": outputs,
    }


def _require_eligible(sandbox: Sandbox, subscription: str) -> None:
    """Raise where a subscription lacks what fine-tuning is documented to need: Microsoft.Network and a paid offer."""
    access.require_registered(sandbox, subscription, "Microsoft.Network")
    policies = sandbox.state.require(f"/subscriptions/{subscription}")["subscriptionPolicies"]
    if policies["quotaId"].startswith(FREE_OFFERS):
        raise refuse(
            f"The subscription {subscription} is of a free or trial offer ({policies['quotaId']}). Fine-tuning needs a "
            "subscription with a valid payment method.",
            "SubscriptionNotSupported",
        )


def prepare(sandbox: Sandbox, workspace: dict[str, Any], name: str, given: dict[str, Any]) -> Plan:
    """Check a new fine-tuning job and return what to do.

    Raises:
        ServiceError: 400 UserError: model retired, archived, unknown or not offered in the workspace's region
            (ModelNotSupportedByMaaS), hyperparameters out of range, a free subscription; 404 UserError: data that does
            not exist; 409 MissingSubscriptionRegistration: a provider that fine-tuning needs.
    """
    properties = shape(given)
    _require_eligible(sandbox, str(segment_after(workspace["id"], "subscriptions")))
    details = properties["fineTuningDetails"]
    managed = bool((properties["resources"] or {}).get("instanceTypes"))
    model_uri = details["model"]["uri"]
    base_models.check_tunable(sandbox, workspace, model_uri, serverless=not managed)
    base = base_models.start(sandbox, model_uri)
    places = {}
    for part in ("trainingData", "validationData"):
        if part not in details:
            continue
        place = data.locate(sandbox, workspace["id"], details[part]["uri"])
        if sandbox.blobs.find(Address(place.account, place.container, place.path)) is None:
            raise refuse(
                f"The file of {part} does not exist: {details[part]['uri']}. Upload it and submit again.",
                "NotFound",
                404,
            )
        places[part] = place
    try:
        knobs = from_azure_hyperparameters(
            details["hyperParameters"] or {}, base.stand_in, default_learning_rate=base.learning_rate
        )
    except ValueError as error:
        raise refuse(f"fineTuningDetails.hyperParameters: {error}") from error
    properties["displayName"] = properties["displayName"] or name
    properties["properties"] |= {
        "PipelineType": "FineTuning",
        "original_model_id": model_uri,
        "azureml.ModelName": base.name,
        "azureml.PipelineType": "FineTuning",
        "azureml.original_model_id": model_uri,
        **{f"azureml.{part}.assetId": details[part]["uri"] for part in places},
        "_fineTuningJobType": "MaaP" if managed else "MaaS",
        "_outputModelName": next(o["assetName"] for o in properties["outputs"].values() if o["assetName"]),
        "StartTimeUtc": f"{sandbox.clock.now():%Y-%m-%d %H:%M:%S}",
        **{f"phift.sandbox.{name}": text for name, text in knobs.used.items()},
    }

    def fill(folder: Path) -> None:
        files = {
            part: data.fetch(sandbox, place, folder / "inputs" / part).absolute() for part, place in places.items()
        }
        config = {
            "model": base.weights,
            "train_file": str(files["trainingData"]),
            "validation_file": str(files["validationData"]) if "validationData" in files else None,
            "output_dir": str(folder / "output"),
            **knobs.choices,
            "notes": [f"sandbox: {name} {text}" for name, text in knobs.used.items()],
            "warnings": [f"sandbox: {text}" for text in knobs.warnings],
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2))

    # The stand-in's rate is in the metrics, where somebody looks for the one that was asked for.
    notes = [f"{name} {text}" for name, text in knobs.used.items() if name == RATE and not knobs.warnings]
    return Plan(properties, base, notes, fill)
