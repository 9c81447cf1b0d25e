"""The wizard as questions and answers, its answers piped in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ended

from tui import recipe as recipes
from tui.recipe import Recipe

pytestmark = pytest.mark.xdist_group("training")

Cli = Callable[..., Ended]
Write = Callable[..., tuple[Path, Recipe]]


@pytest.fixture
def drafts(tmp_path: Path) -> Callable[[], Recipe]:
    """The one draft on disk."""

    def only() -> Recipe:
        (path,) = (tmp_path / "home" / "state" / "phift-tui" / "drafts").glob("*.toml")
        return recipes.load(path)

    return only


def test_it_is_walked_from_the_first_question_to_an_answering_endpoint(
    cli: Cli, write: Write, tmp_path: Path, drafts: Callable[[], Recipe]
) -> None:
    _, recipe = write()
    target = recipe.target
    answers = [
        *(target.resource_group, "", "!", "hub-passing", "<"),  # a wrong name, and one step back
        *(target.resource_group, "", target.hub, target.project),
        *("2", "serverless"),
        *("?", str(tmp_path / "absent.jsonl"), str(tmp_path / "rows.jsonl")),
        *("split", "7", "0.25", ""),
        *("", "", "1"),
        *("plain", "maybe", "no"),
        *("yes", "yes"),
    ]
    ended = cli("--plain", "--sandbox", stdin="\n".join(answers) + "\n")
    assert ended.code == 0, ended.err
    said = ended.err
    for part in (
        "Not possible: only letters",
        "does not exist",
        "Input should be less than 0.9",
        "Answer yes or no",
        "deployment.content_safety: False",
        "Training: ",
        "Completed",
        "content safety off",
        "question: ",
        "phift-tui cleanup --sandbox",
    ):
        assert part in said
    assert said.count("Training: ") == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
    kept = drafts()
    assert kept.target.hub == target.hub
    assert (kept.model.name, kept.validation.share, kept.hyperparameters.epochs) == ("Phi-4-mini-instruct", 0.25, 1)


@pytest.mark.parametrize(("last", "code"), [("q\n", 0), ("", 7), ("\udcff\udcfe\n", 7)])
def test_it_can_be_left_at_any_question_and_keeps_the_draft(
    cli: Cli, drafts: Callable[[], Recipe], last: str, code: int
) -> None:
    ended = cli("--plain", "--sandbox", stdin=f"my-group\n{last}", PYTHONUTF8="1")
    assert ended.code == code
    assert "is kept" in ended.err
    assert drafts().target.resource_group == "my-group"


def test_a_dumb_terminal_gets_it_without_being_asked(cli: Cli) -> None:
    ended = cli("--sandbox", stdin="q\n", TERM="dumb")
    assert ended.code == 0
    assert "Step 1 of 7" in ended.err
    assert "\x1b" not in ended.err + ended.out


def test_a_run_that_is_not_approved_makes_nothing(cli: Cli, write: Write) -> None:
    path, recipe = write()
    ended = cli("--plain", "--sandbox", "--recipe", path, stdin="\n" * 30)
    assert ended.code == 7
    assert "Nothing was created" in ended.err
    assert cli("jobs", "list", place=recipe).code == 5
