"""The real program in a real pseudo-terminal, read through a terminal emulator."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

PATIENCE = 60.0
"""Seconds after which a condition that does not come true fails the test; nothing waits that long when all is well."""


class _Screen(pyte.Screen):
    """A screen with what terminals have and pyte lacks."""

    def report_device_status(self, mode: int, private: bool = False) -> None:
        """Nothing is answered to DEC's own form of the question, which tmux asks."""
        if not private:
            super().report_device_status(mode)

    def set_mode(self, *modes: int, **how: bool) -> None:
        """Switch a mode on; the other screen is empty whenever it is shown."""
        if how.get("private") and 1049 in modes:
            self.erase_in_display(2)
        super().set_mode(*modes, **how)


class Terminal:
    """A program in a pseudo-terminal: what it wrote (`raw`), what a person sees (`text`), keys, size, signals."""

    def __init__(
        self,
        arguments: list[str],
        environment: dict[str, str],
        columns: int = 80,
        rows: int = 24,
        *,
        program: tuple[str, ...] = ("-m", "tui"),
        python: str | None = sys.executable,
    ) -> None:
        self.raw = b""
        self.exit_code: int | None = None
        self._screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(environment["HOME"])
            command = [*([python] if python else []), *program, *arguments]
            os.execve(command[0], command, environment)
        self.resize(columns, rows)

    @property
    def text(self) -> str:
        """What is on the screen, a line a row."""
        return "\n".join(self._screen.display)

    def cells(self) -> list[list[tuple[object, ...]]]:
        """Every cell as a person sees it: a blank has a background only, unless it is underlined or reversed."""
        rows = []
        for y in range(self._screen.lines):
            row: list[tuple[object, ...]] = []
            for x in range(self._screen.columns):
                cell = self._screen.buffer[y][x]
                blank = cell.data == " " and not (cell.reverse or cell.underscore or cell.strikethrough)
                row.append((" ", cell.bg) if blank else tuple(cell))
            rows.append(row)
        return rows

    @property
    def file(self) -> int:
        """The descriptor that what the program writes comes from."""
        return self._master

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, keys: bytes) -> None:
        """Type."""
        os.write(self._master, keys)

    def read(self, seconds: float) -> int:
        """Read what comes within `seconds`; returns the number of bytes."""
        count, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.exit_code is None:
            ready, _, _ = select.select([self._master], [], [], min(left, 0.1))
            if not ready:
                self._ended()
                continue
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                chunk = b""
            if not chunk:
                self._ended(wait=True)
                break
            count += len(chunk)
            self.raw += chunk
            self._stream.feed(chunk)
        return count

    def wait_for(self, condition: str | Callable[[str], bool], *, every: float = 0.1) -> str:
        """Read until the screen shows a text, or makes a condition true; returns the screen.

        Args:
            condition: the text, or what tells of the screen whether it is true.
            every: seconds between two looks, which is how exact a measured time can be.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if condition in self.text if isinstance(condition, str) else condition(self.text):
                return self.text
            if self.exit_code is not None:
                break
            self.read(every)
        pytest.fail(f"never came: {condition!r} (exit code {self.exit_code})\n{self.text}")

    def wait_for_rest(self, text: str) -> None:
        """Read on behind the program's end until the screen shows a text."""
        end = time.monotonic() + PATIENCE
        while text not in self.text:
            if time.monotonic() > end:
                pytest.fail(f"never came: {text!r}\n{self.text}")
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    chunk = os.read(self._master, 65536)
                except OSError:  # nobody is left who could write
                    pytest.fail(f"never came: {text!r}\n{self.text}")
                self.raw += chunk
                self._stream.feed(chunk)

    def is_sane(self) -> bool:
        """Whether the terminal echoes, edits lines and makes signals of keys, as a shell's does."""
        local = termios.tcgetattr(self._master)[3]
        return all(local & flag for flag in (termios.ECHO, termios.ICANON, termios.ISIG))

    def quiet(self, seconds: float = 0.5) -> None:
        """Read until nothing has come for so long and the program waited: on a busy machine it may not have begun."""
        end, worked = time.monotonic() + PATIENCE, self._worked()
        while time.monotonic() < end:
            came, before, worked = self.read(seconds), worked, self._worked()
            if came == 0 and (worked == before or self.exit_code is not None):
                return
        pytest.fail("the program never stops drawing")

    def _worked(self) -> object:
        """What the program's threads have computed so far; never the same twice while one of them is to compute."""
        spent = []
        for file in Path(f"/proc/{self.pid}/task").glob("*/stat"):
            with contextlib.suppress(OSError):  # the thread has ended
                # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: state, then utime and stime as 14 and 15.
                state, *fields = file.read_text().rpartition(")")[2].split()
                spent.append(time.monotonic_ns() if state == "R" else int(fields[10]) + int(fields[11]))
        return sorted(spent)

    def wait(self) -> int:
        """Read until the program has ended; returns its exit code (128 + n for a signal)."""
        end = time.monotonic() + PATIENCE
        while self.exit_code is None and time.monotonic() < end:
            self.read(0.1)
        if self.exit_code is None:
            pytest.fail(f"the program does not end\n{self.text}")
        return self.exit_code

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        os.close(self._master)
        self._master = -1
        self._ended(wait=True)

    def close(self) -> None:
        """End the program whatever it does."""
        if self.exit_code is None:
            self.signal(signal.SIGKILL)
            self._ended(wait=True)
        if self._master >= 0:
            with contextlib.suppress(OSError):
                os.close(self._master)

    def _ended(self, *, wait: bool = False) -> None:
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.exit_code = code if code >= 0 else 128 - code
