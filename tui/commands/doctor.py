"""`phift-tui doctor`: can this account do what the recipe needs, and which command mends it."""

from __future__ import annotations

import argparse

from tui.commands import common, output

EXIT_ACCESS = 4
_MARKS = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM", "unknown": "unknown"}


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("doctor", parents=[shared], help="can this account do what the recipe needs")
    common.add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 4 where one of them is a problem."""
    from tui.services import access, projects

    azure = common.connect(args)
    recipe = common.recipe_of(args)
    recipe = recipe.with_(target__subscription=projects.subscription_of(azure, recipe.target))
    with common.cancel_on_signal() as cancel:
        findings = access.examine(azure, recipe, cancel=cancel)
    if common.wants_json(args):
        output.data({"identity": azure.identity.name, "findings": [finding.to_json() for finding in findings]})
    else:
        output.say(f"Signed in as {azure.identity.name} ({azure.identity.method})")
        for finding in findings:
            output.result(f"{_MARKS[finding.level]}  {finding.title}")
            if finding.level != "ok" and finding.detail:
                output.result(f"         {finding.detail}")
            if finding.command:
                output.result(f"         $ {finding.command}")
    return EXIT_ACCESS if any(finding.level == "problem" for finding in findings) else 0
