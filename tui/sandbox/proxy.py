"""A CONNECT proxy on loopback that reaches the sandbox's own server, and the machine's own endpoints beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from http import HTTPStatus
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from tui.sandbox.hosts import MACHINE, plane_of

log = logging.getLogger(__name__)

_HEAD_LIMIT = 16 * 1024
_HEAD_SECONDS = 10
_CHUNK = 64 * 1024


class Proxy:
    """Relays tunnels for the hosts that the sandbox serves to one local port; every other host is refused.

    A plain GET to the port itself is for the machine's own endpoints, which on Azure are plain HTTP as well.

    Args:
        target: The port of the TLS server on 127.0.0.1.
        app: What answers for the machine's own endpoints.
    """

    def __init__(self, target: int, app: ASGIApp) -> None:
        self._target = target
        self._app = app
        self._server: asyncio.Server | None = None
        # The local port of a tunnel's inner end is the client port that the server sees: faults name a tunnel by it.
        self._tunnels: dict[int, asyncio.StreamWriter] = {}

    async def start(self, listener: socket.socket) -> None:
        """Accept clients on `listener`."""
        self._server = await asyncio.start_server(self._client, sock=listener, limit=_HEAD_LIMIT)

    async def close(self) -> None:
        """Stop accepting and drop the open tunnels."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._tunnels.values()):
                writer.transport.abort()
            await self._server.wait_closed()

    def reset(self, client_port: int) -> bool:
        """Reset the tunnel whose inner end has `client_port`, as a broken network does; returns whether it was open."""
        writer = self._tunnels.get(client_port)
        if writer is None:
            return False
        inner = writer.get_extra_info("socket")
        # Lingering for zero seconds turns the close into a TCP reset.
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return True

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if head := await _head(reader, writer):
                await self._answer(head, reader, writer)
        except ConnectionError as error:
            log.debug("a client of the proxy went away: %s", error)
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        authority = rest.partition(" ")[0]
        if method == "GET" and authority.startswith("/"):
            await self._machine(head, authority, writer)
            return
        if method != "CONNECT":
            await _refuse(writer, "405 Method Not Allowed", "The sandbox's proxy carries HTTPS only.")
            return
        host, _, port = authority.rpartition(":")
        if plane_of(host) is None or port != "443":
            await _refuse(
                writer, "403 Forbidden", f"The sandbox does not serve {authority!r}; nothing leaves the machine."
            )
            return
        await self._tunnel(reader, writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._target)
        tunnel = inner_writer.get_extra_info("sockname")[1]
        self._tunnels[tunnel] = writer
        try:
            writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            up = asyncio.create_task(_relay(reader, inner_writer))
            await _relay(inner_reader, writer)
            # The server has said all it had to: a client that keeps its half open must not keep the tunnel.
            up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await up
        finally:
            del self._tunnels[tunnel]
            inner_writer.close()

    async def _machine(self, head: bytes, target: str, writer: asyncio.StreamWriter) -> None:
        """Answer one request to the machine's own endpoints and close."""
        path, _, query = target.partition("?")
        fields = (line.partition(b":") for line in head.split(b"\r\n")[1:] if line)
        client = writer.get_extra_info("peername") or ("127.0.0.1", 0)  # it may be gone already
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(name.strip().lower(), value.strip()) for name, _, value in fields],
            "client": client,
            "plane": MACHINE,
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                lines = [f"HTTP/1.1 {message['status']} {HTTPStatus(message['status']).phrase}".encode()]
                lines += [name + b": " + value for name, value in message["headers"]]
                writer.write(b"\r\n".join([*lines, b"connection: close", b"", b""]))
            else:
                writer.write(message.get("body", b""))
            await writer.drain()

        self._tunnels[client[1]] = writer
        try:
            await self._app(scope, receive, send)
        finally:
            del self._tunnels[client[1]]


async def _head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The head of a request; empty: the client sent none that can be answered, and was told so."""
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        log.debug("a client of the proxy left before its request was whole")
    except asyncio.LimitOverrunError:
        await _refuse(writer, "431 Request Header Fields Too Large", f"A head has at most {_HEAD_LIMIT} bytes.")
    except TimeoutError:
        await _refuse(writer, "408 Request Timeout", f"A request begins within {_HEAD_SECONDS} seconds.")
    return b""


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.close()  # one side broke: the other side is told by closing


async def _refuse(writer: asyncio.StreamWriter, status: str, reason: str) -> None:
    body = reason.encode("ascii", "backslashreplace") + b"\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode("ascii") + body)
    await writer.drain()
