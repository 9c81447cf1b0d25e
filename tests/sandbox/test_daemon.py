"""The process: starting, racing, finding it again, killing it, and what it leaves on the disk."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from waiting import alive, until, until_gone
from wirekit import Wire

from tui.sandbox import daemon


def test_two_starts_at_once_make_one_sandbox(folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        infos = list(pool.map(lambda _: daemon.start(folder, pace=0), range(4)))
    assert len({info.pid for info in infos}) == 1
    assert alive(infos[0].pid)


def test_it_outlives_its_starter_and_stops_when_told(folder: Path) -> None:
    code = f"from pathlib import Path; from tui.sandbox import daemon; print(daemon.start(Path({str(folder)!r})).pid)"
    started = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    info = daemon.status(folder)
    assert info is not None
    assert info.pid == int(started.stdout)
    assert os.getsid(info.pid) != os.getsid(0)
    assert daemon.stop(folder)
    until_gone(info.pid)
    # Tidied: nothing says that it runs, and the database is one file again.
    assert not {"sandbox.json", "state.sqlite-wal"} & {file.name for file in folder.iterdir()}
    assert daemon.status(folder) is None
    assert not daemon.stop(folder)


def test_after_kill_minus_nine_nothing_acknowledged_is_lost(folder: Path) -> None:
    first = daemon.start(folder, pace=0)
    created = Wire(first).arm("PUT", "…/resourceGroups/kept", {"location": "eastus2"})
    assert created.status == 201
    os.kill(first.pid, signal.SIGKILL)
    until_gone(first.pid)
    assert daemon.status(folder) is None
    second = daemon.start(folder, pace=0)
    assert second.pid != first.pid
    # A shell that holds the lines of `sandbox env` goes on working: port, authority and identities are the same.
    assert daemon.env_lines(second) == daemon.env_lines(first)
    assert Wire(second).arm("GET", "…/resourceGroups/kept").json == created.json


def test_a_long_operation_goes_on_after_a_restart(folder: Path) -> None:
    first = daemon.start(folder, pace=0.2)
    Wire(first).arm("POST", "…/providers/Microsoft.Search/register")
    os.kill(first.pid, signal.SIGKILL)
    until_gone(first.pid)
    wire = Wire(daemon.start(folder, pace=0.2))
    seen: list[str] = []

    def registered() -> bool:
        seen.append(wire.arm("GET", "…/providers/Microsoft.Search").json["registrationState"])
        return seen[-1] == "Registered"

    until(registered, 10)
    assert set(seen[:-1]) <= {"Registering"}


def test_a_taken_port_is_said_clearly(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(daemon.SandboxError, match=f"port {port} on 127.0.0.1 cannot be used.*--port"):
            daemon.start(folder, port=port)
    assert daemon.status(folder) is None


def test_secrets_are_private_and_sockets_are_loopback(folder: Path) -> None:
    info = daemon.start(folder, pace=0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    listening = subprocess.run(["cat", f"/proc/{info.pid}/net/tcp"], capture_output=True, text=True, check=True).stdout
    own = {
        os.readlink(entry).removeprefix("socket:[").removesuffix("]")
        for entry in Path(f"/proc/{info.pid}/fd").iterdir()
        if os.readlink(entry).startswith("socket:")
    }
    rows = [line.split() for line in listening.splitlines()[1:]]
    addresses = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in own}
    assert addresses == {"0100007F"}


def test_emptying_ends_what_lives_in_the_groups(folder: Path) -> None:
    info = daemon.start(folder, pace=0)
    project = {"group": "rg", "location": "eastus2", "hub": "hub-1", "name": "project-1"}
    daemon.control(info, "PUT", "/scenario", {"project": [project]})
    daemon.control(info, "DELETE", "/resources")
    assert Wire(info).arm("GET", "…/resourceGroups").json["value"] == []
    assert Wire(info).arm("GET", "…/providers/Microsoft.Storage/storageAccounts").json["value"] == []


def test_reset_removes_its_own_state_only(folder: Path, tmp_path: Path) -> None:
    info = daemon.start(folder, pace=0)
    daemon.reset(folder)
    until_gone(info.pid)
    assert not folder.exists()
    foreign = tmp_path / "documents"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(daemon.SandboxError, match="not the state of a sandbox"):
        daemon.reset(foreign)
    assert (foreign / "thesis.txt").read_text() == "mine"


def test_starting_it_imports_no_server() -> None:
    code = (
        "import sys; import tui.sandbox.daemon; "
        "print(sorted({'starlette', 'uvicorn', 'torch', 'azure', 'cryptography'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"


def test_the_server_imports_neither_torch_nor_azure() -> None:
    code = "import sys; import tui.sandbox.serve; print(sorted({'torch', 'azure', 'textual'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"
