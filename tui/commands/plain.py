"""The wizard as questions and answers, line by line: for screen readers, serial consoles and `TERM=dumb`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tui.commands import common, output
from tui.recipe import Engine, Recipe, RecipeError

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.costs import Estimate
    from tui.services.flow import Event
    from tui.settings import Settings

_HELP = "Enter keeps the value in brackets; ? explains; < goes back; q quits and keeps the draft."


class _Back(Exception):
    """The person asked for the question before."""


class _Quit(Exception):
    """The person asked to stop."""


class _NoInput(Exception):
    """There is no more input."""


def _read() -> str:
    """A line of input without its end; bytes that are no text are replaced.

    Raises:
        _NoInput: there is none.
    """
    line = sys.stdin.buffer.readline()
    if not line:
        raise _NoInput
    return line.decode("utf-8", "replace").strip()


def _ask(label: str, default: str, explanation: str, choices: Mapping[str, str] | None = None) -> str:
    """One answer; a choice may be given by its number.

    Args:
        label: what is asked.
        default: what Enter stands for.
        explanation: what `?` says.
        choices: the answers that there are, each with a remark.

    Raises:
        _Back: the answer was `<`.
        _Quit: the answer was `q`.
        _NoInput: the input ended.
    """
    for at, (choice, remark) in enumerate((choices or {}).items(), 1):
        output.say(f"  {at}. {choice}{f' ({remark})' if remark else ''}")
    while True:
        output.say(f"{label} [{default}]" if default else label)
        answer = _read()
        if answer == "q":
            raise _Quit
        if answer == "<":
            raise _Back
        if answer == "?":
            output.say(f"  {explanation} {_HELP}")
            continue
        if choices and answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return list(choices)[int(answer) - 1]
        if choices and answer and answer not in choices:
            output.say(f"  There is no {answer!r} here: give a number from 1 to {len(choices)}.")
            continue
        return answer or default


def _yes(question: str, default: bool, explanation: str) -> bool:
    """A yes or a no."""
    while True:
        answer = _ask(f"{question} yes or no", "yes" if default else "no", explanation).lower()
        if answer in {"y", "yes", "n", "no"}:
            return answer.startswith("y")
        output.say("  Answer yes or no.")


class PlainWizard:
    """Asks for every part of a recipe, saves it after each answer, then runs it."""

    def __init__(self, azure: Azure, settings: Settings, recipe: Recipe) -> None:
        self._azure = azure
        self._settings = settings
        self.recipe = recipe
        self.deploy = True

    def walk(self) -> None:
        """Ask all questions and show the recipe; the draft is saved after each answer.

        Raises:
            _Quit: the person stopped.
            _NoInput: the input ended.
        """
        steps: list[Callable[[], None]] = [
            self._place,
            self._model,
            self._data,
            self._validation,
            self._hyperparameters,
            self._output,
            self._review,
        ]
        at = 0
        while at < len(steps):
            try:
                steps[at]()
            except _Back:
                at = max(at - 1, 0)
            else:
                at += 1

    def _take(self, **changes: object) -> None:
        """Change the recipe and save the draft.

        Raises:
            RecipeError: a value is out of range.
        """
        from tui.services import drafts

        self.recipe = self.recipe.with_(**changes)
        drafts.save(self._settings, self.recipe)

    def _field(self, key: str, choices: Mapping[str, str] | None = None) -> None:
        """Ask for the recipe's field `part__name` until its value is valid."""
        part, _, name = key.partition("__")
        holder = getattr(self.recipe, part)
        info = type(holder).model_fields[name]
        label, explanation = name.replace("_", " ").capitalize(), info.description or ""
        current = getattr(holder, name)
        shown = f"{current:.10f}".rstrip("0") if isinstance(current, float) else str(current)
        while True:
            try:
                if isinstance(current, bool):
                    self._take(**{key: _yes(f"{label}?", current, explanation)})
                else:
                    self._take(**{key: _ask(label, shown, explanation, choices)})
            except RecipeError as error:
                output.say(f"  Not possible: {error.message}.")
            else:
                return

    def _file(self, label: str, current: str, explanation: str) -> Path:
        """Ask for a file until there is one that can be read; returns its absolute path."""
        from tui.services import datasets
        from tui.services.errors import UsageError

        while True:
            path = Path(_ask(label, current, explanation)).expanduser().resolve()
            try:
                datasets.readable(path)
            except UsageError as error:
                output.say(f"  {error.message} {error.next_step}")
            else:
                return path

    def _heading(self, number: int, title: str) -> None:
        output.say()
        output.say(f"Step {number} of 7: {title}")

    def _place(self) -> None:
        from tui.services import access

        self._heading(1, "hub and project")
        subscriptions = access.subscriptions(self._azure)
        if len(subscriptions) > 1:
            self._field("target__subscription", {found.id: found.name for found in subscriptions})
        elif subscriptions:
            self._take(target__subscription=subscriptions[0].id)
        for key in ("target__resource_group", "target__location", "target__hub", "target__project"):
            self._field(key)
        for finding in access.examine(self._azure, self.recipe):
            if finding.level in {"problem", "warning"}:
                output.say(f"  {finding.level}: {finding.title}. {finding.detail}")
                if finding.command:
                    output.say(f"    $ {finding.command}")

    def _model(self) -> None:
        from tui.services import catalog

        self._heading(2, "model")
        found = catalog.models(self._azure)
        today = catalog.today(self._azure)
        self._field("model__name", {model.name: model.status(today) for model in found.models})
        chosen = catalog.named(found, self.recipe.model.name)
        location = self.recipe.target.location
        offers = {engine: chosen.availability(engine, today, location) for engine in get_args(Engine)}
        self._field("model__engine", {engine: "" if one.ok else one.reason for engine, one in offers.items()})

    def _data(self) -> None:
        from tui.dataset import check
        from tui.services import catalog

        self._heading(3, "data")
        model = catalog.named(catalog.cached(self._settings), self.recipe.model.name)
        rules = catalog.rules(model, self.recipe.model.engine)
        while True:
            path = self._file("Training file", self.recipe.data.train, "A chat JSONL file.")
            report = check.check(path, rules=rules)
            for line in report.lines():
                output.say(f"  {line}")
            if report.ok:
                self._take(data__train=str(path))
                return
            output.say(f"  Mend it with: phift-tui check {path} --fix OUT.jsonl, then give the new file here.")

    def _validation(self) -> None:
        self._heading(4, "validation")
        now = self.recipe.validation
        remarks = {"split": "a share of the training file", "file": "a file of its own", "none": "no validation"}
        mode = _ask("Mode", now.mode, "Where validation rows come from.", remarks)
        if mode == "file":
            path = self._file("Validation file", now.path, "A chat JSONL file.")
            self._take(validation=now.model_dump() | {"mode": "file", "path": str(path)})
            return
        self._take(validation__mode=mode)
        if mode == "split":
            self._field("validation__share")
            self._field("validation__seed")

    def _hyperparameters(self) -> None:
        self._heading(5, "hyperparameters")
        for name in ("batch_size_multiplier", "learning_rate", "epochs"):
            self._field(f"hyperparameters__{name}")

    def _output(self) -> None:
        self._heading(6, "output and deployment")
        self._field("output__model")
        self._field("deployment__content_safety")

    def _review(self) -> None:
        self._heading(7, "review and submit")
        for field, _, value in Recipe().diff(self.recipe):
            output.say(f"  {field}: {value}")
        output.say("  Everything else is as it is by default.")
        question = "Deploy the tuned model afterwards?"
        self.deploy = _yes(question, self.deploy, "It is billed by the hour until it is deleted.")


