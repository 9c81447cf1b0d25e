"""`phift-tui check`: judge a dataset before anything is uploaded."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui.commands import common, output
from tui.messages import grouped, n, t

if TYPE_CHECKING:
    from tui.dataset.rules import Rules

EXIT_REFUSED = 3


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser("check", parents=[shared], help=t("judge a chat dataset; nothing is uploaded"))
    parser.add_argument("file", type=Path, help=t("chat JSONL file"))
    parser.add_argument(
        "--validation", type=Path, metavar="FILE", help=t("validation file: judged too, and for leakage")
    )
    parser.add_argument(
        "--model", default="", metavar="M", help=t("model whose limits apply (default: the newest Phi)")
    )
    parser.add_argument("--engine", default="serverless", choices=("serverless", "managed", "script"))
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help=t("a tokenizer.json that tokens are counted by"))
    parser.add_argument(
        "--fix",
        type=Path,
        metavar="OUT",
        help=t("write a mended copy, converted where the file has another shape; the original is never changed"),
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 where the file is accepted, 3 where it is refused."""
    from tui.dataset import check
    from tui.recipe import ModelChoice
    from tui.services import catalog, datasets
    from tui.services.errors import Cancelled, UsageError
    from tui.services.progress import Progress

    settings = common.settings_of(args)
    model = catalog.named(catalog.cached(settings), args.model or ModelChoice().name)
    rules = catalog.rules(model, args.engine)
    given = [path for path in (args.file, args.validation) if path is not None]
    for path in (*given, *([args.tokenizer] if args.tokenizer else ())):
        datasets.readable(path)
    if args.fix and args.fix.resolve() in [path.resolve() for path in given]:
        raise UsageError(
            t("--fix would overwrite {file}.", file=args.fix), next_step=t("Name another file after --fix.")
        )
    report = output.ProgressLine(after=2.0)
    with common.cancel_on_signal() as cancel:

        def mended(rows: int) -> None:
            cancel.check()
            report(Progress(t("Mending"), detail=n("{count} row", "{count} rows", rows)))

        judged = _mend(args.file, args.fix, rules, mended) if args.fix else args.file
        try:
            found = check.check(
                judged,
                validation=args.validation,
                rules=rules,
                tokenizer=args.tokenizer,
                progress=lambda done, total: report(Progress(t("Checking"), done, total, "bytes")),
                cancelled=lambda: cancel.is_set,
            )
        except check.Cancelled:
            raise Cancelled(t("The check was stopped.")) from None
        except ValueError as error:
            if args.tokenizer is None:
                raise
            raise UsageError(str(error), next_step=t("Name the tokenizer.json that came with the model.")) from None
    if common.wants_json(args):
        output.data(found.to_json())
    else:
        for line in found.lines():
            output.result(line)
    return 0 if found.ok else EXIT_REFUSED


def _mend(path: Path, out: Path, rules: Rules, told: Callable[[int], None]) -> Path:
    """Write the mended copy of a file, converted first where it has another shape; returns the file to be judged."""
    from tui.dataset import convert, fix
    from tui.services.errors import UsageError

    try:
        with tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=f".{out.name}.") as folder:
            source, shape = path, convert.recognise(path)
            if shape.is_convertible or shape.container != "jsonl":
                source = Path(folder) / "converted.jsonl"
                made = convert.convert(path, source, shape=shape, progress=told)
                output.say(
                    n(
                        "Converted {count} record ({shape}).",
                        "Converted {count} records ({shape}).",
                        made.rows,
                        shape=shape.title,
                    )
                )
                if made.skipped:
                    number, reason = made.reasons[0]
                    output.say(
                        n(
                            "Left out {count} record: record {number} {reason}.",
                            "Left out {count} records: the first, record {number}, {reason}.",
                            made.skipped,
                            number=number,
                            reason=reason,
                        )
                    )
            outcome = fix.apply(source, out, rules=rules, progress=told)
    except (convert.ConvertError, fix.FixError) as error:
        output.say(t("Not mended: {reason}.", reason=error))
        return path
    except OSError as error:
        raise UsageError(t("{file} cannot be written: {reason}.", file=out, reason=error.strerror or error)) from None
    for code, rows in outcome.applied.items():
        output.say(f"  {grouped(rows)} × {t(fix.TITLES[code])}")
    output.say(
        n(
            "Wrote {count} row to {file}; {original} is unchanged.",
            "Wrote {count} rows to {file}; {original} is unchanged.",
            outcome.rows_written,
            file=out,
            original=path,
        )
    )
    return out
