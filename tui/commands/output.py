"""What the headless commands print: results to stdout, everything else to stderr, untrusted text made harmless."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tui.text import clean, clean_line

if TYPE_CHECKING:
    from tui.services.progress import Progress

EXIT_INTERNAL = 1


def say(message: str = "") -> None:
    """A line for the person, to stderr."""
    print(clean(message), file=sys.stderr, flush=True)


def result(text: str) -> None:
    """A line of the result, to stdout."""
    print(clean(text), flush=True)


def data(value: Any) -> None:
    """The result as JSON on one line, to stdout."""
    print(json.dumps(value, ensure_ascii=True, default=str), flush=True)


def error(message: str, next_step: str) -> None:
    """What went wrong and what to do next, to stderr."""
    say(f"phift-tui: {clean_line(message, limit=2000)}")
    if next_step:
        say(f"  Next: {next_step}")


def failure(problem: Exception) -> int:
    """Show an exception that ended a command; returns the exit code."""
    from tui.recipe import RecipeError
    from tui.services.errors import PhiftError
    from tui.settings import SettingsError

    if isinstance(problem, PhiftError):
        first, *rest = problem.lines()
        say(f"phift-tui: {first}")
        for line in rest:
            say(f"  {line}")
        return problem.exit_code
    if isinstance(problem, RecipeError | SettingsError):
        error(str(problem), "mend that field and run the same command again")
        return 2
    logging.getLogger("phift").error("unexpected error", exc_info=problem)
    error(
        f"unexpected {type(problem).__name__}: {problem}",
        "nothing was lost; please report this with the command and the end of phift-tui.log (state folder)",
    )
    return EXIT_INTERNAL


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table to stdout, columns as wide as their widest cell (at most 60 characters)."""
    from rich.cells import cell_len, set_cell_size

    cells = [[clean_line(cell, limit=60) for cell in row] for row in rows]
    widths = [max([cell_len(name), *(cell_len(row[i]) for row in cells)]) for i, name in enumerate(head)]
    for row in [list(head), *cells]:
        line = "  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip(), flush=True)


class ProgressLine:
    """A `Report` that prints a stage when it changes, and its numbers at most every two seconds."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._stage = ""
        self._printed = 0.0

    def __call__(self, progress: Progress) -> None:
        """Print what is new."""
        now = time.monotonic()
        if progress.stage == self._stage and now - self._printed < 2:
            return
        self._stage, self._printed = progress.stage, now
        numbers = ""
        if progress.done is not None:
            numbers = f" {progress.done:,.0f}" + (f" of {progress.total:,.0f}" if progress.total else "")
            numbers += f" {progress.unit}" if progress.unit else ""
        say(f"{self._prefix}{progress.stage}{numbers}{' · ' + progress.detail if progress.detail else ''}")
