"""The settings of a conversation: system prompt, temperature, longest answer."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from tui.messages import grouped, t
from tui.widgets.labelled_input import LabelledInput

_HOTTEST = 2.0
_LONGEST = 4096


class ChatSettings(Vertical):
    """Three fields, hidden until they are wanted."""

    DEFAULT_CSS = "ChatSettings { height: auto; display: none; margin-bottom: 1; }"

    class Changed(Message):
        """A setting has another value."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = 0.0
        """0: the likeliest token always; up to 2."""
        self.max_tokens = 256
        """Longest answer."""

    def compose(self) -> ComposeResult:
        """The three."""
        length = t(
            "{unit} · {range} · default {value}",
            unit=t("tokens"),
            range=f"1 – {grouped(_LONGEST)}",
            value=self.max_tokens,
        )
        heat = t("{range} · default {value}", range="0 – 2", value=f"{self.temperature:g}")
        self._system = LabelledInput(
            t("System prompt"), "", hint=t("optional"), about=t("What the model is told before every question.")
        )
        self._heat = LabelledInput(
            t("Temperature"), f"{self.temperature:g}", hint=heat,
            about=t("0: always the likeliest word; more: more variety."), number=True,
        )  # fmt: skip
        self._length = LabelledInput(
            t("Longest answer"), str(self.max_tokens), hint=length, about=t("A longer answer is cut there."),
            number=True,
        )  # fmt: skip
        yield from (self._system, self._heat, self._length)

    @property
    def system(self) -> str:
        """The system prompt; empty: none."""
        return self._system.editor.value.strip()

    @system.setter
    def system(self, text: str) -> None:
        self._system.editor.value = text

    def summary(self) -> str:
        """The settings in a few words."""
        said = t("temperature {heat:g} · {tokens} tokens", heat=self.temperature, tokens=self.max_tokens)
        return f"{said} · {t('system prompt')}" if self.system else said

    def turn_over(self) -> None:
        """Show the fields, or hide them."""
        self.display = not self.display
        if self.display:
            self._system.editor.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        wrong = ""
        try:
            heat = float(self._heat.editor.value)
            if 0 <= heat <= _HOTTEST:
                self.temperature = heat
            else:
                wrong = t("The temperature is between 0 and 2.")
        except ValueError:
            wrong = t("The temperature is a number between 0 and 2.")
        self._heat.tell(wrong)
        wrong = ""
        if self._length.editor.value.isdecimal() and 1 <= int(self._length.editor.value) <= _LONGEST:
            self.max_tokens = int(self._length.editor.value)
        else:
            wrong = t("The longest answer is between 1 and {most} tokens.", most=_LONGEST)
        self._length.tell(wrong)
        self.post_message(self.Changed())

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        event.stop()
        self.display = False
        self.screen.query_one("#prompt").focus()

    def on_key(self, event: events.Key) -> None:
        """Esc closes the settings."""
        if event.key == "escape":
            event.stop()
            self.display = False
            self.screen.query_one("#prompt").focus()
