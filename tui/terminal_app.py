"""What any application of ours has of the terminal: filters, driver, signals, clipboard, crash, redraw."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual import events, on
from textual.app import App
from textual.driver import Driver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.widgets import Input

from tui import courtesy, terminal, themes
from tui.filters import AsciiFilter, ControlFilter
from tui.key_order import KeyOrder
from tui.messages import grouped, t
from tui.stylesheet import LastingStylesheet
from tui.text import clean, clean_line

if TYPE_CHECKING:
    from tui.driver import PasteCut


class TerminalApp(App[None]):
    """Textual's application on a terminal at the far end of a bad line."""

    def __init__(self, *, ascii_only: bool) -> None:
        """Make the application.

        Args:
            ascii_only: draw with ASCII characters only; also where the locale has no others.
        """
        super().__init__()
        self.stylesheet = LastingStylesheet(variables=self.get_css_variables())
        self._nets: list[LineFilter] = [ControlFilter()]
        if ascii_only or not terminal.speaks_unicode():
            self._nets.append(AsciiFilter())
        self._has_theme = False
        """Whether a theme was chosen yet; until then nothing has a colour."""
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.animation_level = "none"
        courtesy.begin()
        self._key_order = KeyOrder(self, super().on_event)

    def leave(self, number: int) -> None:
        """The system's signal `number` asks to end."""
        self.exit(return_code=128 + number)

    def on_mount(self) -> None:
        """Listen to the system's signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            # Not possible outside the main thread, where tests may run the program.
            with contextlib.suppress(RuntimeError, ValueError):
                loop.add_signal_handler(number, self.leave, number)

    def on_load(self) -> None:
        """Start tasks as Python 3.11 does: eager ones (3.12) mount the first screen's fields before it is current."""
        asyncio.get_running_loop().set_task_factory(None)

    async def on_event(self, event: events.Event) -> None:
        """Have a key answered before the next one, and before other threads go on loading modules."""
        if isinstance(event, events.Key):
            courtesy.key_pressed()
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._key_order.take(event)
        else:
            await super().on_event(event)

    def on_paste_cut(self, event: PasteCut) -> None:
        """Say how much of a paste is in the field, and where the whole of it could go."""
        if isinstance(self.focused, Input):
            told = t(
                "{length} characters were pasted; the field took {taken}. Put the whole into a file and give its path.",
                length=grouped(event.length),
                taken=grouped(event.taken),
            )
            self.notify(told, severity="warning", timeout=15, markup=False)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A blinking cursor would send bytes for as long as a field has the focus."""
        if hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    def delay_update(self, delay: float = 0.0) -> None:
        """Textual waits 50 ms when another screen is shown; one turn of the event loop is enough for ours."""
        super().delay_update(0.001)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables for the themes that do not set them."""
        return themes.ANSI_VARIABLES

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, and the nets under untrusted text."""
        # Under NO_COLOR Textual makes greys, and black on black of the terminal's own colours; none are sent here.
        own = [NoColor() if isinstance(each, Monochrome) else each for each in super().get_line_filters()]
        if not self._has_theme:
            own.append(NoColor())  # what is drawn has the terminal's own colours
        return [*own, *self._nets]

    def get_driver_class(self) -> type[Driver]:
        """Textual's driver, but for Linux and macOS one that forgives bytes that are not UTF-8."""
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":
            return found
        from tui.driver import LastingDriver

        return LastingDriver

    def _fatal_error(self) -> None:
        """Textual's own prints local variables, among which may be a token, and messages raw; this one neither."""
        self.bell()
        # Line by line: a message of others as long as a file hides neither the place before it nor the cause after it.
        lines = [clean_line(line) for line in traceback.format_exc().splitlines()]
        self._exit_renderables.append(Text(clean("\n".join(lines))))
        self._close_messages_no_wait()

    def copy_to_clipboard(self, text: str) -> None:
        """Send text to the clipboard of the terminal at the user's end, through tmux too.

        Raises:
            ValueError: more than terminals take.
        """
        self.send(terminal.osc52(text))
        self._clipboard = text

    def send(self, sequence: str) -> None:
        """Write a sequence that draws nothing to the terminal."""
        if self._driver and sequence:
            self._driver.write(sequence)

    @on(Driver.SignalResume)
    def _back_from_the_shell(self) -> None:
        """The screen is empty: after `fg` Textual draws what changes only."""
        self.refresh(layout=True)

    def on_size_changed(self) -> None:
        """The terminal may have moved or cut what was on the screen, also where it has its old size again."""
        self.refresh(layout=True)

    def action_redraw(self) -> None:
        """All of the screen, whatever is on it."""
        self.send(terminal.ERASE)
        self.refresh(layout=True)
