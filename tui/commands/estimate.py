"""`phift-tui estimate`: what a recipe will cost, before anything is billed."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands import common, output


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("estimate", parents=[shared], help="what a recipe will cost; nothing is created")
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the estimate; 8 where it is over the budget."""
    from tui import recipe as recipes
    from tui.dataset import check
    from tui.services import catalog, costs, datasets
    from tui.services.errors import AccessError, Unreachable

    settings = common.settings_of(args)
    recipe = recipes.load(args.recipe)
    try:
        azure = common.connect(args)
    except (AccessError, Unreachable) as error:
        azure = None
        output.say(f"Not signed in ({error.code}): the last known prices are used.")
    path = recipe.data_path(args.recipe.resolve().parent)
    datasets.readable(path)
    model = catalog.named(catalog.cached(settings), recipe.model.name)
    stats = check.check(path, rules=catalog.rules(model, recipe.model.engine)).stats
    estimate = costs.estimate(recipe, model, stats, costs.prices(azure, recipe.target.location, settings))
    if common.wants_json(args):
        output.data(estimate.to_json())
    else:
        for line in estimate.lines():
            output.result(line)
    costs.check_budget(estimate, recipe, settings)
    return 0
