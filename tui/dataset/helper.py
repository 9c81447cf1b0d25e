"""The caller's end of a helper process, for the second core and for what would leave much memory behind.

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
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_HERE = str(Path(__file__).resolve().parents[2])


class Helper:
    """A helper process, used as a context manager; it is killed at the end of the block."""

    def __enter__(self) -> Helper:
        self._process = subprocess.Popen(
            # The path is given, so that the search for it (`site`) need not be waited for.
            [sys.executable, "-S", "-c", "from tui.dataset.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([_HERE, *filter(None, sys.path)])},
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("the helper process has no pipes")
        self._requests, self._answers = self._process.stdin, self._process.stdout
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        for pipe in (self._requests, self._answers):
            # What was not read yet cannot be written any more.
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def ask(self, work: Callable[..., object], *arguments: object) -> None:
        """Hand over a function of a module and its arguments; the answers come in the order of the questions."""
        # Where the helper is gone, its missing answer tells.
        with suppress(OSError):
            pickle.dump((work, arguments), self._requests)
            self._requests.flush()

    def answer(self) -> Any:
        """Return what the function asked for longest ago returned; None where it failed or the helper is gone."""
        try:
            return pickle.load(self._answers)  # noqa: S301 - our own process wrote it
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            return None
