"""What the chosen model and engine accept, as far as data is concerned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tui.dataset.tokens import Vocabulary

KNOWN_ROLES = ("system", "developer", "user", "assistant", "tool")
"""Roles of the chat format; which of them a model takes is in its `Rules`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What data must satisfy. The defaults are the documented ones of serverless fine-tuning, with no model chosen.

    Attributes:
        context_tokens: Longest row in tokens, prompt and answer together; None where no model is chosen.
        min_examples: Fewer rows are refused. No hard minimum is documented for Phi.
        recommended_examples: Fewer rows are warned about.
        max_bytes: Larger files are refused.
        roles: Roles that the model's chat template knows.
        tool_calls: Whether tool calls, tool results and tool definitions are accepted.
        parts: Whether content may be a list of text parts.
        bom: `asked`: the documentation wants a byte order mark, its absence is a warning; `any`: no matter;
            `refused`: the engine cannot read it.
        vocabulary: The model's vocabulary, as `tokens.vocabulary_of` tells it from the model's name.
    """

    context_tokens: int | None = None
    min_examples: int = 1
    recommended_examples: int = 50
    max_bytes: int = 512 * 1024 * 1024
    roles: frozenset[str] = frozenset(KNOWN_ROLES)
    tool_calls: bool = True
    parts: bool = False
    bom: Literal["asked", "any", "refused"] = "asked"
    vocabulary: Vocabulary = "phi4-mini"


DOCUMENTED = Rules()
"""The documented rules, for a file that is looked at before a model is chosen."""
