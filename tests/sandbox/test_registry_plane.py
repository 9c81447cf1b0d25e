"""The model registry and the price list as the SDK and plain clients read them, on any date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from azure.ai.ml import MLClient
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from hypothesis import given
from hypothesis import strategies as st
from wirekit import Wire

import assets
from tui.sandbox import registry
from tui.sandbox.daemon import SandboxInfo
from tui.sandbox.errors import ServiceError
from tui.sandbox.prices import parse
from tui.sandbox.server import Sandbox

PRICES = "https://prices.azure.com/api/retail/prices"


@pytest.fixture
def calendar(wire: Wire) -> Iterator[None]:
    yield
    wire.control("PUT", "/calendar", {"as_of": datetime.now(UTC).date().isoformat()})


def test_the_registry_client(sandbox_env: SandboxInfo) -> None:
    client = MLClient(DefaultAzureCredential(), registry_name="azureml")
    names = {model.name for model in client.models.list()}
    assert {"Phi-4", "Phi-4-mini-instruct", "Phi-3-mini-4k-instruct"} <= names
    latest = client.models.get("Phi-4", label="latest")
    assert latest.version == "8"
    assert json.loads(latest.tags["model_specific_defaults"])["learning_rate"] == "5e-6"
    assert [model.version for model in client.models.list(name="phi-4")] == ["8"]
    with pytest.raises(ResourceNotFoundError, match="was not found"):
        client.models.get("Phi-4", version="99")
    components = list(client.components.list(name="chat_completion_finetune"))
    assert components[0].inputs["num_train_epochs"]["default"] == 1


def test_metadata_is_on_the_wire(wire: Wire) -> None:
    bearer = {"Authorization": f"Bearer {wire.token()}"}
    found = wire.send(
        "GET", "https://eastus.api.azureml.ms/registrymanagement/v1.0/registries/azureml/discovery", headers=bearer
    ).json
    base = (
        f"{found['primaryRegionResourceProviderUri']}mferp/managementfrontend/subscriptions/{found['subscriptionId']}"
        f"/resourceGroups/{found['resourceGroup']}/providers/Microsoft.MachineLearningServices/registries/azureml"
    )
    url = f"{base}/models/Phi-3-mini-4k-instruct/versions?api-version=2021-10-01-dataplanepreview"
    body = wire.send("GET", url, headers=bearer).json["value"][0]
    system = body["properties"]["systemMetadata"]
    assert system["deprecation"]["finetuneRetirementDate"].startswith("2025-08-30")
    assert system["tasks"]["fineTuningTasks"] == ["chat-completion"]
    assert body["properties"]["isArchived"] is True
    assert "snapshot" not in body


def test_the_calendar_goes_back(wire: Wire, calendar: None, sandbox_env: SandboxInfo) -> None:
    wire.control("PUT", "/calendar", {"as_of": "2025-01-15"})
    answer = wire.arm("GET", "/subscriptions")
    assert answer.headers["Date"].startswith("Wed, 15 Jan 2025 ")
    client = MLClient(DefaultAzureCredential(), registry_name="azureml")
    names = {model.name for model in client.models.list()}
    assert "Phi-3-mini-4k-instruct" in names
    assert "Phi-4-mini-instruct" not in names


@pytest.mark.parametrize(
    ("as_of", "name", "location", "refused"),
    [
        ("2025-01-15", "Phi-3-mini-4k-instruct", "eastus2", None),
        ("2025-01-15", "Phi-3-mini-4k-instruct", "westus", "ModelNotSupportedByMaaS"),
        ("2025-08-29", "Phi-3-mini-4k-instruct", "eastus2", None),
        ("2025-08-30", "Phi-3-mini-4k-instruct", "eastus2", "ModelRetired"),
        ("2026-07-23", "Phi-4", "westus3", None),
        ("2026-07-23", "Phi-4", "westeurope", "ModelNotSupportedByMaaS"),
        ("2026-07-23", "Phi-4-multimodal-instruct", "eastus2", "ModelNotSupported"),
    ],
)
def test_what_can_be_tuned_when_and_where(
    tmp_path: Path, as_of: str, name: str, location: str, refused: str | None
) -> None:
    own = Sandbox(tmp_path / "state", pace=0, as_of=datetime.fromisoformat(as_of).date())
    model = registry.named_in(
        own, f"azureml://registries/azureml/models/{name}/versions/{registry.find(own, name)['name']}"
    )  # type: ignore[index]
    if refused is None:
        registry.require_tunable(own, model, location, serverless=True)
    else:
        with pytest.raises(ServiceError) as caught:
            registry.require_tunable(own, model, location, serverless=True)
        assert (caught.value.status, caught.value.code) == (400, "UserError")
        assert caught.value.inner == {"code": "BadArgument", "innerError": {"code": refused}}


def test_every_shipped_fact_has_a_date_and_a_source() -> None:
    files = [*(assets.ROOT / "catalog").glob("*.json"), *(assets.ROOT / "prices").glob("*.json")]
    assert files
    for path in files:
        document = json.loads(path.read_text("utf-8"))
        assert datetime.fromisoformat(document["date"]), path
        assert document["source"], path
    prices = json.loads((assets.ROOT / "prices/retail.json").read_text("utf-8"))
    assert all(item["status"] == "estimate" and item["basis"] for item in prices["Items"])


def ask(wire: Wire, condition: str, **query: str) -> dict[str, object]:
    url = f"{PRICES}?api-version=2023-01-01-preview&currencyCode='USD'&$filter={quote(condition)}"
    url += "".join(f"&{key}={value}" for key, value in query.items())
    answer: dict[str, object] = wire.send("GET", url).json
    return answer


def test_prices_need_no_token_and_come_in_pages(wire: Wire) -> None:
    wanted = "serviceName eq 'Foundry Models' and productName eq 'Azure Phi Models' and armRegionName eq 'eastus2'"
    found = ask(wire, wanted)
    meters = {item["meterName"] for item in found["Items"]}  # type: ignore[attr-defined]
    assert "Phi-4-Input Tokens" in meters
    assert ask(wire, wanted.replace("Foundry Models", "foundry models"))["Items"] == []
    assert ask(wire, "serviceName eq 'Cognitive Services'")["Count"] == 0
    assert "status" not in found["Items"][0]  # type: ignore[index]
    refused = wire.send("GET", f"{PRICES}?$filter=nonsense")
    assert (refused.status, refused.code) == (400, "BadRequest")


ITEM = {"a": "one", "b": "Two words", "n": 2.5, "t": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a eq 'one'", True),
        ("a eq 'One'", False),
        ("a ne 'x' and n gt 2", True),
        ("a eq 'x' or (n le 2.5 and t eq true)", True),
        ("contains(b, 'wo w') and missing eq 'x'", False),
        ("startswith(b,'Two') and endswith(b,'words')", True),
        ("n eq 'text'", False),
        ("a eq 'it''s'", False),
    ],
)
def test_filters(text: str, value: bool) -> None:
    assert parse(text)(ITEM) is value


@given(st.text("abn'()eqorand, 2.5", max_size=30) | st.text(max_size=20))
def test_any_filter_is_understood_or_refused(text: str) -> None:
    try:
        matches = parse(text)
    except ServiceError as error:
        refusal = error.status
    else:
        refusal = None
        matches(ITEM)
    assert refusal in (None, 400)
