"""`phift-tui sandbox …`: what it prints, its exit codes, and a shell after `sandbox env`."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui.__main__ import main
from tui.sandbox import daemon

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["sandbox", *arguments, "--state", str(folder)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def parsed(answer: tuple[int, str, str]) -> Any:
    code, out, _ = answer
    assert code == 0
    return json.loads(out)


def test_start_find_upset_stop_and_reset(run: Run, folder: Path) -> None:
    info = parsed(run("start", "--pace", "0", "--as-of", "2025-01-15", "--json"))
    assert list(info) == ["pid", "proxy", "ca", "state", "subscription", "tenant", "client_id", "client_secret"]
    assert parsed(run("start", "--json")) == info
    status = parsed(run("status", "--json"))
    assert (status["running"], status["date"], status["faults"]) == (True, "2025-01-15", [])
    assert status["stand_in"] == "tiny"
    armed = parsed(run("fault", "add", "GET */jobs/*", "503", "--count", "2", "--probability", "0.5", "--json"))
    assert (armed["id"], armed["kind"], armed["count"]) == (1, "503", 2)
    assert [one["id"] for one in parsed(run("fault", "list", "--json"))] == [1]
    assert "GET */jobs/*" in run("fault", "list")[1]
    assert parsed(run("fault", "skew", "90", "--json")) == {"skew": 90}
    assert parsed(run("status", "--json"))["skew"] == 90
    assert parsed(run("fault", "clear", "--json")) == []
    assert parsed(run("status", "--json"))["skew"] == 0
    assert run("fault", "apply", "ai-developer")[1] == "Applied: Only Azure AI Developer\n"
    assert "started" not in run("status")[2]
    assert parsed(run("stop", "--json")) == {"stopped": True}
    assert parsed(run("stop", "--json")) == {"stopped": False}
    assert parsed(run("status", "--json"))["running"] is False
    assert folder.exists()
    assert parsed(run("reset", "--json")) == {"reset": True}
    assert not folder.exists()


def test_kinds_and_scenarios_are_listed_without_a_sandbox(run: Run) -> None:
    assert "truncate" in parsed(run("fault", "kinds", "--json"))
    names = {one["name"] for one in parsed(run("fault", "scenarios", "--json"))}
    assert {"default", "ai-developer", "network-unregistered", "keys-forbidden", "wrong-region"} <= names


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("env",), "no sandbox runs in"),
        (("fault", "list"), "phift-tui sandbox start"),
    ],
)
def test_without_a_sandbox_it_says_what_to_do(run: Run, arguments: tuple[str, ...], reason: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert reason in err


def test_bad_scenarios_and_faults_are_refused_with_their_place(run: Run, tmp_path: Path) -> None:
    run("start", "--pace", "0")
    broken = tmp_path / "broken.toml"
    broken.write_text("[access\n")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[access]\nrole = "King"\n')
    for arguments, reason in (
        (("fault", "apply", "nowhere"), "nowhere: No such file or directory"),
        (("fault", "apply", str(broken)), "broken.toml"),
        (("fault", "apply", str(wrong)), "access.role 'King' is not known"),
        (("fault", "add", "*", "sneeze"), "kind: 'sneeze'"),
        (("fault", "enter-code", "ABC"), "No sign-in waits"),
        (("fault", "clear", "77"), "No armed fault has the number 77"),
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert reason in err


def test_a_taken_port_is_a_wrong_argument(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for verb in ("start", "serve"):
            code, out, err = run(verb, "--port", port)
            assert (code, out) == (2, "")
            assert f"port {port} on 127.0.0.1 cannot be used" in err
            assert "--port" in err


def test_a_sandbox_that_does_not_answer_is_azure_failing(run: Run, folder: Path) -> None:
    pid = parsed(run("start", "--pace", "0", "--json"))["pid"]
    info = daemon.status(folder)
    assert info is not None
    daemon.write_info(dataclasses.replace(info, proxy="http://127.0.0.1:1"))
    code, out, err = run("fault", "list")
    assert (code, out) == (5, "")
    assert "does not answer" in err
    assert "sandbox.log" in err
    os.kill(pid, signal.SIGTERM)


@pytest.mark.parametrize(
    "arguments", [("start", "--as-of", "yesterday"), ("start", "--port", "x"), ("start", "--pace", "-1")]
)
def test_usage_errors(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


def test_a_shell_after_env_talks_to_the_sandbox(run: Run, folder: Path) -> None:
    curl, shell = shutil.which("curl"), shutil.which("sh")
    if curl is None or shell is None:
        pytest.skip("there is no curl or no shell here")
    run("start", "--pace", "0")
    lines = run("env")[1]
    assert all(line.startswith("export ") for line in lines.splitlines())
    token = (
        'TOKEN=$(curl -sS -d "grant_type=client_credentials&client_id=$AZURE_CLIENT_ID'
        '&client_secret=$AZURE_CLIENT_SECRET&scope=https://management.azure.com/.default" '
        '"https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token" '
        '| sed "s/.*access_token\\":\\"//; s/\\".*//")\n'
    )
    ask = 'curl -sS -H "Authorization: Bearer $TOKEN" "https://management.azure.com/subscriptions?api-version=2022-12-01"\n'
    away = "curl -sS https://example.com >/dev/null 2>&1 && echo reached || echo refused\n"
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [shell], input=lines + token + ask + "echo\n" + away, capture_output=True, text=True, env=environment
    )
    answer, reached = done.stdout.strip().rsplit("\n", 1)
    info = daemon.status(folder)
    assert info is not None
    assert json.loads(answer)["value"][0]["subscriptionId"] == info.subscription
    assert reached == "refused"


@pytest.mark.parametrize("usual", [signal.default_int_handler, signal.SIG_IGN], ids=["terminal", "background job"])
def test_serve_runs_in_front_until_interrupted(folder: Path, usual: Any) -> None:
    command = [sys.executable, "-m", "tui", "sandbox", "serve", "--state", str(folder), "--pace", "0", "--json"]
    before = signal.signal(signal.SIGINT, usual)  # what is ignored stays so in a new process
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdout is not None
        info = json.loads(process.stdout.readline())
        assert info["pid"] == process.pid
        assert daemon.status(folder) is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert daemon.status(folder) is None
