"""A recipe as code: it runs, says the same as the recipe, and cannot be broken out of."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.recipe import Recipe
from tui.services import export
from tui.services.catalog import Model

MODEL = Model("Phi-4-mini-instruct", "3", "azureml://registries/azureml/models/Phi-4-mini-instruct/versions/3")
RECIPES = {
    "serverless": Recipe().with_(data__train="data/train.jsonl"),
    "without validation": Recipe().with_(validation__mode="none", deployment__content_safety=False),
    "managed": Recipe().with_(model__engine="managed", model__instance_type="Standard_NC24ads_A100_v4"),
    "cluster": Recipe().with_(model__engine="managed", model__compute="gpu"),
    "script": Recipe().with_(model__engine="script", model__instance_count=2, hyperparameters__method="full"),
    "script on a cluster": Recipe().with_(model__engine="script", model__instance_count=2, model__compute="gpu"),
}
CASES = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())


def shell_accepts(text: str) -> bool:
    return subprocess.run(["sh", "-n"], input=text, text=True, check=False, capture_output=True).returncode == 0


@CASES
def test_the_shell_script_parses_and_has_the_choices(recipe: Recipe) -> None:
    text = export.as_cli(recipe, MODEL)
    assert shell_accepts(text)
    assert "az group create" in text
    assert "2e-05" not in text
    if recipe.model.engine == "script":
        assert "--learning-rate 0.00002" in text
        assert '"instance_count": 2' in text
    else:
        assert '"learning_rate": "0.00002"' in text
        assert f'"contentSafetyStatus": "{"Enabled" if recipe.deployment.content_safety else "Disabled"}"' in text
        assert MODEL.asset_id in text


@CASES
def test_the_program_compiles_and_has_the_choices(recipe: Recipe) -> None:
    text = export.as_python(recipe, MODEL)
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    assert {"MLClient", "job"} <= names
    assert ("validation" in names) == (recipe.validation.mode != "none")
    if recipe.model.engine != "script":
        assert "'learning_rate': '0.00002'" in text


def test_the_machine_is_the_one_that_a_submission_asks_for() -> None:
    model = replace(MODEL, instance_types=("Standard_NC24ads_A100_v4", "Standard_ND96asr_v4"))
    for engine in ("managed", "script"):
        asked = Recipe().with_(model__engine=engine)
        for text in (export.as_cli(asked, model), export.as_python(asked, model)):
            assert "Standard_NC24ads_A100_v4" in text
    cluster = RECIPES["script on a cluster"]
    assert '"compute": "azureml:gpu"' in export.as_cli(cluster, model)
    assert "compute='gpu'" in export.as_python(cluster, model)
    for text in (export.as_cli(cluster, model), export.as_python(cluster, model)):
        assert "instance_type" not in text


@CASES
def test_the_template_is_balanced_and_has_the_choices(recipe: Recipe) -> None:
    text = export.as_bicep(recipe, MODEL)
    assert text.count("{") == text.count("}")
    assert text.count("'") % 2 == 0
    assert recipe.target.hub in text


HOSTILE = st.text(st.sampled_from("a'\"`$(){};&|\\\n #%"), min_size=1, max_size=15)
GROUP = st.text(st.sampled_from("a().-_"), min_size=1, max_size=15).filter(lambda name: not name.endswith("."))


@settings(max_examples=30, deadline=None)
@given(path=HOSTILE, group=GROUP, location=HOSTILE)
def test_no_value_breaks_out_of_its_quotes(path: str, group: str, location: str) -> None:
    recipe = Recipe().with_(data__train=path, target__resource_group=group, target__location=location)
    python = export.as_python(recipe, MODEL)
    constants = {node.value for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Constant)}
    assert {path, group, location} <= constants
    # The shell itself says which words it sees.
    line = next(part for part in export.as_cli(recipe, MODEL).split("\naz ") if part.startswith("group create"))
    script = f'az() {{ for word in "$@"; do printf \'%s\\0\' "$word"; done; }}\naz {line}'
    seen = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")
    assert seen[:6] == ["group", "create", "--name", group, "--location", location]
