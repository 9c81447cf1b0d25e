"""The program as it is launched: its first frame is on screen before the settings and the recipe are read.

Reading them takes pydantic, and that as long as Textual's own start. What fails while they are read ends the program
with the same message and exit code as without a screen.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from tui.app import STYLES, PhiftApp
from tui.messages import t
from tui.wizard import PLACES, Start

_OPENING = "opening_frame"


class OpeningScreen(Screen[None]):
    """What is seen until the first page."""

    def compose(self) -> ComposeResult:
        """The name of the program and what it does."""
        yield Static(f" phift-tui\n {t('Opening …')}", markup=False)


class Launched(PhiftApp):
    """Draws its first frame, reads, begins."""

    CSS_PATH = None  # parsing the pages' takes as long as all the rest of the first frame
    DEFAULT_MODE = _OPENING
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {**PhiftApp.MODES, _OPENING: OpeningScreen}

    class WasRead(Message):
        """What the program begins with, or why it cannot."""

        def __init__(self, outcome: Start | Exception) -> None:
            super().__init__()
            self.outcome = outcome

    def __init__(self, read: Callable[[], Start], *, sandbox: bool, ascii_only: bool) -> None:
        """Make the program.

        Args:
            read: reads the settings and the recipe; called in a thread.
            sandbox: use Azure on the loopback interface.
            ascii_only: draw with ASCII characters only.
        """
        super().__init__(None, sandbox=sandbox, ascii_only=ascii_only)
        self._read = read
        self.failure: Exception | None = None
        """Why the program could not begin; None: it could."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Before the first page there is nothing to do but to leave."""
        return super().check_action(action, parameters) if self.begun or action == "quit" else False

    def on_mount(self) -> None:
        """Read as soon as the first frame is out."""
        self.call_after_refresh(lambda: threading.Thread(target=self._read_and_tell, daemon=True).start())

    def _read_and_tell(self) -> None:
        outcome: Start | Exception
        try:
            outcome = self._read()
        except Exception as error:
            outcome = error
        self.post_message(self.WasRead(outcome))

    @on(WasRead)
    def _begin(self, event: WasRead) -> None:
        try:
            if isinstance(event.outcome, Exception):
                raise event.outcome
            self.stylesheet.read_all(STYLES)  # parsed with the theme that is set next
            self.begin(*event.outcome)
            self.stylesheet.set_variables(self.get_css_variables())  # of that theme, before the first page is styled
        except Exception as error:
            self.failure = error
            self.exit(return_code=1)
            return
        self.switch_mode(PLACES[0].name)
        self.call_after_refresh(self.offer)
        self.call_after_refresh(_collect_garbage)


def _collect_garbage() -> None:
    """From now on, and without going through what was loaded for the first page again and again."""
    gc.freeze()
    gc.enable()
