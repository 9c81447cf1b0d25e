"""Starting, finding and stopping a sandbox's process. Light: it imports no part of the server."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

_START_SECONDS = 30
_STOP_SECONDS = 15
_INFO = "sandbox.json"
_RUNNING = "running.lock"
_STARTING = "starting.lock"


class SandboxError(Exception):
    """The sandbox could not be started, stopped or reached; the message says why."""


class SandboxRefusedError(SandboxError):
    """What was asked of the sandbox cannot be, such as a port that is taken; the message says what to ask instead."""


@dataclass(frozen=True)
class SandboxInfo:
    """A running sandbox.

    Attributes:
        pid: The process.
        proxy: URL of the CONNECT proxy, ``http://127.0.0.1:PORT``.
        ca: Path of the certificate to trust.
        state: The state folder.
        subscription: The one subscription's id.
        tenant: The tenant's id.
        client_id: The service principal that owns the subscription.
        client_secret: Its secret, worth something in this sandbox only.
    """

    pid: int
    proxy: str
    ca: str
    state: str
    subscription: str
    tenant: str
    client_id: str
    client_secret: str

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``sandbox start --json`` prints."""
        return asdict(self)


def start(state_dir: Path, *, as_of: date | None = None, pace: float = 1.0, port: int = 0) -> SandboxInfo:
    """Start the sandbox of `state_dir`, or find it running; two calls at once start one.

    Args:
        state_dir: Made with mode 0700 where it does not exist.
        as_of: The catalogue's date; None leaves the one that the state has.
        pace: What durations are multiplied by; read at the start of the process only.
        port: The proxy's port; 0 takes the one it had before where that is free, and any other otherwise.

    Raises:
        SandboxRefusedError: The port is taken, or the state folder cannot be used.
        SandboxError: The process failed, or it did not answer in time.
    """
    state_dir = prepare(state_dir)
    with _locked(state_dir / _STARTING):
        running = status(state_dir)
        if running is None:
            return _spawn(state_dir, as_of, pace, port)
        if port and not running.proxy.endswith(f":{port}"):
            raise SandboxRefusedError(f"the sandbox runs already, at {running.proxy}: stop it first to change its port")
        if as_of is not None:
            control(running, "PUT", "/calendar", {"as_of": as_of.isoformat()})
        return running


def prepare(state_dir: Path) -> Path:
    """Make the state folder, with mode 0700, and return its absolute path."""
    state_dir = state_dir.expanduser().resolve()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    state_dir.chmod(0o700)
    return state_dir


def status(state_dir: Path) -> SandboxInfo | None:
    """Return the sandbox that runs in `state_dir`, or None; a process that was killed counts as not running."""
    state_dir = state_dir.expanduser().resolve()
    lock = state_dir / _RUNNING
    # The server holds this lock for its whole life and the kernel drops it with the process, however that ends.
    if not lock.exists() or not _held(lock):
        return None
    try:
        return SandboxInfo(**json.loads((state_dir / _INFO).read_text("utf-8")))
    except FileNotFoundError:
        return None  # it is just starting or stopping


def stop(state_dir: Path) -> bool:
    """Stop the sandbox of `state_dir`; returns whether one ran. Its state stays.

    Raises:
        SandboxError: The process did not end in time.
    """
    running = status(state_dir)
    if running is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _held(Path(running.state) / _RUNNING):
        if time.monotonic() > deadline:
            raise SandboxError(
                f"process {running.pid} has not stopped after {_STOP_SECONDS} s: see its log, or kill it"
            )
        time.sleep(0.02)
    return True


def reset(state_dir: Path) -> None:
    """End the trainings of a running sandbox, stop it, and remove its state, certificates and identities included.

    Raises:
        SandboxRefusedError: The folder holds something else than a sandbox's state.
    """
    state_dir = state_dir.expanduser().resolve()
    running = status(state_dir)
    if running is not None:
        # Deleting the resources ends the trainings, which outlive a server that only stops. A server that does not
        # answer any more must not keep its state from being removed.
        with contextlib.suppress(SandboxError):
            control(running, "DELETE", "/resources")
        stop(state_dir)
    if not state_dir.exists():
        return
    if any(state_dir.iterdir()) and not (state_dir / _RUNNING).exists():
        raise SandboxRefusedError(
            f"{state_dir} is not the state of a sandbox: nothing was removed; name the right folder with --state"
        )
    with _locked(state_dir / _STARTING):
        shutil.rmtree(state_dir)


