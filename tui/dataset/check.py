"""The check of a dataset: every fault of every row, in bounded memory, before anything is uploaded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tui.dataset.lines import UTF8_BOM, blocks, newline_of
from tui.dataset.report import Finding, Group, Report
from tui.dataset.rules import Rules
from tui.dataset.scan import Scanner
from tui.dataset.tokens import counter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Cancelled", "Finding", "Group", "Report", "Rules", "check"]

_PARTIAL_SECONDS = 0.5


class Cancelled(Exception):
    """The check was stopped at the caller's wish."""


def check(
    path: Path,
    *,
    validation: Path | None = None,
    rules: Rules = Rules(),  # noqa: B008 - frozen
    tokenizer: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    partial: Callable[[Report], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Report:
    """Check a training file, and a validation file beside it.

    Args:
        path: The training file.
        validation: The validation file, checked the same way and against the training file.
        rules: What the model and the engine accept.
        tokenizer: The model's `tokenizer.json`, for exact token counts.
        progress: Called with (bytes done, bytes in all), at most once a megabyte.
        partial: Called with the report so far, at most twice a second.
        cancelled: Asked at least once a megabyte whether to stop.

    Returns:
        The report.

    Raises:
        Cancelled: `cancelled` answered True.
        OSError: A file cannot be read.
    """
    files = [("train", path)] + ([("validation", validation)] if validation else [])
    sizes = {name: file.stat().st_size for name, file in files}
    total = sum(sizes.values())
    count = counter(tokenizer)
    done = 0
    shown = time.monotonic()
    scanners: dict[str, Scanner] = {}

    def report(complete: bool) -> Report:
        main = scanners["train"]
        groups = dict(main.collector.groups)
        if "validation" in scanners:
            from tui.dataset.report import Collector

            both = Collector()
            both.merge(main.collector)
            both.merge(scanners["validation"].collector, file="validation")
            groups = both.groups
        ordered = [groups[code] for code in sorted(groups)]
        return Report(
            file=str(path),
            rows=main.rows,
            bytes=sizes["train"],
            errors=[g for g in ordered if g.code.startswith("E")],
            warnings=[g for g in ordered if g.code.startswith("W")],
            stats=main.describer.stats(tokenizer=count.name, is_estimate=count.is_estimate, error=count.error),
            complete=complete,
        )

    for name, file in files:
        scanner = scanners[name] = Scanner(rules, count)
        size = sizes[name]
        if size > rules.max_bytes:
            scanner.add("E132", 0, "", f"{size / 2**20:,.0f} MB; at most {rules.max_bytes / 2**20:,.0f} MB are taken")
        newline = newline_of(file)
        if newline == b"\r":
            scanner.add("E141", 0, "", "the file has carriage returns and no line feed")
        with file.open("rb") as stream:
            if stream.read(3) == UTF8_BOM:
                if rules.bom == "refused":
                    scanner.add("E139", 0, "", "the file starts with a byte order mark")
            else:
                stream.seek(0)
                if rules.bom == "asked" and size:
                    scanner.add("W201", 0, "", "the file does not start with a byte order mark")
            for lines, consumed in blocks(stream, size, newline):
                if cancelled is not None and cancelled():
                    raise Cancelled
                scanner.scan(lines)
                if progress is not None:
                    progress(done + consumed, total)
                if partial is not None and time.monotonic() - shown >= _PARTIAL_SECONDS:
                    partial(report(False))
                    shown = time.monotonic()
        done += size
        if not scanner.rows:
            scanner.add("E133", 0, "", "the file holds no row")
        elif scanner.rows < rules.min_examples:
            scanner.add("E134", 0, "", f"{scanner.rows} rows; at least {rules.min_examples} are needed")
        elif name == "train" and scanner.rows < rules.recommended_examples:
            scanner.add("W214", 0, "", f"{scanner.rows} rows; {rules.recommended_examples} are advised to start with")
    return report(True)
