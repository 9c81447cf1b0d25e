"""The check's helper process: judges stretches of a file on the second core; `helper` starts it."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, BinaryIO

from tui.dataset.scan import scan_stretch

if TYPE_CHECKING:
    from tui.dataset.scan import Stretch


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
