"""What a dataset is like: lengths, tokens, roles, scripts, system prompts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tui.dataset.languages import LATIN_BUT_ENGLISH, language_of, script_of
from tui.dataset.rules import KNOWN_ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tui.dataset.structure import Message

_PERCENTILES = (5, 25, 50, 75, 90, 95, 99)
_KEPT_PROMPTS = 200
_PROMPT_CHARACTERS = 1000
_LABEL_CHARACTERS = 60
_MOST_LABELS = 100
_USES_PER_LABEL = 10
_FEWEST_FOR_BALANCE = 50
_MOST_SHARE = 0.8
_SHOWN_PROMPTS = 20
_EXACT_BELOW = 8192
_FAR = 4


@dataclass(frozen=True, slots=True)
class Distribution:
    """How one quantity is spread over the rows.

    Attributes:
        count: Rows counted.
        total: Sum over the rows.
        minimum: Smallest value.
        maximum: Largest value.
        percentiles: Value at 5, 25, 50, 75, 90, 95 and 99 percent.
        bins: (from, up to and without, rows) of a histogram with equal steps up to the 99th percentile, or the 95th or
            90th where few rows are far above it, and one bin for the rest.
    """

    count: int = 0
    total: int = 0
    minimum: int = 0
    maximum: int = 0
    percentiles: dict[int, int] = field(default_factory=dict)
    bins: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def mean(self) -> float:
        """Average over the rows; 0.0 for none."""
        return self.total / self.count if self.count else 0.0


class Tally:
    """Counts of whole numbers; values above 8192 are kept to three digits, so that memory is bounded."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0
        self.minimum = 0
        self.maximum = 0

    def add(self, value: int) -> None:
        """Count one value."""
        if not self.counts or value < self.minimum:
            self.minimum = value
        self.maximum = max(self.maximum, value)
        self.total += value
        if value >= _EXACT_BELOW:
            scale = 10 ** (len(str(value)) - 3)
            value = value // scale * scale
        self.counts[value] = self.counts.get(value, 0) + 1

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally."""
        if other.counts:
            self.minimum = min(self.minimum, other.minimum) if self.counts else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self.total += other.total
        for value, count in other.counts.items():
            self.counts[value] = self.counts.get(value, 0) + count

    def at(self, percent: float) -> int:
        """Return the value that `percent` of the rows do not exceed; 0 for no rows."""
        rows = sum(self.counts.values())
        wanted = max(1, math.ceil(rows * percent / 100))
        for value in sorted(self.counts):
            wanted -= self.counts[value]
            if wanted <= 0:
                return min(max(value, self.minimum), self.maximum)
        return 0

    def distribution(self, bins: int = 12) -> Distribution:
        """Return the spread with a histogram of `bins` bins."""
        rows = sum(self.counts.values())
        if not rows:
            return Distribution()
        # A few rows far above the rest would leave all others in one bin.
        usual = 99 if self.at(99) <= _FAR * self.at(95) else 95 if self.at(95) <= _FAR * self.at(90) else 90
        low, high = self.minimum, max(self.at(usual), self.minimum)
        step = max(1, math.ceil((high - low + 1) / bins))
        edges = [(low + i * step, low + (i + 1) * step) for i in range(math.ceil((high - low + 1) / step))]
        heights = [0] * (len(edges) + 1)
        for value, count in self.counts.items():
            heights[min(max(value - low, 0) // step, len(edges))] += count
        made = [(a, b, heights[i]) for i, (a, b) in enumerate(edges)]
        if heights[-1]:
            made.append((edges[-1][1], max(self.maximum, edges[-1][1]) + 1, heights[-1]))
        return Distribution(rows, self.total, self.minimum, self.maximum, {p: self.at(p) for p in _PERCENTILES}, made)


@dataclass(frozen=True, slots=True)
class Stats:
    """A dataset in numbers.

    Attributes:
        rows: Rows whose conversation could be read; the numbers below are theirs.
        messages: Messages by role.
        turns: Messages per row.
        tokens_total: Tokens of all rows, chat template included.
        tokens_assistant: Those of assistant turns, from which the loss is taken.
        row_tokens: Tokens per row.
        answer_tokens: Assistant tokens per row.
        tokens_are_estimate: Whether the token numbers are estimates.
        tokens_error: Relative error to expect of an estimated total, 0.0 for exact counts.
        tokenizer: What counted.
        scripts: Rows by the script that most of their letters belong to.
        languages: Rows by guessed language (ISO 639-1), "unknown" where a guess would be idle.
        system_prompts: The commonest system prompts with their rows.
        system_prompt_count: How many different ones there are.
        rows_without_system: Rows that have none.
    """

    rows: int = 0
    messages: dict[str, int] = field(default_factory=dict)
    turns: Distribution = field(default_factory=Distribution)
    tokens_total: int = 0
    tokens_assistant: int = 0
    row_tokens: Distribution = field(default_factory=Distribution)
    answer_tokens: Distribution = field(default_factory=Distribution)
    tokens_are_estimate: bool = True
    tokens_error: float = 0.0
    tokenizer: str = ""
    scripts: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    system_prompts: list[tuple[str, int]] = field(default_factory=list)
    system_prompt_count: int = 0
    rows_without_system: int = 0

    def billable_tokens(self, epochs: int) -> int:
        """Return the tokens that training is charged for: all tokens of the file times the epochs.

        Source: Microsoft's cost page for fine-tuning; assumed the same for Phi models.
        """
        return self.tokens_total * epochs

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as the command line's JSON has them."""
        return asdict(self)


