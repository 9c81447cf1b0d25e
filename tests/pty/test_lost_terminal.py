"""A terminal that goes away without a signal, as when the program is no leader of its session."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

PATIENCE = 60.0


def test_the_program_ends_by_itself(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "tui"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "HOME": str(tmp_path), "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": "/nonexistent"},
    )
    os.close(slave)
    killer = threading.Timer(PATIENCE, program.kill)
    killer.start()
    try:
        seen = b""
        while b"phift" not in seen and select.select([master], [], [], PATIENCE)[0]:
            seen += os.read(master, 65536)
        os.close(master)
        assert program.wait() == 128 + signal.SIGHUP
    finally:
        killer.cancel()
        program.kill()
