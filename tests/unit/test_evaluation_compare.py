"""The paired comparison: known p-values, intervals that cover, verdicts that hold."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.evaluation.compare import bootstrap_interval, compare, difference, sign_test

REFERENCES = [f"answer number {i}" for i in range(40)]
WRONG = ["I cannot say"] * 40


@pytest.mark.parametrize(
    ("wins", "losses", "expected"),
    [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 0.03125), (5, 0, 0.0625), (10, 2, 0.03857), (2, 10, 0.03857), (40, 0, 1.8e-12)],
)
def test_the_sign_test_is_the_binomial_one(wins: int, losses: int, expected: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(expected, rel=0.02)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    source = random.Random(3)
    covered = 0
    for trial in range(200):
        gains = [float(source.random() < 0.5) - float(source.random() < 0.3) for _ in range(60)]
        low, high = bootstrap_interval(gains, trial, resamples=300)
        covered += low <= 0.2 <= high
    assert 180 <= covered <= 199


def test_a_model_that_learnt_is_better_and_its_opposite_worse() -> None:
    tuned = [*REFERENCES[:30], *WRONG[:10]]
    made = compare(REFERENCES, WRONG, tuned, seed=1)
    assert made.verdict == "better"
    assert (made.exact.wins, made.exact.ties, made.exact.losses) == (30, 10, 0)
    assert (made.exact.base, made.exact.tuned, made.exact.difference) == (0.0, 0.75, 0.75)
    assert 0.55 < made.exact.low < 0.75 < made.exact.high < 0.95
    assert "better" in made.summary()
    assert compare(REFERENCES, tuned, WRONG, seed=1).verdict == "worse"
    json.dumps(made.to_json(), allow_nan=False)


def test_a_handful_of_questions_decides_nothing() -> None:
    made = compare(REFERENCES[:4], WRONG[:4], REFERENCES[:4])
    assert made.verdict == "undecided"
    assert "cannot be told" in made.summary()


def test_equal_answers_are_undecided() -> None:
    made = compare(REFERENCES, WRONG, WRONG)
    assert (made.verdict, made.exact.p_value, made.f1.low, made.f1.high) == ("undecided", 1.0, 0.0, 0.0)


def test_measures_that_contradict_decide_nothing() -> None:
    # The tuned model is exact more often, and otherwise says nothing, where the base model nearly answers.
    base = [f"answer number {i} or so" for i in range(40)]
    tuned = [*REFERENCES[:8], *[""] * 32]
    made = compare(REFERENCES, base, tuned)
    assert made.exact.difference > 0 > made.f1.difference
    assert made.verdict == "undecided"


def test_the_seed_decides_the_interval() -> None:
    tuned = [*REFERENCES[:20], *WRONG[:20]]
    assert compare(REFERENCES, WRONG, tuned, seed=1) == compare(REFERENCES, WRONG, tuned, seed=1)


@pytest.mark.parametrize(("base", "tuned"), [(WRONG[:3], WRONG), ([], [])])
def test_unpaired_or_missing_answers_are_refused(base: list[str], tuned: list[str]) -> None:
    with pytest.raises(ValueError, match=r"argument|no question"):
        compare(REFERENCES if base else [], base, tuned)


scores = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(scores)
def test_swapping_the_models_mirrors_the_difference(pairs: list[tuple[float, float]]) -> None:
    base, tuned = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    made, mirrored = difference("m", base, tuned, 5), difference("m", tuned, base, 5)
    assert made.wins + made.ties + made.losses == len(pairs)
    assert (made.wins, made.losses, made.p_value) == (mirrored.losses, mirrored.wins, mirrored.p_value)
    assert made.difference == pytest.approx(-mirrored.difference)
    assert made.low <= made.difference + 1e-9
    assert made.high >= made.difference - 1e-9
