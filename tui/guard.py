"""Puts the terminal right when the program is killed in a way that leaves it no time to do so itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tui.messages import t

_ENDED = b"ended\n"
# What Textual switches on, off again: synchronised and bracketed input, reports of focus, mouse and size, the kitty
# protocol, the other screen; then line wrap and the cursor on.
_SANE = (
    r"\033[?2026l\033[?2004l\033[?1004l\033[?1000l\033[?1002l\033[?1003l\033[?1006l\033[?1015l\033[?2048l\033[<u"
    r"\033[?1049l\033[?7h\033[?25h\033[m\n%s\n"
)
# A shell that has taken the terminal back already keeps signals on; only Textual has them off.
_SCRIPT = """
exec 3<&1
saved=$(stty -g <&3)
echo >&2
read word
[ "$word" = ended ] && exit
case $(stty -a <&3) in *-isig*) stty "$saved" <&3 ;; esac
printf "$1" "$2"
"""


@contextmanager
def guarded_terminal() -> Iterator[Callable[[], object]]:
    """While the block runs, a small shell beside the program waits for it to be killed, and then tidies up after it.

    Gives what is to be called before the terminal's state is changed: it returns once the shell has noted that state.
    """
    shell = shutil.which("sh", path="/bin:/usr/bin")
    if shell is None:
        yield lambda: None
        return
    said = t("phift-tui was killed. Your choices are saved; start it again to go on.")
    with subprocess.Popen(
        [shell, "-c", _SCRIPT, shell, _SANE, said],
        stdin=subprocess.PIPE,
        stdout=sys.__stdout__,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={"PATH": "/bin:/usr/bin"},
    ) as guard:
        noted = guard.stderr.readline if guard.stderr else lambda: None
        try:
            yield noted
        finally:
            with suppress(OSError):  # it is gone, and with it what it guarded against
                guard.communicate(_ENDED)
