"""Measures of single answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.evaluation.metrics import exact_match, normalised, perplexity, token_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Kettle, holds 1.7 l!", "kettle holds 17 l"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("STRASSE straße", "strasse strasse"),
        ("an apple a day", "apple day"),
        ("  \n", ""),
    ],
)
def test_normalisation_is_squads(text: str, expected: str) -> None:
    assert normalised(text) == expected


def test_scores_of_known_pairs() -> None:
    assert exact_match("The kettle.", "kettle")
    assert not exact_match("kettles", "kettle")
    assert token_f1("the cat sat", "cat sat down") == pytest.approx(2 * 2 / 5)
    assert token_f1("a b b", "b b b") == pytest.approx(2 * 2 / 5)
    assert token_f1("我喜欢猫", "我喜欢狗") == pytest.approx(0.75)
    assert token_f1("", "a cat") == 0.0
    assert token_f1("", "the") == 1.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_a_symmetric_share(one: str, other: str) -> None:
    score = token_f1(one, other)
    assert 0.0 <= score <= 1.0
    assert score == token_f1(other, one)
    assert token_f1(one, one) == 1.0
    if exact_match(one, other):
        assert score == 1.0


def test_perplexity_is_of_the_mean_loss() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert perplexity(1e6) == math.inf
