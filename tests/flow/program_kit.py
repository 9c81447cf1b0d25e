"""The real program without a screen: a command that has ended, and a run that can be watched and cut off."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """The last object."""
        return self.events[-1]


class Program:
    """A running `phift-tui run --json`."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tui", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._out: list[str] = []
        self._err: list[str] = []
        assert self._process.stderr
        # Read all the time: a full pipe would stop the program.
        self._reader = threading.Thread(target=self._err.extend, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def until(self, step: str, status: str = "started", having: str = "") -> dict[str, Any]:
        """Wait for an event, one that has a certain field where one is named, and return it."""
        assert self._process.stdout
        for line in self._process.stdout:
            self._out.append(line)
            event: dict[str, Any] = json.loads(line)
            if (event["step"], event["status"]) == (step, status) and (not having or having in event):
                return event
        pytest.fail(f"never came: {step} {status}\n{''.join(self._out)}\n{''.join(self._err)}")

    def signal(self, number: int) -> None:
        """Send the program a signal."""
        self._process.send_signal(number)

    def until_says(self, text: str) -> None:
        """Wait until it has said something on stderr."""
        while text not in "".join(self._err):
            assert self._process.poll() is None, f"ended without {text!r}"
            self._reader.join(0.01)

    def end(self) -> Ended:
        """Wait for its end."""
        assert self._process.stdout
        self._out.extend(self._process.stdout)
        self._process.wait()
        self._reader.join()
        found = Ended(self._process.returncode, "".join(self._out), "".join(self._err))
        assert "Traceback" not in found.out + found.err
        return found

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()
