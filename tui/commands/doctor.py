"""`phift-tui doctor`: can this account do what the recipe needs, and which command mends it."""

from __future__ import annotations

import argparse

from tui.commands import common, output
from tui.messages import t

EXIT_ACCESS = 4
_MARKS = {"ok": "ok", "warning": "warning", "problem": "PROBLEM", "unknown": "unknown"}


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("doctor", parents=[shared], help=t("can this account do what the recipe needs"))
    common.add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 4 where one of them is a problem."""
    from tui.services import doctor, projects

    azure = common.connect(args)
    recipe = common.recipe_of(args)
    recipe = recipe.with_(target__subscription=projects.subscription_of(azure, recipe.target))
    with common.cancel_on_signal() as cancel:
        findings = doctor.examine(azure, recipe, cancel=cancel)
    if common.wants_json(args):
        output.data({"identity": azure.identity.name, "findings": [finding.to_json() for finding in findings]})
    else:
        output.say(t("Signed in as {name} ({method})", name=azure.identity.name, method=azure.identity.method))
        width = max(len(t(_MARKS[level])) for level in _MARKS)
        for finding in findings:
            output.result(f"{t(_MARKS[finding.level]):{width}}  {finding.title}")
            for line in finding.lines() if finding.level != "ok" else ():
                output.result(f"{'':{width}}  {line}")
            if finding.command:
                output.result(f"{'':{width}}  $ {finding.command}")
    return EXIT_ACCESS if any(finding.level == "problem" for finding in findings) else 0
