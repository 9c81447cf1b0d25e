"""The recipe: validated, round-tripped and compared."""

from __future__ import annotations

import stat
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import assets
from tui import recipe as recipes
from tui.recipe import Recipe, RecipeError

# Everything that TOML can carry: it has no surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}", fullmatch=True)
FLOATS = st.floats(1e-9, 1.0, exclude_min=True)


@given(
    name=NAMES,
    path=TEXT,
    rate=FLOATS,
    share=st.floats(0.01, 0.89),
    seed=st.integers(0, 2**31 - 1),
    engine=st.sampled_from(["serverless", "managed", "script"]),
    limit=st.none() | st.floats(0.01, 1e9),
    safety=st.booleans(),
)
def test_a_recipe_survives_toml(
    name: str, path: str, rate: float, share: float, seed: int, engine: str, limit: float | None, safety: bool
) -> None:
    recipe = Recipe(name=name).with_(
        data__train=path,
        model__engine=engine,
        hyperparameters__learning_rate=rate,
        validation__share=share,
        validation__seed=seed,
        budget__limit=limit,
        deployment__content_safety=safety,
    )
    assert recipes.loads(recipe.to_toml()) == recipe


def test_saving_is_private_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "recipe.toml"
    recipe = Recipe(name="mine")
    recipes.save(recipe, path)
    recipes.save(recipe.with_(hyperparameters__epochs=5), path)
    assert recipes.load(path).hyperparameters.epochs == 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "recipes" / "recipe.toml"
    recipes.save(Recipe(name="old"), path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        recipes.save(Recipe(name="new"), path)
    assert recipes.load(path).name == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[hyperparameters]\nepochs = 0", "hyperparameters.epochs"),
        ("[hyperparameters]\nlearning_rate = 'fast'", "hyperparameters.learning_rate"),
        ("[model]\nengine = 'quantum'", "model.engine"),
        ("[model]\ncolour = 'red'", "model.colour"),
        ("[target]\nhub = 'a b'", "target.hub"),
        ("[validation]\nmode = 'file'", "validation"),
        ("[deployment]\nendpoint = '-x'", "deployment.endpoint"),
        ("[budget]\nlimit = -1", "budget.limit"),
        ("name = ''", "name"),
        ("name = 'x'\nepochs = 5x", "line 2"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(text: str, place: str) -> None:
    with pytest.raises(RecipeError) as raised:
        recipes.loads(text, "my.toml")
    assert "my.toml" in str(raised.value)
    assert place in str(raised.value)


@given(st.binary(max_size=300))
def test_no_file_content_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_bytes(content)
    with suppress(RecipeError):
        assert isinstance(recipes.load(path), Recipe)


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.toml.*no such file"):
        recipes.load(tmp_path / "absent.toml")


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbfname = 'marked'")
    assert recipes.load(path).name == "marked"


def test_changes_are_checked_and_the_recipe_itself_never_changes() -> None:
    recipe = Recipe()
    with pytest.raises(RecipeError) as raised:
        recipe.with_(hyperparameters__epochs=1000)
    assert raised.value.place == "hyperparameters.epochs"
    with pytest.raises(ValidationError):
        recipe.hyperparameters.epochs = 2  # type: ignore[misc]  # what is shown is that it is frozen


def test_diff_lists_what_changes_in_the_recipes_order() -> None:
    old = Recipe()
    new = old.with_(output__model="second", hyperparameters__epochs=5, name="other")
    assert old.diff(new) == [
        ("name", "untitled", "other"),
        ("hyperparameters.epochs", 3, 5),
        ("output.model", "phift-tuned", "second"),
    ]
    assert old.diff(old) == []


def test_data_path_is_taken_from_the_recipes_folder(tmp_path: Path) -> None:
    assert Recipe().with_(data__train="rows.jsonl").data_path(tmp_path) == tmp_path / "rows.jsonl"
    assert Recipe().with_(data__train="/rows.jsonl").data_path(tmp_path) == Path("/rows.jsonl")
    assert Recipe().with_(data__train="~/rows.jsonl").data_path(tmp_path) == Path.home() / "rows.jsonl"


def test_shipped_recipes_are_valid_and_their_files_exist() -> None:
    found = sorted((assets.ROOT / "recipes").glob("*.toml"))
    assert found
    for path in found:
        recipe = recipes.load(path)
        assert recipe.data_path(path.parent).is_file()
        assert set(tomllib.loads(path.read_text("utf-8"))) <= set(Recipe.model_fields)
