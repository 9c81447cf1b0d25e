"""Asks to sign in anew where the sign-in ended in the middle of a step, which goes on afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from screens.dialog import Dialog, Key
from screens.error import error_content
from tui import backend, text
from tui.messages import t
from tui.services.errors import PhiftError
from tui.widgets.secret_input import SecretInput

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.identity import DeviceCode
    from tui.services.progress import Cancel, Report

_TASK = "sign-in-again"


class Ended(Message):
    """The sign-in ended in the middle of a step, whose thread waits for the answer."""

    def __init__(self, azure: Azure, error: PhiftError) -> None:
        super().__init__()
        self.azure = azure
        self.error = error
        self.answered = threading.Event()
        self.signed_in = False


def asking(azure: Azure, post: Callable[[Message], object]) -> Callable[[PhiftError, Cancel], bool]:
    """What has the person asked, from the thread of a step; it waits for the answer."""

    def ask(error: PhiftError, cancel: Cancel) -> bool:
        ended = Ended(azure, error)
        post(ended)
        while not ended.answered.wait(0.2):
            cancel.check()
        return ended.signed_in

    return ask


class SignInAgain(Dialog[bool]):
    """Enter signs in by the profile's way; Esc gives up, and the step ends."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "sign_in", show=False)]

    class CodeShown(Message):
        """Azure gave a device code; posted from the task's thread."""

        def __init__(self, code: DeviceCode) -> None:
            super().__init__()
            self.code = code

    def __init__(self, azure: Azure, error: PhiftError) -> None:
        super().__init__(classes="-problem")
        self._azure = azure
        self._error = error

    def heading(self) -> str:
        """That the step waits."""
        return t("The sign-in has ended; the step waits")

    def content(self) -> ComposeResult:
        """Why, and a secret where the profile's way takes one."""
        yield Static(error_content(self._error), id="again-text", markup=False)
        method = self.program.settings.active_profile().method
        if not self._azure.sandbox and method in ("service-principal", "certificate"):
            yield SecretInput(t("Secret; empty: the one that is kept"), id="again-secret")

    def keys(self) -> Sequence[Key]:
        """Sign in."""
        return [("Enter", t("Sign in again; the step goes on"))]

    @on(Input.Submitted)
    def action_sign_in(self) -> None:
        """Ask for a token in the background."""
        if self.program.tasks.of(_TASK):
            return
        settings, sandbox = self.program.settings, self._azure.sandbox
        secret = next((field.value for field in self.query(SecretInput)), "") or None

        def work(report: Report, cancel: Cancel) -> Azure:
            def prompt(code: DeviceCode) -> None:
                self.post_message(self.CodeShown(code))

            return backend.identity.connect(settings, sandbox=sandbox, prompt=prompt, secret=secret, cancel=cancel)

        self._say(Content(t("Waiting for a token …")))
        self.program.tasks.start(_TASK, t("Signing in"), work, done=self._signed_in, failed=self._refused)

    def _signed_in(self, azure: Azure) -> None:
        self._azure.credential.take(azure.credential)
        self._azure.identity = azure.identity
        self.dismiss(True)

    def _refused(self, error: PhiftError) -> None:
        self._say(error_content(error))

    @on(CodeShown)
    def _code_shown(self, event: CodeShown) -> None:
        self._say(text.content(event.code.message))

    def _say(self, content: Content) -> None:
        self.query_one("#again-text", Static).update(content)

    def action_close(self) -> None:
        """Give up."""
        self.program.tasks.cancel(_TASK)
        self.dismiss(False)
