"""Calling the sandbox over the wire, as any client of Azure does, with nothing between the test and the bytes."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The error code of an error body."""
        return str(self.json["error"]["code"])


@dataclass
class Wire:
    """A client with nothing between it and the bytes: no retries, no redirects."""

    info: SandboxInfo
    tokens: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request on a connection of its own, through the proxy."""
        parts = urlsplit(url)
        context = ssl.create_default_context(cafile=self.info.ca)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", urlsplit(self.info.proxy).port or 0, timeout=20, context=context
        )
        connection.set_tunnel(str(parts.hostname), 443)
        try:
            path = parts.path or "/"
            connection.request(method, f"{path}?{parts.query}" if parts.query else path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def token(self, scope: str = "https://management.azure.com/.default") -> str:
        """Return an access token of the sandbox's application."""
        if scope not in self.tokens:
            form = {
                "grant_type": "client_credentials",
                "client_id": self.info.client_id,
                "client_secret": self.info.client_secret,
                "scope": scope,
            }
            url = f"https://login.microsoftonline.com/{self.info.tenant}/oauth2/v2.0/token"
            self.tokens[scope] = self.send("POST", url, urlencode(form).encode()).json["access_token"]
        return self.tokens[scope]

    def arm(self, method: str, path: str, body: Any = None, version: str = "2024-10-01", **query: str) -> Answer:
        """Send a signed request to Resource Manager; "…" in front of a path stands for the subscription."""
        if path.startswith("…"):
            path = f"/subscriptions/{self.info.subscription}{path[1:]}"
        url = f"https://management.azure.com{path}"
        separator = "&" if "?" in path else "?"
        url += separator + urlencode({"api-version": version, **query}, safe="$,()'")
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        return self.send(method, url.replace(" ", "%20"), content, headers)

    def control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the sandbox's own controls."""
        return daemon.control(self.info, method, path, body)
