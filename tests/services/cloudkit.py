"""Another cloud on loopback: a proxy that answers for its hosts with the sandbox's answers, names of hosts replaced."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
import urllib3

from tui.sandbox.daemon import SandboxInfo
from tui.services.clients import ENDPOINTS, Endpoints
from tui.settings import Cloud

_TEXT = re.compile(r"json|xml|urlencoded|text/(?!event-stream)")


class Elsewhere:
    """The cloud, until `close`; `asked` are the hosts of requests that it answered."""

    def __init__(self, cloud: Cloud, sandbox: SandboxInfo, folder: Path) -> None:
        self._there, self._here = _names(ENDPOINTS[cloud]), _names(ENDPOINTS["public"])
        self._sandbox = urllib3.ProxyManager(sandbox.proxy, ca_certs=sandbox.ca, retries=False, maxsize=8)
        self._authority = trustme.CA()
        self._certificates: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self.asked: set[str] = set()
        self.certificate = folder / "elsewhere.pem"
        self._authority.cert_pem.write_to_path(self.certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cloud": self}))
        self.proxy = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def context(self, host: str) -> ssl.SSLContext:
        """A server's side of TLS for a host."""
        with self._lock:
            if host not in self._certificates:
                self._certificates[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._authority.issue_cert(host).configure_cert(self._certificates[host])
            return self._certificates[host]

    def answer(
        self, method: str, host: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the sandbox says to a request to this cloud."""
        self.asked.add(host)
        given = self._sandbox.request(
            method,
            f"https://{self._to_sandbox(host)}{self._to_sandbox(target)}",
            body=self._body(body, headers.get("Content-Type", ""), self._to_sandbox) if body else None,
            headers={
                name: self._to_sandbox(value)
                for name, value in headers.items()
                if name.lower() not in ("content-length", "connection", "accept-encoding")
            },
            redirect=False,
        )
        told = [(name, self._from_sandbox(value)) for name, value in given.headers.items()
                if name.lower() not in ("content-length", "transfer-encoding", "connection")]  # fmt: skip
        return given.status, told, self._body(given.data, given.headers.get("Content-Type", ""), self._from_sandbox)

    def _to_sandbox(self, text: str) -> str:
        return _replaced(text, self._there, self._here)

    def _from_sandbox(self, text: str) -> str:
        return _replaced(text, self._here, self._there)

    @staticmethod
    def _body(body: bytes, kind: str, translate: Any) -> bytes:
        return translate(body.decode("utf-8")).encode("utf-8") if _TEXT.search(kind) else body


def _names(endpoints: Endpoints) -> list[str]:
    return [
        endpoints.registry, endpoints.arm.removeprefix("https://"), endpoints.authority, endpoints.storage,
        endpoints.azureml, endpoints.ai_services,
    ]  # fmt: skip


def _replaced(text: str, old: list[str], new: list[str]) -> str:
    for before, after in zip(old, new, strict=True):
        text = text.replace(before, after)
    return text


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Elsewhere

    def do_CONNECT(self) -> None:  # the server looks for this name
        host = self.path.rpartition(":")[0]
        self.wfile.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
        with (
            contextlib.suppress(OSError),  # the client went away
            self.cloud.context(host).wrap_socket(self.connection, server_side=True) as inner,
        ):
            self.rfile, self.wfile = inner.makefile("rb"), inner.makefile("wb")
            self.close_connection = False
            while not self.close_connection:
                self.handle_one_request()
        self.close_connection = True

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = self.headers["Host"].partition(":")[0]
        status, headers, content = self.cloud.answer(self.command, host, self.path, dict(self.headers), body)
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _forward  # noqa: N815  # the server looks for these names

    def log_message(self, *args: Any) -> None:
        """Nothing: it would go to standard error."""
