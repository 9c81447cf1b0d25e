"""Money: what is known is reckoned, what is not known is said to be unknown."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.dataset.describe import Stats
from tui.recipe import Recipe
from tui.services import costs
from tui.services.catalog import Model
from tui.services.costs import Price, Prices
from tui.services.errors import BudgetExceeded
from tui.settings import Settings

TODAY = date(2026, 11, 22)
MODEL = Model("Phi-4-mini-instruct", "1", "azureml://…", instance_types=("Standard_NC24ads_A100_v4",))


def price(meter: str, amount: float, unit: str = "1K", **more: str) -> Price:
    return Price(meter, unit, amount, "USD", "eastus2", "retail api", TODAY, **more)


PRICES = Prices(
    (
        price("Phi-4-Input Tokens", 0.1),
        price("Phi-4-Mini-Input Tokens", 0.01),
        price("Phi-4-Mini-Output Tokens", 0.02),
        price("Phi-4-Mini-Fine-tuning Training Tokens", 0.003),
        price("Phi-4-Mini-Fine-tuned Hosting", 0.8, "1 Hour"),
        price("Phi-4-multimodal-FT Training", 9.0),
        price(
            "NC24ads A100 v4 Spot", 0.5, "1 Hour", service="Virtual Machines", instance_type="Standard_NC24ads_A100_v4"
        ),
        price("NC24ads A100 v4", 3.67, "1 Hour", service="Virtual Machines", instance_type="Standard_NC24ads_A100_v4"),
    ),
    "eastus2",
    "retail api",
    TODAY,
)
NO_PRICES = Prices((), "eastus2", "retail api", TODAY)


@pytest.mark.parametrize(
    ("model", "purpose", "meter"),
    [
        ("Phi-4-mini-instruct", "training", "Phi-4-Mini-Fine-tuning Training Tokens"),
        ("Phi-4-mini-instruct", "hosting", "Phi-4-Mini-Fine-tuned Hosting"),
        ("Phi-4-mini-instruct", "input", "Phi-4-Mini-Input Tokens"),
        ("Phi-4-mini-instruct", "output", "Phi-4-Mini-Output Tokens"),
        ("Phi-4", "input", "Phi-4-Input Tokens"),
        ("Phi-4", "training", None),
        ("Phi-4", "hosting", None),
        ("Phi-4-multimodal-instruct", "training", "Phi-4-multimodal-FT Training"),
        ("Phi-3-mini-4k-instruct", "input", None),
    ],
)
def test_a_meter_is_found_by_model_and_purpose(model: str, purpose: costs.Purpose, meter: str | None) -> None:
    found = PRICES.of(model, purpose)
    assert (found.meter if found else None) == meter


def stats(tokens: int, error: float = 0.0) -> Stats:
    return Stats(rows=10, tokens_total=tokens, tokens_are_estimate=bool(error), tokens_error=error)


@given(tokens=st.integers(0, 10**9), epochs=st.integers(1, 50), error=st.floats(0, 0.5))
def test_training_is_tokens_times_epochs_with_the_counts_own_error(tokens: int, epochs: int, error: float) -> None:
    recipe = Recipe().with_(hyperparameters__epochs=epochs)
    found = costs.estimate(recipe, MODEL, stats(tokens, error), PRICES)
    exact = tokens * epochs * 0.003 / 1000
    assert found.total_low == pytest.approx(exact * (1 - error))
    assert found.total_high == pytest.approx(exact * (1 + error))
    assert found.hourly == 0.8
    assert "Training" not in found.unknown


@pytest.mark.parametrize(
    ("prices", "counted"),
    [(NO_PRICES, stats(1000)), (PRICES, None)],
    ids=["no price", "no count"],
)
def test_unknown_is_unknown_and_never_nothing(prices: Prices, counted: Stats | None) -> None:
    found = costs.estimate(Recipe(), MODEL, counted, prices)
    assert "Training" in found.unknown
    assert "unknown" in found.lines()[0]
    assert any("Total before deployment: unknown" in line for line in found.lines())
    assert found.to_json()["lines"][0]["low"] is None


def test_own_compute_names_the_hourly_rate_and_no_total() -> None:
    found = costs.estimate(Recipe().with_(model__engine="managed"), MODEL, stats(1000), PRICES)
    assert found.unknown == ("Training",)
    assert "3.67 USD an hour" in found.items[0].basis


def test_the_source_is_always_said() -> None:
    assert "2026-11-22" in costs.estimate(Recipe(), MODEL, stats(1), PRICES).source
    shipped = Prices(PRICES.items, "eastus2", "snapshot", TODAY)
    assert "not Microsoft's list" in costs.estimate(Recipe(), MODEL, stats(1), shipped).source
    found = costs.estimate(Recipe(), MODEL, stats(1), PRICES, sandbox=True)
    assert "sandbox" in found.source
    assert found.lines()[-1] == "sandbox: nothing is billed"


@pytest.mark.parametrize(
    ("recipe_limit", "settings_limit", "outcome"),
    [
        (None, None, ""),
        (100.0, None, ""),
        (3.1, None, "97% of the budget"),
        (100.0, 2.0, BudgetExceeded),
        (2.9, 100.0, BudgetExceeded),
    ],
)
def test_the_lower_budget_counts(
    tmp_path: Path, recipe_limit: float | None, settings_limit: float | None, outcome: str | type[BudgetExceeded]
) -> None:
    recipe = Recipe().with_(hyperparameters__epochs=1, budget__limit=recipe_limit)
    settings = Settings(state=tmp_path, budget=settings_limit)
    found = costs.estimate(recipe, MODEL, stats(1_000_000), PRICES)
    assert found.total_high == pytest.approx(3.0)
    if isinstance(outcome, str):
        assert outcome in costs.check_budget(found, recipe, settings)
        return
    with pytest.raises(outcome) as raised:
        costs.check_budget(found, recipe, settings)
    assert raised.value.exit_code == 8


def test_a_budget_stops_a_run_of_unknown_price(tmp_path: Path) -> None:
    recipe = Recipe().with_(budget__limit=1000.0)
    found = costs.estimate(recipe, MODEL, stats(1000), NO_PRICES)
    with pytest.raises(BudgetExceeded) as raised:
        costs.check_budget(found, recipe, Settings(state=tmp_path))
    assert raised.value.code == "PriceUnknown"


def test_without_a_connection_the_last_list_read_is_used(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    assert costs.prices(None, "eastus2", settings).source == "snapshot"
    item = {"meterName": "Phi-4-Input Tokens", "unitOfMeasure": "1K", "retailPrice": 5, "currencyCode": "USD"}
    (tmp_path / "prices-azure-eastus2.json").write_text(json.dumps({"date": "2026-01-02", "Items": [item]}))
    found = costs.prices(None, "eastus2", settings)
    assert (found.source, found.date) == ("cache", date(2026, 1, 2))
    assert found.items[0].amount == 5
    (tmp_path / "prices-azure-eastus2.json").write_text('{"half": ')
    assert costs.prices(None, "eastus2", settings).source == "snapshot"


def test_what_is_run_again_keeps_to_the_budget(tmp_path: Path) -> None:
    cost = {"low": 1.0, "high": 2.0, "currency": "USD"}
    costs.check_again(cost, Settings(state=tmp_path))
    costs.check_again(cost, Settings(state=tmp_path, budget=2.0))
    with pytest.raises(BudgetExceeded, match=r"2\.00 USD; the budget is 1\.50"):
        costs.check_again(cost, Settings(state=tmp_path, budget=1.5))
    for unknown in ({}, {"machine_hour": 3.0, "currency": "USD"}):
        with pytest.raises(BudgetExceeded, match="not known"):
            costs.check_again(unknown, Settings(state=tmp_path, budget=100.0))
