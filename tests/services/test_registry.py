"""The catalogue read from the registry: cached with its age, by Azure's calendar."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator

import pytest

from tui.recipe import Recipe
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo
from tui.services import catalog, costs
from tui.services.clients import Azure
from tui.services.errors import ModelUnavailable, ServiceError

Upset = Callable[..., None]


@pytest.fixture
def january(sandbox: SandboxInfo) -> Iterator[None]:
    """The sandbox's calendar set back to when Phi-3 was live."""
    daemon.control(sandbox, "PUT", "/calendar", {"as_of": "2025-01-15"})
    yield
    daemon.control(sandbox, "PUT", "/calendar", {"as_of": dt.datetime.now(dt.UTC).date().isoformat()})


def test_the_registry_has_the_models_with_their_facts(azure: Azure) -> None:
    found = catalog.models(azure)
    assert found.source == "registry"
    mini = catalog.find(found, "phi-4-mini-instruct")
    assert mini is not None
    assert mini.status(found.today()) == "available"
    assert mini.engines["serverless"].ok
    assert "eastus2" in mini.regions
    retired = catalog.find(found, "Phi-3-mini-4k-instruct")
    assert retired is not None
    assert retired.status(found.today()) == "retired"
    assert retired.learning_rate.low == 5e-7
    assert json.dumps(found.to_json())


def test_it_is_asked_once_a_day(azure: Azure, upset: Upset) -> None:
    first = catalog.models(azure)
    upset("*.api.azureml.ms/*", "503", seconds=0)
    assert catalog.models(azure).models == first.models
    assert catalog.cached(azure.settings, sandbox=True).source == "cache"
    with pytest.raises(ServiceError):
        catalog.models(azure, refresh=True)


@pytest.mark.usefixtures("january")
def test_in_january_2025_phi_3_could_be_tuned(azure: Azure) -> None:
    recipe = Recipe().with_(model__name="Phi-3-mini-4k-instruct")
    azure.rest("GET", "/subscriptions", api_version="2022-12-01")
    assert catalog.require(azure, recipe).name == "Phi-3-mini-4k-instruct"
    with pytest.raises(ModelUnavailable):  # which was not there yet
        catalog.require(azure, recipe.with_(model__name="Phi-4-mini-instruct"))


def test_today_it_cannot(azure: Azure) -> None:
    with pytest.raises(ModelUnavailable, match="retired since 2025-08-30"):
        catalog.require(azure, Recipe().with_(model__name="Phi-3-mini-4k-instruct"))


def test_prices_are_read_once_a_day(azure: Azure, upset: Upset) -> None:
    found = costs.prices(azure, "eastus2", azure.settings)
    assert found.source == "retail api"
    assert found.of("Phi-4-mini-instruct", "training")
    upset("prices.azure.com/*", "503", seconds=0)
    again = costs.prices(azure, "eastus2", azure.settings)
    assert (again.source, again.items) == ("cache", found.items)
    assert costs.prices(azure, "westus3", azure.settings).source == "snapshot"
