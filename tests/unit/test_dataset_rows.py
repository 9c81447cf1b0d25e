"""Single rows of a file: by line, by screenful, by text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.dataset import rows


def chat(question: str) -> bytes:
    return json.dumps(
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "Straße"}]}
    ).encode()


@pytest.fixture(params=[b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    made = tmp_path / "rows.jsonl"
    lines = [chat(f"question {i}") for i in range(1, 1001)]
    lines[499] = b""
    lines[699] = b"{broken \xff"
    made.write_bytes(b"\xef\xbb\xbf" + request.param.join(lines))
    return made


def test_a_row_is_found_by_its_line(path: Path) -> None:
    assert rows.count(path) == 1000
    for line in (1, 255, 256, 257, 512, 513, 1000):
        found = rows.row(path, line)
        assert (found.line, found.messages[0].content) == (line, f"question {line}")
        assert found.raw == chat(f"question {line}").decode()
    assert rows.row(path, 700).messages == []
    assert rows.row(path, 700).raw == "{broken \ufffd"
    for line in (0, -1, 1001):
        with pytest.raises(IndexError, match="1000 lines"):
            rows.row(path, line)


def test_searching_reads_text_not_escapes_and_any_case(path: Path) -> None:
    assert [row.line for row in rows.search(path, "QUESTION 99", limit=3)] == [99, 990, 991]
    assert [row.line for row in rows.search(path, "strasse", start=998)] == [998, 999, 1000]
    assert [row.line for row in rows.search(path, "broken")] == [700]
    assert rows.search(path, "nowhere") == []
    assert rows.search(path, "question", cancelled=lambda: True, limit=5000)


def test_a_changed_file_is_read_anew(path: Path) -> None:
    assert rows.count(path) == 1000
    path.write_bytes(chat("new") + b"\n")
    assert rows.count(path) == 1
    assert rows.row(path, 1).messages[0].content == "new"


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert rows.count(path) == 0
