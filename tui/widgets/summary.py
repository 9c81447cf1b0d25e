"""The summary of choices: a column on a wide terminal, one line on a narrow one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tui import text
from tui.messages import grouped, n, t
from tui.wizard import Wizard

if TYPE_CHECKING:
    from tui.services.costs import Estimate


def money(low: float | None, high: float | None, currency: str) -> str:
    """A price range for a person; unknown is said, never shown as nothing."""
    if low is None or high is None:
        return t("unknown")
    if round(low, 2) == round(high, 2):
        return f"{grouped(high, 2)} {currency}"
    return f"{grouped(low, 2)}–{grouped(high, 2)} {currency}"


def total(estimate: Estimate) -> str:
    """What falls due once; unknown where a part of it is, since half a sum would be taken for the whole."""
    if any(line.once and not line.known for line in estimate.items):
        return t("unknown")
    return money(estimate.total_low, estimate.total_high, estimate.currency)


def choices(wizard: Wizard) -> Iterator[tuple[str, str, str]]:
    """The choices in the order of the steps: label, value, and the value for the one line (empty: left out there)."""
    recipe, facts = wizard.recipe, wizard.facts
    target = recipe.target
    yield t("Project"), f"{target.project} ({target.location})", ""
    yield t("Model"), recipe.model.name, recipe.model.name
    yield t("Engine"), recipe.model.engine, recipe.model.engine
    file = Path(recipe.data.train).name
    rows = n("{count} row", "{count} rows", facts.report.rows) if facts.report else ""
    yield t("Data"), " · ".join(part for part in (file or t("no file yet"), rows) if part), file or t("no file yet")
    validation = recipe.validation
    held = {
        "split": t("{share} held back", share=f"{validation.share:.0%}"),
        "file": Path(validation.path).name,
        "none": t("none"),
    }[validation.mode]
    yield t("Validation"), held, ""
    knobs = recipe.hyperparameters
    epochs = n("{count} epoch", "{count} epochs", knobs.epochs)
    yield t("Training"), f"{epochs} · {t('batch')} {knobs.batch_size_multiplier} · {knobs.learning_rate:g}", epochs
    estimate = facts.estimate
    price = total(estimate) if estimate else t("not made yet")
    yield t("Estimate"), price, price if estimate else ""
    yield t("Safety"), t("content filter on") if recipe.deployment.content_safety else t("content filter off"), ""


_FIRST_TO_GO = (1, 3, 2, 0)
"""The parts of the one line (model, engine, file, epochs, price) in the order in which a narrow terminal loses them."""


def short_line(parts: list[str], width: int) -> str:
    """As many of the parts as fit in `width` cells, whole; the last of them, the price, always."""
    kept = dict(enumerate(parts))
    for place in _FIRST_TO_GO:
        if Content(" · ".join(kept.values())).cell_length <= width:
            break
        kept.pop(place, None)
    return " · ".join(kept.values())


class Summary(Static):
    """The choices so far."""

    def __init__(self) -> None:
        super().__init__("", id="summary", markup=False)
        self._shown: object = None

    def sync(self, wizard: Wizard, *, width: int, column: bool, about: str = "") -> None:
        """Show the recipe's choices, in a column with what is to be said of the page; draws only if they changed.

        Args:
            wizard: has the choices.
            width: cells that the one line has.
            column: there is room for a column.
            about: what the page is for.
        """
        rows = tuple(choices(wizard))
        if (rows, width, column, about) == self._shown:
            return
        self._shown = (rows, width, column, about)
        if column:
            parts = [Content.styled(t("Your choices"), "dim")]
            for label, value, _ in rows:
                parts.append(Content.assemble((label, "$text-quiet"), "\n  ", (text.clean_line(value, limit=80), "")))
            if about:
                parts += [Content(""), Content.styled(t("This page"), "dim"), Content.styled(about, "$text-quiet")]
            self.update(Content("\n").join(parts))
        else:
            short = short_line([text.clean_line(brief, limit=40) for _, _, brief in rows if brief], width - 2)
            self.update(Content.styled(f" {short}", "$text-quiet"))
