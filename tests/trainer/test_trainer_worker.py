"""The worker's protocol, and what happens to its children when it, or they, die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import openai
import pytest
import torch
from support_chats import support_chats, write_jsonl
from trainkit import Job, WorkerProcess, wait_for_end

from tui.trainer.events import last_type
from tui.trainer.worker import report_death


@pytest.fixture
def own_worker() -> Iterator[WorkerProcess]:
    with tempfile.TemporaryDirectory(prefix="phift-trainer-") as folder:
        process = WorkerProcess(Path(folder), "--idle-seconds", "2")
        yield process
        process.end()


def test_the_idle_worker_is_ready_private_and_small(worker: WorkerProcess) -> None:
    answer = worker.ask(op="ping")
    assert (answer["ok"], answer["ready"], answer["pid"]) == (True, True, worker.process.pid)
    # The libraries of a CUDA build take a quarter of a gigabyte more than those of the CPU's.
    assert 0 < answer["rss_mb"] < (500 if torch.version.cuda is None else 900)
    assert worker.socket.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"op": "dance"}', b'{"op": "train"}', b'{"op": "train", "job": "relative"}', b"\xff\xfe"],
)
def test_what_is_no_request_is_answered_in_one_line(worker: WorkerProcess, line: bytes) -> None:
    answer = worker.send(line)
    assert answer["ok"] is False
    assert answer["error"]
    assert "\n" not in answer["error"]
    assert worker.ask(op="ping")["ok"]


def test_one_serving_process_for_all(worker: WorkerProcess) -> None:
    assert worker.ask(op="serve", port=0) == worker.ask(op="serve", port=0)


def test_a_second_worker_on_the_same_socket_is_refused(worker: WorkerProcess) -> None:
    command = [sys.executable, "-m", "tui.trainer", "worker", "--socket", str(worker.socket)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "another worker" in second.stderr
    assert worker.ask(op="ping")["ok"]


def test_of_two_workers_that_start_at_once_one_stays() -> None:
    with tempfile.TemporaryDirectory(prefix="phift-trainer-") as folder:
        path = Path(folder) / "w.sock"
        command = [sys.executable, "-m", "tui.trainer", "worker", "--socket", str(path)]
        with ThreadPoolExecutor() as waiting:
            workers = [subprocess.Popen(command) for _ in range(2)]
            ends = {waiting.submit(worker.wait): worker for worker in workers}
            try:
                ended, running = wait(ends, return_when=FIRST_COMPLETED)
                assert [end.result() for end in ended] == [1]
                assert [ends[end].poll() for end in running] == [None]
                assert path.exists()
            finally:
                for worker in workers:
                    worker.kill()


def test_a_training_outlives_its_worker_and_the_serving_process_does_not(
    own_worker: WorkerProcess, tmp_path: Path
) -> None:
    train, validation = support_chats(16, 4)
    write_jsonl(tmp_path / "train.jsonl", train)
    write_jsonl(tmp_path / "validation.jsonl", validation)
    serving = own_worker.ask(op="serve", port=0)
    job = Job(tmp_path, own_worker).start(epochs=20)
    job.wait_for(lambda: job.metrics("train_loss"))
    own_worker.process.send_signal(signal.SIGKILL)
    own_worker.process.wait()
    assert os.getsid(job.pid) == job.pid
    assert job.last()["type"] == "done"
    wait_for_end(serving["pid"], 30)


def test_an_unused_worker_ends_and_leaves_no_socket(own_worker: WorkerProcess) -> None:
    assert own_worker.ask(op="ping")["ok"]
    assert own_worker.process.wait(30) == 0
    assert not own_worker.socket.exists()


def test_stop_ends_the_worker_and_its_serving_process() -> None:
    with tempfile.TemporaryDirectory(prefix="phift-trainer-") as folder:
        worker = WorkerProcess(Path(folder))
        serving = worker.ask(op="serve", port=0)
        client = openai.OpenAI(api_key=serving["token"], base_url=f"http://127.0.0.1:{serving['port']}/v1")
        client.get(f"http://127.0.0.1:{serving['port']}/healthz", cast_to=object)
        assert worker.ask(op="stop")["ok"]
        assert worker.process.wait(30) == 0
        wait_for_end(serving["pid"], 30)


def test_a_killed_serving_process_is_replaced(worker: WorkerProcess) -> None:
    first = worker.ask(op="serve", port=0)
    os.kill(first["pid"], signal.SIGKILL)
    wait_for_end(first["pid"])
    second = worker.ask(op="serve", port=0)
    assert second["pid"] != first["pid"]
    assert second["token"] != first["token"]


def test_a_training_that_dies_without_a_word_is_reported(make_job: Callable[..., Job]) -> None:
    job = make_job().start(epochs=100)
    job.wait_for(lambda: job.events("started"))
    job.signal(signal.SIGKILL)
    last = job.last()
    assert (last["type"], last["code"]) == ("failed", "Killed")
    assert "memory" in last["advice"]


def test_the_last_word_about_a_killed_job_is_a_line_of_its_own(tmp_path: Path) -> None:
    whole = '{"time": "2026-11-22T17:00:00.000Z", "type": "started"}\n'
    (tmp_path / "events.jsonl").write_text(whole + '{"type": "done"}')  # a line without its end is no event
    report_death(tmp_path, -signal.SIGKILL)
    assert last_type(tmp_path) == "failed"
    assert (tmp_path / "events.jsonl").read_text().startswith(whole + '{"type": "done"}\n{"time"')
