"""Everything shown goes through the catalogue: a made-up language without Latin letters leaves none behind."""

from __future__ import annotations

import argparse
import gettext
import io
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_fakes import shown, until
from textual.pilot import Pilot

from assets import ROOT
from tui import messages, preferences
from tui import recipe as recipes
from tui.__main__ import build_parser, main
from tui.app import PhiftApp
from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo
from tui.settings import Settings

pytestmark = pytest.mark.xdist_group("training")

FIELDS = {name for part in Recipe().model_dump().values() if isinstance(part, dict) for name in part}
NAMES = {
    # The program, its commands' words and files of code, which are typed as they stand.
    *(
        "phift",
        "tui",
        "Phi",
        "az",
        "eval",
        "env",
        "cleanup",
        "TOML",
        "JSON",
        "JSONL",
        "UTF",
        "Python",
        "Bicep",
        "cli",
        "new",
        "walk",
    ),
    *("FILE", "NAME", "DIR", "TEXT", "ID", "COMMAND", "VERB", "ENDPOINT", "OUT", "DATE", "WHAT", "RECIPE", "VERSION"),
    *("serverless", "managed", "script", "split", "file", "none", "lora", "full", "true", "false", "toml", "jsonl"),
    # Keys.
    *("Enter", "Esc", "Tab", "Space", "Ctrl", "Up", "Down", "Left", "Right", "PgUp", "PgDn", "Home", "End"),
    # Azure's words: states of jobs and endpoints, kinds of identities, regions, units, names of metrics and models.
    *("Azure", "Online", "Succeeded", "InProgress", "Creating", "Starting"),
    *("NotStarted", "Preparing", "Queued", "Running", "Finalizing", "Completed"),
    *("PayAsYouGo", "NotFound", "Recipe"),
    *("sandbox", "eastus", "USD", "LoRA", "mini", "instruct", "Microsoft", "Foundry", "Sandbox", "GPU", "MB", "kB"),
    *("Mini", "Input", "Output", "Tokens", "Fine", "tuned", "Hosting", "Finetuned", "Finetune"),  # meters' names
}
"""Names that are the same in every language, with what they are names of; anything else in Latin letters is a text."""


class Marked(gettext.NullTranslations):
    """A language whose texts are the English ones in Cyrillic letters, so that the widths stay."""

    def gettext(self, message: str) -> str:
        """The text with other letters, places to fill left alone."""
        return "".join(
            piece if piece.startswith(("{", "%")) else re.sub("[A-Za-z]", _other, piece)
            for piece in re.split(r"({[^}]*}|%\(\w+\)\w|%\w)", message)
        )

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The same for a count."""
        return self.gettext(msgid1 if n == 1 else msgid2)


def _other(letter: re.Match[str]) -> str:
    code = ord(letter.group().lower()) - ord("a")
    return chr((0x0410 if letter.group().isupper() else 0x0430) + code)


def left_over(text: str, *data: str) -> list[str]:
    """Lines of a text with words in Latin letters that are no names and stand in no data."""
    found = []
    known = NAMES | FIELDS | set(re.findall(r"[A-Za-z]+", " ".join(data)))
    for line in text.splitlines():
        # What has a digit or one of these signs in it is an id, an address, a path, an option or a key's name.
        words = [
            word for word in line.split() if not re.search(r"[\d/\\@_=`\x27^$:{}]|--|\w\.\w", word.strip(":.,;()[]'\""))
        ]
        plain = [each for word in words for each in re.findall(r"[A-Za-z]{2,}", word) if each not in known]
        if plain:
            found.append(f"{plain}  in  {line.strip()}")
    return found


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up language, whatever the settings say."""
    monkeypatch.setattr(messages, "_catalogue", Marked())
    monkeypatch.setattr(messages, "use", lambda language="": None)
    monkeypatch.setattr("argparse._", messages.t)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in {id(one): one for one in action.choices.values()}.values():
                yield from parsers(each)


def test_the_help_of_every_command_is_translated() -> None:
    names = " ".join(parser.prog for parser in parsers(build_parser()))
    for parser in parsers(build_parser()):
        typed = " ".join(f"{action.choices} {action.dest} {action.dest.upper()}" for action in parser._actions)
        wrong = left_over(parser.format_help(), names, typed)
        assert not wrong, "\n".join([parser.prog, *wrong])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of a dozen rows and its data."""
    made = tmp_path_factory.mktemp("translated")
    rows = (ROOT / "samples" / "support-train.jsonl").read_text("utf-8").splitlines()[:12]
    (made / "walk.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    recipe = Recipe(name="walk").with_(
        target__resource_group="rg-walk",
        target__hub="hub-walk",
        target__project="prj-walk",
        data__train=str(made / "walk.jsonl"),
        hyperparameters__epochs=1,
        evaluation__questions=2,
        evaluation__max_tokens=8,
        output__model="walk",
    )
    recipes.save(recipe, made / "recipe.toml")
    return made


@pytest.fixture
def at_the_sandbox(sandbox: SandboxInfo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxInfo]:
    """The session's sandbox, and a state folder that the tests of this module share."""
    before = dict(os.environ)
    os.environ.update(PHIFT_SANDBOX_STATE=sandbox.state, PHIFT_STATE=str(folder / "state"), COLUMNS="200")
    yield sandbox
    os.environ.clear()
    os.environ.update(before)


