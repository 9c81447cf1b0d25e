"""What steps ask of Azure in the background: catalogue, price, what was spent, the submit, what was left open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tui import backend, text
from tui.messages import t
from tui.services.errors import NotFound, PhiftError
from tui.services.journal import OUTCOMES
from tui.services.progress import Progress

if TYPE_CHECKING:
    from screens.page import Page
    from tui.dataset.describe import Stats
    from tui.recipe import Recipe
    from tui.services.catalog import Catalogue, Model
    from tui.services.clients import Azure
    from tui.services.costs import Estimate
    from tui.services.datasets import Prepared
    from tui.services.flow import Event, Started
    from tui.services.journal import Entry
    from tui.services.progress import Cancel, Report
    from tui.wizard import Facts

CATALOGUE = "catalogue"
ESTIMATE = "estimate"
SPENT = "spent-so-far"
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
    wizard = page.wizard
    model, recipe, azure = wizard.model, wizard.recipe, wizard.facts.azure
    if model is None:
        return
    stats = for_training(wizard.facts, recipe)

    def work(report: Report, cancel: Cancel) -> Estimate:
        return _estimate(page, azure, recipe, model, stats)

    def learn(estimate: Estimate) -> None:
        if wizard.recipe is recipe:
            wizard.learn(estimate=estimate)

    page.run_task(ESTIMATE, t("Estimating the price"), work, learn, quiet=True)


def for_training(facts: Facts, recipe: Recipe) -> Stats | None:
    """The tokens of the rows to train on, as near as can be told: before the split is made, from its share.

    None: the file is not checked yet.
    """
    if facts.prepared:
        return facts.prepared.stats
    stats: Stats | None = facts.report.stats if facts.report else None
    if stats is None or recipe.validation.mode != "split":
        return stats
    tokens = round(stats.tokens_total * (1 - recipe.validation.share))
    error = max(stats.tokens_error if stats.tokens_are_estimate else 0.0, _SPLIT_ERROR)
    return replace(stats, tokens_total=tokens, tokens_are_estimate=True, tokens_error=error)


def load_price(page: Page) -> None:
    """Learn all that the price rests on and is not known yet: the catalogue, the check of the file, the very split."""
    program, wizard = page.program, page.wizard
    recipe, base, facts = wizard.recipe, wizard.base, wizard.facts

    def work(report: Report, cancel: Cancel) -> tuple[Catalogue, Prepared, Estimate]:
        datasets = backend.datasets
        catalogue = facts.catalogue or backend.catalog.cached(program.settings, sandbox=program.sandbox)
        model = backend.catalog.named(catalogue, recipe.model.name)
        folder = datasets.parts_folder(program.settings.state, recipe, base)
        prepared = datasets.prepare(recipe, base, folder, model, found=facts.report, report=report, cancel=cancel)
        report(Progress(t("Estimating the price")))
        return catalogue, prepared, _estimate(page, facts.azure, recipe, model, prepared.stats)

    def learn(found: tuple[Catalogue, Prepared, Estimate]) -> None:
        catalogue, prepared, estimate = found
        if wizard.recipe is recipe:
            wizard.learn(catalogue=catalogue, report=prepared.report, prepared=prepared, estimate=estimate)

    page.run_task(ESTIMATE, t("Estimating the price"), work, learn)


def _estimate(page: Page, azure: Azure | None, recipe: Recipe, model: Model, stats: Stats | None) -> Estimate:
    machine = backend.machines.chosen(recipe, model)
    prices = backend.costs.prices(azure, recipe.target.location, page.program.settings, instance_type=machine)
    return backend.costs.estimate(recipe, model, stats, prices, sandbox=page.in_sandbox)


def load_spent(page: Page, learn: Callable[[str], None]) -> None:
    """Reckon what the recipe's project has cost so far, in a line; a project that is not there has cost nothing."""
    azure, target, workspace = page.wizard.facts.azure, page.wizard.recipe.target, page.wizard.facts.workspace
    if azure is None:
        return

    def work(report: Report, cancel: Cancel) -> str:
        projects, place = backend.projects, workspace
        if place is None:
            subscription = projects.subscription_of(azure, target)
            try:
                place = projects.get(azure, subscription, target.resource_group, target.project)
            except NotFound:
                return t("Spent in this project so far: nothing, it is not made yet")
        return backend.spending.so_far(azure, place).line()

    def failed(error: PhiftError) -> None:
        learn(t("Spent in this project so far: not known, {reason}", reason=error.message))

    page.program.tasks.start(SPENT, t("Reckoning what was spent"), work, done=learn, failed=failed, quiet=True)


def submission(page: Page, azure: Azure) -> Callable[[Report, Cancel], Started]:
    """The work of a submit of the recipe as it is now, to which the person has said yes."""
    recipe, base, settings = page.wizard.recipe, page.wizard.base, page.program.settings

    def work(report: Report, cancel: Cancel) -> Started:
        def tell(event: Event) -> None:
            report(Progress(" ".join(event.lines()).strip() or event.step))

        course = backend.flow.Flow(
            recipe, base, settings, connect=lambda: azure, approve=lambda _: True, on_event=tell, cancel=cancel
        )
        return course.submit()

    return work


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
