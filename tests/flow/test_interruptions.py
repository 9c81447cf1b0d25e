"""A run that is cut off at any step says so, leaves nothing unknown behind, and goes on when it is run again."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from program_kit import Ended, Program

from tui.recipe import Recipe
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

Cli = Callable[..., Ended]
Start = Callable[..., Program]
Write = Callable[..., tuple[Path, Recipe]]

pytestmark = pytest.mark.xdist_group("training")

CUTS = (
    ("access", signal.SIGINT),
    ("project", signal.SIGKILL),
    ("upload", signal.SIGTERM),
    ("submit", signal.SIGKILL),
    ("monitor", signal.SIGINT),
    ("monitor", signal.SIGKILL),
    ("deploy", signal.SIGKILL),
    ("ask", signal.SIGTERM),
)


def bought(cli: Cli, recipe: Recipe) -> tuple[list[str], list[str]]:
    """Names of the project's jobs and of its endpoints."""
    jobs, endpoints = (cli(noun, "list", "--json", place=recipe).data for noun in ("jobs", "deployments"))
    return [job["name"] for job in jobs], [endpoint["name"] for endpoint in endpoints]


def test_a_run_cut_off_at_any_step_goes_on_and_buys_one_job(cli: Cli, start: Start, write: Write) -> None:
    path, recipe = write()
    jobs = set()
    for step, number in CUTS:
        program = start(path, "--deploy")
        program.until(step)
        program.signal(number)
        ended = program.end()
        jobs |= {event["job"] for event in ended.events if event.get("job")}
        if number == signal.SIGKILL:
            assert ended.code == -number
            continue
        assert ended.code == 130
        assert "Next:" in ended.err
        assert (ended.last["step"], ended.last["status"], ended.last["exit_code"]) == ("run", "failed", 130)
        assert ended.last["error"]["code"] == "Interrupted"
        assert ended.last["error"]["next"]
    assert "serves and is billed" in ended.err  # what was cut off last had deployed
    ended = start(path, "--deploy").end()
    assert ended.code == 0
    assert bought(cli, recipe) == ([ended.last["job"]], [ended.last["endpoint"]])
    assert jobs == {ended.last["job"]}


def test_an_interrupt_ends_it_while_azure_hangs(start: Start, write: Write, sandbox: SandboxInfo) -> None:
    daemon.control(sandbox, "POST", "/faults", {"route": "GET */locations*", "kind": "slow", "seconds": 600})
    try:
        path, _ = write()
        program = start(path)
        program.until("access")
        program.signal(signal.SIGINT)
        ended = program.end()
    finally:
        daemon.control(sandbox, "DELETE", "/faults")
    assert ended.code == 130
    assert ended.last["step"] == "run"
    assert ended.last["error"]["next"]


ENDLESS = """
from tui.commands.common import cancel_on_signal
with cancel_on_signal(at_once=lambda: print("told", flush=True)):
    print("ready", flush=True)
    while True:
        print(end="", flush=True)
"""


def test_a_second_interrupt_ends_what_does_not_listen() -> None:
    command = [sys.executable, "-c", ENDLESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        assert "again to stop at once" in program.stderr.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait() == 130
        assert program.stdout.read() == "told\n"


def test_a_sandbox_that_died_is_named_and_comes_back_with_its_job(
    cli: Cli, start: Start, write: Write, tmp_path: Path
) -> None:
    path, recipe = write()
    own = tmp_path / "own"
    daemon.start(own, pace=0.0)

    def die() -> None:
        info = daemon.status(own)
        assert info
        os.kill(info.pid, signal.SIGKILL)

    try:
        program = start(path, PHIFT_SANDBOX_STATE=str(own))
        program.until("access")
        die()
        ended = program.end()
        assert ended.code == 5
        assert ended.last["error"]["code"] == "SandboxUnreachable"
        assert "same command again" in ended.last["error"]["next"]

        program = start(path, PHIFT_SANDBOX_STATE=str(own))
        program.until("project")
        die()
        job = program.until("monitor", "progress")["job"]
        die()
        program.until("monitor", "progress", having="error")
        program.until("monitor", "progress", having="job_status")
        program.signal(signal.SIGINT)
        assert program.end().code == 130
        jobs = cli("jobs", "list", "--json", place=recipe, PHIFT_SANDBOX_STATE=str(own)).data
        assert [one["name"] for one in jobs] == [job]
    finally:
        daemon.stop(own)


def test_a_full_disk_is_named_before_anything_is_made(cli: Cli, write: Write, environment: dict[str, str]) -> None:
    path, recipe = write()
    done = subprocess.run(
        [sys.executable, "-m", "tui", "run", str(path), "--sandbox", "--yes"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        # No file may grow further: what a full disk does, and any user may have it.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    assert done.returncode == 5
    assert "journal" in done.stderr
    assert "Free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert "NotFound" in cli("jobs", "list", place=recipe).err
