"""`phift-tui estimate`: what a recipe will cost, before anything is billed."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tui.commands import common, output
from tui.messages import t


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("estimate", parents=[shared], help=t("what a recipe will cost; nothing is created"))
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the estimate; 3 where the data is refused, 8 where it is over the budget."""
    from tui import recipe as recipes
    from tui.services import catalog, costs, datasets, machines
    from tui.services.errors import AccessError, Unreachable

    settings = common.settings_of(args)
    recipe = recipes.load(args.recipe)
    try:
        azure = common.connect(args)
    except (AccessError, Unreachable) as error:
        azure = None
        output.say(t("Not signed in ({code}): the last known prices are used.", code=error.code))
    model = catalog.named(catalog.cached(settings), recipe.model.name)
    with common.cancel_on_signal() as cancel, tempfile.TemporaryDirectory() as folder:
        prepared = datasets.prepare(recipe, args.recipe.resolve().parent, Path(folder), model, cancel=cancel)
    machine = machines.chosen(recipe, model)
    prices = costs.prices(azure, recipe.target.location, settings, instance_type=machine)
    estimate = costs.estimate(recipe, model, prepared.stats, prices, sandbox=azure is not None and azure.sandbox)
    if common.wants_json(args):
        output.data(estimate.to_json())
    else:
        for line in estimate.lines():
            output.result(line)
    if warning := costs.check_budget(estimate, recipe, settings):
        output.say(warning)
    return 0
