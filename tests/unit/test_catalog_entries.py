"""Registry entries: the facts are found in each of the three places, and their absence is unknown."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.recipe import Recipe
from tui.services import catalog
from tui.services.catalog import Catalogue, Model
from tui.services.errors import ModelUnavailable
from tui.settings import Settings

NEW = {
    "systemMetadata": {
        "tasks": {"fineTuningTasks": ["chat-completion"]},
        "deploymentOptions": ["ServerlessMaaS"],
        "deprecation": {
            "finetuneDeprecationDate": "2025-06-30T00:00:00Z",
            "finetuneRetirementDate": "2025-08-30T00:00:00Z",
        },
        "maasFinetuning": {"maasFinetuningDeployRegions": ["eastus2", "West US 3"]},
        "supportedComputes": {"finetuneComputes": ["Standard_NC96ads_A100_v4", "Standard_NC24ads_A100_v4"]},
        "textContextWindow": 4096,
        "license": "MIT",
        "preview": True,
    },
    "tags": {"model_specific_defaults": json.dumps({"learning_rate": "5e-6", "learning_rate_max": 5e-5})},
}
SNAKE = {"system_metadata": NEW["systemMetadata"], "tags": NEW["tags"]}
OLD = {
    "tags": {
        "FinetuneDeprecationDate": "2025-06-30",
        "FinetuneRetirementDate": "2025-08-30",
        "maas-finetuning-deploy-regions": "eastus2, West US 3",
        "maas-inference": "true",
        "finetune_compute_allow_list": "['Standard_NC96ads_A100_v4', 'Standard_NC24ads_A100_v4']",
        "model_specific_defaults": {"learning_rate": 5e-6, "learning_rate_max": "5e-5"},
        "textContextWindow": "4096",
        "license": "MIT",
        "preview": "true",
    },
    "properties": {"finetuning-tasks": "chat-completion"},
}


def catalogue(*models: Model, on: date = date(2026, 11, 22)) -> Catalogue:
    return Catalogue(models, datetime.now(UTC), "registry", on)


def read(tmp_path: Path, properties: dict[str, Any], name: str = "Phi-3-mini-4k-instruct") -> Model:
    document = {
        "fetched": datetime.now(UTC).isoformat(),
        "as_of": "2026-11-22",
        "models": [{"model": name, "name": "15", "properties": properties}],
    }
    (tmp_path / "catalogue-public.json").write_text(json.dumps(document))
    (model,) = catalog.cached(Settings(state=tmp_path)).models
    return model


@pytest.mark.parametrize("properties", [NEW, SNAKE, OLD], ids=["systemMetadata", "system_metadata", "tags"])
def test_each_place_gives_the_same_facts(tmp_path: Path, properties: dict[str, Any]) -> None:
    model = read(tmp_path, properties)
    assert model.asset_id == "azureml://registries/azureml/models/Phi-3-mini-4k-instruct/versions/15"
    assert model.tasks == ("chat-completion",)
    assert model.engines["serverless"].ok is True
    assert model.engines["managed"].ok is True
    assert model.regions == ("eastus2", "westus3")
    assert model.instance_types[0] == "Standard_NC24ads_A100_v4"
    assert (model.finetune_deprecation, model.finetune_retirement) == (date(2025, 6, 30), date(2025, 8, 30))
    assert (model.context_length, model.license, model.preview) == (4096, "MIT", True)
    assert (model.learning_rate.default, model.learning_rate.low, model.learning_rate.high) == (5e-6, None, 5e-5)
    assert model.successor == "Phi-4-mini-instruct"


def test_the_day_of_a_retirement_is_past_on_that_day() -> None:
    model = catalog.Model("m", "1", "a", finetune_retirement=date(2025, 8, 30), inference_retirement=date(2026, 8, 30))
    assert model.retirements(date(2025, 8, 29)) == [
        "Fine-tuning ends on 2025-08-30.", "Serverless deployments of it answer until 2026-08-30.",
    ]  # fmt: skip
    assert model.retirements(date(2026, 8, 30)) == [
        "Fine-tuning ended on 2025-08-30.", "Serverless deployments of it answered until 2026-08-30.",
    ]  # fmt: skip


def test_what_stands_nowhere_is_unknown(tmp_path: Path) -> None:
    model = read(tmp_path, {}, "Phi-9")
    assert model.status(date(2026, 1, 1)) == "unknown"
    assert model.engines["serverless"].ok is None
    assert model.context_length is None
    assert model.regions == ()


@pytest.mark.parametrize(
    ("day", "status"),
    [
        ("2025-06-29", "available"),
        ("2025-06-30", "deprecated"),
        ("2025-08-29", "deprecated"),
        ("2025-08-30", "retired"),
    ],
)
def test_the_status_turns_on_its_dates(tmp_path: Path, day: str, status: str) -> None:
    assert read(tmp_path, NEW).status(date.fromisoformat(day)) == status


def test_a_retired_model_is_explained(tmp_path: Path) -> None:
    shipped = catalog.cached(Settings(state=tmp_path))
    recipe = Recipe().with_(model__name="phi-3-mini-4k-instruct")
    with pytest.raises(ModelUnavailable) as raised:
        catalog.check(shipped, recipe, date(2026, 11, 22))
    told = " ".join(raised.value.lines())
    for fact in ("2025-06-30", "2025-08-30", "Phi-4-mini-instruct", "script", "Nothing was uploaded"):
        assert fact in told
    script = recipe.with_(model__engine="script")
    assert catalog.check(shipped, script, date(2026, 11, 22)).name == "Phi-3-mini-4k-instruct"


def test_a_wrong_region_names_the_right_ones(tmp_path: Path) -> None:
    shipped = catalog.cached(Settings(state=tmp_path))
    with pytest.raises(ModelUnavailable, match=r"westeurope.*eastus2"):
        catalog.check(shipped, Recipe().with_(target__location="westeurope"), date(2026, 11, 22))


def test_an_unknown_model_or_version_is_refused_with_what_there_is(tmp_path: Path) -> None:
    shipped = catalog.cached(Settings(state=tmp_path))
    for changes in ({"model__name": "Phi-5"}, {"model__version": "999"}):
        with pytest.raises(ModelUnavailable) as raised:
            catalog.check(shipped, Recipe().with_(**changes), date(2026, 11, 22))
        assert "Phi-4" in raised.value.next_step


def test_rules_are_the_models_and_the_engines() -> None:
    model = Model("m", "1", "a", context_length=4096)
    assert catalog.rules(model, "serverless").context_tokens == 4096
    assert catalog.rules(None, "serverless").context_tokens is None
    assert catalog.rules(model, "script").max_bytes > catalog.rules(model, "serverless").max_bytes


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
PLACES = st.dictionaries(
    st.sampled_from(
        ["fineTuningTasks", "license", "textContextWindow", "finetuneRetirementDate", "finetuneComputes", "x"]
    ),
    SCALARS | st.lists(st.text(max_size=5), max_size=2),
    max_size=4,
)


@given(tags=PLACES, system=PLACES, own=PLACES)
def test_no_entry_breaks_the_catalogue(
    tmp_path_factory: pytest.TempPathFactory, tags: dict[str, Any], system: dict[str, Any], own: dict[str, Any]
) -> None:
    model = read(tmp_path_factory.mktemp("entry"), {"tags": tags, "systemMetadata": system, "properties": own})
    assert model.status(date(2026, 1, 1)) in ("available", "deprecated", "retired", "unknown")
    assert set(model.engines) == {"serverless", "managed", "script"}
