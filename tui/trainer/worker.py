"""The warm worker: it has the libraries loaded, and forks a process that is ready at once for each request."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .events import TERMINAL, EventLog, last_type, now
from .memory import resident

LONGEST_REQUEST = 65536
TICK_SECONDS = 0.5


class RequestError(Exception):
    """A request that cannot be carried out, in one line."""


@dataclass
class _Serving:
    pid: int
    port: int
    token: str
    alive: int
    """The end of a pipe that nobody writes to: when this process is gone, the serving one reads its end and leaves."""


def serve(path: Path, *, idle_seconds: float | None = None, log: Path | None = None) -> int:
    """Wait for requests on the unix socket at `path` until told to stop, or until idle for `idle_seconds`.

    Returns:
        The exit code: 0, or 1 where another worker has the socket.
    """
    os.umask(0o077)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    while not _locked(lock):
        # Another one has the place, or will have it once its libraries are loaded.
        if _answers(path):
            sys.stderr.write(f"another worker listens on {path}\n")
            return 1
        time.sleep(TICK_SECONDS)
    if log is not None:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
    _preload()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        # Bound beside its place and moved there once it listens, so that whoever sees the socket can connect.
        beginning = path.with_name(f".{os.getpid()}")
        listener.bind(str(beginning))
        listener.listen(16)
        beginning.replace(path)
        listener.setblocking(False)
        worker = _Worker(listener, lock, idle_seconds)
        signal.signal(signal.SIGTERM, worker.stop)
        signal.signal(signal.SIGINT, worker.stop)
        print(f"{now()} worker {os.getpid()} is ready on {path}", flush=True)  # noqa: T201 - its log is its output
        try:
            worker.loop()
        finally:
            path.unlink(missing_ok=True)
    return 0


class _Worker:
    def __init__(self, listener: socket.socket, lock: int, idle_seconds: float | None) -> None:
        self._listener = listener
        self._lock = lock
        self._idle_seconds = idle_seconds
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._pending: dict[socket.socket, bytes] = {}
        self._trainings: dict[int, Path] = {}
        self._serving: _Serving | None = None
        self._busy_until = time.monotonic()
        self._running = True

    def stop(self, *_: object) -> None:
        """End the loop; trainings go on in their own sessions, the serving process ends."""
        self._running = False

    def loop(self) -> None:
        while self._running:
            for key, _ in self._selector.select(TICK_SECONDS):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.fileobj)
            self._reap()
            if self._trainings or self._serving or self._pending:
                self._busy_until = time.monotonic()
            elif self._idle_seconds is not None and time.monotonic() - self._busy_until > self._idle_seconds:
                self._running = False
        if self._serving:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._serving.pid, signal.SIGTERM)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._pending[connection] = b""
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: Any) -> None:
        try:
            chunk = connection.recv(LONGEST_REQUEST)
        except OSError:
            chunk = b""
        data = self._pending[connection] + chunk
        *lines, self._pending[connection] = data.split(b"\n")
        for line in lines:
            answer = self._answer(line)
            try:
                connection.settimeout(5)
                connection.sendall(json.dumps(answer).encode() + b"\n")
                connection.setblocking(False)
            except OSError:
                chunk = b""
        if not chunk or len(self._pending[connection]) > LONGEST_REQUEST:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        del self._pending[connection]
        self._selector.unregister(connection)
        connection.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            operation = request["op"]
            if operation == "ping":
                return {"ok": True, "pid": os.getpid(), "ready": True, "rss_mb": round(resident() / 1e6, 1)}
            if operation == "train":
                return {"ok": True, "pid": self._train(Path(request["job"]))}
            if operation == "serve":
                serving = self._serve(int(request.get("port", 0)))
                return {"ok": True, "pid": serving.pid, "port": serving.port, "token": serving.token}
            if operation == "stop":
                self.stop()
                return {"ok": True}
            raise RequestError(f"unknown op {operation!r}; use train, serve, ping or stop")
        except (ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": f"not a request: {type(error).__name__}: {error}"}
        except (RequestError, OSError) as error:
            return {"ok": False, "error": str(error)}

    def _train(self, folder: Path) -> int:
        if not folder.is_absolute() or not folder.is_dir():
            raise RequestError(f"{folder} is not the absolute path of a job's folder")

        def child() -> int:
            from .training import run

            _redirect(folder / "std_log.txt")
            return run(folder)

        self._reap()
        for pid, known in self._trainings.items():
            if known == folder:
                return pid  # asked again by somebody who lost the answer: one job is trained once
        pid = self._fork(child)
        self._trainings[pid] = folder
        (folder / "pid").write_text(f"{pid}\n")
        return pid

    def _serve(self, port: int) -> _Serving:
        self._reap()
        if self._serving is not None:
            return self._serving
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            # Listening from now on, so that a client that is quicker than the fork waits instead of being refused.
            listener.listen(128)
            token = secrets.token_urlsafe(32)
            watched, alive = os.pipe()

            def child() -> int:
                from .serving import run

                signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
                os.close(alive)
                return run(listener, token, watched)

            pid = self._fork(child)
            os.close(watched)
            self._serving = _Serving(pid, listener.getsockname()[1], token, alive)
        finally:
            listener.close()
        return self._serving

    def _fork(self, work: Callable[[], int]) -> int:
        """Run `work` in a child that is the leader of its own session and shares nothing open with this process."""
        sys.stdout.flush()
        sys.stderr.flush()
        ending = (signal.SIGTERM, signal.SIGINT)
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)  # the work lets them in when it has its own handlers
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)
            return pid
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self._selector.close()
            self._listener.close()
            os.close(self._lock)  # it ends with this worker, not with its trainings
            for connection in self._pending:
                connection.close()
            if self._serving is not None:
                os.close(self._serving.alive)
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._serving is not None and pid == self._serving.pid:
                os.close(self._serving.alive)
                self._serving = None
            folder = self._trainings.pop(pid, None)
            if folder is not None:
                report_death(folder, os.waitstatus_to_exitcode(status))


def report_death(folder: Path, code: int) -> None:
    """Write the event `failed` for a training that ended without a last word, as one killed by the kernel does."""
    if not folder.is_dir() or last_type(folder) in TERMINAL:
        return
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    advice = "Resume it from its last checkpoint."
    if code == -signal.SIGKILL:
        advice = "The system kills the largest process when memory runs out: use a smaller batch_size or max_length."
    log = EventLog(folder)
    log.say(f"FAILED Killed: the training process ended by {how}")
    log.emit("failed", code="Killed", message=f"the training process ended by {how}", advice=advice)


def _preload() -> None:
    """Import what jobs and serving need. No tensor is made: threads that it would start do not survive a fork."""
    import peft  # noqa: F401
    from transformers.models.phi3 import modeling_phi3  # noqa: F401
    from transformers.utils import logging

    from . import serving, training  # noqa: F401

    logging.disable_progress_bar()


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(path: Path) -> bool:
    """Whether a worker listens on the socket; what a dead one left behind does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ECONNREFUSED):
                return False
            raise
    return True


def _redirect(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
