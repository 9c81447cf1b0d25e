"""The job's configuration: what is accepted, what is refused with its field, and what Azure's three numbers become."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.trainer.azure_knobs import from_azure_hyperparameters
from tui.trainer.config import RECIPES, ConfigError, TrainingConfig

LEAST: dict[str, Any] = {"model": "tiny", "train_file": "/t.jsonl", "output_dir": "/o"}


@settings(deadline=None)
@given(
    epochs=st.none() | st.floats(0.01, 100),
    batch=st.none() | st.integers(1, 64),
    method=st.sampled_from([None, "full", "lora"]),
    schedule=st.sampled_from(["linear", "cosine", "constant"]),
    notes=st.none() | st.lists(st.text()),
)
def test_json_round_trip(epochs: Any, batch: Any, method: Any, schedule: Any, notes: Any) -> None:
    config = TrainingConfig(**LEAST, epochs=epochs, batch_size=batch, method=method, schedule=schedule, notes=notes)
    assert TrainingConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("epochs", {"epochs": 0}),
        ("epochs", {"epochs": float("nan")}),
        ("batch_size", {"batch_size": 2.5}),
        ("batch_size", {"batch_size": True}),
        ("learning_rate", {"learning_rate": "0.003"}),
        ("method", {"method": "qlora"}),
        ("loss", {"loss": "focal"}),
        ("labels", {"labels": ["a", "b"]}),
        ("warmup_ratio", {"warmup_ratio": 1}),
        ("max_length", {"max_length": 2}),
        ("early_stopping_patience", {"early_stopping_patience": 2}),
        ("output_weights", {"output_weights": "best"}),
        ("lora_targets", {"lora_targets": [1]}),
        ("model", {"model": ""}),
        ("learning_rat", {"learning_rat": 1}),
    ],
)
def test_refusals_name_the_field(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainingConfig.from_dict({**LEAST, **values})
    assert caught.value.field == field
    assert field in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"model": "tiny"}'])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        TrainingConfig.from_json(text)


def test_open_choices_take_the_recipe_of_the_base_model() -> None:
    tiny = TrainingConfig(**LEAST).resolved()
    assert (tiny.method, tiny.batch_size, tiny.epochs) == ("full", 4, RECIPES["tiny"].epochs)
    real = TrainingConfig(**{**LEAST, "model": "/models/phi"}, batch_size=2).resolved()
    assert (real.method, real.batch_size) == ("lora", 2)


def test_azure_numbers_for_a_stand_in_are_relative() -> None:
    asked = {"per_device_train_batch_size": "2", "learning_rate": "0.00004", "num_train_epochs": "3"}
    own = RECIPES["tiny"]
    knobs = from_azure_hyperparameters(asked, "tiny")
    chosen = knobs.choices
    assert chosen["learning_rate"] == pytest.approx(2 * own.learning_rate["full"])
    assert chosen["epochs"] == 3
    at_once = from_azure_hyperparameters({**asked, "per_device_train_batch_size": "1"}, "tiny").choices
    assert chosen["batch_size"] == 2 * at_once["batch_size"]
    assert chosen["optimizer"] == "muon"
    long = from_azure_hyperparameters({**asked, "num_train_epochs": "8"}, "tiny").choices
    assert (long["batch_size"], "optimizer" in long) == (2 * own.batch_size, False)
    assert TrainingConfig.from_dict({**LEAST, **chosen})
    phi = from_azure_hyperparameters({"learning_rate": "0.000005"}, "tiny", default_learning_rate=5e-6)
    assert phi.choices["learning_rate"] == own.learning_rate["full"]
    assert phi.used["learning_rate"].startswith("asked 5e-06, used 0.003, because the stand-in 'tiny' takes the ratio")
    assert phi.warnings == []


@pytest.mark.parametrize(("rate", "times"), [("0.5", 3), ("1e-9", 0.1)])
def test_a_rate_out_of_bounds_is_held_there_with_a_warning(rate: str, times: float) -> None:
    own = RECIPES["tiny"].learning_rate["full"]
    knobs = from_azure_hyperparameters({"learning_rate": rate}, "tiny")
    assert knobs.choices["learning_rate"] == pytest.approx(times * own)
    (warning,) = knobs.warnings
    assert warning.startswith(f"learning_rate asked {float(rate):g}, used {times * own:g}, because ")
    assert "follows rates from 2e-06 to 6e-05" in warning


def test_azure_numbers_for_real_weights_are_absolute() -> None:
    asked = {"per_device_train_batch_size": 2, "learning_rate": "1e-05", "num_train_epochs": "3"}
    knobs = from_azure_hyperparameters(asked, "")
    assert knobs.choices == {"batch_size": 2, "learning_rate": 1e-5, "epochs": 3}
    assert not knobs.used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_train_epochs", "0"),
        ("num_train_epochs", "1.5"),
        ("learning_rate", "fast"),
        ("learning_rate", "0"),
        ("learning_rate", "nan"),
        ("per_device_train_batch_size", None),
        ("n_epochs", "3"),
    ],
)
def test_azure_numbers_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        from_azure_hyperparameters({name: value}, "tiny")


def test_the_light_modules_load_no_library() -> None:
    code = (
        "import json, sys, tui.trainer.azure_knobs, tui.trainer.config, tui.trainer.events;"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'transformers', 'numpy', 'peft'})))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == []
