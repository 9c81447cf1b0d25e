"""Models of a workspace: their routes, and registering what a fine-tuning job produced."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.routing import BaseRoute

from tui.sandbox import data, versions
from tui.sandbox.artifacts import ARTIFACT_STORE, artifact_folder, link_output, workspace_of_job
from tui.sandbox.errors import ServiceError
from tui.sandbox.identity import Principal
from tui.sandbox.paths import name_of, segment_after
from tui.sandbox.runs import Run
from tui.sandbox.versions import MODELS, asset_routes

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

# The property of a registered model that names the stand-in it was made of.
STAND_IN = "phift.sandbox.standIn"
SERVERLESS_TYPE = "Microsoft.MachineLearningServices/workspaces/serverlessEndpoints"
DEPLOYMENT_TYPE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"


def register_tuned(sandbox: Sandbox, run: Run) -> None:
    """Register the model of a completed run as the next version of its name, and name it in the job's outputs.

    The properties are those that Azure's own registration step gives a fine-tuned model
    (azureml-assets, register_model.py), which deployment reads.
    """
    job = sandbox.state.require(run.job)
    outputs = job["properties"].get("outputs") or {}
    for output_name, output in outputs.items():
        if not output or not output.get("assetName"):
            continue
        folder = Path(run.folder) / "output"
        link_output(sandbox, run, folder, output_name)
        workspace_id = workspace_of_job(run)
        container = sandbox.state.get(f"{workspace_id}/models/{output['assetName']}")
        version = container["properties"]["nextVersion"] if container else "1"
        uri = f"azureml://datastores/{ARTIFACT_STORE}/paths/{artifact_folder(run)}/outputs/{output_name}"
        body, _ = versions.put_version(
            sandbox,
            MODELS,
            f"{workspace_id}/models/{output['assetName']}/versions/{version}",
            {
                "modelType": output["jobOutputType"],
                "modelUri": uri,
                "jobName": name_of(run.job),
                "flavors": {"transformers": {"data": {"task": "chat-completion"}}},
                "tags": {"baseModelId": run.base_model, "maas-finetuning": "true"},
                "properties": {
                    "baseModelId": run.base_model,
                    "baseWeightsId": run.base_model,
                    "baseModelWeightsVersion": run.base_model.rsplit("/", 1)[-1],
                    "hasDeltaWeights": "true",
                    "maas-finetuning": "true",
                    **({STAND_IN: run.stand_in} if run.stand_in else {}),
                    "phift.sandbox.answeredBy": str(run.started_event.get("model_description", "")),
                },
            },
            creator(job),
        )
        sandbox.state.settings.set(_weights_setting(body["id"]), str(folder))
        output["assetVersion"] = version
        output["uri"] = body["properties"]["modelUri"]
    sandbox.state.put(job["id"], job["type"], job)


def creator(resource: dict[str, Any]) -> Principal:
    """Who made a resource, as far as its system data tells: what is made from it is theirs."""
    data = resource["systemData"]
    return Principal("", data["createdBy"], data["createdByType"], "", {})


def _weights_setting(model_id: str) -> str:
    return f"weights/{model_id.lower()}"


def weights_of(sandbox: Sandbox, model: dict[str, Any]) -> str:
    """The folder with the weights of a registered model; those of an uploaded model are fetched from its blobs once."""
    setting = _weights_setting(model["id"])
    known = sandbox.state.settings.get(setting)
    if known is not None:
        return str(known)
    workspace_id = model["id"].rsplit("/models/", 1)[0]
    place = data.locate(sandbox, workspace_id, model["properties"]["modelUri"])
    folder = data.fetch(sandbox, place, sandbox.state.folder / "models" / uuid.uuid4().hex)
    sandbox.state.settings.set(setting, str(folder))
    return str(folder)


def find_by_asset_id(sandbox: Sandbox, model_id: str) -> dict[str, Any] | None:
    """The registered model behind `azureml://locations/…/workspaces/{guid}/models/…/versions/…` or an ARM id."""
    if model_id.lower().startswith("/subscriptions/"):
        return sandbox.state.get(model_id)
    guid, name, version = (segment_after(model_id, word) for word in ("workspaces", "models", "versions"))
    for workspace in sandbox.state.of_type(versions.WORKSPACE_TYPE):
        if str(workspace["properties"].get("workspaceId", "")).lower() == str(guid).lower():
            return sandbox.state.get(f"{workspace['id']}/models/{name}/versions/{version}")
    return None


def users_of(sandbox: Sandbox, model: dict[str, Any]) -> list[str]:
    """Names of the endpoints on which a registered model is deployed."""
    found = []
    for endpoint in sandbox.state.of_type(SERVERLESS_TYPE):
        used = find_by_asset_id(sandbox, endpoint["properties"]["modelSettings"]["modelId"])
        if used is not None and used["id"].lower() == model["id"].lower():
            found.append(endpoint["name"])
    for deployment in sandbox.state.of_type(DEPLOYMENT_TYPE):
        used = find_by_asset_id(sandbox, str(deployment["properties"].get("model") or ""))
        if used is not None and used["id"].lower() == model["id"].lower():
            found.append(str(segment_after(deployment["id"], "onlineEndpoints")))
    return found


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of models."""

    def refuse_when_deployed(version_ids: list[str]) -> None:
        for version_id in version_ids:
            model = sandbox.state.get(version_id)
            users = users_of(sandbox, model) if model else []
            if model and users:
                name = name_of(version_id.rsplit("/versions/", 1)[0])
                raise ServiceError(
                    409,
                    "Conflict",
                    f"Model {name}:{model['name']} cannot be deleted while it is deployed: delete the endpoint "
                    f"{', '.join(users)} first.",
                    inner={"code": "ModelInUse"},
                )

    return asset_routes(sandbox, MODELS, before_delete=refuse_when_deployed)
