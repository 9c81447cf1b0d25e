"""Textual's driver for Linux and macOS, with one change: a byte on standard input that is not UTF-8 ends nothing."""

from __future__ import annotations

import codecs
from functools import partial

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver


class PatientDriver(LinuxDriver):
    """Reads such bytes, which a reattached tmux or a broken link may send, as U+FFFD."""

    def run_input_thread(self) -> None:
        """Read with a decoder that replaces; Textual's own decoder is strict, and its error would end the program."""
        vars(linux_driver)["getincrementaldecoder"] = _replacing
        super().run_input_thread()


def _replacing(encoding: str) -> partial[codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")
