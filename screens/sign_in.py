"""Sign in: who the program is on Azure, and by which way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.error import error_content
from screens.lookups import look_after_open
from screens.page import Step
from screens.sign_in_again import Ended, SignInAgain, asking
from tui import actions, backend, text
from tui.messages import t
from tui.services.errors import Cancelled, PhiftError
from tui.settings import Settings
from tui.widgets.choice import Choice
from tui.widgets.connection import BY_ITSELF, FIELDS, METHODS, code_content, identity_content, tenant_content
from tui.widgets.secret_input import SecretInput
from tui.widgets.sign_in_field import SignInField

if TYPE_CHECKING:
    from tui.services.access import Tenant
    from tui.services.clients import Azure
    from tui.services.identity import DeviceCode
    from tui.services.progress import Cancel, Report

TASK = "sign-in"
_TYPED = ("tenant", "client_id", "certificate")


class SignInScreen(Step):
    """The first step."""

    PLACE = "sign_in"
    INTRO = "Everything that follows is done as the person or application shown here."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("sign_in"))

    class CodeShown(Message):
        """Azure gave a device code; posted from the task's thread."""

        def __init__(self, code: DeviceCode) -> None:
            super().__init__()
            self.code = code

    def __init__(self) -> None:
        super().__init__()
        self._ticks: Timer | None = None
        self._tried = False
        self._error: PhiftError | None = None
        self._code: DeviceCode | None = None

    def content(self) -> ComposeResult:
        """The way to sign in, its fields, and the state of the connection."""
        if not self.program.sandbox:
            profile = self.program.settings.active_profile()
            with Vertical(id="ways"):
                with Horizontal(classes="field-row"):
                    yield Static(t("Method"), classes="field-label", markup=False)
                    options = [(name, t(label), t(line)) for name, label, line in METHODS]
                    yield Choice(options, profile.method, rows=True, id="method")
                for name, label in (
                    ("tenant", t("Tenant id")),
                    ("client_id", t("Application id")),
                    ("certificate", t("Certificate file")),
                ):
                    yield SignInField(label, getattr(profile, name), name=name)
                with Horizontal(classes="field-row", id="row-secret"):
                    yield Static(t("Secret"), classes="field-label", markup=False)
                    yield SecretInput(t("kept in the keyring, or in memory"), id="secret")
        with Vertical(id="connection"):
            yield Static("", id="connection-text", markup=False)
            tenants = OptionList(id="tenants")
            tenants.display = tenants.can_focus = False  # what is not displayed takes the first focus all the same
            yield tenants

    def entered(self) -> None:
        """Sign in by itself where that asks nobody anything."""
        method = self.program.settings.active_profile().method
        if not self._tried and (self.program.sandbox or method in BY_ITSELF):
            self.sign_in()
        elif not self._tried:
            self._ask_secret(method)

    def _ask_secret(self, method: str) -> None:
        """Put the cursor where a secret is to be typed: outside of a field its letters would be keys."""
        if method == "service-principal":
            self.query_one("#secret").focus()

    def action_refresh(self) -> None:
        """Sign in anew."""
        self.sign_in()

    def _settings(self) -> Settings:
        """The settings with what is typed here, for this run of the program."""
        settings = self.program.settings
        if self.program.sandbox:
            return settings
        profile = settings.active_profile()
        typed = {key: self.query_one(f"#{key}", Input).value.strip() for key in _TYPED}
        changed = profile.model_copy(update={"method": self.query_one("#method", Choice).value, **typed})
        return settings.model_copy(update={"profiles": {**settings.profiles, settings.profile: changed}})

    def _wrong(self) -> str:
        """What is wrong with a field, told beside it too; empty: nothing."""
        return next((field.show_error() for field in self.query(SignInField) if field.display and field.error), "")

    def sign_in(self) -> None:
        """Ask for a token in the background, unless a field is wrong."""
        if problem := self._wrong():
            self.notice(problem, problem=True)
            return
        self._tried, self._error, self._code = True, None, None
        if self._ticks:
            self._ticks.stop()
            self._ticks = None
        settings = self.program.settings = self._settings()
        sandbox = self.program.sandbox
        secret = None if sandbox else self.query_one("#secret", SecretInput).value or None

        def prompt(code: DeviceCode) -> None:
            self.post_message(self.CodeShown(code))

        def work(report: Report, cancel: Cancel) -> Azure:
            return backend.identity.connect(settings, sandbox=sandbox, prompt=prompt, secret=secret, cancel=cancel)

        title = t("Starting the sandbox and signing in") if sandbox else t("Signing in")
        self.run_task(TASK, title, work, self._signed_in, failed=self._refused)
        self._show()

    def _signed_in(self, azure: Azure) -> None:
        self._code = None
        profile = self.program.settings.active_profile()
        azure.credential.ask = asking(azure, self.post_message)
        self.wizard.learn(azure=azure)
        self.wizard.mark(self.PLACE, "done")
        if profile.subscription and not self.wizard.recipe.target.subscription:
            self.choose(target__subscription=profile.subscription)
        self._goes_on = self._goes_on or bool(self.wizard.left_at)
        look_after_open(self, azure)
        if not self.program.sandbox:
            self._ask_tenants(azure)

    @on(Ended)
    def _sign_in_again(self, event: Ended) -> None:
        def answered(signed_in: bool | None) -> None:
            event.signed_in = bool(signed_in)
            event.answered.set()
            self.wizard.changed()  # the bar shows who is signed in now

        self.program.push_screen(SignInAgain(event.azure, event.error), answered)

    def _ask_tenants(self, azure: Azure) -> None:
        """Offer the other directories that the identity belongs to."""

        def work(report: Report, cancel: Cancel) -> list[Tenant]:
            return backend.access.tenants(azure)

        def offer(tenants: list[Tenant]) -> None:
            listing = self.query_one("#tenants", OptionList)
            listing.display = listing.can_focus = len(tenants) > 1
            listing.set_options(Option(tenant_content(each, azure.identity.tenant), each.id) for each in tenants)

        self.run_task("tenants", t("Reading the tenants"), work, offer, failed=lambda _: None, quiet=True)

    @on(OptionList.OptionSelected, "#tenants")
    def _take_tenant(self, event: OptionList.OptionSelected) -> None:
        azure = self.wizard.facts.azure
        if azure and event.option_id != azure.identity.tenant:
            self.query_one("#tenant", Input).value = event.option_id or ""
            self._forget()
            self.sign_in()
        else:
            self.action_forward()

    def _forget(self) -> None:
        """Nobody is signed in: what the identity before could see is not known any more."""
        self.program.tasks.cancel(TASK)
        self._error = self._code = None
        self.query_one("#tenants").display = False
        self.wizard.learn(
            azure=None, subscriptions=(), resource_groups=(), locations=(), hubs=(), projects=(), findings=None,
            workspace=None,
        )  # fmt: skip
        for step in (self.PLACE, "access", "project"):
            self.wizard.unmark(step)

    def action_profile(self) -> None:
        """Go on with the next profile of the settings."""
        settings = self.program.settings
        names = sorted(settings.profiles)
        following = names[(names.index(settings.profile) + 1) % len(names)] if settings.profile in names else names[0]
        self.program.settings = settings.model_copy(update={"profile": following})
        profile = self.program.settings.active_profile()
        with self.prevent(Choice.Changed):
            self.query_one("#method", Choice).value = profile.method
        for name in _TYPED:
            self.query_one(f"#{name}", Input).value = getattr(profile, name)
        self.query_one("#secret", SecretInput).value = ""
        self._forget()
        self.notice(t("Profile {name}.", name=following))
        if profile.method in BY_ITSELF:
            self.sign_in()
        self._ask_secret(profile.method)

    def action_copy_code(self) -> None:
        """Send the device code to the clipboard."""
        if self._code:
            self.program.copy_to_clipboard(self._code.code)
            self.notice(t("The code is in the clipboard."))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The code can be copied while there is one; profiles are changed where there are several."""
        if action == "copy_code":
            return self._code is not None
        if action == "profile":
            return not self.program.sandbox and len(self.program.settings.profiles) > 1
        return super().check_action(action, parameters)

    def _refused(self, error: PhiftError) -> None:
        self._code = None
        if not isinstance(error, Cancelled):
            self._error = error
            self.wizard.learn(azure=None)
            self.wizard.mark(self.PLACE, "attention", t("not signed in"))
        self._show()

    @on(CodeShown)
    def _code_shown(self, event: CodeShown) -> None:
        self._code = event.code
        if not self.is_current:  # asked for in the middle of a step
            code = event.code
            self.program.notify(
                t("The sign-in has ended. Open {url} and enter the code {code}; the step goes on.",
                  url=text.clean_line(code.url), code=text.clean_line(code.code)),
                markup=False, timeout=max((code.expires - datetime.now(UTC)).total_seconds(), 15),
            )  # fmt: skip
            return
        if self._ticks is None:
            self._ticks = self.set_interval(20, self._show)
        self._show()
        self._sync_keys()

    @on(Choice.Changed, "#method")
    def _method_changed(self) -> None:
        self._forget()

    def state_changed(self) -> None:
        """Show the connection."""
        if not self.program.sandbox:
            wanted = FIELDS[self.query_one("#method", Choice).value]
            for name in (*_TYPED, "secret"):
                self.query_one(f"#row-{name}").display = name in wanted
        self._show()

    def _show(self) -> None:
        for ways in self.query("#ways"):
            ways.display = self._code is None  # the code has to be in sight, on a small terminal too
        self.query_one("#connection-text", Static).update(self._connection())

    def _connection(self) -> Content:
        azure = self.wizard.facts.azure
        if self._error:
            return error_content(self._error)
        if self._code:
            return code_content(self._code)
        if azure:
            return identity_content(azure.identity, "" if self.program.sandbox else self.program.settings.profile)
        if self.program.tasks.of(TASK):
            return Content.styled(t("Waiting for a token …"), "$text-quiet")
        return Content.styled(t("Enter signs in."), "$text-quiet")

    def forward_title(self) -> str:
        """Enter signs in where nobody is."""
        return t("Continue") if self.wizard.facts.azure else t("Sign in")

    def before_forward(self) -> None:
        """Enter signs in where nobody is."""
        if self.wizard.facts.azure is None and not self.program.tasks.of(TASK):
            self.sign_in()

    def waits_for(self) -> str:
        """A token."""
        return TASK

    def check(self) -> str:
        """Somebody has to be signed in."""
        if self.wizard.facts.azure:
            return ""
        return self._wrong() or t("Not signed in; F5 tries again, F8 goes on without.")
