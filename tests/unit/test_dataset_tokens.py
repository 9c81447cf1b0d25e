"""Token counts: known ones, calibrated ones, and what they say of their error."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import assets
from tui.dataset import tokens
from tui.dataset.check import check
from tui.dataset.rules import Rules
from tui.dataset.scan import messages_of
from tui.dataset.structure import Message
from tui.dataset.tokens import Vocabulary, counter, vocabulary_of

SAMPLE = assets.ROOT / "samples" / "support-train.jsonl"


@pytest.mark.parametrize(
    ("vocabulary", "text", "expected"),
    [
        # Counts of the published tokenizers, without the template's tokens.
        ("phi3", "Hello world", 2), ("phi3", "Hello, world!", 4), ("phi3", "grabbed", 3), ("phi3", "This is a test", 4),
        ("phi3", "🦙", 5), ("phi3", "你好", 3), ("phi4", "Hello world", 2), ("phi4", "你好", 2), ("phi4", "I'll", 2),
        ("phi4-mini", "Hello world", 2), ("phi4-mini", "Hello, world!", 4), ("phi4-mini", "你好", 1),
        ("phi4-mini", "12345", 2),
    ],
)  # fmt: skip
def test_texts_have_the_published_number_of_tokens(vocabulary: Vocabulary, text: str, expected: int) -> None:
    count = counter(vocabulary, SAMPLE, messages_of)
    assert not count.is_estimate
    overhead = 2 if vocabulary == "phi4-mini" else 4
    assert count.count([[Message("user", text)], [Message("user", text), Message("assistant", text)]]) == [
        (expected + overhead, 0),
        (2 * (expected + overhead), expected + overhead),
    ]


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("Phi-3-mini-4k-instruct", "phi3"), ("Phi-3.5-mini-instruct", "phi3"), ("Phi-3-medium-128k-instruct", "phi3"),
        ("Phi-3-small-8k-instruct", "phi4"), ("Phi-4", "phi4"), ("Phi-4-reasoning", "phi4"),
        ("Phi-4-mini-instruct", "phi4-mini"), ("Phi-4-multimodal-instruct", "phi4-mini"), ("", "phi4-mini"),
    ],
)  # fmt: skip
def test_a_models_vocabulary_is_told_from_its_name(model: str, vocabulary: str) -> None:
    assert vocabulary_of(model) == vocabulary


def test_a_large_file_is_estimated_and_the_error_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jsonl"
    lines = SAMPLE.read_text("utf-8-sig").splitlines()
    path.write_text("\n".join(line.replace("oven", "oven " * (i % 9)) for i, line in enumerate(lines * 8)))
    exact = check(path).stats
    monkeypatch.setattr(tokens, "EXACT_BYTES", 100_000)
    about = check(path).stats
    assert not exact.tokens_are_estimate
    assert about.tokens_are_estimate
    assert "calibrated" in about.tokenizer
    assert abs(about.tokens_total / exact.tokens_total - 1) <= about.tokens_error < 0.05


def test_half_characters_and_long_rows_do_not_stop_the_calibration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.jsonl"
    rows = [{"messages": [{"role": "user", "content": c}, {"role": "assistant", "content": "a"}]}
            for c in ("\ud800 half", "long " * 20_000, "ok")]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows * 4))
    monkeypatch.setattr(tokens, "EXACT_BYTES", 100_000)
    monkeypatch.setattr(tokens, "_SAMPLE_BYTES", 1_000_000)
    found = check(path)
    assert found.stats.tokens_are_estimate
    assert {group.code: group.count for group in found.errors} == {"E129": 4}


def test_without_the_libraries_the_estimate_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = check(SAMPLE).stats
    find = importlib.util.find_spec
    gone = ("tiktoken", "tokenizers")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: None if name in gone else find(name, package)
    )
    about = check(SAMPLE).stats
    assert about.tokens_are_estimate
    assert "length of the text" in about.tokenizer
    assert abs(about.tokens_total / exact.tokens_total - 1) <= about.tokens_error


def found(path: Path, rules: Rules) -> list[tuple[str, int]]:
    return [(f.code, f.line) for f in check(path, rules=rules).findings if f.code in ("E131", "W224")]


def test_rows_past_the_context_are_errors_only_where_that_is_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": "word " * count}, {"role": "assistant", "content": "b"}]}
        for count in (50, 95, 300)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rules = Rules(bom="any", recommended_examples=1, context_tokens=100)
    assert found(path, rules) == [("E131", 2), ("E131", 3)]
    monkeypatch.setattr(tokens, "_can_load", lambda vocabulary: False)
    assert found(path, rules) == [("E131", 3), ("W224", 2)]


def test_a_tokenizer_of_ones_own_is_used(tmp_path: Path) -> None:
    words = {"Hello": 0, "world": 1, "[UNK]": 2}
    own = tmp_path / "tokenizer.json"
    model = {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"}
    own.write_text(
        json.dumps({"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": model})
    )
    count = counter("phi3", SAMPLE, messages_of, own)
    assert (count.name, count.is_estimate) == ("tokenizer.json", False)
    assert count.count([[Message("user", "Hello new world")]]) == [(7, 0)]
    own.write_text("{}")
    tokens._loaded.cache_clear()
    with pytest.raises(ValueError, match=r"is not a tokenizer\.json"):
        check(SAMPLE, tokenizer=own)
