"""Repeated rows: equal, nearly equal, contradicting, and shared by two files."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tui.dataset import duplicates
from tui.dataset.check import check
from tui.dataset.report import Report
from tui.dataset.rules import Rules

ANY = Rules(bom="any", recommended_examples=1)
WORDS = [
    start + end
    for start in ["ket", "ov", "gri", "wa", "fil", "se", "tra", "lev", "di", "but"]
    for end in ["tle", "en", "nder", "ter", "al"]
]


def chat(question: str, answer: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def text(seed: int, words: int = 40) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def report(folder: Path, train: list[dict[str, object]], validation: list[dict[str, object]] | None = None) -> Report:
    paths = []
    for name, rows in (("train", train), ("validation", validation)):
        if rows is not None:
            path = folder / f"{name}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            paths.append(path)
    return check(paths[0], validation=paths[1] if len(paths) > 1 else None, rules=ANY)


def found(made: Report) -> list[tuple[str, str, int, str]]:
    return [(f.code, f.file, f.line, f.message) for f in made.findings]


def test_equal_rows_point_to_the_first(tmp_path: Path) -> None:
    rows = [chat("a", "b"), chat("c", "d"), chat("a", "b"), chat("a", "b")]
    assert found(report(tmp_path, rows)) == [
        ("W209", "train", 3, "the same as line 1"),
        ("W209", "train", 4, "the same as line 1"),
    ]


def test_conflicting_answers_point_to_the_first(tmp_path: Path) -> None:
    rows = [chat("a", "b"), chat("a", "c"), chat("a", "b")]
    assert found(report(tmp_path, rows)) == [
        ("W211", "train", 2, "line 1 answers the same prompt differently"),
        ("W209", "train", 3, "the same as line 1"),
    ]


def test_near_duplicates_are_found_whatever_their_case(tmp_path: Path) -> None:
    rows = [chat(text(i), text(i + 500)) for i in range(300)]
    rows.append(chat(text(7).upper() + " please", text(507)))
    ((code, _, line, message),) = found(report(tmp_path, rows))
    assert (code, line) == ("W210", 301)
    assert message.endswith("the same as line 8")


def test_short_rows_and_shared_system_messages_are_no_near_duplicates(tmp_path: Path) -> None:
    system = {"role": "system", "content": text(1, 200)}
    rows = [{"messages": [system, *chat(f"question {i}", f"answer {i}")["messages"]]} for i in range(30)]  # type: ignore[misc]  # a list
    assert found(report(tmp_path, rows)) == []


def test_rows_of_both_files_leak(tmp_path: Path) -> None:
    train = [chat("a", "b"), chat(text(1), text(2)), chat("c", "d")]
    validation = [chat("e", "f"), chat("a", "b"), chat("c", "other"), chat(text(1) + " now", text(2))]
    made = found(report(tmp_path, train, validation))
    assert made[:2] == [
        ("W212", "validation", 2, "the same as training line 1"),
        ("W212", "validation", 3, "the prompt of training line 3"),
    ]
    assert [(item[0], item[1], item[2]) for item in made[2:]] == [("W213", "validation", 4)]


def test_the_first_lines_are_kept_of_very_many(tmp_path: Path) -> None:
    made = report(tmp_path, [chat(f"q{i % 1000}", "b") for i in range(3000)])
    (group,) = made.warnings
    assert group.count == 2000
    assert [finding.line for finding in group.first] == list(range(1001, 1101))


def test_rows_past_the_bound_are_named_in_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "NEAR_ROWS", 10)
    made = report(tmp_path, [chat(text(i), text(i + 500)) for i in range(25)])
    assert made.notes == ("15 rows were not searched for near duplicates.",)


def test_recall_and_precision_on_rows_with_one_word_changed(tmp_path: Path) -> None:
    source = random.Random(5)
    rows = [chat(text(i, 60), text(i + 5000, 60)) for i in range(400)]
    for i in range(100):
        words = text(i, 60).split()
        words[source.randrange(60)] = "changed"
        rows.append(chat(" ".join(words), text(i + 5000, 60)))
    lines = {finding.line for finding in report(tmp_path, rows).findings}
    assert len([line for line in lines if line > 400]) >= 99
    assert not [line for line in lines if line <= 400]
