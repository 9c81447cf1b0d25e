"""The sandbox's process: the TLS server and the proxy in one event loop, until a signal."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import signal
import socket
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from tui.sandbox import tls
from tui.sandbox.daemon import SandboxInfo, SandboxRefusedError, hold_running, write_info
from tui.sandbox.proxy import Proxy
from tui.sandbox.server import Sandbox, build_app

log = logging.getLogger(__name__)


def run(folder: Path, *, as_of: date | None, pace: float, port: int, ready: Callable[[SandboxInfo], None]) -> None:
    """Serve the sandbox of `folder` until SIGTERM or SIGINT; `ready` is called once it accepts connections.

    Raises:
        SandboxRefusedError: Another process serves this folder, or the port is taken.
    """
    os.umask(0o077)
    # Uvicorn raises the signal again when it has ended; as the system's own it would end the process untidied.
    signal.signal(signal.SIGTERM, _terminated)
    # A shell's background job begins with this one ignored; uvicorn listens to it all the same, and ends.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    running = hold_running(folder)
    try:
        asyncio.run(_serve(folder, as_of, pace, port, ready))
    finally:
        (folder / "sandbox.json").unlink(missing_ok=True)
        os.close(running)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


async def _serve(
    folder: Path, as_of: date | None, pace: float, port: int, ready: Callable[[SandboxInfo], None]
) -> None:
    sandbox = Sandbox(folder, pace=pace, as_of=as_of)
    settings = sandbox.state.settings
    outer = _listen(port, settings.get("port"))
    inner = _prompt(socket.create_server(("127.0.0.1", 0)))
    certificate, context = tls.prepare(folder)
    app = build_app(sandbox)
    proxy = Proxy(inner.getsockname()[1], app)
    sandbox.proxy = proxy
    server = _Server(
        proxy,
        uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=64 * 1024,
            ssl_context_factory=lambda config, default: context,
        ),
    )
    await proxy.start(outer)
    number = outer.getsockname()[1]
    settings.set("port", number)
    identity = sandbox.identity
    info = SandboxInfo(
        pid=os.getpid(),
        proxy=f"http://127.0.0.1:{number}",
        ca=str(certificate),
        state=str(folder),
        subscription=sandbox.subscription,
        tenant=identity.tenant,
        client_id=identity.client_id,
        client_secret=identity.client_secret,
    )
    telling = asyncio.create_task(_tell(server, info, ready))
    try:
        await server.serve(sockets=[inner])
    finally:
        telling.cancel()
        sandbox.state.close()


class _Server(uvicorn.Server):
    """Uvicorn's server, which drops the tunnels first when it stops: idle clients would keep it from ending."""

    def __init__(self, proxy: Proxy, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._proxy = proxy

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drop the tunnels, and let uvicorn end what is left."""
        await self._proxy.close()
        await super().shutdown(sockets)


async def _tell(server: uvicorn.Server, info: SandboxInfo, ready: Callable[[SandboxInfo], None]) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    write_info(info)
    ready(info)


def _listen(port: int, before: int | None) -> socket.socket:
    """Return the proxy's listening socket: the asked port, else the one of the last run, else any."""
    if port == 0 and before:
        try:
            return _prompt(socket.create_server(("127.0.0.1", before)))
        except OSError:
            log.info("port %s of the last run is taken, taking another", before)
    try:
        return _prompt(socket.create_server(("127.0.0.1", port)))
    except OSError as error:
        raise SandboxRefusedError(
            f"port {port} on 127.0.0.1 cannot be used: {os.strerror(error.errno or 0)}; name another with --port"
        ) from error


def _prompt(listener: socket.socket) -> socket.socket:
    """Make the connections that `listener` accepts send small packets at once.

    asyncio does so for sockets that it made itself. Without it an answer's body waits 40 ms for its head's receipt.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def log_to(folder: Path) -> None:
    """Send the process's log to a file of bounded size in the state folder (mode 0600)."""
    path = folder / "sandbox.log"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=2_000_000, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
