"""Hyperparameters: the portal's three, the rest for the script engine, and what the run leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from screens.lookups import CATALOGUE, for_training, load_catalogue, load_estimate
from screens.page import Step
from tui import actions, backend
from tui.messages import n, t
from tui.recipe import LABELS, script_only
from tui.widgets.field import Field
from tui.widgets.summary import total

if TYPE_CHECKING:
    from tui.services.catalog import Range


class HyperparametersScreen(Step):
    """The seventh step."""

    PLACE = "hyperparameters"
    INTRO = "The defaults are Microsoft's for this model; they are a good first run."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("hyperparameters"))

    def __init__(self) -> None:
        super().__init__()
        self._estimated: object = None

    def content(self) -> ComposeResult:
        """The knobs, what they amount to, and the names."""
        yield Field("hyperparameters.epochs", t("Epochs"),
                    help_line=t("Passes over the training rows; more than a few overfit."))  # fmt: skip
        yield Field("hyperparameters.learning_rate", t("Learning rate"),
                    help_line=t("Too high forgets what it knew, too low learns nothing."))  # fmt: skip
        yield Field("hyperparameters.batch_size_multiplier", t("Batch size"), unit=t("rows a step"),
                    help_line=t("Larger is steadier and takes more memory."))  # fmt: skip
        yield Static("", id="amount", markup=False)
        yield Field(
            "output.model",
            t("Tuned model"),
            hint=t("letters, 0–9 - . _"),
            help_line=t("Its name once it is registered."),
        )
        yield Field("output.suffix", t("Suffix"), hint=t("up to 18 letters, 0–9 -"))
        yield Field("output.experiment", t("Experiment"), hint=t("letters, 0–9 - . _"))
        yield Field("data.asset", t("Data asset"), hint=t("empty: from the file's name"))
        yield Field(
            "deployment.content_safety", t("Content safety"), help_line=t("Azure AI Content Safety on the endpoint.")
        )
        yield Field(
            "budget.limit",
            t("Budget"),
            unit=t("US dollars"),
            help_line=t("A higher estimate is refused; empty: no limit."),
        )
        for name in script_only():
            path = f"hyperparameters.{name}"
            yield Field(path, t(LABELS[path]))

    def entered(self) -> None:
        """The catalogue has the model's ranges; the estimate wants prices."""
        if self.wizard.facts.catalogue is None and not self.program.tasks.of(CATALOGUE):
            load_catalogue(self)
        self._estimate()

    def _estimate(self) -> None:
        wanted = (self.wizard.recipe, self.wizard.model, self.wizard.facts.report)
        if self.is_current and self.wizard.facts.estimate is None and wanted != self._estimated:
            self._estimated = wanted
            load_estimate(self)

    def state_changed(self) -> None:
        """Show what the numbers amount to."""
        script = self.wizard.recipe.model.engine == "script"
        for name in script_only():
            self.query_one(f"#field-hyperparameters-{name}", Field).display = script
        self.query_one("#amount", Static).update(self._amount())
        self._estimate()

    def _amount(self) -> Content:
        recipe, report, estimate = self.wizard.recipe, self.wizard.facts.report, self.wizard.facts.estimate
        knobs, parts = recipe.hyperparameters, []
        if report:
            rows = report.rows
            if recipe.validation.mode == "split":
                rows -= round(rows * recipe.validation.share)
            parts.append(n("{count} step", "{count} steps", backend.submissions.expected_steps(recipe, rows)))
            parts.append(n("{count} row seen", "{count} rows seen", rows * knobs.epochs))
        stats = for_training(self.wizard.facts, recipe)
        if stats:
            tokens = stats.billable_tokens(knobs.epochs)
            parts.append(
                n("about {count} token", "about {count} tokens", tokens)
                if stats.tokens_are_estimate
                else n("{count} token", "{count} tokens", tokens)
            )
        if estimate:
            parts.append(t("price: {price} (estimate)", price=total(estimate)))
            if estimate.note:
                parts.append(t(estimate.note))
        unusual = self._unusual()
        lines = [Content.styled("= " + " · ".join(parts), "$text-accent")] if parts else []
        lines += [Content.styled("! " + line, "$text-warning") for line in unusual]
        return Content("\n").join(lines)

    def _unusual(self) -> list[str]:
        """What lies outside of the catalogue's ranges: a warning, since the ranges are advice."""
        model, knobs = self.wizard.model, self.wizard.recipe.hyperparameters
        if model is None:
            return []
        found = []
        for label, value, allowed in (
            (t("Epochs"), knobs.epochs, model.epochs),
            (t("Learning rate"), knobs.learning_rate, model.learning_rate),
            (t("Batch size"), knobs.batch_size_multiplier, model.batch_size),
        ):
            if outside(value, allowed):
                found.append(
                    t("{label} {value} is outside of what the catalogue names for {model}: {low} – {high}.",
                      label=label, value=f"{value:g}", model=model.name, low=_shown(allowed.low),
                      high=_shown(allowed.high))
                )  # fmt: skip
        return found


def outside(value: float, allowed: Range) -> bool:
    """Whether a value is outside of a range; an unknown limit does not limit."""
    return (allowed.low is not None and value < allowed.low) or (allowed.high is not None and value > allowed.high)


def _shown(limit: float | None) -> str:
    return t("any") if limit is None else f"{limit:g}"
