"""The check's helper process: judges stretches of a file on the second core.

It is a plain subprocess that reads pickled requests from its standard input and answers on its standard output. A fork
would copy the threads' locks of a running terminal application, and multiprocessing's spawn would import the caller's
main module.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from tui.dataset.scan import Partial, Stretch, scan_stretch

if TYPE_CHECKING:
    from types import TracebackType


class Helper:
    """A helper process, used as a context manager; it is killed at the end of the block."""

    def __enter__(self) -> Helper:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tui.dataset.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # What was not read yet cannot be written any more.
                with suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()

    def judge(self, stretch: Stretch) -> Partial | None:
        """Return what a stretch amounts to; None where the helper is gone."""
        requests, answers = self._process.stdin, self._process.stdout
        if requests is None or answers is None:
            return None
        try:
            pickle.dump(stretch, requests)
            requests.flush()
            made = pickle.load(answers)  # noqa: S301 - our own process wrote it
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            return None
        return made if isinstance(made, Partial) else None


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while True:
        try:
            stretch: Stretch = pickle.load(requests)  # noqa: S301 - our own process wrote it
        except EOFError:
            return
        pickle.dump(scan_stretch(stretch), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


def main() -> None:
    """Run the helper process."""
    serve(sys.stdin.buffer, sys.stdout.buffer)
