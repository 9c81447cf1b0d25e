"""The metrics of a run: the newest, first and best value of each, and its curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Sparkline

from tui.messages import t
from tui.text import clean_line
from tui.widgets.columns import Column, fit
from tui.widgets.live_line import LiveLine

if TYPE_CHECKING:
    from tui.services.runs import Metric

_LOWER, _HIGHER = -1, 1
# Wire name: (what a person calls it, whether lower or higher is better). Other metrics are shown by their wire names.
_KNOWN = {
    "train_loss": ("training loss", _LOWER),
    "eval_loss": ("validation loss", _LOWER),
    "eval_perplexity": ("validation perplexity", _LOWER),
    "eval_token_accuracy": ("token accuracy", _HIGHER),
    "learning_rate": ("learning rate", 0),
    "grad_norm": ("gradient norm", 0),
    "tokens_per_second": ("tokens per second", 0),
}
_WIDTHS = (Column("", 21), Column("", 9, right=True), Column("", 9, right=True), Column("", 9, right=True))
FIGURES = sum(column.width for column in _WIDTHS) + 2 * (len(_WIDTHS) - 1)
"""Cells that name and values take; the curve has the rest."""


def figure(value: float) -> str:
    """A metric's value with four figures, in at most ten characters."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    return f"{value:#.4g}".rstrip(".") if value else "0"


def label(name: str) -> str:
    """What a person calls the metric of that wire name."""
    return t(_KNOWN[name][0]) if name in _KNOWN else clean_line(name, limit=40)


def best(name: str, values: list[float]) -> float | None:
    """The best finite value; None where nobody knows which is better."""
    finite = [value for value in values if math.isfinite(value)]
    direction = _KNOWN.get(name, ("", 0))[1]
    if not finite or not direction:
        return None
    return max(finite) if direction > 0 else min(finite)


class Curve(Sparkline):
    """A sparkline in one colour, sent to the terminal as runs of cells: a tenth of the bytes of one cell at a time."""

    DEFAULT_CSS = """
    Curve { width: 1fr; min-width: 4; }
    Curve > .sparkline--max-color, Curve > .sparkline--min-color { color: $primary; }
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines, each cell joined with its neighbours of the same style."""
        return [strip.simplify() for strip in super().render_lines(crop)]


class MetricRow(Horizontal):
    """One metric on one line."""

    DEFAULT_CSS = """
    MetricRow { height: 1; }
    MetricRow > LiveLine { margin-right: 2; }
    """

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def compose(self) -> ComposeResult:
        """Figures, then the curve."""
        figures = LiveLine(self._figures())
        figures.styles.width = FIGURES
        yield figures
        yield Curve(self._curve(), summary_function=_mean)

    def show(self, metric: Metric) -> None:
        """Draw what is new; nothing where no point was added."""
        if metric.points == self._metric.points:
            return
        self._metric = metric
        self.query_one(LiveLine).show(self._figures())
        self.query_one(Curve).data = self._curve()

    def _curve(self) -> list[float]:
        found = [point.value for point in self._metric.points if math.isfinite(point.value)]
        return found if len(found) > 1 else []

    def _figures(self) -> Content:
        values = [point.value for point in self._metric.points]
        top = best(self._metric.name, values)
        shown = [figure(values[-1]), figure(values[0]), "" if top is None else figure(top)] if values else ["", "", ""]
        bold = Content.styled(shown[0], "bold")
        return fit([Content(label(self._metric.name)), bold, Content(shown[1]), Content(shown[2])], _WIDTHS, FIGURES)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


class MetricPanel(VerticalScroll, can_focus=False):
    """All metrics of a run, a line each, the usual ones first."""

    DEFAULT_CSS = """
    MetricPanel { height: auto; }
    MetricPanel > .heads { color: $text-quiet; }
    """

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._rows: dict[str, MetricRow] = {}
        self._heads = LiveLine(classes="heads")

    def on_mount(self) -> None:
        """Say why there is nothing yet."""
        self.clear()

    def compose(self) -> ComposeResult:
        """The heads; rows come with the metrics."""
        yield self._heads

    def show(self, metrics: Mapping[str, Metric]) -> None:
        """Show these metrics; only those with new points are drawn."""
        ranks = {name: rank for rank, name in enumerate(_KNOWN)}
        names = sorted(
            (name for name, metric in metrics.items() if metric.points),
            key=lambda name: (ranks.get(name, len(ranks)), name),
        )
        if names and not self._rows:
            heads = (t("metric"), t("now"), t("first"), t("best"))
            self._heads.show(fit([Content(head) for head in heads], _WIDTHS, FIGURES))
        for place, name in enumerate(names):
            if name in self._rows:
                self._rows[name].show(metrics[name])
            else:
                self._rows[name] = MetricRow(metrics[name])
                self.mount(self._rows[name], after=place)

    def clear(self) -> None:
        """Forget the metrics: another run is shown."""
        self._rows.clear()
        self.query(MetricRow).remove()
        self._heads.show(Content(t("No metrics yet; the first come when training has begun.")))
