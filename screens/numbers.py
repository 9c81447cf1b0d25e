"""What a data file is like in numbers: tokens and what they cost in epochs, lengths, languages, system prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import grouped, n, t
from tui.widgets.histogram import histogram

if TYPE_CHECKING:
    from tui.dataset.describe import Distribution, Stats
    from tui.dataset.report import Report

MOST = 8
"""Languages, scripts and system prompts that are named; of the rest there is the number."""


def shares(counts: Mapping[str, int]) -> str:
    """Counts as `en 210, de 12`, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{text.clean_line(name, limit=20)} {grouped(count)}" for name, count in ordered[:MOST])
    rest = len(ordered) - MOST
    return named if rest <= 0 else n("{named} and {count} other", "{named} and {count} others", rest, named=named)


def tokens(stats: Stats, epochs: int) -> Iterator[str]:
    """The lines about tokens: how counted, of whom, billed for what."""
    if stats.tokens_are_estimate:
        yield t("Counted by an {how}: totals are within ± {error}.", how=stats.tokenizer or t("estimate"),
                error=f"{stats.tokens_error:.1%}")  # fmt: skip
    else:
        yield t("Counted with the vocabulary {name}: exact but for the revision of the chat template.",
                name=stats.tokenizer)  # fmt: skip
    yield t(
        "All {total}; in answers, which are what is learnt, {answers}; in prompts {prompts}.",
        total=grouped(stats.tokens_total),
        answers=grouped(stats.tokens_assistant),
        prompts=grouped(stats.tokens_total - stats.tokens_assistant),
    )
    yield n(
        "Billed for {count} epoch: {tokens} tokens.",
        "Billed for {count} epochs: {tokens} tokens.",
        epochs,
        tokens=grouped(stats.billable_tokens(epochs)),
    )


class Numbers(Dialog[None]):
    """One page of numbers that scrolls."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "scroll_text(10)", show=False),
    ]

    def __init__(self, path: Path, report: Report, epochs: int) -> None:
        super().__init__(classes="-large")
        self._path = path
        self._stats = report.stats
        self._epochs = epochs

    def heading(self) -> str:
        """Whose numbers."""
        return t("{file} in numbers", file=text.clean_line(self._path.name))

    def content(self) -> ComposeResult:
        """Tokens, histograms, languages, system prompts."""
        yield Static(Content("\n").join(self._lines()), id="numbers", markup=False)

    def keys(self) -> Sequence[Key]:
        """How to move."""
        return [("↑ ↓", t("Scroll"))]

    def _lines(self) -> Iterator[Content]:
        stats = self._stats
        yield from self._part(t("Tokens"), *tokens(stats, self._epochs))
        for title, spread in (
            (t("Tokens a row"), stats.row_tokens),
            (t("Tokens in the answers of a row"), stats.answer_tokens),
            (t("Messages a row"), stats.turns),
        ):
            yield from self._spread(title, spread)
        yield from self._part(t("Messages by role"), shares(stats.messages))
        yield from self._part(t("Languages (guessed from common words)"), shares(stats.languages))
        yield from self._part(t("Scripts"), shares(stats.scripts))
        prompts = [f"{rows:>7,} × {text.clean_line(said, limit=160)}" for said, rows in stats.system_prompts[:MOST]]
        more = stats.system_prompt_count - len(prompts)
        if more > 0:
            prompts.append(n("and {count} more", "and {count} more", more))
        if stats.rows_without_system:
            prompts.append(n("{count} row has none", "{count} rows have none", stats.rows_without_system))
        yield from self._part(t("System prompts in use"), *prompts)

    def _part(self, title: str, *lines: str) -> Iterator[Content]:
        yield Content.styled(title, "bold $text-primary")
        for line in lines:
            yield Content(line)
        yield Content("")

    def _spread(self, title: str, spread: Distribution) -> Iterator[Content]:
        yield Content.styled(title, "bold $text-primary")
        places = "  ".join(f"{percent} % {grouped(value)}" for percent, value in spread.percentiles.items())
        middle = grouped(spread.percentiles.get(50, 0))
        said = t("half have {middle} or fewer, the most {most}", middle=middle, most=grouped(spread.maximum))
        yield Content.styled(said, "$text-quiet")
        yield Content.styled(places, "$text-quiet")
        yield histogram(spread.bins, width=40, rows=12)
        yield Content("")
