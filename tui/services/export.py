"""A recipe as the code that does the same without this program: az commands, Python, Bicep. Never with a secret."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tui.recipe import Recipe
from tui.services import choices, jobs, machines, submissions
from tui.services.catalog import REGISTRY, Model
from tui.services.deployments import default_name
from tui.services.uploads import asset_name

_JOB_API = jobs.API
_ENDPOINT_API = "2024-10-01"
_ENDPOINT_TYPE = f"Microsoft.MachineLearningServices/workspaces/serverlessEndpoints@{_ENDPOINT_API}"


class _Names:
    """The names that all three forms use."""

    def __init__(self, recipe: Recipe, model: Model | None) -> None:
        target = recipe.target
        self.subscription = target.subscription or "SUBSCRIPTION_ID"
        self.group, self.location = target.resource_group, target.location
        self.hub, self.project = target.hub, target.project
        self.data = recipe.data.asset or (asset_name(Path(recipe.data.train)) if recipe.data.train else "training-data")
        self.validation = f"{self.data}-validation"
        self.train_file = recipe.data.train or "train.jsonl"
        self.validation_file = recipe.validation.path or "validation.jsonl"
        self.has_validation = recipe.validation.mode != "none"
        self.split = recipe.validation.mode == "split"
        version = recipe.model.version or (model.version if model else "")
        self.model = f"azureml://registries/{REGISTRY}/models/{recipe.model.name}/" + (
            f"versions/{version}" if version else "labels/latest"
        )
        self.size = machines.chosen(recipe, model) or "INSTANCE_TYPE"
        self.output = recipe.output.model
        self.experiment = recipe.output.experiment
        self.job = f"{recipe.output.model}-1"
        self.endpoint = recipe.deployment.endpoint or default_name(recipe.output.model)
        self.safety = "Enabled" if recipe.deployment.content_safety else "Disabled"
        self.workspace = (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.project}"
        )


def _job_body(recipe: Recipe, names: _Names) -> dict[str, Any]:
    details: dict[str, Any] = {
        "modelProvider": "Custom",
        "taskType": "chatCompletion",
        "model": {"jobInputType": "mlflow_model", "uri": names.model},
        "trainingData": {"jobInputType": "uri_file", "uri": f"{names.workspace}/data/{names.data}/versions/1"},
    }
    if names.has_validation:
        uri = f"{names.workspace}/data/{names.validation}/versions/1"
        details["validationData"] = {"jobInputType": "uri_file", "uri": uri}
    details["hyperParameters"] = choices.hyperparameters(recipe.hyperparameters)
    properties: dict[str, Any] = {
        "jobType": "FineTuning",
        "displayName": names.job,
        "experimentName": names.experiment,
        "fineTuningDetails": details,
        "outputs": {"registered_model": {"jobOutputType": "mlflow_model", "assetName": names.output}},
    }
    if recipe.model.engine == "managed":
        if recipe.model.compute:
            properties["computeId"] = f"{names.workspace}/computes/{recipe.model.compute}"
        else:
            properties["resources"] = {"instanceTypes": [names.size]}
            properties["queueSettings"] = {"jobTier": "Standard"}
    return {"properties": properties}


def _endpoint_body(names: _Names, model_id: str) -> dict[str, Any]:
    return {
        "location": names.location,
        "sku": {"name": "Consumption"},
        "properties": {
            "authMode": "Key",
            "modelSettings": {"modelId": model_id},
            "contentSafety": {"contentSafetyStatus": names.safety},
        },
    }


def as_cli(recipe: Recipe, model: Model | None) -> str:
    """The run as a POSIX shell script of `az` commands (Azure CLI with its `ml` extension)."""
    names = _Names(recipe, model)
    place = f"--resource-group {shlex.quote(names.group)}"
    inside = f"{place} --workspace-name {shlex.quote(names.project)}"
    region = f"--location {shlex.quote(names.location)}"
    url = names.workspace  # `az rest` puts the signed-in cloud's own resource manager before it
    lines = [
        "#!/bin/sh",
        "# Needs the Azure CLI with its ml extension, signed in by `az login`.",
        "set -eu",
        f"az account set --subscription {shlex.quote(names.subscription)}",
        "az provider register --namespace Microsoft.Network --wait",
        f"az group create --name {shlex.quote(names.group)} {region}",
        f"az ml workspace create --kind hub --name {shlex.quote(names.hub)} {place} {region}",
        f"hub=$(az ml workspace show --name {shlex.quote(names.hub)} {place} --query id --output tsv)",
        f'az ml workspace create --kind project --name {shlex.quote(names.project)} {place} --hub-id "$hub"',
    ]
    if names.split:
        lines.append(f"# The validation rows were split off by phift-tui; {names.validation_file} stands for them.")
    lines.append(_cli_data(names.data, names.train_file, inside))
    if names.has_validation:
        lines.append(_cli_data(names.validation, names.validation_file, inside))
    if recipe.model.engine == "script":
        return "\n".join([*lines, *_cli_script(recipe, names, inside)]) + "\n"
    endpoint = f"{url}/serverlessEndpoints/{names.endpoint}?api-version={_ENDPOINT_API}"
    job = shlex.quote(json.dumps(_job_body(recipe, names), indent=2))
    lines += [
        f"az rest --method put --url '{url}/jobs/{names.job}?api-version={_JOB_API}' --body {job}",
        f"# Follow it until its status is Completed: az rest --method get --url "
        f"'{url}/jobs/{names.job}?api-version={_JOB_API}' --query properties.status",
        f"guid=$(az rest --method get --url '{url}?api-version={_ENDPOINT_API}' \\",
        "  --query properties.workspaceId --output tsv)",
        f"az rest --method put --url '{endpoint}' --body \"$(cat <<END",
        json.dumps(
            _endpoint_body(
                names, f"azureml://locations/{names.location}/workspaces/$guid/models/{names.output}/versions/1"
            ),
            indent=2,
        ),
        "END",
        ')"',
        "# It is billed by the hour from here on. To end that:",
        f"# az rest --method delete --url '{endpoint}'",
    ]
    return "\n".join(lines) + "\n"


def _cli_data(name: str, path: str, inside: str) -> str:
    return (
        f"az ml data create --name {shlex.quote(name)} --version 1 --type uri_file --path {shlex.quote(path)} {inside}"
    )


def _cli_script(recipe: Recipe, names: _Names, inside: str) -> list[str]:
    inputs = {"train": {"type": "uri_file", "path": f"azureml:{names.data}:1"}}
    if names.has_validation:
        inputs["validation"] = {"type": "uri_file", "path": f"azureml:{names.validation}:1"}
    inputs["model"] = {"type": "custom_model", "path": recipe.model.weights or names.model}
    # YAML is a superset of JSON, so the job file needs no quoting rules of its own.
    job: dict[str, Any] = {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
        "command": choices.command(recipe, validation=names.has_validation),
        "code": "code",
        "environment": submissions.ENVIRONMENT,
        "inputs": inputs,
        "outputs": {"registered_model": {"type": "custom_model", "name": names.output}},
        "distribution": {
            "type": "pytorch",
            "process_count_per_instance": machines.processes(names.size),
        },
        "resources": {"instance_count": recipe.model.instance_count},
        "experiment_name": names.experiment,
    }
    if recipe.model.compute:
        job["compute"] = f"azureml:{recipe.model.compute}"
    else:
        job["resources"]["instance_type"] = names.size
    return [
        "# The folder code holds phift-tui's folder tui/trainer as trainer/.",
        "cat > job.yml <<'END'",
        json.dumps(job, indent=2),
        "END",
        f"az ml job create --file job.yml {inside}",
    ]


def as_python(recipe: Recipe, model: Model | None) -> str:
    """The run as a Python program with azure-ai-ml and azure-identity."""
    names = _Names(recipe, model)
    validation = ""
    if names.has_validation:
        validation = (
            f"validation = ml.data.create_or_update(\n"
            f"    Data(name={names.validation!r}, version='1', type='uri_file', path={names.validation_file!r})\n)\n"
        )
    head = f'''"""Fine-tunes {recipe.model.name} as the recipe {recipe.name!r} says."""

import time

from azure.ai.ml import Input, MLClient, Output, PyTorchDistribution, command
from azure.ai.ml.entities import CustomModelFineTuningJob, Data, Hub, Project, ServerlessEndpoint
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential

SUBSCRIPTION, GROUP = {names.subscription!r}, {names.group!r}  # the resource group must exist
credential = DefaultAzureCredential()
spaces = MLClient(credential, SUBSCRIPTION, GROUP).workspaces


def ensure(name, make):
    try:
        return spaces.get(name)
    except ResourceNotFoundError:
        return spaces.begin_create(make()).result()


hub = ensure({names.hub!r}, lambda: Hub(name={names.hub!r}, location={names.location!r}))
project = ensure({names.project!r}, lambda: Project(name={names.project!r}, hub_id=hub.id, location=hub.location))
ml = MLClient(credential, SUBSCRIPTION, GROUP, {names.project!r})

training = ml.data.create_or_update(
    Data(name={names.data!r}, version='1', type='uri_file', path={names.train_file!r})
)
{validation}'''
    return head + (_python_script(recipe, names) if recipe.model.engine == "script" else _python_job(recipe, names))


def _python_job(recipe: Recipe, names: _Names) -> str:
    validation = "    validation_data=Input(type='uri_file', path=validation.id),\n" if names.has_validation else ""
    managed = ""
    if recipe.model.engine == "managed":
        if recipe.model.compute:
            managed = f"    compute={f'{names.workspace}/computes/{recipe.model.compute}'!r},\n"
        else:
            managed = (
                f"    resources=JobResources(instance_types=[{names.size!r}]),\n"
                "    queue_settings=QueueSettings(job_tier='Standard'),\n"
            )
    imports = (
        "from azure.ai.ml.entities import QueueSettings\n"
        "from azure.ai.ml.entities._job.job_resources import JobResources\n\n"
        if "JobResources" in managed
        else ""
    )
    return f"""{imports}job = ml.jobs.create_or_update(CustomModelFineTuningJob(
    name={names.job!r},
    experiment_name={names.experiment!r},
    task='chatCompletion',
    model=Input(type='mlflow_model', path={names.model!r}),
    training_data=Input(type='uri_file', path=training.id),
{validation}    hyperparameters={choices.hyperparameters(recipe.hyperparameters)!r},
    outputs={{'registered_model': Output(type='mlflow_model', name={names.output!r})}},
{managed}))
while job.status not in ('Completed', 'Failed', 'Canceled'):
    time.sleep(30)
    job = ml.jobs.get(job.name)