def run_wizard(settings: Settings, *, sandbox: bool, recipe: Recipe | None) -> int:
    """Walk the wizard on stdin and stderr, then run the recipe.

    Returns:
        The exit code: 0 where the run is done or the person quit, 7 where the input ended before.

    Raises:
        PhiftError: signing in or a step of the run failed, or was cancelled.
    """
    from tui.services import drafts, flow, identity, log

    log.capture(settings)
    azure = identity.connect(settings, sandbox=sandbox, prompt=common.show_code)
    output.say(f"Signed in as {azure.identity.name} ({azure.identity.method}). {_HELP}")
    if sandbox:
        output.say("This is the sandbox: Azure on this machine, with a small stand-in model. Nothing is billed.")
    wizard = PlainWizard(azure, settings, recipe or drafts.latest(settings) or Recipe())
    output.say(f"The draft is called {wizard.recipe.name}.")

    def approve(estimate: Estimate) -> bool:
        for line in estimate.lines():
            output.say(f"  {line}")
        return _yes("Submit this run?", False, "The run is billed as estimated.")

    def show(event: Event) -> None:
        # Why it failed is told once, at the end, and the estimate where it is approved.
        if event.status != "failed" and (event.step, event.status) != ("estimate", "done"):
            for line in event.lines():
                output.say(line)

    try:
        wizard.walk()
        with common.cancel_on_signal() as cancel:
            flow.Flow(
                wizard.recipe,
                Path.cwd(),
                settings,
                connect=lambda: azure,
                approve=approve,
                on_event=show,
                cancel=cancel,
            ).run(deploy=wizard.deploy, evaluate=True)
    except _Quit:
        output.say(f"Stopped; the draft {wizard.recipe.name} is kept.")
    except _Back:
        output.say(f"There is no way back from here; the draft {wizard.recipe.name} is kept. Start again to change it.")
    except _NoInput:
        output.error("the input ended", f"the draft {wizard.recipe.name} is kept: start again to go on")
        return 7
    return 0