def data_of(folder: Path, sandbox: SandboxInfo) -> tuple[str, ...]:
    """What is somebody's data and no text of ours: rows, names, the words of Azure and of the TOML reader."""
    with sqlite3.connect(f"file:{Path(sandbox.state) / 'state.sqlite'}?mode=ro", uri=True) as state:
        others = " ".join(f"{name} {body}" for name, body in state.execute("SELECT id, body FROM resources"))
    return (
        (folder / "walk.jsonl").read_text("utf-8"),
        str(folder),
        others,  # what other tests made in the same sandbox
        str(sandbox),
        "rg-walk hub-walk prj-walk walk-validation base Job with name absent not found Invalid statement line column",
    )


def written_by_jobs(sandbox: SandboxInfo) -> list[str]:
    """The logs of the jobs, and the notes shown before them: the trainer's words, English wherever it runs."""
    jobs = Path(sandbox.state) / "jobs"
    return [path.read_text("utf-8") for name in ("std_log.txt", "config.json") for path in jobs.glob(f"*/{name}")]


def test_the_commands_are_translated(
    at_the_sandbox: SandboxInfo, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = data_of(folder, at_the_sandbox)

    def told(*arguments: object, stdin: str = "") -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        spoken = re.sub(rf"{messages.t('answer:')}.*", "", out + err)  # the model's own words
        wrong.extend(f"{arguments[0]}: {line}" for line in left_over(spoken, *data, *written_by_jobs(at_the_sandbox)))

    wrong: list[str] = []
    recipe, place = folder / "recipe.toml", ("--sandbox", "--recipe", folder / "recipe.toml")
    told("check", ROOT / "samples" / "support-broken.jsonl", "--fix", folder / "mended.jsonl")
    told("estimate", recipe, "--sandbox")
    told("run", folder / "absent.toml")
    told("run", ROOT / "samples" / "support-train.jsonl")
    told("run", recipe, "--sandbox", "--yes", "--deploy", "--evaluate")
    told("doctor", *place)
    told("models", "list", *place)
    told("models", "list", "--tuned", *place)
    told("jobs", "list", *place)
    told("jobs", "show", "absent", *place)
    told("deployments", "list", *place)
    told("deployments", "delete", "walk", *place)
    told("cleanup", "--all", "--dry-run", *place)
    told("chat", "walk", *place, stdin="")
    told("sandbox", "status")
    told("sandbox", "fault", "list")
    assert not wrong, "\n".join(wrong)


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until nothing runs and nothing changes."""
    before = ""
    while pilot.app.tasks.running() or before != shown(pilot.app):  # type: ignore[attr-defined]  # it is ours
        before = shown(pilot.app)
        await pilot.pause(0.05)


@pytest.mark.slow
async def test_the_pages_are_translated(at_the_sandbox: SandboxInfo, folder: Path) -> None:
    state = folder / "state"
    preferences.save(preferences.Preferences(tour_seen=True), state)
    settings = Settings(state=state, sandbox_state=Path(at_the_sandbox.state))
    app = PhiftApp(settings, sandbox=True, recipe=recipes.load(folder / "recipe.toml"))
    data = [
        *data_of(folder, at_the_sandbox),
        (ROOT / "catalog" / "models.json").read_text("utf-8"),
        *Recipe().model_dump(),
    ]
    wrong: dict[str, None] = {}

    def look(where: str) -> None:
        wrong.update(
            dict.fromkeys(f"{where}: {line}" for line in left_over(shown(app), *data, *written_by_jobs(at_the_sandbox)))
        )

    async with app.run_test(size=(120, 40)) as pilot:
        for _ in range(40):
            await settled(pilot)
            place = app.current_mode
            look(place)
            if place == "monitor":
                break
            await pilot.press("enter")
            look(f"after {place}")
        if app.current_mode == "monitor":
            await pilot.press("enter")  # leads on when the job has completed
        await until(pilot, lambda: app.wizard.marks.get("monitor"), "the job does not end")
        for place in ("monitor", "deploy", "playground", "evaluate", "cleanup", "jobs"):
            app.go(place)
            await pilot.pause()
            await settled(pilot)
            look(place)
        for name, place in (("f1", "project"), ("question_mark", "access"), ("ctrl+p", "data"), ("f9", "review")):
            app.go(place)
            await pilot.pause()
            await pilot.press("escape", name)
            await settled(pilot)
            look(f"{name} on {place}")
            await pilot.press("escape")
        for action in ("tour", "drafts", "appearance", "jump"):
            await app.run_action(action)
            await settled(pilot)
            look(action)
            await pilot.press("escape")
    assert not wrong, "\n".join(wrong)
