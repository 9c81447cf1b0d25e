"""`phift-tui export`: a recipe as the code that does the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands import common, output
from tui.messages import t


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("export", parents=[shared], help=t("the recipe as az commands, Python or Bicep"))
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    parser.add_argument("--as", dest="form", choices=("cli", "python", "bicep"), required=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the code."""
    from tui import recipe as recipes
    from tui.services import catalog, export

    recipe = recipes.load(args.recipe)
    model = catalog.named(catalog.cached(common.settings_of(args)), recipe.model.name)
    render = {"cli": export.as_cli, "python": export.as_python, "bicep": export.as_bicep}[args.form]
    code = render(recipe, model)
    if common.wants_json(args):
        output.data({"as": args.form, "code": code})
    else:
        output.code(code.rstrip("\n"))
    return 0
