"""The client of the warm training worker: starts the process, and asks it to train or to serve."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger(__name__)
SOCKET_PATH_LIMIT = 100  # a unix socket's address holds 104 bytes on macOS, 108 on Linux
IDLE_SECONDS = 300
POLL_SECONDS = 0.15


class WorkerError(Exception):
    """The worker could not be started or refused a request; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The process that answers chat completions: where it listens on 127.0.0.1, and the token it wants."""

    pid: int
    port: int
    token: str


def socket_path(folder: Path) -> Path:
    """Where a state folder's worker listens: in it, or in a private temporary folder when its path is too long."""
    path = folder / "worker.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"phift-{os.getuid()}-{name}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        raise WorkerError(f"{private} belongs to another user.")
    return private / "worker.sock"


class Worker:
    """One warm worker process per state folder, started on demand; it ends by itself after five idle minutes."""

    def __init__(self, folder: Path) -> None:
        self._socket = socket_path(folder)
        self._log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._proven = False

    async def ready(self) -> bool:
        """Whether the worker has its libraries loaded; starts it when there is none.

        Raises:
            WorkerError: the process ended before it was ready.
        """
        try:
            ready = bool((await self.ask({"op": "ping"}))["ready"])
            self._proven |= ready
            return ready
        except OSError:
            self._start()
            return False

    async def wait_ready(self) -> None:
        """Return once the worker is ready.

        Raises:
            WorkerError: the process ended before it was ready.
        """
        while not await self.ready():  # noqa: ASYNC110 - another process gets ready; it sends no event
            await asyncio.sleep(POLL_SECONDS)

    def _start(self) -> None:
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            # One that had been ready was killed later, so that another may well start; one that never was, will not.
            proven, self._proven = self._proven, False
            if code != 0 and not proven:
                raise WorkerError(f"The training worker ended with exit code {code}: {self._last_words()}")
        arguments = ["worker", "--socket", str(self._socket), "--idle-seconds", str(IDLE_SECONDS)]
        # What points the user's own processes at a cloud or at an MLflow server must not reach a job of this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "MLFLOW_"))}
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tui.trainer", *arguments, "--log", str(self._log)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        log.info("training worker started with pid %d", self._process.pid)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer to one request.

        Raises:
            WorkerError: the worker refused.
            OSError: nobody listens.
        """
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        try:
            writer.write(msgspec.json.encode(request) + b"\n")
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 60)
        finally:
            writer.close()
        if not line:
            raise ConnectionResetError("the worker closed the connection")
        answer = msgspec.json.decode(line, type=dict[str, Any])
        if not answer.get("ok"):
            raise WorkerError(str(answer.get("error", "the worker refused")))
        return answer

    async def train(self, folder: Path) -> int:
        """Start the training of a job folder; returns the pid of its process."""
        return int((await self.ask({"op": "train", "job": str(folder)}))["pid"])

    async def serve(self) -> Serving:
        """The serving process, started when there is none."""
        answer = await self.ask({"op": "serve", "port": 0})
        return Serving(int(answer["pid"]), int(answer["port"]), str(answer["token"]))

    async def stop(self) -> None:
        """End the worker when it runs; trainings go on."""
        try:
            await self.ask({"op": "stop"})
        except (OSError, WorkerError) as error:
            log.info("no worker listens: %s", error)
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()  # it was still loading its libraries
