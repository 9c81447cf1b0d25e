"""The trainer's command line: `train` one job here, or wait as a warm `worker` for jobs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

# Before torch is imported: OpenMP threads that spin while they wait make a busy machine ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the job whose folder holds config.json")
    train.add_argument("folder", type=Path)
    worker = commands.add_parser("worker", help="load the libraries once, then fork a process for each request")
    worker.add_argument("--socket", type=Path, required=True)
    worker.add_argument("--idle-seconds", type=float, default=None, help="end after so long without work")
    worker.add_argument("--log", type=Path, default=None)
    chosen = parser.parse_args(arguments)
    if chosen.command == "train":
        from .training import run

        return run(chosen.folder)
    from .worker import serve

    return serve(chosen.socket, idle_seconds=chosen.idle_seconds, log=chosen.log)


if __name__ == "__main__":
    sys.exit(main())
