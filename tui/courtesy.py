"""Lets the event loop go before the imports of other threads while keys are being pressed.

The Azure SDK is over a thousand modules, loaded in a thread while the person types; both want the interpreter.
"""

from __future__ import annotations

import sys
import threading
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from time import monotonic, sleep

_ANSWERING = 0.04
"""Seconds that a key needs until its answer is drawn, with some to spare."""


class _Courtesy(MetaPathFinder):
    """Finds nothing; it is asked before each module is looked for, and waits while a key is being answered."""

    def __init__(self) -> None:
        self.until = 0.0

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """None, after a wait where another thread than the event loop's asks."""
        left = self.until - monotonic()
        if left > 0 and threading.current_thread() is not threading.main_thread():
            sleep(left)
        return None


_courtesy = _Courtesy()


def begin() -> None:
    """From now on imports in other threads wait while a key is being answered."""
    if _courtesy not in sys.meta_path:
        sys.meta_path.insert(0, _courtesy)


def key_pressed() -> None:
    """A key came: the event loop goes first for a moment."""
    _courtesy.until = monotonic() + _ANSWERING
