"""Drafts: recipes on disk by name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.recipe import Recipe
from tui.services import drafts
from tui.services.errors import PhiftError, UsageError
from tui.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state")


def test_a_saved_draft_is_loaded_as_it_was(settings: Settings) -> None:
    recipe = Recipe(name="First try").with_(hyperparameters__epochs=7, data__train="~/my data.jsonl")
    path = drafts.save(settings, recipe)
    assert drafts.load(settings, "First try") == recipe
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.drafts.stat().st_mode) == 0o700


def test_the_last_changed_draft_is_offered(settings: Settings) -> None:
    assert drafts.latest(settings) is None
    for age, name in enumerate(("newest", "older", "oldest")):
        path = drafts.save(settings, Recipe(name=name))
        os.utime(path, (1000 - age, 1000 - age))
    assert [draft.name for draft in drafts.listing(settings)] == ["newest", "older", "oldest"]
    latest = drafts.latest(settings)
    assert latest is not None
    assert latest.name == "newest"


def test_an_unreadable_draft_is_listed_with_its_reason_and_passed_over(settings: Settings) -> None:
    drafts.save(settings, Recipe(name="good"))
    (settings.drafts / "broken.toml").write_text("name = [")
    listed = {draft.name: draft.error for draft in drafts.listing(settings)}
    assert listed["good"] == ""
    assert "broken.toml" in listed["broken"]
    latest = drafts.latest(settings)
    assert latest is not None
    assert latest.name == "good"
    with pytest.raises(UsageError, match="broken"):
        drafts.load(settings, "broken")


def test_removing_is_final_and_repeatable(settings: Settings) -> None:
    drafts.save(settings, Recipe(name="gone"))
    drafts.remove(settings, "gone")
    drafts.remove(settings, "gone")
    assert drafts.listing(settings) == []


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "nul\0"])
def test_a_name_cannot_lead_out_of_the_folder(settings: Settings, name: str) -> None:
    with pytest.raises(UsageError):
        drafts.load(settings, name)


def test_a_folder_that_cannot_be_written_is_an_error_that_keeps_the_old_draft(settings: Settings) -> None:
    settings.state.mkdir(parents=True)
    settings.drafts.write_text("a file where the folder should be")
    with pytest.raises(PhiftError) as raised:
        drafts.save(settings, Recipe(name="lost"))
    assert raised.value.code == "DraftNotSaved"


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}", fullmatch=True),
    st.sets(st.integers(2, 40), max_size=20),
)
def test_a_free_name_is_free_and_a_valid_one(name: str, numbers: set[int]) -> None:
    taken = {name, *(f"{name[:56]} {number}" for number in numbers)}
    found = drafts.free_name(name, taken)
    assert found not in taken
    assert Recipe(name=found)
    assert drafts.free_name(name, set()) == name


@pytest.mark.parametrize("theirs", ["another", "broken", "absent", "same", "known"])
def test_a_draft_of_anothers_is_left_as_it_is(settings: Settings, theirs: str) -> None:
    known, ours = (Recipe(name="kettles").with_(hyperparameters__epochs=count) for count in (1, 2))
    path = drafts.save(settings, known)
    if theirs == "another":
        drafts.save(settings, known.with_(hyperparameters__epochs=3))
    elif theirs == "broken":
        path.write_text("name = ")
    elif theirs == "absent":
        path.unlink()
    elif theirs == "same":
        drafts.save(settings, ours)
    before = path.read_bytes() if path.exists() else b""
    kept = drafts.save_apart(settings, ours, known)
    apart = theirs in ("another", "broken")
    assert kept == ours.with_(name="kettles 2" if apart else "kettles")
    assert drafts.load(settings, kept.name) == kept
    assert (path.read_bytes() == before) == (apart or theirs == "same")
