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


class Setting(Vertical):
    """Label, editor and range in a row; below, a line of help, or what is wrong."""

    def __init__(self, label: str, value: str, hint: str, about: str, *, number: bool = False) -> None:
        super().__init__(classes="field -number" if number else "field")
        self._label, self._hint, self._about = label, hint, about
        self.editor = Input(value, select_on_focus=False)
        """Where it is typed."""

    def compose(self) -> ComposeResult:
        """The row and the line."""
        with Horizontal(classes="field-row"):
            yield Static(self._label, classes="field-label", markup=False)
            yield self.editor
            yield Static(self._hint, classes="field-hint", markup=False)
        yield Static(self._about, classes="field-note", markup=False)

    def tell(self, wrong: str) -> None:
        """Say what is wrong in the help's place; empty: nothing is."""
        self.set_class(bool(wrong), "-wrong")
        self.query_one(".field-note", Static).update(f"! {wrong}" if wrong else self._about)


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
            "{unit} · {range} · default {value}", unit=t("tokens"), range=f"1 – {_LONGEST:,}", value=self.max_tokens
        )
        heat = t("{range} · default {value}", range="0 – 2", value=f"{self.temperature:g}")
        self._system = Setting(
            t("System prompt"), "", t("optional"), t("What the model is told before every question.")
        )
        self._heat = Setting(
            t("Temperature"), f"{self.temperature:g}", heat, t("0: always the likeliest word; more: more variety."),
            number=True,
        )  # fmt: skip
        self._length = Setting(
            t("Longest answer"), str(self.max_tokens), length, t("A longer answer is cut there."), number=True
        )
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
