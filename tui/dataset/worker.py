"""The helper process: does what `helper` asks of it, one thing after the other."""

from __future__ import annotations

import pickle
import sys
from typing import BinaryIO


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests, each a function and its arguments, until there are no more."""
    while True:
        try:
            work, arguments = pickle.load(requests)  # noqa: S301 - our own process wrote it
        except EOFError:
            return
        pickle.dump(work(*arguments), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


def main() -> None:
    """Run the helper process."""
    serve(sys.stdin.buffer, sys.stdout.buffer)
