"""A sign-in that ends in the middle of a command: the person is asked at the terminal, and the command goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from emulated_terminal import Terminal

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

Start = Callable[..., Terminal]
PLACE = ("--resource-group", "again", "--project", "again-project")


@pytest.fixture
def ended(sandbox: SandboxInfo) -> Iterator[Callable[..., None]]:
    """Refuses the token at the first look at the project, and each sign-in from the second on."""

    def arm(**kinds: Any) -> None:
        project = {"group": "again", "location": "eastus2", "hub": "again-hub", "name": "again-project"}
        daemon.control(sandbox, "PUT", "/scenario", {"project": [project]})
        refused = {"route": "POST login.microsoftonline.com/*/token", "kind": "401", "skip": 1, **kinds}
        for fault in ({"route": "GET */workspaces/*", "kind": "expired-token", "count": 1}, refused):
            daemon.control(sandbox, "POST", "/faults", fault)

    yield arm
    daemon.control(sandbox, "DELETE", "/faults")


def test_enter_goes_on_after_signing_in_elsewhere(
    start: Start, sandbox: SandboxInfo, ended: Callable[..., None]
) -> None:
    ended(count=2)  # also when Enter is pressed too early
    environment = {"PHIFT_SANDBOX_STATE": sandbox.state}
    terminal = start("jobs", "list", "--sandbox", *PLACE, env=environment)
    for asked in (1, 2):
        terminal.wait_for(lambda text, asked=asked: text.count("the step waits") == asked)  # type: ignore[misc]  # bound now
        terminal.send(b"\n")
    assert terminal.wait() == 0
    assert "None." in terminal.text


def test_a_secret_is_typed_unseen_and_another_one_after_a_wrong_one(
    start: Start, sandbox: SandboxInfo, ended: Callable[..., None]
) -> None:
    ended(count=1)
    environment = {
        **daemon.env_lines(sandbox),
        "PHIFT_PROFILES__DEFAULT__METHOD": "service-principal",
        "PHIFT_PROFILES__DEFAULT__TENANT": sandbox.tenant,
        "PHIFT_PROFILES__DEFAULT__CLIENT_ID": sandbox.client_id,
        "PHIFT_CLIENT_SECRET": sandbox.client_secret,
    }
    terminal = start("jobs", "list", "--subscription", sandbox.subscription, *PLACE, env=environment, columns=120)
    for asked, secret in enumerate(("wrong", sandbox.client_secret), 1):
        terminal.wait_for(lambda text, asked=asked: text.count("the step waits") == asked)  # type: ignore[misc]  # bound now
        terminal.send(f"{secret}\n".encode())
    assert terminal.wait() == 0
    assert "None." in terminal.text
    assert "AADSTS7000215" in terminal.text
    assert sandbox.client_secret not in terminal.text
    assert terminal.is_sane()


@pytest.mark.parametrize(("key", "code"), [(b"q\n", 4), (b"\x03", 130)])
def test_a_person_may_give_up(
    start: Start, sandbox: SandboxInfo, ended: Callable[..., None], key: bytes, code: int
) -> None:
    ended()
    terminal = start("doctor", "--sandbox", *PLACE[:2], env={"PHIFT_SANDBOX_STATE": sandbox.state})
    terminal.wait_for("the step waits")
    terminal.send(key)
    assert terminal.wait() == code
    assert "Next:" in terminal.text
