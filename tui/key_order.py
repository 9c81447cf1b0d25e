"""Answers keys one after the other: on a bad link several arrive at once, and Textual would let them overtake.

Textual hands a letter to the field at once, but runs a binding such as Backspace or Tab only when its key came up
through all the containers to the application. Of `ab`, Backspace, `c` in one packet the field would take `abc` and then
the Backspace; after Tab, letters would go into the field before it; and ctrl+q would leave before what the letters
changed is in the draft, because a field tells of it by a message, which comes up through the containers too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

Typed = events.Key | events.Paste

_PATIENCE = 0.5
"""Seconds after which a key is not waited for any longer: a widget that hangs must not keep ctrl+q from the program."""


class KeyOrder:
    """Gives the application the next key when the one before was answered."""

    def __init__(self, app: App[None], give: Callable[[Typed], Awaitable[None]]) -> None:
        """Make the order of one application.

        Args:
            app: the application.
            give: hands a key to the widget in focus, as Textual does.
        """
        self._app = app
        self._give = give
        self._waiting: deque[Typed] = deque()
        self._current: Typed | None = None
        self._taker: MessagePump | None = None
        """The widget that was given the current key."""
        self._patience: asyncio.TimerHandle | None = None

    async def take(self, event: Typed) -> None:
        """Give the key now, or in its turn."""
        if self._current is None:
            await self._begin(event)
        else:
            self._waiting.append(event)

    async def _begin(self, event: Typed) -> None:
        self._current = event
        self._patience = asyncio.get_running_loop().call_later(_PATIENCE, self._done, event)
        await self._give(event)
        if event.is_forwarded:
            self._taker = self._app.focused or self._app.screen
            self._follow(event, self._taker)
        else:
            self._done(event)  # the application's own

    def _follow(self, event: Typed, node: MessagePump | None) -> None:
        """Be told when `node` has seen the event, which is before its parent sees it."""
        if node is None or not node.call_later(self._seen, event, node):
            self._done(event)  # what is being closed answers nothing

    def _seen(self, event: Typed, node: MessagePump) -> None:
        # Only Textual knows whether a widget kept the event to itself.
        if event._stop_propagation or not event.bubble or node is self._app:
            self._settle(event, self._taker)
        else:
            self._follow(event, node._parent)

    def _settle(self, event: Typed, node: MessagePump | None) -> None:
        """Go the way up once more: what the key's taker told its containers is before this in their queues."""
        if node is None or node is self._app or not node.call_later(self._settle, event, node._parent):
            self._done(event)

    def _done(self, event: Typed) -> None:
        if event is not self._current:
            return  # no longer waited for
        if self._patience is not None:
            self._patience.cancel()
        self._current = self._waiting.popleft() if self._waiting else None
        if self._current is not None and not self._app.call_later(self._begin, self._current):
            self._current = None  # the application is closing
