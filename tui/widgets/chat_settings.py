"""The settings of a conversation: system prompt, temperature, longest answer."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from tui.messages import t

_HOTTEST = 2.0
_LONGEST = 4096


class ChatSettings(Vertical):
    """Three fields, hidden until they are wanted."""

    DEFAULT_CSS = """
    ChatSettings { height: auto; display: none; margin-bottom: 1; }
    ChatSettings Horizontal { height: 1; }
    ChatSettings .field-note { padding-left: 22; height: 1; color: $text-error; display: none; }
    """

    class Changed(Message):
        """A setting has another value."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = 0.0
        """0: the likeliest token always; up to 2."""
        self.max_tokens = 256
        """Longest answer."""

    def compose(self) -> ComposeResult:
        """A row each."""
        self._system = Input(placeholder=t("none"), select_on_focus=False)
        self._heat = Input(f"{self.temperature:g}", placeholder=t("0 to 2"), select_on_focus=False)
        self._length = Input(str(self.max_tokens), placeholder=t("1 to 4096 tokens"), select_on_focus=False)
        self._note = Static(classes="field-note", markup=False)
        for label, editor in (
            (t("System prompt"), self._system),
            (t("Temperature"), self._heat),
            (t("Longest answer"), self._length),
        ):
            with Horizontal():
                yield Static(label, classes="field-label", markup=False)
                yield editor
        yield self._note

    @property
    def system(self) -> str:
        """The system prompt; empty: none."""
        return self._system.value.strip()

    @system.setter
    def system(self, text: str) -> None:
        self._system.value = text

    def summary(self) -> str:
        """The settings in a few words."""
        said = t("temperature {heat:g} · {tokens} tokens", heat=self.temperature, tokens=self.max_tokens)
        return f"{said} · {t('system prompt')}" if self.system else said

    def turn_over(self) -> None:
        """Show the fields, or hide them."""
        self.display = not self.display
        if self.display:
            self._system.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        wrong = ""
        try:
            heat = float(self._heat.value)
            if 0 <= heat <= _HOTTEST:
                self.temperature = heat
            else:
                wrong = t("The temperature is between 0 and 2.")
        except ValueError:
            wrong = t("The temperature is a number between 0 and 2.")
        if self._length.value.isdecimal() and 1 <= int(self._length.value) <= _LONGEST:
            self.max_tokens = int(self._length.value)
        else:
            wrong = wrong or t("The longest answer is between 1 and {most} tokens.", most=_LONGEST)
        self._note.display = bool(wrong)
        self._note.update(f"! {wrong}")
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
