"""What steps ask Azure for: catalogue and estimate, each kept as a fact, and what an earlier run left open."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tui import backend, text
from tui.messages import t
from tui.services.errors import PhiftError
from tui.services.journal import OUTCOMES

if TYPE_CHECKING:
    from screens.page import Page
    from tui.dataset.describe import Stats
    from tui.recipe import Recipe
    from tui.services.catalog import Catalogue
    from tui.services.clients import Azure
    from tui.services.costs import Estimate
    from tui.services.journal import Entry
    from tui.services.progress import Cancel, Report

CATALOGUE = "catalogue"
ESTIMATE = "estimate"
_SPLIT_ERROR = 0.05
"""How far the rows held back may be from the average length."""


def load_catalogue(page: Page, *, refresh: bool = False) -> None:
    """Learn the catalogue: what is known without the network at once, then Azure's own where someone is signed in."""
    program, azure = page.program, page.wizard.facts.azure

    def known(report: Report, cancel: Cancel) -> Catalogue:
        return backend.catalog.cached(program.settings, sandbox=program.sandbox)

    def fetched(report: Report, cancel: Cancel) -> Catalogue:
        assert azure is not None  # noqa: S101  # asked below
        return backend.catalog.models(azure, refresh=refresh)

    def learn(catalogue: Catalogue) -> None:
        page.wizard.learn(catalogue=catalogue)

    def learn_then_fetch(catalogue: Catalogue) -> None:
        learn(catalogue)
        if azure:
            fetch()

    def fetch() -> None:
        page.run_task(CATALOGUE, t("Reading the model catalogue"), fetched, learn, failed=stale)

    def stale(error: PhiftError) -> None:
        reason = error.message.rstrip(".")
        page.notice(t("The catalogue was not read: {reason}. The last known is shown.", reason=reason), problem=True)

    if page.wizard.facts.catalogue is None:
        page.run_task(CATALOGUE, t("Reading the model catalogue"), known, learn_then_fetch, quiet=True)
    elif azure and (refresh or page.wizard.facts.catalogue.source != "registry"):
        fetch()


def load_estimate(page: Page) -> None:
    """Learn what the run will cost; asked again after each change of the recipe."""
    program, wizard = page.program, page.wizard
    model, report_ = wizard.model, wizard.facts.report
    recipe, azure = wizard.recipe, wizard.facts.azure
    if model is None:
        return
    stats = for_training(report_.stats, recipe) if report_ else None
    machine = "" if recipe.model.engine == "serverless" else recipe.model.instance_type or next(
        iter(model.instance_types), ""
    )  # fmt: skip

    def work(report: Report, cancel: Cancel) -> Estimate:
        prices = backend.costs.prices(azure, recipe.target.location, program.settings, instance_type=machine)
        return backend.costs.estimate(recipe, model, stats, prices, sandbox=program.sandbox)

    def learn(estimate: Estimate) -> None:
        if wizard.recipe is recipe:
            wizard.learn(estimate=estimate)

    page.run_task(ESTIMATE, t("Estimating the price"), work, learn, quiet=True)


def for_training(stats: Stats, recipe: Recipe) -> Stats:
    """The tokens of the rows that a split leaves for training, as near as it can be told before the split."""
    if recipe.validation.mode != "split":
        return stats
    tokens = round(stats.tokens_total * (1 - recipe.validation.share))
    error = max(stats.tokens_error if stats.tokens_are_estimate else 0.0, _SPLIT_ERROR)
    return replace(stats, tokens_total=tokens, tokens_are_estimate=True, tokens_error=error)


def look_after_open(page: Page, azure: Azure) -> None:
    """Ask what became of what an earlier run of the program began and could not see the end of."""
    path = page.program.settings.journal

    def work(report: Report, cancel: Cancel) -> list[Entry]:
        return backend.journal.Journal(path).reconcile(azure)

    def tell(entries: list[Entry]) -> None:
        for entry in entries:
            outcome = t(OUTCOMES[entry.outcome])
            name = text.clean_line(f"{entry.kind} {entry.name}", limit=80)
            line = t("Left open by an earlier run: {name}. On Azure: {outcome}.", name=name, outcome=outcome)
            page.program.notify(line, markup=False, timeout=15)

    page.run_task("reconcile", t("Looking after what was left open"), work, tell, failed=lambda _: None, quiet=True)