class Describer:
    """Gathers the numbers of a dataset row by row."""

    def __init__(self) -> None:
        self.rows = 0
        self.messages: dict[str, int] = {}
        self.turns = Tally()
        self.row_tokens = Tally()
        self.answer_tokens = Tally()
        self.scripts: dict[str, int] = {}
        self.languages: dict[str, int] = {}
        self.prompts: dict[str, int] = {}
        self.prompts_dropped = 0
        self.rows_without_system = 0
        self.first_without_system = 0
        self.answers: dict[str, int] | None = {}

    def add(self, row: Sequence[Message], tokens: tuple[int, int], line: int) -> None:
        """Count one row with its (all, assistant) tokens and its line."""
        self.rows += 1
        self.turns.add(len(row))
        self.row_tokens.add(tokens[0])
        self.answer_tokens.add(tokens[1])
        for message in row:
            role = message.role if message.role in KNOWN_ROLES else "other"
            self.messages[role] = self.messages.get(role, 0) + 1
        if row[0].role in ("system", "developer"):
            self._prompt(row[0].content[:_PROMPT_CHARACTERS], 1)
        else:
            self.rows_without_system += 1
            self.first_without_system = self.first_without_system or line
        asked = next((message.content for message in row if message.role == "user"), row[-1].content)
        script = script_of(asked)
        language = language_of(asked, script)
        self.scripts[script] = self.scripts.get(script, 0) + 1
        self.languages[language] = self.languages.get(language, 0) + 1
        if self.answers is not None and row[-1].role == "assistant":
            self._answer(row[-1].content, 1)

    def _prompt(self, text: str, rows: int) -> None:
        if text in self.prompts or len(self.prompts) < _KEPT_PROMPTS:
            self.prompts[text] = self.prompts.get(text, 0) + rows
        else:
            self.prompts_dropped += 1

    def _answer(self, text: str, rows: int) -> None:
        """Count an answer while the answers look like the labels of a classification."""
        if self.answers is None:
            return
        if len(text) > _LABEL_CHARACTERS or (text not in self.answers and len(self.answers) >= _MOST_LABELS):
            self.answers = None
            return
        self.answers[text] = self.answers.get(text, 0) + rows

    def merge(self, other: Describer, lines: int) -> None:
        """Add what another describer gathered from the rows after the first `lines` lines."""
        self.rows += other.rows
        self.turns.merge(other.turns)
        self.row_tokens.merge(other.row_tokens)
        self.answer_tokens.merge(other.answer_tokens)
        self.rows_without_system += other.rows_without_system
        if not self.first_without_system and other.first_without_system:
            self.first_without_system = other.first_without_system + lines
        self.prompts_dropped += other.prompts_dropped
        for mine, theirs in (
            (self.messages, other.messages),
            (self.scripts, other.scripts),
            (self.languages, other.languages),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for text, rows in other.prompts.items():
            self._prompt(text, rows)
        if other.answers is None:
            self.answers = None
        else:
            for text, rows in other.answers.items():
                self._answer(text, rows)

    def rows_not_english(self) -> int:
        """Return how many rows are surely in another language than English, by their script or their common words."""
        by_script = sum(rows for script, rows in self.scripts.items() if script not in ("Latin", "none"))
        return by_script + sum(rows for language, rows in self.languages.items() if language in LATIN_BUT_ENGLISH)

    def imbalance(self) -> tuple[str, int, str, int] | None:
        """Return (commonest label, rows, rarest label, rows) where the answers are labels and lopsided, else None.

        Answers are taken for labels where each is used ten times on average; lopsided is one label with four fifths of
        the rows, or one with less than a tenth of an even share.
        """
        if not self.answers or len(self.answers) < 2 or self.rows < _FEWEST_FOR_BALANCE:
            return None
        if self.rows < _USES_PER_LABEL * len(self.answers):
            return None
        ordered = sorted(self.answers.items(), key=lambda item: (-item[1], item[0]))
        (common, most), (rare, fewest) = ordered[0], ordered[-1]
        if most > _MOST_SHARE * self.rows or fewest * 10 * len(self.answers) < self.rows:
            return common, most, rare, fewest
        return None

    def stats(self, *, tokenizer: str, is_estimate: bool, error: float) -> Stats:
        """Return the numbers gathered so far, named by what counted the tokens."""
        common = sorted(self.prompts.items(), key=lambda item: (-item[1], item[0]))
        return Stats(
            rows=self.rows,
            messages=dict(self.messages),
            turns=self.turns.distribution(),
            tokens_total=self.row_tokens.total,
            tokens_assistant=self.answer_tokens.total,
            row_tokens=self.row_tokens.distribution(),
            answer_tokens=self.answer_tokens.distribution(),
            tokens_are_estimate=is_estimate,
            tokens_error=error,
            tokenizer=tokenizer,
            scripts=dict(self.scripts),
            languages=dict(self.languages),
            system_prompts=common[:_SHOWN_PROMPTS],
            system_prompt_count=len(self.prompts) + self.prompts_dropped,
            rows_without_system=self.rows_without_system,
        )
