"""`phift-tui run`: the whole flow of the wizard from a recipe, without a screen."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from tui.commands import common, output

if TYPE_CHECKING:
    from tui.services.flow import Event

EXIT_INTERRUPTED = 130


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "run", parents=[shared], help="check, upload and tune; evaluate and deploy on request"
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    parser.add_argument("--yes", action="store_true", help="do not ask before something is billed")
    parser.add_argument("--deploy", action="store_true", help="deploy the tuned model and ask it a question")
    parser.add_argument("--evaluate", action="store_true", help="compare the base and the tuned model")
    parser.set_defaults(run=run)


def _print_line(event: Event) -> None:
    for line in event.lines():
        output.say(line)


def _print_json(event: Event) -> None:
    time = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    output.data({"time": time, "step": event.step, "status": event.status, **event.fields})


def run(args: argparse.Namespace) -> int:
    """Run the flow; 0 when every step is done, else the exit code of the error that stopped it."""
    from tui import recipe as recipes
    from tui.services import flow
    from tui.services.errors import Cancelled, PhiftError

    settings = common.settings_of(args)
    recipe = recipes.load(args.recipe)
    on_event = _print_json if common.wants_json(args) else _print_line
    with common.cancel_on_signal() as cancel:
        course = flow.Flow(
            recipe,
            args.recipe.resolve().parent,
            settings,
            connect=lambda: common.connect(args),
            approve=lambda estimate: common.confirm("\n".join(estimate.lines()) + "\nSubmit this run?", args),
            on_event=on_event,
            cancel=cancel,
        )
        try:
            course.run(deploy=args.deploy, evaluate=args.evaluate)
        except Cancelled as error:
            for line in error.lines():
                output.say(line)
            return EXIT_INTERRUPTED if cancel.is_set else error.exit_code
        except PhiftError as error:
            return output.failure(error)
    return 0
