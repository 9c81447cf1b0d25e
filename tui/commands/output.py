"""What the headless commands print: results to stdout, everything else to stderr, untrusted text made harmless."""

from __future__ import annotations

import errno
import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui.text import clean, clean_line

if TYPE_CHECKING:
    from tui.services.progress import Progress

EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
AGAIN = "Run the same command again; what is done already is not done twice."


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


def worded(message: str) -> str:
    """A message about a wrong value, with words in place of a regular expression."""
    words = "only letters, digits and hyphens, a letter or digit first, within the length that Azure takes"
    return re.sub(r"String should match pattern '.*'", words, message)


@dataclass(frozen=True)
class Ending:
    """Why a command ended before it was done: what happened, what it means, what to do next."""

    exit_code: int
    code: str
    message: str
    meaning: str = ""
    next_step: str = ""
    request_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """The ending for programs."""
        fields = {
            "code": self.code,
            "message": self.message,
            "meaning": self.meaning,
            "next": self.next_step,
            "request_id": self.request_id,
        }
        return {name: value for name, value in fields.items() if value}

    def show(self) -> int:
        """Print it for a person; returns the exit code."""
        say(f"phift-tui: {clean_line(self.message, limit=2000)} ({self.code})")
        for label, text in (("", self.meaning), ("Next: ", self.next_step), ("Azure request id: ", self.request_id)):
            if text:
                say(f"  {label}{text}")
        return self.exit_code


def ending(problem: BaseException, *, sandbox: bool = False) -> Ending:
    """What an exception that ended a command means to the person.

    Args:
        problem: the exception.
        sandbox: whether the command spoke to the sandbox.
    """
    from tui.recipe import RecipeError
    from tui.services.errors import PhiftError, Unreachable
    from tui.settings import SettingsError

    match problem:
        case Unreachable() if sandbox:
            return Ending(
                problem.exit_code,
                "SandboxUnreachable",
                f"The sandbox does not answer: {problem.message}",
                "Its state is on the disk, and a training goes on without it.",
                "Run the same command again: it starts the sandbox where it has died, and goes on where it stopped.",
            )
        case PhiftError():
            next_step = problem.next_step
            if sandbox:
                next_step = next_step.replace("`phift-tui ", "`phift-tui --sandbox ")
            return Ending(
                problem.exit_code, problem.code, problem.message, problem.meaning, next_step, problem.request_id
            )
        case KeyboardInterrupt():
            return Ending(EXIT_INTERRUPTED, "Interrupted", "Interrupted.", next_step=AGAIN)
        case RecipeError() | SettingsError():
            code = "Recipe" if isinstance(problem, RecipeError) else "Settings"
            return Ending(
                EXIT_USAGE, code, worded(f"{problem}."), next_step="Mend that and run the same command again."
            )
        case OSError():
            where = f": {problem.filename}" if problem.filename else ""
            full = problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            return Ending(
                EXIT_USAGE,
                "DiskFull" if full else type(problem).__name__,
                f"{problem.strerror or problem}{where}.",
                next_step="Free some space, and run the same command again." if full else "Check that path.",
            )
    logging.getLogger("phift").error("unexpected error", exc_info=problem)
    return Ending(
        EXIT_INTERNAL,
        "ProgramError",
        f"The program made a mistake: {type(problem).__name__}: {problem}.",
        "Nothing was lost.",
        "Please report this with the command and the end of phift-tui.log (in the state folder).",
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table to stdout, columns as wide as their widest cell (at most 60 characters); without rows, a word."""
    from rich.cells import cell_len, set_cell_size

    cells = [[clean_line(cell, limit=60) for cell in row] for row in rows]
    if not cells:
        say("None.")
        return
    widths = [max([cell_len(name), *(cell_len(row[i]) for row in cells)]) for i, name in enumerate(head)]
    for row in [list(head), *cells]:
        line = "  ".join(set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip(), flush=True)


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
