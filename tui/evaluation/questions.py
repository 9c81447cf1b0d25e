"""Held-out questions: rows of a dataset turned into prompts with their reference answers."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.dataset.lines import is_blank, numbered
from tui.dataset.scan import messages_of

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        line: Line of the file that it comes from.
        messages: The conversation up to the answer, as the chat API takes it: (role, content) pairs.
        reference: The answer that the file gives.
    """

    line: int
    messages: tuple[tuple[str, str], ...]
    reference: str


def questions(path: Path, n: int, seed: int) -> list[Question]:
    """Choose up to n questions from a file, in file order.

    A row is used by its last assistant turn, where that is text and a user turn stands before it; of rows with the
    same prompt the first is used. Which rows are chosen depends on the seed and their text alone.

    Args:
        path: A chat JSON Lines file, normally the validation file.
        n: How many.
        seed: Any whole number.

    Raises:
        OSError: The file cannot be read.
    """
    salt = str(seed).encode()
    seen: set[bytes] = set()
    kept: list[tuple[int, int, Question]] = []
    for number, line in numbered(path):
        if is_blank(line):
            continue
        found = _question(number, line)
        if found is None:
            continue
        key = hashlib.blake2b(repr(found.messages).encode(errors="surrogatepass"), digest_size=16).digest()
        if key in seen:
            continue
        seen.add(key)
        rank = int.from_bytes(hashlib.blake2b(salt + key, digest_size=8).digest(), "big")
        item = (-rank, -number, found)
        if len(kept) < n:
            heapq.heappush(kept, item)
        elif kept and item > kept[0]:
            heapq.heapreplace(kept, item)
    return sorted((found for _, _, found in kept), key=lambda question: question.line)


def _question(number: int, line: bytes) -> Question | None:
    messages = messages_of(line)
    last = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "assistant"), None)
    if last is None or not messages[last].content.strip():
        return None
    prompt = tuple((message.role, message.content) for message in messages[:last])
    if not any(role == "user" for role, _ in prompt) or any(role == "tool" for role, _ in prompt):
        return None
    return Question(number, prompt, messages[last].content)
