"""The trainer's command line: `train` one job here, wait as a warm `worker` for jobs, or fetch the stand-in `small`."""

from __future__ import annotations

import argparse
import atexit
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

# Before torch is imported: OpenMP threads that spin while they wait make a busy machine ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done or cancelled, 1 failed, 2 usage."""
    from .config import TrainingConfig

    parser = argparse.ArgumentParser(prog="trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser(
        "train", help="train the job of FOLDER/config.json, or the one that the options describe", allow_abbrev=False
    )
    train.add_argument("folder", type=Path, nargs="?", default=Path("outputs"), help="the job's folder (outputs)")
    for field in dataclasses.fields(TrainingConfig):
        train.add_argument(f"--{field.name.replace('_', '-')}", default=argparse.SUPPRESS, metavar="VALUE")
    worker = commands.add_parser("worker", help="load the libraries once, then fork a process for each request")
    worker.add_argument("--socket", type=Path, required=True)
    worker.add_argument("--idle-seconds", type=float, default=None, help="end after so long without work")
    worker.add_argument("--log", type=Path, default=None)
    commands.add_parser("memory", help="print how much GPU memory the published models take, computed")
    fetch = commands.add_parser("fetch-small", help="download the stand-in 'small' (93 MB) and lay it out as Phi-3")
    fetch.add_argument("--json", action="store_true", help="progress as one JSON object a line")
    chosen = vars(parser.parse_args(arguments))
    command = chosen.pop("command")
    if command == "train":
        from .training import run

        folder = chosen.pop("folder")
        return run(folder, options={name: _value(text) for name, text in chosen.items()}, echo=True)
    if command == "worker":
        from .worker import serve

        return serve(chosen["socket"], idle_seconds=chosen["idle_seconds"], log=chosen["log"])
    if command == "memory":
        from .memory import table

        print(table(), end="")  # noqa: T201 - its output
        return 0
    return _fetch_small(as_json=chosen["json"])


def _value(text: str) -> Any:
    """A choice as it is written in config.json; what is no JSON is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _fetch_small(*, as_json: bool) -> int:
    from .failures import TrainingFailed
    from .small import fetch

    shown = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // max(total, 1)
        line = f"{stage} {percent} %"
        if line == shown:
            return
        shown = line
        if as_json:
            print(json.dumps({"stage": stage, "done": done, "total": total}), flush=True)  # noqa: T201 - its output
        else:
            sys.stderr.write(f"\r{line}   ")

    try:
        folder = fetch(show)
    except TrainingFailed as failure:
        sys.stderr.write(f"\ntrainer: {failure.line}\n")
        return 1
    sys.stderr.write("" if as_json else "\n")
    print(json.dumps({"stage": "done", "folder": str(folder)}) if as_json else folder)  # noqa: T201 - its output
    return 0


def _leave(code: int) -> NoReturn:
    """End without taking Python apart: threads of the group may still hold tensors, and abort the process then."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    ended = main()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        _leave(ended)
    sys.exit(ended)
