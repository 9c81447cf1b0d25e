"""From checked chat JSONL to token ids with labels: loss on assistant tokens only, in the model's own chat template."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .failures import TrainingFailed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LONGEST = 4096
"""Tokens of a row that are used where `max_length` is left open and the model's context is longer."""
IGNORED = -100
"""The label of a token that carries no loss; torch's own default."""


@dataclass
class Encoded:
    """Rows ready for the model, and what happened to those that were not used as they stood."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    truncated: list[int] = field(default_factory=list)
    """1-based lines of the rows that were cut to `max_length`."""
    dropped: list[int] = field(default_factory=list)
    """1-based lines of the rows of which nothing to learn was left."""


def read_chats(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The rows of a chat JSONL file with their 1-based lines; blank lines are skipped.

    Raises:
        TrainingFailed: `BadRow` with file, line and field, `EmptyData`, or `BadPath`.
    """
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TrainingFailed("BadPath", f"{path} cannot be read: {error.strerror}", "Check train_file.") from None
    except UnicodeDecodeError as error:
        raise _bad_row(path, text_line(path, error.start), "is not UTF-8") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _bad_row(path, number, f"is not JSON ({error})") from None
        check_messages(row, path, number)
        rows.append((number, row))
    if not rows:
        raise TrainingFailed("EmptyData", f"{path.name} has no rows", "Give a file with at least one chat.")
    return rows


def text_line(path: Path, offset: int) -> int:
    """The 1-based line of the byte at `offset`."""
    return path.read_bytes()[:offset].count(b"\n") + 1


def check_messages(row: object, path: Path, number: int) -> None:
    """Raise `BadRow` unless `row` is a chat with text in every message and something of the assistant's to learn."""
    if not isinstance(row, dict) or not isinstance(row.get("messages"), list) or not row["messages"]:
        raise _bad_row(path, number, 'needs "messages", a list that is not empty')
    weight = row.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1000:
        raise _bad_row(path, number, f'"weight" is {weight!r}; a row\'s weight is a number above 0')
    for index, message in enumerate(row["messages"]):
        place = f"messages[{index}]"
        if not isinstance(message, dict):
            raise _bad_row(path, number, f"{place} is not an object")
        if message.get("role") not in ("system", "user", "assistant"):
            raise _bad_row(path, number, f"{place}.role is {message.get('role')!r}; use system, user or assistant")
        if not isinstance(message.get("content"), str):
            raise _bad_row(path, number, f"{place}.content is not a text")
        if message.get("weight", 1) not in (0, 1):
            raise _bad_row(path, number, f"{place}.weight is {message['weight']!r}; a message's weight is 0 or 1")
    if not any(m["role"] == "assistant" and m.get("weight", 1) for m in row["messages"]):
        raise _bad_row(path, number, "has no assistant message to learn from")


def encode_chats(
    rows: Sequence[tuple[int, dict[str, Any]]], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Encoded:
    """Token ids and labels of each row; labels are IGNORED wherever the assistant (with weight 1) did not speak.

    A row longer than `max_length` is cut at the end and reported in `truncated`; one that has nothing left to learn is
    reported in `dropped`.
    """
    result = Encoded()
    for number, row in rows:
        text, spans = render(row["messages"], tokenizer)
        encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = encoding["input_ids"], encoding["offset_mapping"]
        labels = [IGNORED] * len(ids)
        position = 0
        for start, end in spans:
            # Offsets rise, so that every token is looked at once.
            while position < len(ids) and offsets[position][1] <= start:
                position += 1
            while position < len(ids) and offsets[position][1] <= end:
                labels[position] = ids[position]
                position += 1
        if len(ids) > max_length:
            result.truncated.append(number)
            ids, labels = ids[:max_length], labels[:max_length]
        if all(label == IGNORED for label in labels[1:]):
            result.dropped.append(number)
            continue
        result.tokens += len(ids)
        result.rows.append({"input_ids": ids, "labels": labels, "weight": float(row.get("weight", 1))})
    return result


def encode_classes(
    rows: Sequence[tuple[int, dict[str, Any]]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    labels: Sequence[str],
    path: Path,
) -> Encoded:
    """Token ids of everything before the last assistant message, whose text is the class.

    Raises:
        TrainingFailed: `BadRow` where the class is not one of `labels`.
    """
    result = Encoded()
    index = {label: i for i, label in enumerate(labels)}
    for number, row in rows:
        *prompt, answer = row["messages"]
        label = class_of(row)
        if answer["role"] != "assistant" or label not in index:
            raise _bad_row(path, number, f"ends in {label!r}, which is not one of the classes {', '.join(labels)}")
        ids = prompt_ids(prompt, tokenizer)
        if len(ids) > max_length:
            # The end holds the question and the mark of the assistant's turn, which the head reads.
            result.truncated.append(number)
            ids = ids[-max_length:]
        result.tokens += len(ids)
        result.rows.append({"input_ids": ids, "labels": index[label], "weight": float(row.get("weight", 1))})
    return result


def class_of(row: dict[str, Any]) -> str:
    """The class a row is labelled with: its last message."""
    return str(row["messages"][-1]["content"]).strip()


def prompt_ids(messages: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens of a conversation up to where the assistant begins to speak."""
    text = tokenizer.apply_chat_template(_plain(messages), tokenize=False, add_generation_prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def render(messages: list[dict[str, Any]], tokenizer: PreTrainedTokenizerBase) -> tuple[str, list[tuple[int, int]]]:
    """A conversation in the model's chat template, and where in the text the assistant speaks with weight 1.

    The spans come from rendering the conversation up to each assistant message, which works for every template that
    writes turns one after the other, and keeps messages apart, as weights need.

    Raises:
        TrainingFailed: `BadModel` where the template changes earlier turns when later ones are added.
    """
    plain = _plain(messages)
    text: str = tokenizer.apply_chat_template(plain, tokenize=False)
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or not message.get("weight", 1):
            continue
        before = tokenizer.apply_chat_template(plain[:index], tokenize=False, add_generation_prompt=True)
        if not text.startswith(before):
            raise TrainingFailed(
                "BadModel",
                "the model's chat template does not write turns one after the other, so that the assistant's tokens "
                "cannot be told from the rest",
                "Use the model's published chat template.",
            )
        through = tokenizer.apply_chat_template(plain[: index + 1], tokenize=False)
        common = os.path.commonprefix([text, through])  # noqa: RUF071 - of texts; none of them is a path
        spans.append((len(before), len(common)))
    return text, spans


def _plain(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def collate(rows: Sequence[dict[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """A batch padded on the right to its longest row.

    Returns:
        `input_ids`, `attention_mask` of shape (rows, tokens), `labels` of the same shape (of shape (rows,) for
        classes), and `weights` of shape (rows,) where any differs from 1.
    """
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), length), pad)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[i, : len(row["input_ids"])] = 1
    if isinstance(rows[0]["labels"], int):
        labels = torch.tensor([row["labels"] for row in rows])
    else:
        labels = torch.full((len(rows), length), IGNORED)
        for i, row in enumerate(rows):
            labels[i, : len(row["labels"])] = torch.tensor(row["labels"])
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    if any(row["weight"] != 1 for row in rows):
        batch["weights"] = torch.tensor([row["weight"] for row in rows])
    return batch


def _bad_row(path: Path, line: int, what: str) -> TrainingFailed:
    return TrainingFailed("BadRow", f"{path.name}, line {line}: {what}", "Correct the row, or leave it out.")
