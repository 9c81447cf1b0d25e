"""Textual's driver for Linux and macOS, made to outlive whatever comes on its input, and the loss of its terminal."""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Callable, Iterable
from encodings.utf_8 import IncrementalDecoder
from time import monotonic
from types import FrameType
from typing import IO, Any

from textual import events
from textual._xterm_parser import XTermParser
from textual.constants import ESCAPE_DELAY
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size
from textual.message import Message

from tui import terminal
from tui.frames import Frames
from tui.terminal_input import ESC, PASTE_LIMIT, Answer, InputParser, Pasted, Piece

_PAUSE = 0.2
"""Seconds between two looks at an input that has ended."""
_LOOK = 0.1
"""Seconds between two looks at whether to go on reading."""
_READ = 65_536
_POINTER_SHAPE = "\x1b]22;"
_REPORT_FOCUS = "\x1b[?1004h"
_NOTHING = "\x1b[201~"
"""The end of a paste: where none has begun, all it does to Textual's parser is to end a sequence that is unfinished."""


class LastingDriver(LinuxDriver):
    """Takes keys, pastes and answers only; where the terminal is gone, tells the program as the system would.

    A lost terminal ends Textual's writer thread, after which the event loop waits for ever to hand it more, and lets
    its input thread spin on the end of the input; the system's own SIGHUP may come too late, or not at all.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._frames = Frames(self._get_terminal_size, erases_in_colour=terminal.erases_in_colour())
        if self._file is not None:
            self._file = _LastingFile(self._file, self._frames)  # type: ignore[assignment]  # Textual writes, flushes and asks fileno

    def start_application_mode(self) -> None:
        """As Textual's; then the terminal is asked for its background, and its answer awaited by nobody."""
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's has no annotations
        self._watch_size()
        if terminal.answers_questions():
            self.write(terminal.ASK_BACKGROUND)
            self.flush()

    def _watch_size(self) -> None:
        """Take the size where it is told, on the event loop, and tell of every change.

        Textual takes it where the signal is caught: one signal within another, and the older size is told last. It
        draws nothing where the size is the one it knew, whatever the terminal has made of its contents meanwhile.
        """
        loop = asyncio.get_running_loop()

        def tell() -> None:
            if not self._in_band_window_resize:
                size = Size(*self._get_terminal_size())
                self._app.post_message(events.Resize(size, size))
            self._app.post_message(SizeChanged())

        def resized(number: int, stack: FrameType | None) -> None:
            self._frames.resized()
            loop.call_soon_threadsafe(tell)

        signal.signal(signal.SIGWINCH, resized)

    def write(self, data: str) -> None:
        """As Textual's; but the shape of a pointer that is left to the terminal is the terminal's own.

        Nor is the terminal asked to report its focus: while another pane has it, fields would be left, pastes lost.
        """
        if data != _REPORT_FOCUS and (self._mouse or not data.startswith(_POINTER_SHAPE)):
            super().write(data)

    def run_input_thread(self) -> None:
        """Read until the program steps aside; no bytes mean that the terminal is gone."""
        self._parser = XTermParser(self._debug)
        decode, typed, came = IncrementalDecoder("replace").decode, InputParser(), monotonic()
        while not self.exit_event.is_set():
            if not select.select([self.fileno], [], [], min(_LOOK, ESCAPE_DELAY) if typed.waits else _LOOK)[0]:
                self._process(typed.silent(monotonic() - came))
            elif read := self._read():
                self._process(typed.take(decode(read)))
                came = monotonic()
            elif not self.exit_event.wait(_PAUSE):
                hang_up()

    def _read(self) -> bytes:
        try:
            return os.read(self.fileno, _READ)
        except OSError:
            return b""

    def _process(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            for message in self._messages(piece):
                self.process_message(message)

    def _messages(self, piece: Piece) -> list[Message]:
        if isinstance(piece, Answer):
            light = terminal.background_in(piece.text)
            return [] if light is None else [BackgroundSeen(light)]
        if isinstance(piece, Pasted):
            pasted: list[Message] = [events.Paste(piece.text)] if piece.text else []
            cut = piece.length > PASTE_LIMIT
            return [*pasted, PasteCut(len(piece.text), piece.length)] if cut else pasted
        if piece == ESC:
            return [events.Key("escape", ESC)]
        try:
            found = list(self._parser.feed(piece))
            list(self._parser.feed(_NOTHING))  # of a sequence that it does not know it would make letters
        except (ValueError, OverflowError):  # numbers that are no character's
            self._parser = XTermParser(self._debug)
            return []
        return [each for each in found if self._is_wanted(each)]

    def _is_wanted(self, message: Message) -> bool:
        """Whether it was asked for: another program's terminal may have been left to report its mouse or its size."""
        if isinstance(message, events.MouseEvent):
            return self._mouse
        if isinstance(message, events.Resize):
            return self._in_band_window_resize
        return not isinstance(message, events.AppFocus | events.AppBlur)


class BackgroundSeen(Message):
    """The terminal said whether its background is light."""

    def __init__(self, light: bool) -> None:
        super().__init__()
        self.light = light


class SizeChanged(Message):
    """The terminal had another size, though it may have its old one again."""


class PasteCut(Message):
    """More was pasted than is taken."""

    def __init__(self, taken: int, length: int) -> None:
        super().__init__()
        self.taken = taken
        """Characters that were taken."""
        self.length = length
        """Characters that came."""


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