def env_lines(info: SandboxInfo) -> dict[str, str]:
    """Return the variables after which any client of Azure in a process talks to this sandbox.

    Lower-case spellings are included because most clients prefer them, and ``NO_PROXY`` because a list that the
    shell has could lead a request past the sandbox. The Azure CLI gets a configuration folder of its own.
    """
    loopback = "localhost,127.0.0.1,::1"
    header = identity_header(info.client_secret)
    return {
        "HTTPS_PROXY": info.proxy,
        "https_proxy": info.proxy,
        "HTTP_PROXY": info.proxy,
        "http_proxy": info.proxy,
        "NO_PROXY": loopback,
        "no_proxy": loopback,
        "REQUESTS_CA_BUNDLE": info.ca,
        "CURL_CA_BUNDLE": info.ca,
        "SSL_CERT_FILE": info.ca,
        "AZURE_TENANT_ID": info.tenant,
        "AZURE_CLIENT_ID": info.client_id,
        "AZURE_CLIENT_SECRET": info.client_secret,
        "AZURE_SUBSCRIPTION_ID": info.subscription,
        "AZURE_CONFIG_DIR": str(Path(info.state) / "azure-cli"),
        # A managed identity's tokens: azure-identity takes the first pair where both are set.
        "IDENTITY_ENDPOINT": f"{info.proxy}/msi/token",
        "IDENTITY_HEADER": header,
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"{info.proxy}/imds/{header}",
    }


def identity_header(client_secret: str) -> str:
    """Return the secret that the endpoints of the machine's managed identity want, made from the application's."""
    return hashlib.sha256(f"managed identity {client_secret}".encode()).hexdigest()


def control(info: SandboxInfo, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Call the sandbox's own controls and return the answer's object.

    Raises:
        SandboxRefusedError: It refused, with its reason.
        SandboxError: It could not be reached.
    """
    import http.client
    import ssl
    from urllib.parse import urlsplit

    port = urlsplit(info.proxy).port or 0
    host = "control.phift-tui.invalid"
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=_START_SECONDS, context=ssl.create_default_context(cafile=info.ca)
    )
    connection.set_tunnel(host, 443)
    headers = {"Authorization": f"Bearer {info.client_secret}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, json.dumps(body or {}), headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SandboxError(f"the sandbox at {info.proxy} does not answer: {error}") from error
    finally:
        connection.close()
    if response.status >= 400:
        refusal = SandboxRefusedError if response.status < 500 else SandboxError
        raise refusal(answer.get("error", {}).get("message", f"answered with {response.status}"))
    return answer


def write_info(info: SandboxInfo) -> None:
    """Publish a running sandbox in its state folder."""
    write_private(Path(info.state) / _INFO, json.dumps(info.to_json()).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def hold_running(state_dir: Path) -> int:
    """Take the lock that marks a sandbox as running and return its descriptor; raises where one runs."""
    descriptor = os.open(state_dir / _RUNNING, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SandboxRefusedError(f"a sandbox runs already in {state_dir}: name another folder with --state") from error
    (state_dir / _INFO).unlink(missing_ok=True)
    return descriptor


def _spawn(state_dir: Path, as_of: date | None, pace: float, port: int) -> SandboxInfo:
    command = [sys.executable, "-m", "tui.sandbox", "--state", str(state_dir), "--pace", str(pace), "--port", str(port)]
    if as_of is not None:
        command += ["--as-of", as_of.isoformat()]
    ready, tell = os.pipe()
    command += ["--ready", str(tell)]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        # The first process forks the server and ends, so that no caller is left with a child to reap.
        with open(os.devnull, "r+b") as null:
            starter = subprocess.Popen(
                command,
                stdin=null,
                stdout=null,
                stderr=null,
                cwd=state_dir,
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=[tell],
                start_new_session=True,
            )
        os.close(tell)
        tell = -1
        starter.wait(_START_SECONDS)
        message = _read_all(ready, _START_SECONDS)
    finally:
        os.close(ready)
        if tell >= 0:
            os.close(tell)
    outcome, _, reason = message.partition(" ")
    if outcome == "ready":
        running = status(state_dir)
        if running is not None:
            return running
    if outcome == "refused":
        raise SandboxRefusedError(reason)
    raise SandboxError(reason or f"the sandbox's process ended before it answered: see {state_dir / 'sandbox.log'}")


def _read_all(descriptor: int, seconds: float) -> str:
    import select

    received = b""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return f"failed the sandbox did not answer within {seconds:.0f} s"
        chunk = os.read(descriptor, 4096)
        if not chunk:
            return received.decode("utf-8", "replace").strip()
        received += chunk


def _held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(lock: Path) -> Iterator[None]:
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
