"""What the documents say of commands and dependencies: each command is taken, each dependency has its reason."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tui.__main__ import build_parser

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """The program's command lines in code blocks: (file, line)."""
    found = []
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in BLOCK.findall(path.read_text(encoding="utf-8")):
            lines = (line.removeprefix("$ ") for line in block.splitlines())
            found += [(path.name, line) for line in lines if line.startswith("phift-tui")]
    return found


@pytest.mark.parametrize(("file", "line"), commands())
def test_a_documented_command_is_one_that_the_program_takes(file: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    code: object = 0
    try:
        build_parser().parse_args(words)
    except SystemExit as ended:  # `--help` ends so too
        code = ended.code
    assert code == 0, line
    for word in words:
        assert not word.startswith(("assets/", "docs/")) or (ROOT / word).exists(), line


def test_each_dependency_is_named_with_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    rows = [line.split("|") for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()]
    named = {name.strip() for row in rows if len(row) == 4 and row[2].strip() for name in row[1].split(",")}
    assert {re.split(r"[><=\[]", each)[0] for each in wanted} - {"phift-tui"} <= named


def test_the_documents_have_commands() -> None:
    assert len(commands()) > 15
