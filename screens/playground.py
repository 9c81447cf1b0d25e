"""Playground: a conversation with an endpoint, streamed, alone or beside another endpoint."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message as Event
from textual.widgets import Input

from screens.base_endpoint import offer
from screens.run_page import RunPage
from tui import actions, backend
from tui.messages import t
from tui.services.errors import Cancelled, PhiftError
from tui.services.progress import Cancel, Report
from tui.text import line
from tui.widgets.chat_settings import ChatSettings
from tui.widgets.endpoint_list import is_base
from tui.widgets.live_line import LiveLine
from tui.widgets.transcript import Transcript, measured

if TYPE_CHECKING:
    from tui.services.chat import Answer, Message
    from tui.services.clients import Azure
    from tui.services.deployments import Endpoint
    from tui.services.projects import Workspace

_LEFT, _RIGHT = "left", "right"


class AnswerGrew(Event):
    """A piece of a streamed answer; posted from the thread that reads the stream."""

    def __init__(self, side: str, round_: int, text: str) -> None:
        super().__init__()
        self.side = side
        self.round = round_
        self.text = text


class PlaygroundScreen(RunPage):
    """The conversation."""

    PLACE = "playground"
    LOOKS = ("playground.look",)
    AUTO_FOCUS = "#prompt"
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("playground"))

    def __init__(self) -> None:
        super().__init__()
        self._endpoints: dict[str, Endpoint | None] = {_LEFT: None, _RIGHT: None}
        self._all: list[Endpoint] = []
        self._round = 0
        self._tried = False
        self._settings = ChatSettings()
        self._talks = {
            _LEFT: Transcript(t("Type a question below; Enter sends it. Esc leaves the line: then letters are keys.")),
            _RIGHT: Transcript(t("The same question goes to this endpoint too.")),
        }
        self._talks[_RIGHT].display = False

    def content(self) -> ComposeResult:
        """Endpoint, settings, one conversation or two, the line to type in."""
        yield LiveLine(classes="trouble")
        yield LiveLine(classes="job-line")
        yield self._settings
        with Horizontal(classes="talk"):
            yield self._talks[_LEFT]
            yield self._talks[_RIGHT]
        yield Input(placeholder=t("Ask the model"), id="prompt")

    # --- the endpoints -----------------------------------------------------------------------------------------------

    def blocked(self, reason: str) -> None:
        """There is nobody to ask."""
        self.query_one(".job-line", LiveLine).show(Content(reason))

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """Ask which endpoints there are, and for a question out of the held-out rows."""
        if self._endpoints[_LEFT] is None:
            self.blocked(t("Asking Azure for the endpoints…"))
        self.program.tasks.start(
            "playground.look", t("Asking for endpoints"),
            lambda report, cancel: backend.deployments.listing(azure, workspace),
            done=self._looked, failed=lambda error: self.not_answered(error, self._endpoints[_LEFT]), quiet=True,
        )  # fmt: skip

    def _looked(self, found: list[Endpoint]) -> None:
        self.tell_trouble("")
        self._all = [endpoint for endpoint in found if endpoint.ready]
        names = {endpoint.name: endpoint for endpoint in self._all}
        chosen = self.wizard.facts.endpoint
        left = names.get(chosen.name) if chosen else None
        if left is None:
            tuned = [endpoint for endpoint in self._all if not is_base(endpoint)]
            left = next(iter(tuned or self._all), None)
            self.wizard.learn(endpoint=left)
        self._endpoints[_LEFT] = left
        right = self._endpoints[_RIGHT]
        self._set_right(names.get(right.name) if right else None)
        if left and not self._tried:
            self._tried = True
            self._suggest()

    def _suggest(self) -> None:
        known, recipe, base, state = self.held_out(), self.wizard.recipe, self.wizard.base, self.program.settings.state

        def find(report: Report, cancel: Cancel) -> tuple[tuple[str, str], ...]:
            from tui.evaluation.questions import questions

            file = known or backend.datasets.held_back(state, recipe, base)
            with suppress(OSError):  # a suggestion only; the pages about data say what is wrong with a file
                for question in questions(file, 1, recipe.evaluation.seed) if file else ():
                    return question.messages
            return ()

        title = t("Looking for a question")
        self.program.tasks.start("playground.question", title, find, done=self._suggested, quiet=True)

    def _suggested(self, messages: tuple[tuple[str, str], ...]) -> None:
        prompt = self.query_one("#prompt", Input)
        for role, text in messages:
            if role == "system" and not self._settings.system:
                self._settings.system = text
        if messages and not prompt.value:
            prompt.value = messages[-1][1]
            prompt.select_all()  # what is typed takes its place
            self.notice(t("A question out of the held-out rows, with its system prompt. Enter asks it."))

    @on(ChatSettings.Changed)
    def _show_endpoints(self) -> None:
        left, right = self._endpoints.values()
        self.query_one(".talk").visible = left is not None
        if left is None:
            self.blocked(t("No endpoint answers yet. Enter goes to Deploy."))
            return
        safety = {True: t("content safety on"), False: t("content safety off"), None: t("content safety unknown")}
        parts = [left.name, safety[left.content_safety], self._settings.summary()]
        if right:
            parts.append(t("beside {name}", name=right.name))
        self.query_one(".job-line", LiveLine).show(line(" · ".join(parts)), layout=True)

    def _set_right(self, endpoint: Endpoint | None) -> None:
        self._endpoints[_RIGHT] = endpoint
        self._talks[_RIGHT].display = endpoint is not None
        self._show_endpoints()

    # --- asking ------------------------------------------------------------------------------------------------------

    @on(Input.Submitted, "#prompt")
    def _typed(self, event: Input.Submitted) -> None:
        event.prevent_default()
        question = event.value.strip()
        if not question:
            self.action_forward()
        elif self._asking:
            self.notice(t("Still answering; F6 stops it."), problem=True)
        elif self._endpoints[_LEFT] is None:
            self.notice(t("There is no endpoint to ask."), problem=True)
        else:
            event.input.value = ""
            self.notice("")
            self._round += 1
            for side, endpoint in self._endpoints.items():
                if endpoint:
                    self._ask(side, endpoint, question)
            self._sync_keys()

    @property
    def _asking(self) -> bool:
        return any(self.program.tasks.of(f"chat.{side}") for side in self._talks)

    def _ask(self, side: str, endpoint: Endpoint, question: str) -> None:
        talk, settings, round_ = self._talks[side], self._settings, self._round
        azure, workspace = self.azure, self.workspace
        told = [*([("system", settings.system)] if settings.system else []), *talk.messages(), ("user", question)]
        talk.add("user", t("you"), question)
        talk.begin(endpoint.name)
        messages = cast("list[Message]", [{"role": role, "content": text} for role, text in told])
        temperature, max_tokens = settings.temperature, settings.max_tokens

        def ask(report: Report, cancel: Cancel) -> Answer:
            key = backend.deployments.keys(azure, workspace, endpoint.name).primary
            answer = backend.chat.Collected()
            for delta in backend.chat.stream(
                endpoint.uri, key, messages, temperature=temperature, max_tokens=max_tokens, cancel=cancel,
            ):  # fmt: skip
                answer.add(delta)
                if delta.text:
                    self.post_message(AnswerGrew(side, round_, delta.text))
            return answer.answer()

        self.program.tasks.start(
            f"chat.{side}", t("{name} answers", name=endpoint.name), ask,
            done=partial(self._answered, side), failed=partial(self._refused, side),
        )  # fmt: skip

    def on_answer_grew(self, event: AnswerGrew) -> None:
        """Show a piece, unless its answer was stopped or is whole already."""
        if event.round == self._round:
            self._talks[event.side].grow(event.text)

    def _answered(self, side: str, answer: Answer) -> None:
        # The whole text counts: pieces still in the queue come too late to be added.
        self._talks[side].end(measured(answer), text=answer.text)
        self.wizard.mark(self.PLACE, "done")
        self._sync_keys()

    def _refused(self, side: str, error: PhiftError) -> None:
        if isinstance(error, Cancelled):
            self._talks[side].end(t("stopped"))
        else:
            self._talks[side].end(t("no answer"), text=" ".join(error.lines()), failed=True)
        self._sync_keys()

    # --- what the user does ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """An answer can be stopped while it comes."""
        if action == "stop":
            return True if self._asking else None
        return True

    def onward_title(self) -> str:
        """Enter sends what is in the prompt."""
        absent = self._endpoints[_LEFT] is None and not self._looking()
        prompt = self.query_one("#prompt", Input)
        return t("Deploy") if absent else t("Send") if prompt.has_focus and prompt.value.strip() else t("Continue")

    @on(Input.Changed, "#prompt")
    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _prompt_changed(self) -> None:
        self._sync_keys()

    def action_forward(self) -> None:
        """To the deployment where there is nobody to ask; else on."""
        if self.before_project() or self._endpoints[_LEFT]:
            super().action_forward()
        elif not self.is_early():
            self.program.go("deploy")

    def action_scroll_body(self, pages: int) -> None:
        """Scroll the conversation by pages."""
        for talk in self._talks.values():
            talk.scroll_relative(y=pages * max(talk.size.height - 2, 1), animate=False)

    def action_stop(self) -> None:
        """Stop the answers; what came stays."""
        self._round += 1
        for side, talk in self._talks.items():
            self.program.tasks.cancel(f"chat.{side}")
            talk.end(t("stopped"))
        self._sync_tasks()

    def action_new_chat(self) -> None:
        """Begin anew."""
        self.action_stop()
        for talk in self._talks.values():
            talk.clear()
        self.query_one("#prompt", Input).focus()

    def action_settings(self) -> None:
        """Show the settings, or hide them."""
        self._settings.turn_over()

    def action_transcript(self) -> None:
        """The conversation as plain text."""
        self.program.show_text(t("Transcript"), self.plain_text())

    def plain_text(self) -> str:
        """The conversation, or both."""
        shown = [talk.plain_text() for side, talk in self._talks.items() if self._endpoints[side]]
        return "\n\n----\n\n".join(part for part in shown if part) or t("Nothing was asked yet.")

    def action_compare(self) -> None:
        """Put another endpoint beside, or take it away; without one, offer the base model's."""
        left = self._endpoints[_LEFT]
        self.query_one("#prompt", Input).focus()
        if self._endpoints[_RIGHT]:
            self._set_right(None)
            return
        others = [each for each in self._all if left and each.name != left.name]
        if others:
            self._set_right(next((each for each in others if is_base(each)), others[0]))
        elif left:
            offer(self, self._base_made)

    def _base_made(self, endpoint: Endpoint) -> None:
        self._all.append(endpoint)
        self._set_right(endpoint)
