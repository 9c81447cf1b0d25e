"""The recipe and its estimate as text, for the review and the question before the submit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui import text
from tui.messages import grouped, t
from tui.recipe import Recipe
from tui.widgets.field import shown
from tui.widgets.summary import money, total

if TYPE_CHECKING:
    from tui.services.costs import Estimate


def estimate_content(estimate: Estimate) -> Content:
    """The estimate: what falls due first, then line by line with what each rests on."""
    lines = [Content.styled(t("Due once: {total} (estimate)", total=total(estimate)), "bold")]
    if estimate.note:
        lines.append(text.line(t(estimate.note), "$text-accent"))
    if estimate.unknown:
        unknown = t("Not in the total, price unknown: {lines}.", lines=", ".join(map(t, estimate.unknown)))
        lines.append(Content.styled(unknown, "$text-warning"))
    width = max(len(t(line.label)) for line in estimate.items) + 2
    for line in estimate.items:
        amount = money(line.low, line.high, estimate.currency) if line.known else t("unknown")
        lines.append(Content.assemble(f"{t(line.label):<{width}}", (f"{amount:>16}", "bold")))
        lines.append(text.line(f"  {line.basis}", "$text-quiet", limit=200))
    lines.append(text.line(estimate.source, "$text-quiet"))
    return Content("\n").join(lines)


def price_content(estimate: Estimate, limit: float | None, spent: str) -> Content:
    """The estimate, beside the budget of a run where there is one, and beside what was spent so far."""
    parts = [estimate_content(estimate)]
    if limit:
        share = f"{estimate.total_high / limit:.0%}"
        budget = t("Budget of a run: {limit} {currency}; this one takes up to {share} of it.",
                   limit=grouped(limit, 2), currency=estimate.currency, share=share)  # fmt: skip
        parts.append(Content.styled(budget, "bold"))
    parts.append(text.line(spent or t("Reckoning what was spent …"), "$text-quiet", limit=400))
    return Content("\n").join(parts)


def recipe_content(recipe: Recipe) -> Content:
    """Every choice, part by part; what differs from the defaults is marked."""
    changed = {key for key, _, _ in Recipe().diff(recipe)}
    lines = [Content.assemble(("●", "$text-accent"), (" " + t("differs from the default"), "$text-quiet"))]
    for part, values in recipe.model_dump().items():
        if not isinstance(values, dict):
            continue
        lines.append(Content.styled(part, "bold $text-primary"))
        for name, value in values.items():
            mark = "●" if f"{part}.{name}" in changed else " "
            lines.append(
                Content.assemble(
                    (f" {mark} ", "$text-accent"),
                    (f"{name:<24}", "$text-quiet"),
                    text.clean_line(shown(value) or t("(empty)"), limit=120),
                )
            )
    return Content("\n").join(lines)
