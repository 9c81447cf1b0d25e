"""What the trainer's tests share: a warm worker, jobs that are trained through it, and waiting for either."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTING_SECONDS = 120
JOB_SECONDS = 120
IN_MODIFY, IN_MOVED_TO, IN_CREATE = 0x2, 0x80, 0x100  # linux/inotify.h


def wait_for(condition: Callable[[], Any], folder: Path, pid: int | None = None, seconds: float = JOB_SECONDS) -> Any:
    """The first true value of `condition`, which is asked again whenever something changes in `folder`.

    Args:
        condition: what has to become true.
        folder: where what it looks at is written.
        pid: a process whose end is a change as well.
        seconds: how long to wait at most.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as stack:
        changes = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, changes)
        if libc.inotify_add_watch(changes, os.fsencode(folder), IN_MODIFY | IN_MOVED_TO | IN_CREATE) < 0:
            raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")
        watched = [changes]
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                watched.append(os.pidfd_open(pid))
                stack.callback(os.close, watched[1])
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            happened, _, _ = select.select(watched, [], [], max(0, deadline - time.monotonic()))
            if not happened:
                raise TimeoutError(f"not within {seconds} s: {condition}")
            if changes in happened:
                os.read(changes, 65536)
            watched = watched[:1] if happened == watched[1:] else watched
        return value


def wait_for_end(pid: int, seconds: float = JOB_SECONDS) -> None:
    """Return once the process has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([process], [], [], seconds)[0]:
            raise TimeoutError(f"process {pid} lives after {seconds} s")
    finally:
        os.close(process)


class WorkerProcess:
    """A worker of its own, and the requests to it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "w.sock"
        self.log = folder / "worker.log"
        command = [sys.executable, "-m", "tui.trainer", "worker", "--socket", str(self.socket), "--log", str(self.log)]
        self.process = subprocess.Popen([*command, *options])
        wait_for(self._ready, folder, self.process.pid, STARTING_SECONDS)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return self.socket.exists()

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request."""
        return self.send(json.dumps(request).encode())

    def send(self, line: bytes) -> dict[str, Any]:
        """The answer to a line as it is."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.socket))
            connection.sendall(line + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile().readline())
        return answer

    def end(self) -> None:
        """Stop it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)


class Job:
    """A job's folder with its files, trained by the session's worker."""

    def __init__(self, folder: Path, worker: WorkerProcess) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.output = folder / "output"
        self.pid = 0
        self._worker = worker
        self._earlier = 0

    def start(self, **choices: Any) -> Job:
        """Write the configuration and begin."""
        config = {
            "model": "tiny",
            "train_file": str(self.folder / "train.jsonl"),
            "validation_file": str(self.folder / "validation.jsonl"),
            "output_dir": str(self.output),
            "epochs": 2,
            "batch_size": 8,
            "threads": 1,
            **choices,
        }
        (self.folder / "config.json").write_text(json.dumps(config))
        self._earlier = len(self._all_events())
        answer = self._worker.ask(op="train", job=str(self.folder))
        assert answer["ok"], answer
        self.pid = answer["pid"]
        return self

    def run(self, **choices: Any) -> dict[str, Any]:
        """Train to the end; the last event."""
        return self.start(**choices).last()

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What was reported so far, since the last `start`."""
        return [event for event in self._all_events()[self._earlier :] if kind in (None, event["type"])]

    def _all_events(self) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]  # a line without its end is still being written

    def last(self) -> dict[str, Any]:
        """The job's last word."""

        def ended() -> dict[str, Any] | None:
            events = self.events()
            return events[-1] if events and events[-1]["type"] in ("done", "cancelled", "failed") else None

        event: dict[str, Any] = self.wait_for(ended)
        wait_for_end(self.pid)
        return event

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """The first true value of `condition`, which looks at what the job writes."""
        return wait_for(condition, self.folder)

    def wait_for_checkpoint(self, step: int = 1) -> None:
        """Return once a checkpoint of at least `step` steps was reported."""
        self.wait_for(lambda: any(event["step"] >= step for event in self.events("checkpoint")))

    def limit_file_size(self, size: int) -> None:
        """Let the job's process write no file above `size`, as a full disk would."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, size))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the job's process."""
        os.kill(self.pid, number)

    def metrics(self, name: str) -> dict[int, float]:
        """The values of one metric by step."""
        return {e["step"]: e["values"][name] for e in self.events("metrics") if name in e["values"]}
