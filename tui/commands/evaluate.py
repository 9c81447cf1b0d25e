"""`phift-tui evaluate`: ask held-out questions of one endpoint, or of two and compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands import common, output


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "evaluate", parents=[shared], help="score an endpoint on held-out chats; compare two"
    )
    parser.add_argument("endpoint", type=common.name, help="name of the endpoint")
    parser.add_argument("data", type=Path, help="chat JSONL whose last assistant turns are the expected answers")
    parser.add_argument(
        "--against", type=common.name, metavar="ENDPOINT", help="endpoint to compare with (the base model's)"
    )
    parser.add_argument("--questions", type=common.whole(1, 1000), default=20, help="rows asked (default: 20)")
    parser.add_argument("--max-tokens", type=common.whole(1, 4096), default=64, help="longest answer (default: 64)")
    parser.add_argument("--seed", type=common.whole(0, 2**31 - 1), default=42, help="of the choice of rows")
    common.add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    from tui.services import datasets, deployments, evaluations

    datasets.readable(args.data)
    azure = common.connect(args)
    place = common.workspace(azure, args)
    with common.hint("See them all with `phift-tui deployments list`."):
        tuned = deployments.get(azure, place, args.endpoint)
        base = deployments.get(azure, place, args.against) if args.against else None
    with common.cancel_on_signal() as cancel:
        outcome = evaluations.compare_endpoints(
            azure,
            place,
            base,
            tuned,
            args.data,
            questions=args.questions,
            max_tokens=args.max_tokens,
            seed=args.seed,
            report=output.ProgressLine(),
            cancel=cancel,
        )
    if common.wants_json(args):
        output.data(outcome.to_json())
    else:
        for line in outcome.lines():
            output.result(line)
    return 0
