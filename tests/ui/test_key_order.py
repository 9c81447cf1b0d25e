"""Keys that arrive together, as on a bad link, are answered in the order in which they were pressed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar

import pytest
from run_fakes import PATIENCE, until
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from tui.terminal_app import TerminalApp


class Hanging(Static, can_focus=True):
    """Answers no key until it is let go."""

    def on_mount(self) -> None:
        self.let_go = asyncio.Event()

    async def on_key(self) -> None:
        await self.let_go.wait()


class Told(Vertical):
    """Knows what the fields in it said of their values."""

    value = ""

    def on_input_changed(self, event: Input.Changed) -> None:
        self.value = event.value


class Form(TerminalApp):
    """Two fields within containers, and a widget that hangs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("f7", "note", priority=True)]

    def __init__(self) -> None:
        super().__init__(ascii_only=False)
        self.noted = self.told = ""
        self.note_taken = asyncio.Event()

    def compose(self) -> ComposeResult:
        with Told(), Vertical(), Vertical():
            yield Input(id="one")
            yield Input(id="two")
            yield Hanging("")

    def action_note(self) -> None:
        self.noted = self.query_one("#one", Input).value
        self.told = self.query_one(Told).value
        self.note_taken.set()

    def burst(self, keys: Iterable[str]) -> None:
        """All keys at once, as one packet brings them."""
        for key in keys:
            self.post_message(events.Key(key, key if len(key) == 1 else None))


@pytest.mark.parametrize(
    ("keys", "one", "two"),
    [
        (["a", "b", "backspace", "c"], "ac", ""),
        (["a", "left", "b", "ctrl+u", "c"], "ca", ""),
        (["a", "tab", "b", "shift+tab", "end", "c", "tab", "end", "d"], "ac", "bd"),
    ],
)
async def test_edits_are_not_overtaken_by_letters(keys: list[str], one: str, two: str) -> None:
    app = Form()
    async with app.run_test() as pilot:
        fields = app.query_one("#one", Input), app.query_one("#two", Input)
        app.burst(keys)
        await until(pilot, lambda: (fields[0].value, fields[1].value) == (one, two))


async def test_a_paste_waits_for_the_key_before_it_and_a_programs_key_for_both() -> None:
    app = Form()
    async with app.run_test() as pilot:
        app.burst(["x", "backspace"])
        app.post_message(events.Paste("pasted"))
        app.burst(["f7"])
        await until(pilot, lambda: app.noted)
        assert app.noted == "pasted"


async def test_a_programs_key_finds_what_the_letters_before_it_changed() -> None:
    app = Form()
    async with app.run_test() as pilot:
        app.burst([*"letters", "f7"])
        await until(pilot, lambda: app.noted)
        assert app.told == "letters"


async def test_a_widget_that_hangs_keeps_no_key_from_the_program() -> None:
    app = Form()
    async with app.run_test():
        app.query_one("#one", Input).value = "typed"
        hanging = app.query_one(Hanging)
        hanging.focus()
        app.burst(["z", "f7"])
        try:
            async with asyncio.timeout(PATIENCE):  # a pilot would wait for the widget that hangs
                await app.note_taken.wait()
        finally:
            hanging.let_go.set()
        assert app.noted == "typed"
