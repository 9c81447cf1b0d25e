"""What is wrong with a value, in words: each kind of mistake names what is allowed instead."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tui.recipe import Recipe, RecipeError, loads
from tui.wording import system_words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hyperparameters__epochs": 99}, "out of range. Allowed: 1 – 50"),
        ({"validation__share": 0.95}, "out of range. Allowed: above 0, below 0.9"),
        ({"hyperparameters__epochs": "many"}, "a whole number"),
        ({"hyperparameters__epochs": 2.5}, "a whole number"),
        ({"hyperparameters__learning_rate": "fast"}, "a number like 0.00002"),
        ({"deployment__content_safety": "perhaps"}, "true or false"),
        ({"model__engine": "steam"}, "'serverless', 'managed', 'script'"),
        ({"target__hub": "no spaces"}, "3 to 33 letters"),
        ({"target__resource_group": "ends.with.dot."}, "no dot at the end"),
        ({"target__resource_group": "group\x1b[31m"}, "1 to 90 letters"),
        ({"target__resource_group": "g" * 91}, "up to 90 characters"),
        ({"deployment__endpoint": "1st"}, "2 to 52 letters"),
        ({"output__suffix": "x" * 19}, "up to 18 letters"),
        ({"name": ""}, "up to 60 letters"),
        ({"data__train": 7}, "text"),
        ({"data__train": "a\udcff.jsonl"}, "UTF-8"),
        ({"data__train": "x" * 5000}, "up to 4096 characters"),
        ({"validation__mode": "file"}, "'path', the validation file"),
        ({"data": []}, "a table"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        Recipe().with_(**changes)
    assert said in raised.value.message
    assert "Input should" not in raised.value.message
    assert "match pattern" not in raised.value.message


def test_an_unknown_field_is_told_with_its_place() -> None:
    with pytest.raises(RecipeError, match=r"my\.toml: data\.trian: unknown field"):
        loads('[data]\ntrian = "x"\n', "my.toml")


def test_common_refusals_of_the_system_are_told_in_our_words_and_others_in_its_own() -> None:
    assert system_words(FileNotFoundError(errno.ENOENT, "No such file")) == "there is no such file or folder"
    assert system_words(OSError(errno.ELOOP, "Too many links")) == "Too many links"