print(job.status)

# azure-ai-ml cannot choose content safety; Azure's default is on. It is billed by the hour from here on.
guid = spaces.get({names.project!r})._workspace_id
model_id = f'azureml://locations/{{hub.location}}/workspaces/{{guid}}/models/{names.output}/versions/1'
endpoint = ml.serverless_endpoints.begin_create_or_update(
    ServerlessEndpoint(name={names.endpoint!r}, model_id=model_id)
).result()
print(endpoint.scoring_uri)
"""


def _python_script(recipe: Recipe, names: _Names) -> str:
    validation = "        'validation': Input(type='uri_file', path=validation.id),\n" if names.has_validation else ""
    cluster = recipe.model.compute
    machine = f"    compute={cluster!r},\n" if cluster else f"    instance_type={names.size!r},\n"
    return f"""job = ml.jobs.create_or_update(command(
    name={names.job!r},
    experiment_name={names.experiment!r},
    command={choices.command(recipe, validation=names.has_validation)!r},
    code='code',  # a folder that holds phift-tui's folder tui/trainer as trainer/
    environment={submissions.ENVIRONMENT!r},
    inputs={{
        'train': Input(type='uri_file', path=training.id),
{validation}        'model': Input(type='custom_model', path={recipe.model.weights or names.model!r}),
    }},
    outputs={{'registered_model': Output(type='custom_model', name={names.output!r})}},
    distribution=PyTorchDistribution(process_count_per_instance={machines.processes(names.size)}),
{machine}    instance_count={recipe.model.instance_count},
))
while job.status not in ('Completed', 'Failed', 'Canceled'):
    time.sleep(30)
    job = ml.jobs.get(job.name)
