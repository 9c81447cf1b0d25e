"""What an exception means that no service raised: the system refused a file, or the program made a mistake."""

from __future__ import annotations

import errno
import logging

from tui.messages import t
from tui.services.errors import PhiftError, UsageError
from tui.services.redaction import redact
from tui.wording import system_words

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_log = logging.getLogger("phift")


class ProgramError(PhiftError):
    """The program made a mistake."""

    exit_code = 1
    default_code = "ProgramError"


def of_the_system(error: OSError) -> UsageError:
    """Which file the system refused, and why."""
    full = error.errno in _FULL
    return UsageError(
        ": ".join(str(part) for part in (error.filename, system_words(error)) if part) + ".",
        code="DiskFull" if full else type(error).__name__,
        next_step=t("Free some space there, and try again.") if full else t("Check that path."),
    )


def of_the_program(error: BaseException, *, meaning: str, next_step: str) -> ProgramError:
    """Say what kind of mistake it was; the whole of it goes to the log, redacted and without local variables.

    Args:
        error: what was raised.
        meaning: what it means for the person's work.
        next_step: what to do next.
    """
    _log.error("unexpected error", exc_info=error)
    return ProgramError(
        t("The program made a mistake: {kind}.", kind=type(error).__name__),
        meaning=meaning,
        next_step=next_step,
        raw=redact(str(error)),
    )
