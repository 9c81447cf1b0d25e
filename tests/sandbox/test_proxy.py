"""The way in: only the served hosts, only CONNECT, only loopback; request sizes and paths are bounded."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

import pytest
from wirekit import Wire

from tui.sandbox.daemon import SandboxInfo
from tui.sandbox.hosts import REGIONS, plane_of


def ask(info: SandboxInfo, head: str) -> str:
    with socket.create_connection(("127.0.0.1", urlsplit(info.proxy).port or 0), timeout=10) as connection:
        connection.sendall(head.encode())
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
            if b"\r\n\r\n" in received and b"200 Connection" in received:
                break
    return received.decode()


@pytest.mark.parametrize(
    "target",
    [
        "example.com:443",
        "management.azure.com:80",
        "management.azure.com.example.com:443",
        "127.0.0.1:22",
        "a.b.blob.core.windows.net:443",
        "evil.models.ai.azure.com:443",
        "",
    ],
)
def test_the_proxy_refuses_what_it_does_not_serve(sandbox: SandboxInfo, target: str) -> None:
    answer = ask(sandbox, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
    assert answer.startswith("HTTP/1.1 403 ")
    assert "nothing leaves the machine" in answer


def test_the_proxy_carries_no_plain_http(sandbox: SandboxInfo) -> None:
    answer = ask(sandbox, "GET http://169.254.169.254/metadata/identity HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n")
    assert answer.startswith("HTTP/1.1 405 ")


def test_a_head_without_an_end_is_refused(sandbox: SandboxInfo) -> None:
    # Hardly over the limit: what is left unread turns the proxy's end into a reset that loses the answer.
    start = "CONNECT management.azure.com:443 HTTP/1.1\r\nX-Long: "
    answer = ask(sandbox, start + "x" * (16 * 1024 + 4 - len(start)))
    assert answer.startswith("HTTP/1.1 431 ")


def test_the_certificate_names_every_host(sandbox: SandboxInfo) -> None:
    names = [
        "management.azure.com",
        "login.microsoftonline.com",
        "account1.blob.core.windows.net",
        "eastus2.api.azureml.ms",
        "prices.azure.com",
        *(f"endpoint.{region}.models.ai.azure.com" for region in REGIONS),
        f"endpoint.{REGIONS[0]}.inference.ml.azure.com",
    ]
    for name in names:
        assert plane_of(name) is not None
    for name in names[:8]:
        with socket.create_connection(("127.0.0.1", urlsplit(sandbox.proxy).port or 0), timeout=10) as connection:
            connection.sendall(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode())
            assert b" 200 " in connection.recv(100)
            with ssl.create_default_context(cafile=sandbox.ca).wrap_socket(connection, server_hostname=name) as tls:
                assert tls.version() in ("TLSv1.2", "TLSv1.3")


def test_a_body_over_the_limit_is_refused(wire: Wire) -> None:
    headers = {"Authorization": f"Bearer {wire.token()}"}
    url = (
        f"https://management.azure.com/subscriptions/{wire.info.subscription}/resourceGroups/big?api-version=2025-04-01"
    )
    answer = wire.send("PUT", url, b" " * (4 * 1024 * 1024 + 1), headers)
    assert (answer.status, answer.code) == (413, "RequestContentTooLarge")


@pytest.mark.parametrize("name", ["..", "%2e%2e", ".", "", "a%2f..%2f..%2fb"])
def test_a_path_that_climbs_is_refused(wire: Wire, name: str) -> None:
    answer = wire.arm("GET", f"…/resourceGroups/{name}/providers/Microsoft.Storage/storageAccounts/x")
    assert answer.status in (400, 404)
    assert wire.arm("GET", "…/resourceGroups/b").status == 404


def test_a_body_that_is_no_json_object_is_refused(wire: Wire) -> None:
    headers = {"Authorization": f"Bearer {wire.token()}"}
    url = (
        f"https://management.azure.com/subscriptions/{wire.info.subscription}/resourceGroups/odd?api-version=2025-04-01"
    )
    for body in (b"{", b"[]", b"\xff\xfe", b'"x"'):
        answer = wire.send("PUT", url, body, headers)
        assert (answer.status, answer.code) == (400, "InvalidRequestContent")


def test_a_request_for_another_host_inside_a_tunnel_is_refused(wire: Wire) -> None:
    answer = wire.send("GET", "https://management.azure.com/subscriptions", headers={"Host": "example.com"})
    assert answer.status == 404


def test_the_controls_want_the_secret(wire: Wire) -> None:
    answer = wire.send("GET", "https://control.phift-tui.invalid/status", headers={"Authorization": "Bearer guess"})
    assert answer.status == 401
