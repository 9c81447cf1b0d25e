"""Measurements of the sandbox: start, GETs with 10,000 jobs in the state, idle processor time, memory.

    python tests/bench/bench_sandbox.py [--json]

Times are those of this machine and run; the ratio of a GET in a full state to one in an empty state, measured in
the same run on the same connection, is what can be compared between machines.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo
from tui.sandbox.state import State

JOBS = 10_000
ROUNDS = 500
IDLE_SECONDS = 10.0
MEGABYTE = 1024 * 1024


class Client:
    """One kept connection through the proxy, as the SDKs have it."""

    def __init__(self, info: SandboxInfo) -> None:
        self._info = info
        self.bearer = ""

    def connect(self, host: str) -> http.client.HTTPSConnection:
        """Return a connection to a host of the sandbox."""
        context = ssl.create_default_context(cafile=self._info.ca)
        port = urlsplit(self._info.proxy).port or 0
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
        connection.set_tunnel(host, 443)
        return connection

    def sign_in(self) -> None:
        """Get a token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._info.client_id,
            "client_secret": self._info.client_secret,
            "scope": "https://management.azure.com/.default",
        }
        connection = self.connect("login.microsoftonline.com")
        connection.request("POST", f"/{self._info.tenant}/oauth2/v2.0/token", urlencode(form))
        self.bearer = "Bearer " + json.loads(connection.getresponse().read())["access_token"]
        connection.close()

    def times(self, path: str, rounds: int) -> list[float]:
        """Return the seconds that each of `rounds` GETs of a path took."""
        connection, found = self.connect("management.azure.com"), []
        for _ in range(rounds):
            started = time.perf_counter()
            connection.request("GET", f"{path}?api-version=2024-10-01-preview", headers={"Authorization": self.bearer})
            response = connection.getresponse()
            response.read()
            found.append(time.perf_counter() - started)
            if response.status != 200:
                raise SystemExit(f"{path}: {response.status}")
        connection.close()
        return found


def p95(values: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return statistics.quantiles(values, n=20)[-1] * 1000


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


@contextmanager
def busy_cores() -> Iterator[None]:
    """Every core computes, as when models train beside the server."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def fill(folder: Path, workspace: str) -> None:
    """Put `JOBS` finished jobs into the state of a stopped sandbox."""
    state = State(folder)
    kind = "Microsoft.MachineLearningServices/workspaces/jobs"
    with state.transaction():
        for number in range(JOBS):
            job_id = f"{workspace}/jobs/job-{number:05}"
            details = {
                "modelProvider": "Custom",
                "taskType": "ChatCompletion",
                "hyperParameters": {"num_train_epochs": "1"},
            }
            properties = {
                "jobType": "FineTuning",
                "status": "Completed",
                "displayName": f"job-{number:05}",
                "experimentName": "bench",
                "tags": {},
                "properties": {},
                "isArchived": False,
                "fineTuningDetails": details,
                "outputs": {},
            }
            state.put(job_id, kind, {"id": job_id, "name": f"job-{number:05}", "type": kind, "properties": properties})
    state.close()


def measure(folder: Path) -> dict[str, float]:
    """Run everything and return the figures by name and unit."""
    started = time.perf_counter()
    info = daemon.start(folder, pace=0)
    first_start = time.perf_counter() - started
    project = {"group": "bench", "location": "eastus2", "hub": "bench-hub", "name": "bench-project"}
    daemon.control(info, "PUT", "/scenario", {"project": [project]})
    base = f"/subscriptions/{info.subscription}/resourceGroups/bench/providers"
    workspace = f"{base}/Microsoft.MachineLearningServices/workspaces/bench-project"
    client = Client(info)
    client.sign_in()
    client.times(workspace, ROUNDS // 5)
    empty = client.times(workspace, ROUNDS)
    daemon.stop(folder)
    fill(folder, workspace)
    started = time.perf_counter()
    info = daemon.start(folder, pace=0)
    second_start = time.perf_counter() - started
    client = Client(info)
    client.sign_in()
    client.times(workspace, ROUNDS // 5)
    full = client.times(workspace, ROUNDS)
    job = client.times(f"{workspace}/jobs/job-07654", ROUNDS)
    with busy_cores():
        beside = client.times(f"{workspace}/jobs/job-07654", ROUNDS)
    listed = client.times(f"{workspace}/jobs", 20)
    before = processor_seconds(info.pid)
    time.sleep(IDLE_SECONDS)
    idle = (processor_seconds(info.pid) - before) / IDLE_SECONDS
    memory = resident(info.pid)
    daemon.stop(folder)
    return {
        "first start (s)": first_start,
        "later start (s)": second_start,
        "p95 GET workspace, no jobs (ms)": p95(empty),
        f"p95 GET workspace, {JOBS} jobs (ms)": p95(full),
        f"p95 GET job, {JOBS} jobs (ms)": p95(job),
        f"p95 GET job, {JOBS} jobs, every core busy (ms)": p95(beside),
        "median list page of jobs (ms)": statistics.median(listed) * 1000,
        "GET with jobs to GET without (ratio of medians)": statistics.median(full) / statistics.median(empty),
        "idle processor (%)": idle * 100,
        "resident memory (MB)": memory,
    }


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="phift-bench-") as folder:
        found = measure(Path(folder) / "state")
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:50} {value:10.3f}")


if __name__ == "__main__":
    main()
