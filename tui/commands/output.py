"""What the headless commands print: results to stdout, everything else to stderr, untrusted text made harmless."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from tui.messages import t
from tui.services.errors import Cancelled, PhiftError, Unreachable, UsageError
from tui.text import LONGEST, clean, clean_line

if TYPE_CHECKING:
    from tui.services.progress import Progress

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class Interrupted(Cancelled):
    """The person or the system sent a signal."""

    exit_code = EXIT_INTERRUPTED
    default_code = "Interrupted"


def again() -> str:
    """The next step where a command was cut off."""
    return t("Run the same command again; what is done already is not done twice.")


def say(line: str = "") -> None:
    """A line for the person, to stderr; on a terminal no wider than that, its words kept whole.

    A line break that came with a value is shown as a sign: it does not begin a line that the program never said.
    """
    safe = clean_line(line, limit=LONGEST)
    # A command is copied: the terminal's own wrapping does not cut it in two.
    _write(safe if safe.lstrip().startswith("$ ") else folded(safe, _columns()), sys.stderr)


def say_text(text: str, indent: str) -> None:
    """Somebody's text of several lines for the person, each line of which stands under an indentation."""
    for line in clean(text).split("\n"):
        say(indent + line)


def _write(text: str, stream: TextIO, *, end: str = "\n") -> None:
    """The one way out, where what a terminal could act on is made harmless."""
    print(clean(text, limit=len(text)), end=end, file=stream, flush=True)


def _columns() -> int:
    """Columns of the terminal that stderr is; 0: it is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0


def folded(line: str, width: int) -> str:
    """A line broken between words so that it is at most `width` cells wide; later lines keep its indentation.

    Args:
        line: one line.
        width: in cells; 0: as wide as it is.
    """
    from rich.cells import cell_len, chop_cells

    if not width or cell_len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    room = max(width - len(indent), 1)
    lines: list[str] = []
    for word in line.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.extend(chop_cells(word, room))
    return "\n".join(indent + each for each in lines)


def result(text: str) -> None:
    """A line of the result, to stdout; line breaks within it are shown as signs."""
    _write(clean_line(text, limit=LONGEST), sys.stdout)


def piece(text: str) -> None:
    """A part of the result, to stdout, with no end of line after it."""
    _write(clean(text), sys.stdout, end="")


def code(text: str) -> None:
    """The result as code, to stdout: whole, and where that is no terminal, to the letter."""
    if sys.stdout.isatty():
        _write(text, sys.stdout)
    else:
        print(text, flush=True)


def data(value: Any) -> None:
    """The result as JSON on one line, to stdout; all that is not printable ASCII is escaped."""
    print(json.dumps(value, ensure_ascii=True, default=str), flush=True)


def error(message: str, next_step: str) -> None:
    """What went wrong and what to do next, to stderr."""
    say(f"phift-tui: {clean_line(message, limit=2000)}")
    if next_step:
        say("  " + t("Next: {step}", step=next_step))


def ending(problem: BaseException, *, sandbox: bool = False) -> PhiftError:
    """What an exception that ended a command means to the person.

    Args:
        problem: the exception.
        sandbox: whether the command spoke to the sandbox.
    """
    from tui import settings
    from tui.recipe import RecipeError
    from tui.services import faults, log
    from tui.settings import SettingsError

    match problem:
        case Unreachable() if sandbox:
            return Unreachable(
                t("The sandbox does not answer: {error}", error=problem.message),
                code="SandboxUnreachable",
                meaning=t("Its state is on the disk, and a training goes on without it."),
                next_step=t(
                    "Run the same command again: it starts the sandbox where it has died, and goes on where it stopped."
                ),
            )
        case PhiftError():
            if sandbox:
                problem.next_step = problem.next_step.replace("`phift-tui ", "`phift-tui --sandbox ")
            return problem
        case KeyboardInterrupt():
            return Interrupted(t("Interrupted."), next_step=again())
        case RecipeError() | SettingsError():
            return UsageError(
                f"{problem}.",
                code="Recipe" if isinstance(problem, RecipeError) else "Settings",
                next_step=t("Mend that and run the same command again."),
            )
        case OSError():
            return faults.of_the_system(problem)
    with suppress(SettingsError, OSError):  # without settings or a place to write there is no log to write to
        log.capture(settings.load())
    return faults.of_the_program(
        problem,
        meaning=t("Nothing was lost."),
        next_step=t("Please report this with the command and the end of phift-tui.log (in the state folder)."),
    )


def show(problem: PhiftError) -> int:
    """Print an error for a person; returns the exit code."""
    first, *others = problem.lines()
    say(f"phift-tui: {clean_line(first, limit=2000)}")
    for line in others:
        say(f"  {clean_line(line, limit=2000)}")
    return problem.exit_code


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table to stdout, columns as wide as their widest cell (at most 60 characters); without rows, a word."""
    from rich.cells import cell_len, set_cell_size

    cells = [[clean_line(cell, limit=60) for cell in row] for row in rows]
    if not cells:
        say(t("None."))
        return
    widths = [max([cell_len(name), *(cell_len(row[i]) for row in cells)]) for i, name in enumerate(head)]
    for row in [list(head), *cells]:
        line = "  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        _write(line.rstrip(), sys.stdout)


class ProgressLine:
    """A `Report` that prints a stage when it changes, and its numbers at most every two seconds."""

    def __init__(self, *, after: float = 0.0) -> None:
        """Print nothing within the first `after` seconds."""
        self._stage = ""
        self._printed = 0.0
        self._from = time.monotonic() + after

    def __call__(self, progress: Progress) -> None:
        """Print what is new."""
        now = time.monotonic()
        if now < self._from or (progress.stage == self._stage and now - self._printed < 2):
            return
        self._stage, self._printed = progress.stage, now
        say(progress.line())
