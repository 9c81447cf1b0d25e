"""Textual's driver for Linux and macOS, made to outlive bad bytes on its input and the loss of its terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from encodings.utf_8 import IncrementalDecoder
from typing import IO, Any

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from tui import terminal
from tui.frames import Frames

_PAUSE = 0.2
"""Seconds between two looks at an input that has ended."""
_ANSWER, _LONGEST_ANSWER = "\x1b]11;", 40
"""How an answer about the background begins, and the characters that it has at most."""
_POINTER_SHAPE = "\x1b]22;"


class LastingDriver(LinuxDriver):
    """Reads bytes that are not UTF-8 as U+FFFD; where the terminal is gone, tells the program as the system would.

    A lost terminal ends Textual's writer thread, after which the event loop waits for ever to hand it more, and lets
    its input thread spin on the end of the input; the system's own SIGHUP may come too late, or not at all.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self._file is not None:
            frames = Frames(self._get_terminal_size, erases_in_colour=terminal.erases_in_colour())
            self._file = _LastingFile(self._file, frames)  # type: ignore[assignment]  # Textual writes, flushes and asks fileno

    def start_application_mode(self) -> None:
        """As Textual's; then the terminal is asked for its background, and its answer awaited by nobody."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's has no annotations
        if terminal.answers_questions():
            self.write(terminal.ASK_BACKGROUND)
            self.flush()

    def write(self, data: str) -> None:
        """As Textual's; but the shape of a pointer that is left to the terminal is the terminal's own."""
        if self._mouse or not data.startswith(_POINTER_SHAPE):
            super().write(data)

    def run_input_thread(self) -> None:
        """Read with a decoder that replaces; Textual's own decoder is strict, and its error would end the program."""
        vars(linux_driver)["getincrementaldecoder"] = lambda encoding: lambda: _Decoder(self)
        super().run_input_thread()


class BackgroundSeen(Message):
    """The terminal said whether its background is light."""

    def __init__(self, light: bool) -> None:
        super().__init__()
        self.light = light


class _Decoder(IncrementalDecoder):
    """Replaces what is not UTF-8; keeps the terminal's answers from being typed; no bytes mean that it is gone."""

    def __init__(self, driver: LinuxDriver) -> None:
        super().__init__("replace")
        self._driver = driver
        self._begun = ""

    def decode(self, given: Any, final: bool = False) -> str:
        """The text in the bytes."""
        if not given and not final and not self._driver.exit_event.wait(_PAUSE):
            hang_up()
        text, light = terminal.background_in(self._begun + super().decode(given, final))
        if light is not None:
            self._driver.process_message(BackgroundSeen(light))
        begin = text.find(_ANSWER)
        if begin < 0 or len(text) - begin > _LONGEST_ANSWER or final:
            self._begun = ""
            return text
        self._begun = text[begin:]
        return text[:begin]


class _LastingFile:
    """The terminal's output, shortened; once writing fails, what is written is dropped."""

    def __init__(self, file: IO[str], frames: Frames) -> None:
        self._file = file
        self._frames = frames
        self._lost = False

    def write(self, text: str) -> int:
        """Write what changes the screen, or drop it; called in Textual's output thread, off the event loop."""
        sent = self._frames.shorten(text)
        return self._try(lambda: self._file.write(sent)) if sent else 0

    def flush(self) -> None:
        """Flush, or not."""
        self._try(self._file.flush)

    def _try(self, call: Callable[[], int | None]) -> int:
        if not self._lost:
            try:
                return call() or 0
            except OSError:
                self._lost = True
                hang_up()
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def hang_up() -> None:
    """Tell this process that its terminal is gone; the application saves the draft and ends."""
    os.kill(os.getpid(), signal.SIGHUP)
