"""The numbers of a dataset: distributions, balance, outliers, system prompts."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.dataset.check import check
from tui.dataset.describe import Tally
from tui.dataset.languages import language_of, script_of
from tui.dataset.report import Report
from tui.dataset.rules import Rules

ANY = Rules(bom="any", recommended_examples=1)


def report(folder: Path, rows: list[list[tuple[str, str]]]) -> Report:
    path = folder / "data.jsonl"
    made = [{"messages": [{"role": role, "content": content} for role, content in row]} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return check(path, rules=ANY)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=80), st.integers(1, 20))
def test_a_distribution_adds_up(values: list[int], bins: int) -> None:
    one, two = Tally(), Tally()
    for index, value in enumerate(values):
        (one if index % 2 else two).add(value)
    one.merge(two)
    made = one.distribution(bins)
    assert (made.count, made.total, made.minimum, made.maximum) == (len(values), sum(values), min(values), max(values))
    assert sum(rows for _, _, rows in made.bins) == len(values)
    assert all(low < high for low, high, _ in made.bins)
    assert len(made.bins) <= bins + 1
    if max(values) < 8192:
        assert made.percentiles[50] in (statistics.median_low(values), statistics.median_high(values))
    assert list(made.percentiles.values()) == sorted(made.percentiles.values())


def test_the_numbers_are_those_of_the_rows(tmp_path: Path) -> None:
    made = report(
        tmp_path,
        [
            [("system", "s"), ("user", "How is the oven?"), ("assistant", "Hot.")],
            [("system", "s"), ("user", "How is the oven?"), ("assistant", "a"), ("user", "b"), ("assistant", "c")],
            [("user", "Wie ist der Ofen und die Tür?"), ("assistant", "Heiß.")],
        ],
    )
    stats = made.stats
    assert stats.rows == made.rows == 3
    assert stats.messages == {"system": 2, "user": 4, "assistant": 4}
    assert (stats.turns.minimum, stats.turns.maximum, stats.turns.total) == (2, 5, 10)
    assert stats.system_prompts == [("s", 2)]
    assert (stats.system_prompt_count, stats.rows_without_system) == (1, 1)
    assert stats.languages == {"en": 2, "de": 1}
    assert stats.scripts == {"Latin": 3}
    assert 0 < stats.tokens_assistant < stats.tokens_total == stats.row_tokens.total
    assert stats.billable_tokens(3) == 3 * stats.tokens_total
    assert [f.code for f in made.findings] == ["W229"]
    assert made.findings[0].line == 3


def test_lopsided_labels_are_told(tmp_path: Path) -> None:
    made = report(tmp_path, [[("user", f"mail {i}"), ("assistant", "spam" if i % 20 else "ham")] for i in range(200)])
    assert [(f.code, f.message) for f in made.findings] == [("W215", "'spam' answers 190 of 200 rows, 'ham' 10")]
    even = report(tmp_path, [[("user", f"mail {i}"), ("assistant", "spam" if i % 2 else "ham")] for i in range(200)])
    assert even.findings == []
    free = report(tmp_path, [[("user", f"mail {i}"), ("assistant", f"answer {i // 2}")] for i in range(400)])
    assert free.findings == []


def test_a_row_out_of_all_proportion_is_told(tmp_path: Path) -> None:
    rows = [[("user", f"question {i}"), ("assistant", f"answer {i}" + "x" * (i % 7))] for i in range(60)]
    rows[41] = [("user", "question"), ("assistant", " ".join(map(str, range(2000))))]
    made = report(tmp_path, rows)
    assert [(f.code, f.line) for f in made.findings] == [("W216", 42)]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Какво да правя, ако мога да го върна?", "bg"),
        ("Что мне делать, если я не могу это вернуть?", "ru"),
        ("Що мені робити, якщо я не можу це повернути?", "uk"),
        ("كيف أعرف هل هذا صحيح في هذه الحالة؟", "ar"),
        ("यह क्या है और मैं इसे कैसे करूँ?", "hi"),
        ("मौसम", "unknown"),
    ],
)
def test_languages_of_other_scripts_are_guessed_by_their_common_words(text: str, language: str) -> None:
    assert language_of(text, script_of(text)) == language


def test_rows_that_the_safety_guess_cannot_judge_are_counted(tmp_path: Path) -> None:
    rows = [
        [("user", said), ("assistant", "a")]
        for said in ("How can I do that for you?", "Wie kann ich das für dich tun?", "Как да го върна?", "12 345")
    ]
    (note,) = report(tmp_path, rows).notes
    assert note.startswith("2 rows are not in English")