print(job.status)
"""


def as_bicep(recipe: Recipe, model: Model | None) -> str:
    """The lasting part of the run as Bicep: hub, project and, once the model exists, the endpoint.

    Data and jobs are no resources that Bicep makes; they are named in comments.
    """
    names = _Names(recipe, model)
    return f"""// {_comment(recipe.name)}: deploy with
//   az deployment group create --resource-group {names.group} --template-file main.bicep
// The data and the fine-tuning job are made by the az commands of this recipe; then set modelVersion.
targetScope = 'resourceGroup'

param location string = {_bicep(names.location)}
@description('Version of the tuned model; empty until the job has registered it')
param modelVersion string = ''

var suffix = take(uniqueString(resourceGroup().id, {_bicep(names.hub)}), 12)

resource storage 'Microsoft.Storage/storageAccounts@2023-04-01' = {{
  name: 'st${{suffix}}'
  location: location
  sku: {{ name: 'Standard_LRS' }}
  kind: 'StorageV2'
  properties: {{ supportsHttpsTrafficOnly: true, allowBlobPublicAccess: false, minimumTlsVersion: 'TLS1_2' }}
}}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {{
  name: 'kv${{suffix}}'
  location: location
  properties: {{
    tenantId: subscription().tenantId
    sku: {{ name: 'standard', family: 'A' }}
    accessPolicies: []
    enableRbacAuthorization: true
  }}
}}

