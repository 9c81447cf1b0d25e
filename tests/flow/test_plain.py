"""The wizard as questions and answers, its answers piped in."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from program_kit import Ended

from tui import preferences
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


def test_it_is_walked_from_the_first_question_to_a_removed_endpoint(
    cli: Cli, write: Write, tmp_path: Path, drafts: Callable[[], Recipe]
) -> None:
    _, recipe = write()
    target = recipe.target
    rows = tmp_path / "rows.jsonl"
    (tmp_path / "faulty.jsonl").write_text(rows.read_text("utf-8") + "\n", "utf-8")
    (tmp_path / "doomed.jsonl").write_text("not JSON\n", "utf-8")
    answers = [
        *(target.resource_group, "mars", "", "!", "hub-passing", "<"),  # a wrong region, a wrong name, and once more
        *(target.resource_group, "", target.hub, target.project),
        *("Phi-3-mini-4k-instruct", "serverless", "<", "2", "serverless"),
        *("?", str(tmp_path / "absent.jsonl"), str(tmp_path / "doomed.jsonl"), "no", str(tmp_path / "faulty.jsonl")),
        *("split", "7", "0.25", ""),
        *("1", "", ""),
        *("plain", "-", "yes", "yes", "maybe", "no"),
        *("bicep", "submit", "<", "submit", "yes"),
        *("Which cleaner may I use?", ""),
        "yes",
    ]
    ended = cli("--plain", "--sandbox", stdin="\n".join(answers) + "\n")
    assert ended.code == 0, ended.err
    said = ended.err
    for part in (
        "no region mars",
        "Not possible: it takes 3 to 33 letters",
        "retired; fine-tuning ended on 2025-08-30",
        "Tune its successor Phi-4-mini-instruct",
        "does not exist",
        "malformed JSON",
        "above 0, below 0.9",
        "Answer yes or no",
        "deployment.content_safety: False",
        "Training: ",
        "Completed",
        "Content safety is off",
        "question: ",
        "is billed: ",
        "endpoint plain removed",
    ):
        assert part in said
    assert "Microsoft.MachineLearningServices" in ended.out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)
    kept = drafts()
    assert kept.target.hub == target.hub
    assert (kept.model.name, kept.validation.share, kept.hyperparameters.epochs) == ("Phi-4-mini-instruct", 0.25, 1)
    left = preferences.load(tmp_path / "home" / "state" / "phift-tui").left[kept.name]
    assert (left.place, bool(left.job), left.sandbox) == ("monitor", True, True)


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
    assert "Step 1 of 8" in ended.err
    assert "\x1b" not in ended.err + ended.out


def test_a_run_that_is_not_approved_makes_nothing(cli: Cli, write: Write) -> None:
    path, recipe = write()
    ended = cli("--plain", "--sandbox", "--recipe", path, stdin="\n" * 30)
    assert ended.code == 7
    assert "Nothing was created" in ended.err
    assert cli("jobs", "list", place=recipe).code == 5


def test_a_draft_that_is_there_is_offered_and_a_new_one_gets_a_name_of_its_own(cli: Cli, tmp_path: Path) -> None:
    assert cli("--plain", "--sandbox", stdin="first-group\nq\n").code == 0
    kept = cli("--plain", "--sandbox", stdin="\nq\n")
    assert "[first-group]" in kept.err
    assert cli("--plain", "--sandbox", stdin="new\nsecond-group\nq\n").code == 0
    folder = tmp_path / "home" / "state" / "phift-tui" / "drafts"
    assert sorted(recipes.load(path).target.resource_group for path in folder.glob("*.toml")) == [
        "first-group",
        "second-group",
    ]


def test_a_recipe_given_leaves_a_draft_of_its_name_as_it_is(cli: Cli, write: Write, tmp_path: Path) -> None:
    path, recipe = write()
    folder = tmp_path / "home" / "state" / "phift-tui" / "drafts"
    recipes.save(recipe.with_(target__resource_group="theirs"), folder / f"{recipe.name}.toml")
    ended = cli("--plain", "--sandbox", "--recipe", path, stdin="ours\nq\n")
    assert ended.code == 0
    assert f"the draft {recipe.name} 2 is kept" in ended.err
    assert {one.stem: recipes.load(one).target.resource_group for one in folder.glob("*.toml")} == {
        recipe.name: "theirs", f"{recipe.name} 2": "ours",
    }  # fmt: skip


def test_a_draft_goes_on_where_it_was_left(cli: Cli, write: Write, drafts: Callable[[], Recipe]) -> None:
    _, recipe = write()
    target = recipe.target
    project = (target.resource_group, "", target.hub, target.project)
    left = cli("--plain", "--sandbox", stdin="\n".join((*project, "Phi-4-mini-instruct", "serverless", "q\n")))
    assert left.code == 0
    gone_on = cli("--plain", "--sandbox", stdin="\n\n<\n")
    assert "Go on at Data, where this draft was left?" in gone_on.err
    steps = re.findall(r"Step \d of 8: ([^\n]+)", gone_on.err)
    assert steps == ["Sign in", "Data", "Model"]
    again = cli("--plain", "--sandbox", stdin="\nno\nq\n")
    assert re.findall(r"Step \d of 8: ([^\n]+)", again.err) == ["Sign in", "Hub and project"]
    assert f"[{target.resource_group}]" in again.err
