"""`phift-tui cleanup`: find what still bills or lies about, and remove it in the right order."""

from __future__ import annotations

import argparse

from tui.commands import common, output
from tui.messages import n, t


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("cleanup", parents=[shared], help=t("what still bills, and removing it"))
    parser.add_argument("--dry-run", action="store_true", help=t("only show what would be removed"))
    parser.add_argument("--all", action="store_true", help=t("tuned models, project and hub too, not only what bills"))
    common.add_yes(parser)
    common.add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Remove what bills; 5 where something could not be removed."""
    from tui.services import cleanup, spending

    azure, place = common.opened(args)
    items = cleanup.inventory(azure, place)
    chosen = [item for item in items if item.billable or args.all]
    if common.wants_json(args) and (args.dry_run or not chosen):
        output.data([item.to_json() for item in chosen])
        return 0
    if not chosen:
        output.say(t("Nothing is left to remove.") if args.all else t("Nothing is billed by the hour."))
        return 0
    if not common.wants_json(args):
        for item in chosen:
            output.result(item.line())
        output.say(spending.so_far(azure, place).line())
    if args.dry_run:
        return 0
    question = n("Remove this? It cannot be undone.", "Remove these {count}? This cannot be undone.", len(chosen))
    if not common.confirm(question, args):
        return 7
    with common.cancel_on_signal() as cancel:
        outcomes = cleanup.remove(azure, chosen, report=output.ProgressLine(), cancel=cancel)
    if common.wants_json(args):
        output.data([outcome.to_json() for outcome in outcomes])
    else:
        for outcome in outcomes:
            output.result(outcome.line())
    return 0 if all(outcome.removed for outcome in outcomes) else 5
