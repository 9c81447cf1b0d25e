"""`phift-tui evaluate`: ask held-out questions of one endpoint, or of two and compare."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands import common, output
from tui.messages import t


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "evaluate", parents=[shared], help=t("score an endpoint on held-out chats; compare two")
    )
    parser.add_argument("endpoint", type=common.name, help=t("name of the endpoint"))
    parser.add_argument("data", type=Path, help=t("chat JSONL whose last assistant turns are the expected answers"))
    parser.add_argument(
        "--against", type=common.name, metavar="ENDPOINT", help=t("endpoint to compare with (the base model's)")
    )
    parser.add_argument("--questions", type=common.whole(1, 1000), default=20, help=t("rows asked (default: 20)"))
    parser.add_argument("--max-tokens", type=common.whole(1, 4096), default=64, help=t("longest answer (default: 64)"))
    parser.add_argument("--seed", type=common.whole(0, 2**31 - 1), default=42, help=t("of the choice of rows"))
    common.add_place(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    from tui.services import datasets, evaluations

    datasets.readable(args.data)
    azure, place = common.opened(args)
    tuned = common.endpoint_named(azure, place, args.endpoint)
    base = common.endpoint_named(azure, place, args.against) if args.against else None
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
