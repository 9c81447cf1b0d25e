"""The bridge to the data desk: what is uploaded, and how many tokens of it are trained on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import assets
from tui.dataset import check
from tui.recipe import Recipe
from tui.services import datasets
from tui.services.catalog import rules
from tui.services.errors import DataRefused, UsageError

GOOD = assets.ROOT / "samples" / "support-train.jsonl"


def chosen(**changes: Any) -> Recipe:
    return Recipe(name="r").with_(**{"data__train": str(GOOD), **changes})


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_tokens_are_those_of_the_very_rows_that_are_trained_on(tmp_path: Path, share: float) -> None:
    recipe = chosen(validation__share=share)
    found = datasets.prepare(recipe, tmp_path, tmp_path / "parts", None)
    counted = check.check(found.train, rules=rules(None, recipe.model.engine)).stats
    assert found.stats.rows == counted.rows == found.train_rows
    assert found.stats.tokens_total == counted.tokens_total
    assert found.stats.tokens_assistant == counted.tokens_assistant
    assert found.stats.tokens_error == counted.tokens_error == 0.0


def test_what_was_checked_is_split_without_another_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = chosen(validation__share=0.2)
    anew = datasets.prepare(recipe, tmp_path, tmp_path / "anew", None)
    read: list[str] = []
    real = check.check
    monkeypatch.setattr(check, "check", lambda path, **given: read.append(path.name) or real(path, **given))
    known = datasets.prepare(recipe, tmp_path, tmp_path / "known", None, found=anew.report)
    assert read == ["validation.jsonl"]
    assert (known.stats, known.train_rows, known.report) == (anew.stats, anew.train_rows, anew.report)
    without = chosen(validation__mode="none")
    assert datasets.prepare(without, tmp_path, tmp_path, None, found=anew.report).train_rows == anew.report.rows
    assert read == ["validation.jsonl"]
    # A validation file is checked against the training file, which its own check did not do.
    beside = chosen(validation__mode="file", validation__path=str(GOOD))
    assert datasets.prepare(beside, tmp_path, tmp_path, None, found=anew.report).validation_rows == 250
    assert read == ["validation.jsonl", GOOD.name]


def test_the_same_file_share_and_seed_have_one_place_and_others_another(tmp_path: Path) -> None:
    places = [
        datasets.parts_folder(tmp_path, recipe, tmp_path)
        for recipe in (chosen(), chosen(hyperparameters__epochs=7), chosen(validation__seed=7))
    ]
    assert places[0] == places[1] != places[2]


def test_a_pipe_is_refused_instead_of_waiting_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="a pipe or a device"):
        datasets.readable(pipe)


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (None, UsageError, "does not exist"),
        (b"", UsageError, "is empty"),
        (b'{"messages": []}\n', DataRefused, "has . errors?"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_its_file(
    tmp_path: Path, content: bytes | None, kind: type[Exception], said: str
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind, match=rf"rows\.jsonl.*{said}"):
        datasets.prepare(chosen(data__train=str(path)), tmp_path, tmp_path / "parts", None)
