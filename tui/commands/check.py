"""`phift-tui check`: judge a dataset before anything is uploaded."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands import common, output

EXIT_REFUSED = 3


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("check", parents=[shared], help="judge a chat dataset; nothing is uploaded")
    parser.add_argument("file", type=Path, help="chat JSONL file")
    parser.add_argument("--validation", type=Path, metavar="FILE", help="validation file: judged too, and for leakage")
    parser.add_argument("--model", default="", metavar="M", help="model whose limits apply (default: the newest Phi)")
    parser.add_argument("--engine", default="serverless", choices=("serverless", "managed", "script"))
    parser.add_argument("--fix", type=Path, metavar="OUT", help="write a mended copy; the original is never changed")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 where the file is accepted, 3 where it is refused."""
    from tui.dataset import check, fix
    from tui.recipe import ModelChoice
    from tui.services import catalog, datasets
    from tui.services.errors import UsageError

    settings = common.settings_of(args)
    model = catalog.named(catalog.cached(settings), args.model or ModelChoice().name)
    rules = catalog.rules(model, args.engine)
    for path in (args.file, args.validation):
        if path is not None:
            datasets.readable(path)
    with common.cancel_on_signal() as cancel:
        if args.fix:
            if args.fix.resolve() == args.file.resolve():
                raise UsageError("--fix would overwrite the file itself", next_step="name another file after --fix")
            outcome = fix.apply(args.file, args.fix, rules=rules)
            for code, rows in outcome.applied.items():
                output.say(f"  mended {rows:,} × {fix.TITLES[code]}")
            output.say(f"Wrote {outcome.rows_written:,} rows to {args.fix}; {args.file} is unchanged.")
        target = args.fix or args.file
        report = check.check(target, validation=args.validation, rules=rules, cancelled=lambda: cancel.is_set)
        cancel.check()
    if common.wants_json(args):
        output.data(report.to_json())
    else:
        for line in report.lines():
            output.result(line)
    return 0 if report.ok else EXIT_REFUSED
