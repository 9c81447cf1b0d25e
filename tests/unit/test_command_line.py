"""The command line: exit codes, JSON on stdout, messages on stderr, no tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assets import ROOT
from tui import messages, trainer
from tui.__main__ import main
from tui.commands import common, output
from tui.commands.every import COMMANDS

SAMPLES = ROOT / "samples"
DEMO = ROOT / "recipes" / "demo.toml"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


def test_an_accepted_file_ends_with_0_and_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", SAMPLES / "support-train.jsonl", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["errors"] == []
    assert report["rows"] >= 120


def test_tokens_are_counted_by_a_tokenizer_of_ones_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    own, rows = Path(trainer.__file__).parent / "models/tiny/tokenizer.json", SAMPLES / "support-train.jsonl"
    usual, other = (
        json.loads(run(capsys, "check", rows, "--json", *given)[1])["stats"] for given in ((), ("--tokenizer", own))
    )
    assert (usual["tokenizer"], other["tokenizer"]) == ("phi4-mini", own.name)
    assert usual["tokens_total"] != other["tokens_total"]
    (tmp_path / "odd.json").write_text("{}")
    for wrong, said in ((tmp_path / "odd.json", "is not a tokenizer.json"), (tmp_path / "none.json", "does not exist")):
        code, _, err = run(capsys, "check", rows, "--tokenizer", wrong)
        assert (code, said in err) == (2, True)


def test_a_refused_file_ends_with_3_and_the_place_of_each_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", SAMPLES / "support-broken.jsonl", "--json")
    errors = json.loads(out)["errors"]
    assert code == 3
    assert {"code", "line", "path", "message"} <= errors[0].keys()
    assert errors[0]["line"] == 2


def test_a_mended_copy_is_accepted_and_the_original_unchanged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    original = (SAMPLES / "support-broken.jsonl").read_bytes()
    code, _, err = run(capsys, "check", SAMPLES / "support-broken.jsonl", "--fix", tmp_path / "mended.jsonl")
    assert code == 0
    assert "unchanged" in err
    assert (SAMPLES / "support-broken.jsonl").read_bytes() == original


def test_a_file_of_another_shape_is_converted_before_it_is_mended(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table, out = tmp_path / "faq.csv", tmp_path / "chats.jsonl"
    table.write_text("question,answer\n" + "".join(f"q{i},a{i}\n" for i in range(60)) + "q,\n")
    code, _, err = run(capsys, "check", table, "--fix", out)
    assert code == 0
    assert "Converted 60 records (CSV: 'question' and 'answer')" in err
    assert "record 61" in err
    assert len(out.read_text("utf-8-sig").splitlines()) == 60


def test_what_cannot_be_mended_is_said_and_the_original_judged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, out = tmp_path / "a.json", tmp_path / "b.jsonl"
    path.write_text('[\n{"name": 1},\n{"name": 2}\n]')
    code, printed, err = run(capsys, "check", path, "--fix", out)
    assert code == 3
    assert "Not mended" in err
    assert "E136" in printed
    assert not out.exists()


@pytest.mark.parametrize("name", ["data.jsonl", "validation.jsonl"])
def test_a_fix_never_overwrites_its_input(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "data.jsonl", tmp_path / "validation.jsonl"):
        path.write_text('{"messages": []}\n')
    code, _, err = run(
        capsys,
        "check",
        tmp_path / "data.jsonl",
        "--validation",
        tmp_path / "validation.jsonl",
        "--fix",
        tmp_path / name,
    )
    assert code == 2
    assert "Name another file" in err
    assert (tmp_path / name).read_text() == '{"messages": []}\n'


@pytest.mark.parametrize("kind", ["missing", "empty", "folder"])
def test_a_file_that_cannot_be_read_ends_with_2_and_a_next_step(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    code, _, err = run(capsys, "check", path)
    assert code == 2
    assert kind in err
    assert "Next:" in err


def test_an_unknown_model_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", SAMPLES / "support-train.jsonl", "--model", "phi-9")
    assert code == 2
    assert "Phi-4" in err


def test_a_wrong_recipe_names_its_field(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[hyperparameters]\nepochs = 99\n")
    code, _, err = run(capsys, "run", path)
    assert code == 2
    assert "hyperparameters.epochs" in err


def test_a_wrong_setting_names_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHIFT_BUDGET", "lots")
    code, _, err = run(capsys, "check", SAMPLES / "support-train.jsonl")
    assert code == 2
    assert "PHIFT_BUDGET" in err


@pytest.mark.parametrize(("form", "part"), [("cli", "az rest"), ("python", "MLClient"), ("bicep", "resource")])
def test_a_recipe_is_exported_as_code(capsys: pytest.CaptureFixture[str], form: str, part: str) -> None:
    code, out, _ = run(capsys, "export", DEMO, "--as", form)
    assert code == 0
    assert part in out


def test_without_a_sign_in_the_estimate_has_dated_prices_and_the_doctor_ends_with_4(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    code, out, err = run(capsys, "estimate", DEMO)
    assert code == 0
    assert "estimate" in out
    assert "last known prices" in err
    code, _, err = run(capsys, "doctor", "--recipe", DEMO)
    assert code == 4
    assert "Next:" in err


def test_over_the_budget_the_estimate_ends_with_8(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("PHIFT_BUDGET", "0.01")
    code, _, err = run(capsys, "estimate", DEMO)
    assert code == 8
    assert "0.01" in err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("jobs", "show", "../other"), "is not a name"),
        (("deployments", "create", "job", "--name", "1 bad/name"), "a letter first"),
        (("models", "delete", "model:1/2"), "is not a name"),
        (("chat", "endpoint", "--temperature", "nan"), "from 0 to 2"),
        (("chat", "endpoint", "--max-tokens", "0"), "from 1 to 4096"),
        (("evaluate", "endpoint", "rows.jsonl", "--questions", "-1"), "from 1 to 1000"),
        (("jobs", "list", "--project", "a?b"), "is not a name"),
        (("jobs",), "VERB"),
        (("export", "recipe.toml", "--as", "cobol"), "bicep"),
    ],
)
def test_a_wrong_argument_ends_with_2_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], part: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert part in " ".join(capsys.readouterr().err.split())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    names = [command.__name__.rpartition(".")[2] for command in COMMANDS]
    assert {"check", "doctor", "run", "sandbox"} <= set(names)
    for name in names:
        assert f"\n    {name} " in out


def test_a_mistake_of_the_program_is_told_in_a_line_and_logged_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a \x1b[31mmistake")

    monkeypatch.setattr("tui.services.catalog.cached", broken)
    monkeypatch.setenv("PHIFT_STATE", str(tmp_path))
    code, out, err = run(capsys, "check", SAMPLES / "support-train.jsonl")
    assert code == 1
    assert out == ""
    assert "ZeroDivisionError" in err
    assert "\x1b" not in err
    assert "Traceback" in (tmp_path / "phift-tui.log").read_text("utf-8")


@pytest.mark.parametrize(
    ("answer", "meaning"), [("да", True), ("Д", True), ("yes", True), ("н", False), ("може", None)]
)
def test_a_yes_is_taken_in_the_language_in_use_and_in_english(answer: str, meaning: bool | None) -> None:
    messages.use("bg")
    assert common.yes_or_no(answer) is meaning
    messages.use("en")
    assert common.yes_or_no("да") is None
    assert common.yes_or_no("") is None


@pytest.mark.parametrize(
    ("line", "width", "folded"),
    [
        ("  one two three", 9, "  one two\n  three"),
        ("short", 0, "short"),
        ("abcdefgh", 3, "abc\ndef\ngh"),
        ("日本語 日本", 6, "日本語\n日本"),
    ],
)
def test_a_line_is_folded_between_words_by_the_cells_it_takes(line: str, width: int, folded: str) -> None:
    assert output.folded(line, width) == folded


def test_a_line_break_in_a_value_begins_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("Project p\nDeleted all; it is no longer billed.")
    output.result("job\r\nStatus  Completed")
    assert capsys.readouterr() == (
        "job⏎Status  Completed\n",
        "Project p⏎Deleted all; it is no longer billed.\n",
    )


def test_somebodys_text_keeps_its_lines_each_indented(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_text("one\r\n\x1b[2Jtwo\n", "  ")
    assert capsys.readouterr().err == "  one\n  ␛[2Jtwo\n  \n"


def test_help_and_mistakes_are_in_the_language_of_the_locale(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "bg")
    with pytest.raises(SystemExit) as ended:
        main(["jobs", "show"])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "употреба: phift-tui jobs show" in err
    assert "липсват задължителни аргументи: name" in err
    monkeypatch.setenv("PHIFT_LANGUAGE", "en")
    with pytest.raises(SystemExit):
        main(["jobs", "show"])
    assert "usage: phift-tui jobs show" in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "said"), [("ascii", "there is no such file"), ("utf-8", "няма такъв файл")])
def test_a_terminal_without_the_letters_of_a_language_gets_english(encoding: str, said: str) -> None:
    environment = {**os.environ, "LANGUAGE": "bg", "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-m", "tui", "run", "nowhere.toml"], capture_output=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr.decode()


WITH_A_THREAD = """
import atexit, sys, threading, time
from tui import __main__ as program

class Last:
    def __del__(self):
        sys.stdout.write("taken apart ")

def main():
    global last
    last = Last()
    atexit.register(lambda: print("tidied"))
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    sys.stdout.write("result ")
    return 3

program.main = main
program.console_script()
"""


def test_a_thread_that_hangs_is_left_behind_and_nothing_is_taken_apart_beneath_it() -> None:
    ended = subprocess.run([sys.executable, "-c", WITH_A_THREAD], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout.split(), ended.stderr) == (3, ["result", "tidied"], "")
