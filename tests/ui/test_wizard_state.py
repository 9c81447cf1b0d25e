"""The wizard's state, without a screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from wizard_fakes import CATALOGUE, FINDINGS, recipe

from tui.recipe import Recipe, RecipeError
from tui.wizard import BY_NAME, PLACES, Facts, Wizard, next_place, previous_place


def _wizard(**facts: object) -> tuple[Wizard, list[int]]:
    changes: list[int] = []
    made = Wizard(recipe(), Path(), lambda: changes.append(1), facts=Facts(**facts))  # type: ignore[arg-type]  # by name
    return made, changes


def test_a_change_out_of_range_changes_nothing_and_says_where() -> None:
    wizard, changes = _wizard()
    before = wizard.recipe
    with pytest.raises(RecipeError, match=r"hyperparameters\.epochs"):
        wizard.change(hyperparameters__epochs=0)
    assert wizard.recipe is before
    assert not changes


def test_a_change_that_changes_nothing_is_not_announced() -> None:
    wizard, changes = _wizard()
    wizard.change(hyperparameters__epochs=wizard.recipe.hyperparameters.epochs)
    assert not changes


@pytest.mark.parametrize(
    ("change", "gone", "kept"),
    [
        ({"target__project": "another"}, {"findings", "estimate"}, {"report"}),
        ({"data__train": "other.jsonl"}, {"report", "estimate"}, {"findings"}),
        ({"hyperparameters__epochs": 5}, {"estimate"}, {"report", "findings"}),
        ({"output__model": "another"}, set(), {"report", "findings", "estimate"}),
    ],
)
def test_a_change_forgets_what_it_makes_untrue_and_nothing_else(
    change: dict[str, object], gone: set[str], kept: set[str]
) -> None:
    wizard, _ = _wizard(findings=FINDINGS, report="report", estimate="estimate")
    wizard.change(**change)
    assert all(getattr(wizard.facts, name) is None for name in gone)
    assert all(getattr(wizard.facts, name) is not None for name in kept)


def test_the_review_is_to_be_looked_at_again_after_any_change() -> None:
    wizard, _ = _wizard()
    for place in PLACES:
        wizard.mark(place.name, "done")
    wizard.change(output__model="another")
    assert {name for name in BY_NAME if name not in wizard.marks} == {"review"}


def test_attention_is_shown_even_where_the_user_is() -> None:
    wizard, _ = _wizard()
    assert wizard.state_of("data", "data") == "current"
    wizard.mark("data", "attention", "3 errors")
    assert wizard.state_of("data", "data") == "attention"
    assert wizard.state_of("model", "data") == "todo"


def test_the_model_is_the_catalogues_entry_of_the_recipes_name() -> None:
    wizard, _ = _wizard(catalogue=CATALOGUE)
    assert wizard.model
    assert wizard.model.name == "Phi-4-mini-instruct"
    wizard.change(model__name="no-such-model")
    assert wizard.model is None


def test_enter_leads_through_all_places_and_back() -> None:
    names = [place.name for place in PLACES]
    assert [next_place(name) for name in names] == [*names[1:], names[-1]]
    assert [previous_place(name) for name in names] == [names[0], *names[:-1]]


def test_taking_another_recipe_keeps_what_is_still_true() -> None:
    wizard, _ = _wizard(findings=FINDINGS, report="report")
    wizard.take(replace_name(wizard.recipe, "copy"))
    assert wizard.facts.findings == FINDINGS
    assert wizard.recipe.name == "copy"


def replace_name(of: Recipe, name: str) -> Recipe:
    """The same recipe under another name."""
    return of.with_(name=name)


def test_what_was_reached_with_one_job_is_to_be_done_anew_with_another() -> None:
    made, _ = _wizard()
    made.mark("evaluate", "done")
    made.learn(job="first")  # as a draft is opened again
    assert made.state_of("evaluate", "review") == "done"
    made.mark("data", "done")
    made.learn(job="first", estimate=None)
    assert made.state_of("evaluate", "review") == "done"
    made.learn(job="second")
    assert [made.state_of(step, "review") for step in ("evaluate", "data")] == ["todo", "done"]


def test_facts_are_frozen() -> None:
    wizard, _ = _wizard()
    before = wizard.facts
    wizard.learn(job="job-1")
    assert before.job == ""
    assert wizard.facts == replace(before, job="job-1")
