"""Chats become tokens with labels on what the assistant says, and bad rows are refused with their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from tui.trainer import bases, data
from tui.trainer.failures import TrainingFailed

PHI_4_MINI = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
REWRITES_EARLIER_TURNS = (
    "{{ messages | length }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return bases.load_tokenizer(bases.find("tiny"))


def learned(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase) -> str:
    return tokenizer.decode([label for label in row["labels"] if label != data.IGNORED])


def chat(*turns: tuple[str, str], **weights: int) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns], **weights}


def encode(tokenizer: PreTrainedTokenizerBase, *rows: dict[str, Any], max_length: int = 4096) -> data.Encoded:
    return data.encode_chats(list(enumerate(rows, start=1)), tokenizer, max_length)


def test_only_the_assistant_is_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    row = chat(("system", "Be brief."), ("user", "1+1?"), ("assistant", "2"), ("user", "+1?"), ("assistant", "3"))
    (encoded,) = encode(tokenizer, row).rows
    assert learned(encoded, tokenizer) == "2<|end|>\n3<|end|>\n"


def test_a_template_that_closes_with_the_end_of_text(tokenizer: PreTrainedTokenizerBase) -> None:
    other = bases.load_tokenizer(bases.find("tiny"))
    other.chat_template = PHI_4_MINI
    row = chat(("user", "1+1?"), ("assistant", "2"), ("user", "+1?"), ("assistant", "3"))
    (encoded,) = encode(other, row).rows
    assert learned(encoded, other) == "2<|end|>3<|end|><|endoftext|>"


def test_a_template_that_rewrites_earlier_turns_is_refused() -> None:
    other = bases.load_tokenizer(bases.find("tiny"))
    other.chat_template = REWRITES_EARLIER_TURNS
    with pytest.raises(TrainingFailed, match="one after the other"):
        encode(other, chat(("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4")))


def test_a_message_of_weight_0_is_read_and_not_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    row = chat(("user", "a"), ("assistant", "bad"), ("user", "b"), ("assistant", "good"))
    row["messages"][1]["weight"] = 0
    (encoded,) = encode(tokenizer, row).rows
    assert learned(encoded, tokenizer) == "good<|end|>\n"
    assert "bad" in tokenizer.decode(encoded["input_ids"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=3))
def test_every_text_survives(tokenizer: PreTrainedTokenizerBase, pairs: list[tuple[str, str]]) -> None:
    turns = [turn for user, answer in pairs for turn in (("user", user), ("assistant", answer))]
    (encoded,) = encode(tokenizer, chat(*turns)).rows
    text, spans = data.render(chat(*turns)["messages"], tokenizer)
    assert tokenizer.decode(encoded["input_ids"]) == text
    assert [text[start:end] for start, end in spans] == [f"{answer}<|end|>\n" for _, answer in pairs]


def test_long_rows_are_cut_and_reported_and_those_with_nothing_left_dropped(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    short = chat(("user", "hi"), ("assistant", "ho"))
    long_answer = chat(("user", "hi"), ("assistant", "word " * 100))
    long_question = chat(("user", "word " * 100), ("assistant", "ho"))
    encoded = encode(tokenizer, short, long_answer, long_question, max_length=32)
    assert encoded.truncated == [2, 3]
    assert encoded.dropped == [3]
    assert [len(row["input_ids"]) for row in encoded.rows][1] == 32
    assert encoded.tokens == sum(len(row["input_ids"]) for row in encoded.rows)


def test_classes_are_the_last_message(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    rows = [(1, chat(("user", "How much?"), ("assistant", "price"))), (2, chat(("user", "?"), ("assistant", "what")))]
    encoded = data.encode_classes(rows[:1], tokenizer, 64, ["colour", "price"], tmp_path / "f.jsonl")
    assert encoded.rows[0]["labels"] == 1
    assert tokenizer.decode(encoded.rows[0]["input_ids"]).endswith("<|assistant|>\n")
    with pytest.raises(TrainingFailed, match=r"f\.jsonl, line 2.*'what'"):
        data.encode_classes(rows, tokenizer, 64, ["colour", "price"], tmp_path / "f.jsonl")


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("{", "line 2"),
        ('{"messages": []}', '"messages"'),
        ('{"messages": [{"role": "bot", "content": "x"}]}', r"messages\[0\]\.role"),
        ('{"messages": [{"role": "assistant", "content": null}]}', r"messages\[0\]\.content"),
        ('{"messages": [{"role": "assistant", "content": "x", "weight": 0.5}]}', r"messages\[0\]\.weight"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no assistant"),
        ('{"weight": -1, "messages": [{"role": "assistant", "content": "x"}]}', '"weight"'),
    ],
)
def test_bad_rows_are_refused_with_their_place(tmp_path: Path, line: str, place: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('\ufeff{"messages": [{"role": "assistant", "content": "fine"}]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(TrainingFailed, match=place) as caught:
        data.read_chats(path)
    assert caught.value.code == "BadRow"
    assert "f.jsonl, line 2" in caught.value.message


def test_a_file_without_rows_and_one_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text("\n\n")
    with pytest.raises(TrainingFailed, match="no rows"):
        data.read_chats(path)
    path.write_bytes(b"{}\n\xff\n")
    with pytest.raises(TrainingFailed, match="line 2: is not UTF-8"):
        data.read_chats(path)
    with pytest.raises(TrainingFailed, match="cannot be read"):
        data.read_chats(tmp_path / "none.jsonl")


def test_batches_are_padded_to_their_longest_row() -> None:
    rows = [
        {"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "weight": 1.0},
        {"input_ids": [8], "labels": [8], "weight": 0.5},
    ]
    batch = data.collate(rows, pad=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]
    assert batch["weights"].tolist() == [1.0, 0.5]
    assert "weights" not in data.collate(rows[:1], pad=0)
