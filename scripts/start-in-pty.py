"""Start a program in a pseudo-terminal, wait for its first frame, quit it with ctrl+q, and report its exit code."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

DEADLINE = 60.0
"""Seconds until the first frame, and then until the exit, are waited for."""


def main() -> int:
    """Returns 0 where the program drew its name and ended with 0."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", LANG="C.UTF-8")
        os.execv(sys.argv[1], sys.argv[1:])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, sent, end = b"", False, time.monotonic() + DEADLINE
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
        if not sent and b"phift" in seen:
            os.write(master, b"\x11")
            sent, end = True, time.monotonic() + DEADLINE
    else:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        print(f"no {'exit' if sent else 'first frame'} within {DEADLINE:.0f} s", file=sys.stderr)
        return 1
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if not sent or code != 0:
        print(seen[-2000:].decode(errors="replace"), file=sys.stderr)
        print(f"exit code {code}, first frame {'seen' if sent else 'not seen'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