resource hub 'Microsoft.MachineLearningServices/workspaces@2024-10-01' = {{
  name: {_bicep(names.hub)}
  location: location
  kind: 'Hub'
  sku: {{ name: 'Basic', tier: 'Basic' }}
  identity: {{ type: 'SystemAssigned' }}
  properties: {{ friendlyName: {_bicep(names.hub)}, storageAccount: storage.id, keyVault: vault.id }}
}}

resource project 'Microsoft.MachineLearningServices/workspaces@2024-10-01' = {{
  name: {_bicep(names.project)}
  location: location
  kind: 'Project'
  sku: {{ name: 'Basic', tier: 'Basic' }}
  identity: {{ type: 'SystemAssigned' }}
  properties: {{ friendlyName: {_bicep(names.project)}, hubResourceId: hub.id }}
}}

// Billed by the hour while it exists.
resource endpoint '{_ENDPOINT_TYPE}' = if (!empty(modelVersion)) {{
  parent: project
  name: {_bicep(names.endpoint)}
  location: location
  sku: {{ name: 'Consumption' }}
  properties: {{
    authMode: 'Key'
    modelSettings: {{
      modelId: 'azureml://locations/${{location}}/workspaces/${{project.properties.workspaceId}}/models/{names.output}/versions/${{modelVersion}}'
    }}
    contentSafety: {{ contentSafetyStatus: '{names.safety}' }}
  }}
}}

output project string = project.id
"""


def _bicep(text: str) -> str:
    """A Bicep string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${").replace("\n", "\\n")
    return f"'{escaped}'"


def _comment(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")
