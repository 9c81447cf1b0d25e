"""What all tests share: a clean environment, a home of their own, and one sandbox for the session."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import azure_openapi
import pytest

from tui import messages
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

EXCHANGES = "PHIFT_TEST_EXCHANGES"
"""Variable with the folder where the sandboxes of all workers record what they were asked and what they answered."""

CONFORMANCE = pytest.StashKey[list[str]]()

_UNWANTED = ("NO_COLOR", "COLORTERM", "TMUX", "CI", "FORCE_COLOR", "COLUMNS", "LINES")
_UNWANTED_PREFIXES = ("TEXTUAL_", "SSH_", "PHIFT_", "AZURE_")
_PROXIES = (
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the recordings, once for all workers."""
    if not hasattr(config, "workerinput"):
        os.environ[EXCHANGES] = tempfile.mkdtemp(prefix="phift-exchanges-")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hold all that the sandboxes were asked and answered against Azure's OpenAPI, where that is at hand."""
    if hasattr(session.config, "workerinput"):
        return
    files = sorted(Path(os.environ[EXCHANGES]).glob("*.jsonl"))
    if not files:
        return
    if not azure_openapi.FOLDER.is_dir():
        session.config.stash[CONFORMANCE] = [f"skipped: Azure's OpenAPI is not in {azure_openapi.FOLDER}"]
        return
    found = azure_openapi.report(azure_openapi.FOLDER, files)
    session.config.stash[CONFORMANCE] = found.lines()
    if found.differences and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how the exchanges compare."""
    lines = config.stash.get(CONFORMANCE, [])
    if lines:
        terminalreporter.section("Azure's OpenAPI", sep="-")
        for line in lines:
            terminalreporter.line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder of the recordings."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(EXCHANGES), ignore_errors=True)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, language, proxy, key ring or folder of the person who runs the tests reaches a test."""
    for name in list(os.environ):
        upper = name.upper()
        if name != EXCHANGES and (upper in (*_UNWANTED, *_PROXIES) or upper.startswith(_UNWANTED_PREFIXES)):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("LANGUAGE", "en")
    messages.use()
    # What a test before this one, in the same process, would have given back on leaving the sandbox.
    monkeypatch.setattr("tui.services.identity._outside", {})


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxInfo]:
    """A running sandbox, one for each worker, where nothing takes time."""
    folder = tmp_path_factory.mktemp("sandbox")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHIFT_SANDBOX_RECORD", str(Path(os.environ[EXCHANGES]) / f"{os.getpid()}.jsonl"))
        info = daemon.start(folder, pace=0.0)
    yield info
    daemon.stop(folder)


@pytest.fixture
def sandbox_env(sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> SandboxInfo:
    """The sandbox, with this process's environment pointing every Azure client at it."""
    for name, value in daemon.env_lines(sandbox).items():
        monkeypatch.setenv(name, value)
    return sandbox
