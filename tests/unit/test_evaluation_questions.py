"""Held-out questions taken from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui.evaluation.questions import questions

ROOT = Path(__file__).resolve().parents[2]


def turn(role: str, content: Any, **extra: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **extra}


def test_the_same_seed_takes_the_same_questions_in_file_order() -> None:
    path = ROOT / "assets" / "samples" / "support-heldout.jsonl"
    first = questions(path, 10, 1)
    assert first == questions(path, 10, 1)
    assert first != questions(path, 10, 2)
    assert [question.line for question in first] == sorted(question.line for question in first)
    assert len(first) == 10
    assert len(questions(path, 1000, 1)) == 40
    assert set(first) <= set(questions(path, 20, 1))
    assert [role for role, _ in first[0].messages] == ["system", "user"]


def test_only_rows_that_ask_and_answer_in_text_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        [turn("user", "a"), turn("assistant", "b")],
        [turn("user", "a"), turn("assistant", "other")],
        [turn("user", "c"), turn("assistant", "d"), turn("user", "e"), turn("assistant", "f")],
        [turn("assistant", "alone")],
        [turn("user", "g")],
        [turn("user", "h"), turn("assistant", " ")],
        [turn("user", "i"), turn("tool", "5"), turn("assistant", "j")],
    ]
    path.write_text("\n\nnot json\n" + "".join(json.dumps({"messages": row}) + "\n" for row in rows))
    found = questions(path, 10, 0)
    assert [(question.line, question.reference) for question in found] == [(4, "b"), (6, "f")]
    assert found[1].messages == (("user", "c"), ("assistant", "d"), ("user", "e"))
    assert questions(path, 0, 0) == []
