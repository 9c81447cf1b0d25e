"""Make the dated catalogue snapshot from a folder of Azure/azureml-assets' model entries (MIT).

    python scripts/make_catalogue.py FOLDER DATE

FOLDER holds one folder a model with its spec.yaml, and chat_completion_components/finetune.spec.yaml; DATE is the
date of the checkout. What the entries lack and Microsoft's documentation states is added here, each with its source.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "catalog"
DOCUMENTATION = "MicrosoftDocs/azure-ai-docs, region-availability-maas.md (2026-02-17)"
REGIONS = ["eastus2", "eastus", "northcentralus", "southcentralus", "westus", "westus3"]
# The first day of a model in the catalogue, from Microsoft's announcements; it decides what `--as-of` shows.
RELEASED = {
    "Phi-3-mini-4k-instruct": "2024-04-23",
    "Phi-3-mini-128k-instruct": "2024-04-23",
    "Phi-3-small-8k-instruct": "2024-05-21",
    "Phi-3-small-128k-instruct": "2024-05-21",
    "Phi-3-medium-4k-instruct": "2024-05-21",
    "Phi-3-medium-128k-instruct": "2024-05-21",
    "Phi-3.5-mini-instruct": "2024-08-20",
    "Phi-3.5-MoE-instruct": "2024-08-20",
    "Phi-4": "2024-12-12",
    "Phi-4-mini-instruct": "2025-02-26",
    "Phi-4-multimodal-instruct": "2025-02-26",
}
# The day on which the retired entries were marked archived (azureml-assets c27704cd66).
ARCHIVED = "2026-06-02"
SERVERLESS_REGIONS = {
    "Phi-4": REGIONS,
    "Phi-3-mini-4k-instruct": ["eastus2"],
    "Phi-3-mini-128k-instruct": ["eastus2"],
    "Phi-3-medium-4k-instruct": ["eastus2"],
    "Phi-3-medium-128k-instruct": ["eastus2"],
}
# Models that the documentation names and the folder has no entry for: only what the documentation says.
DOCUMENTED: dict[str, dict[str, Any]] = {
    "Phi-4-mini-instruct": {
        "displayName": "Phi-4-mini-instruct",
        "summary": "3.8 B parameters, 128K context.",
        "publisher": "Microsoft",
        "license": "MIT",
        "textContextWindow": 131072,
        "tasks": {"fineTuningTasks": ["chat-completion"], "inferenceTasks": ["chat-completion"]},
        "deploymentOptions": ["UnifiedEndpointMaaS", "MaaP", "ServerlessMaaS"],
        "maasFinetuning": {"maasFinetuningDeployRegions": REGIONS},
    },
    "Phi-4-multimodal-instruct": {
        "displayName": "Phi-4-multimodal-instruct",
        "publisher": "Microsoft",
        "license": "MIT",
    },
}


def entry(
    name: str, version: str, system: dict[str, Any], tags: dict[str, Any], *, archived: bool, source: str
) -> dict[str, Any]:
    """Return one model version as the registry answers it, with our own facts under `snapshot`."""
    base = f"azureml://registries/azureml/models/{name}"
    return {
        "model": name,
        "id": f"{base}/versions/{version}",
        "name": version,
        "type": "models",
        "properties": {
            "description": system.get("summary"),
            "tags": tags,
            "properties": {},
            "isArchived": archived,
            "isAnonymous": False,
            "flavors": {},
            "modelType": "mlflow_model",
            "modelUri": f"{base}/versions/{version}",
            "jobName": None,
            "stage": None,
            "systemMetadata": system,
        },
        "snapshot": {"source": source, "released": RELEASED[name], "archived": ARCHIVED if archived else None},
    }


def read(path: Path, date: str) -> dict[str, Any]:
    """Return the entry of one spec.yaml."""
    spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    name, system = spec["name"], spec["system_metadata"]
    for lengthy in ("licenseDescription", "evaluation", "notes", "benchmark"):
        system.pop(lengthy, None)
    source = f"Azure/azureml-assets ({date}, MIT)"
    if name in SERVERLESS_REGIONS and "maasFinetuning" not in system:
        system["maasFinetuning"] = {"maasFinetuningDeployRegions": SERVERLESS_REGIONS[name]}
        source += f"; maasFinetuning: {DOCUMENTATION}"
    tags = {key: value if isinstance(value, str) else json.dumps(value) for key, value in spec.get("tags", {}).items()}
    return entry(name, str(spec["version"]), system, tags, archived=bool(spec.get("isArchived")), source=source)


def main() -> None:
    """Write models.json and components.json."""
    folder, date = Path(sys.argv[1]), sys.argv[2]
    models = [read(path, date) for path in sorted(folder.glob("*/spec.yaml"))]
    known = {model["model"] for model in models}
    for name, system in DOCUMENTED.items():
        if name not in known:
            models.append(entry(name, "1", system, {}, archived=False, source=DOCUMENTATION))
    models.sort(key=lambda model: model["model"].casefold())
    document = {
        "date": date,
        "source": "Azure/azureml-assets, MIT, Copyright (c) Microsoft Corporation; what each entry adds is said in it",
        "fetched": f"{date}T00:00:00+00:00",
        "as_of": date,
        "models": models,
    }
    (ASSETS / "models.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    spec = yaml.safe_load((folder / "chat_completion_components" / "finetune.spec.yaml").read_text(encoding="utf-8"))
    inputs = {
        name: {key: value for key, value in given.items() if key != "description"}
        for name, given in spec["inputs"].items()
    }
    component = {
        "name": spec["name"],
        "version": str(spec["version"]),
        "type": spec["type"],
        "display_name": spec["display_name"],
        "description": spec["description"].split(". ")[0] + ".",
        "distribution": spec["distribution"],
        "environment": spec["environment"],
        "command": " ".join(spec["command"].split()),
        "inputs": inputs,
        "outputs": {name: {"type": given["type"]} for name, given in spec["outputs"].items()},
    }
    components = {"date": date, "source": f"Azure/azureml-assets ({date}, MIT)", "components": [component]}
    (ASSETS / "components.json").write_text(json.dumps(components, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
