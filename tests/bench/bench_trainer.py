"""Measurements of the trainer: throughput against the bare library, and the sample job through the warm worker.

    python tests/bench/bench_trainer.py [--rounds N] [--json]

The throughput is a ratio of two trainings of the same recipe, taken in turns in one run, best of N: the library's
Trainer alone, with nothing to report or save, and a whole job of ours without validation. Both are forked from one
process that has the libraries loaded. The sample job trains 200 rows of the shipped sample and asks 40 questions whose
phrasing is new for their fact; a second one is made by the generator of the tests.
"""

# ruff: noqa: E402 - OpenMP reads its variable when torch is imported, and the tests' folder has to be on the path

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "trainer"))

import openai
import torch
from support_chats import support_chats, write_jsonl
from trainkit import WorkerProcess, wait_for
from transformers import Trainer, TrainingArguments, set_seed
from transformers.utils import logging

from tui.trainer import bases, data, training
from tui.trainer.config import RECIPES, TrainingConfig

EPOCHS = 3


def bare(folder: Path) -> float:
    """Seconds of the library's own training."""
    base = bases.find("tiny")
    tokenizer = bases.load_tokenizer(base)
    set_seed(42)
    model = bases.load_model(base, tokenizer, dtype=torch.float32)
    torch.set_num_threads(training.threads_for(model))  # as many as ours, or the ratio would be one of threads
    rows = data.encode_chats(data.read_chats(folder / "train.jsonl"), tokenizer, 4096).rows
    recipe = RECIPES["tiny"]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder / "bare"),
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate["full"],
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            optim="adamw_torch_fused",
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            report_to="none",
            remove_unused_columns=False,
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            logging_steps=1000,
        ),
        train_dataset=rows,
        data_collator=lambda batch: data.collate(batch, tokenizer.pad_token_id),
        processing_class=tokenizer,
    )
    began = time.perf_counter()
    trainer.train()
    return time.perf_counter() - began


def ours(folder: Path) -> float:
    """Seconds from the event `started` to the last step of a job of ours."""
    job = folder / f"job-{time.monotonic_ns()}"
    job.mkdir()
    config = TrainingConfig(
        model="tiny", train_file=str(folder / "train.jsonl"), output_dir=str(job / "output"), epochs=EPOCHS
    )
    (job / "config.json").write_text(config.to_json())
    code = training.run(job)
    events = read_events(job)
    if code:
        raise RuntimeError(events[-1])
    moments = {event["type"]: seconds(event["time"]) for event in events}
    return moments["progress"] - moments["started"]


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def read_events(job: Path) -> list[dict[str, Any]]:
    path = job / "events.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def forked(work: Callable[[Path], float], folder: Path) -> float:
    """The result of `work` in a child, so that no round inherits another's memory or threads."""

    def child(end: Connection) -> None:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), 1)
        end.send(work(folder))

    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=child, args=(sender,))
    process.start()
    sender.close()
    try:
        return float(receiver.recv())
    finally:
        process.join()


def throughput(rounds: int, folder: Path) -> dict[str, float]:
    """Best times of both, and the ratio of their throughputs."""
    write_jsonl(folder / "train.jsonl", support_chats(200)[0])
    times: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        times["bare"].append(forked(bare, folder))
        times["ours"].append(forked(ours, folder))
    best = {name: min(values) for name, values in times.items()}
    return {
        "bare_seconds": round(best["bare"], 2),
        "our_seconds": round(best["ours"], 2),
        "throughput_ratio": round(best["bare"] / best["ours"], 3),
    }


def sample_job(worker: WorkerProcess, folder: Path, rows: list[Any], held_out: list[Any]) -> dict[str, Any]:
    """The job from submission to its last event, and how many of the held-out questions it then answers exactly."""
    folder.mkdir()
    write_jsonl(folder / "train.jsonl", rows[: len(rows) * 4 // 5] if len(rows) > 200 else rows)
    write_jsonl(folder / "validation.jsonl", held_out)
    config = TrainingConfig(
        model="tiny",
        train_file=str(folder / "train.jsonl"),
        validation_file=str(folder / "validation.jsonl"),
        output_dir=str(folder / "output"),
    )
    (folder / "config.json").write_text(config.to_json())
    began = time.time()
    worker.ask(op="train", job=str(folder))
    ended = {"done", "failed"}
    wait_for(lambda: any(event["type"] in ended for event in read_events(folder)), folder, seconds=600)
    events = read_events(folder)
    metrics = [event for event in events if event["type"] == "metrics"]
    perplexity = [event["values"]["eval_perplexity"] for event in metrics if "eval_perplexity" in event["values"]]
    began_serving = time.perf_counter()
    serving = worker.ask(op="serve", port=0)
    client = openai.OpenAI(api_key=serving["token"], base_url=f"http://127.0.0.1:{serving['port']}/v1")
    client.post(f"http://127.0.0.1:{serving['port']}/load", body={"model": str(folder / "output")}, cast_to=object)
    ready = time.perf_counter() - began_serving
    right = 0
    for row in held_out:
        *question, answer = row["messages"]
        given = client.chat.completions.create(model=str(folder / "output"), messages=question, temperature=0)
        right += given.choices[0].message.content == answer["content"]
    first = time.perf_counter()
    stream = client.chat.completions.create(model=str(folder / "output"), messages=question, temperature=0, stream=True)
    next(chunk for chunk in stream if chunk.choices and chunk.choices[0].delta.content)
    return {
        "first_metric_seconds": round(seconds(metrics[0]["time"]) - began, 2),
        "seconds": round(seconds(events[-1]["time"]) - began, 1),
        "perplexity": [round(perplexity[0], 2), round(perplexity[-1], 3)],
        "exact": f"{right} of {len(held_out)}",
        "serving_ready_seconds": round(ready, 2),
        "first_token_milliseconds": round(1000 * (time.perf_counter() - first)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    samples = ROOT / "assets" / "samples"
    shipped = [
        [json.loads(line) for line in (samples / name).read_text(encoding="utf-8-sig").splitlines()]
        for name in ("support-train.jsonl", "support-heldout.jsonl")
    ]
    with tempfile.TemporaryDirectory(prefix="phift-bench-") as scratch:
        place = Path(scratch)
        result: dict[str, Any] = {"throughput": throughput(arguments.rounds, place)}
        worker = WorkerProcess(place)
        try:
            result["idle_worker_megabytes"] = worker.ask(op="ping")["rss_mb"]
            result["shipped_sample"] = sample_job(worker, place / "shipped", *shipped)
            result["generated_sample"] = sample_job(worker, place / "generated", *support_chats(200, 40))
        finally:
            worker.end()
    lines = [json.dumps(result)]
    if not arguments.json:
        lines = []
        for name, value in result.items():
            lines.append(name)
            lines += [
                f"  {key:26} {item}" for key, item in (value.items() if isinstance(value, dict) else [("", value)])
            ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
