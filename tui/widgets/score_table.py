"""Base against tuned model in figures: means, difference with its interval, wins, ties and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tui.messages import n, t
from tui.widgets.columns import GAP, Column, fit
from tui.widgets.metric_panel import figure

if TYPE_CHECKING:
    from textual.geometry import Size

    from tui.evaluation.compare import Comparison, Difference
    from tui.services.evaluations import AnswerComparison, RunComparison

_LABEL, _FIGURE, _REST = 22, 9, 31
_WIDTH = _LABEL + 2 * _FIGURE + _REST + 3 * GAP
_VERDICTS = {
    "better": ("✓", "$text-success", "The tuned model is better than the base model."),
    "worse": ("!", "$text-error", "The tuned model is worse than the base model."),
    "undecided": ("?", "$text-warning", "These questions do not tell which model is better; ask more of them."),
}


Row = tuple[Content | str, ...]
"""Label, base, tuned, and what follows from them."""


def _columns(rows: Sequence[Row], width: int) -> tuple[Column, ...]:
    """Columns of one width in all tables where there is room; else no wider than what is in them."""
    label, figures = _LABEL, _FIGURE
    if width < _WIDTH:
        label = max((_cell(row[0]).cell_length for row in rows), default=0)
        figures = max((_cell(cell).cell_length for row in rows for cell in row[1:3]), default=0)
    return Column("", label), Column("", figures, right=True), Column("", figures, right=True), Column("", 0)


def _cell(cell: Content | str) -> Content:
    return cell if isinstance(cell, Content) else Content(cell)


def _quiet(*row: str) -> Row:
    return tuple(Content.styled(cell, "$text-quiet") for cell in row)


def _measured(label: str, found: Difference, percent: bool) -> Row:
    def shown(value: float) -> str:
        return f"{value:.0%}" if percent else f"{value:.2f}"

    def change(value: float) -> str:
        return (f"{100 * value:+.0f}" if percent else f"{value:+.2f}").replace("-", "−")

    gap = t("{points} points", points=change(found.difference)) if percent else change(found.difference)
    interval = f"{change(found.low)} … {change(found.high)}"
    return label, shown(found.base), Content.styled(shown(found.tuned), "bold"), f"{gap}  ({interval})"


class ScoreTable(Static):
    """Nothing until figures are shown."""

    DEFAULT_CSS = """
    ScoreTable { height: auto; display: none; }
    ScoreTable.-filled { display: block; }
    """

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(markup=False, classes=classes)
        self._rows: list[Row | Content] = []

    def show_run(self, found: RunComparison) -> None:
        """The run's own validation: loss, perplexity, accuracy before and after training."""
        rows: list[Row | Content] = [_quiet(t("validation rows"), t("base"), t("tuned"), f"{t('change'):>8}")]
        for measure in found.measures:
            change = (measure.tuned - measure.base) / measure.base if measure.base else None
            said = f"{change:+.1%}".replace("-", "−") if change is not None else ""
            word, colour = (t("better"), "$text-success") if measure.better else (t("not better"), "$text-warning")
            verdict = Content.assemble((f"{said:>8}  ", ""), (word, colour))
            tuned = Content.styled(figure(measure.tuned), "bold")
            rows.append((t(measure.name), figure(measure.base), tuned, verdict))
        self._show(rows)

    def show_answers(self, found: AnswerComparison) -> None:
        """The answers to held-out questions."""
        count = n("{count} question", "{count} questions", len(found.asked))
        if found.comparison is None:
            rows: list[Row | Content] = [
                _quiet(count, "", t("tuned"), ""),
                (t("exact answers"), "", Content.styled(f"{found.exact:.0%}", "bold"), ""),
                (t("token F1"), "", Content.styled(f"{found.f1:.2f}", "bold"), ""),
            ]
        else:
            glyph, colour, said = _VERDICTS[found.comparison.verdict]
            verdict = Content.styled(f"{glyph} {t(said)}", f"bold {colour}")
            heads = _quiet(count, t("base"), t("tuned"), t("difference (95 % interval)"))
            rows = [verdict, heads, *self._compared(found.comparison)]
        if found.refused:
            refused = n(
                "{count} answer was refused by content safety",
                "{count} answers were refused by content safety",
                found.refused,
            )
            rows.append(Content.styled(refused, "$text-warning"))
        self._show(rows)

    def _compared(self, found: Comparison) -> list[Row | Content]:
        f1 = found.f1
        wins = t("token F1: won {wins}, tied {ties}, lost {losses}; sign test p = {p:.2g}",
                 wins=f1.wins, ties=f1.ties, losses=f1.losses, p=f1.p_value)  # fmt: skip
        return [
            _measured(t("exact answers"), found.exact, True),
            _measured(t("token F1"), found.f1, False),
            Content.styled(wins, "$text-quiet"),
        ]

    def _show(self, rows: list[Row | Content]) -> None:
        self._rows = rows
        self.add_class("-filled")
        self.update(self._fitted(self.size.width or _WIDTH))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The height of the table in this width; that of what was drawn for another would leave empty rows."""
        return self._fitted(width).get_height({}, width)

    def on_resize(self) -> None:
        """The columns follow the width."""
        self.update(self._fitted(self.size.width or _WIDTH), layout=False)

    def _fitted(self, width: int) -> Content:
        columns = _columns([row for row in self._rows if not isinstance(row, Content)], width)
        lines = [
            row if isinstance(row, Content) else fit([_cell(cell) for cell in row], columns, min(width, _WIDTH))
            for row in self._rows
        ]
        return Content("\n").join(lines)
