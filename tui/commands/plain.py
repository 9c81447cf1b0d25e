"""The wizard as questions and answers, line by line: for screen readers, serial consoles and `TERM=dumb`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.commands import common, output
from tui.recipe import Recipe, RecipeError

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.costs import Estimate
    from tui.settings import Settings

_HELP = "Enter keeps the value in brackets; ? explains; < goes back; q quits and keeps the draft."


class _Back(Exception):
    """The person asked for the question before."""


class _Quit(Exception):
    """The person asked to stop, or there is no more input."""


def _ask(label: str, default: str, explanation: str, choices: Sequence[str] = ()) -> str:
    """One answer; a choice may be given by its number.

    Raises:
        _Back: the answer was `<`.
        _Quit: the answer was `q`, or the input ended.
    """
    for number, choice in enumerate(choices, 1):
        output.say(f"  {number}. {choice}")
    while True:
        output.say(f"{label} [{default}]" if default else label)
        line = sys.stdin.readline()
        answer = line.strip()
        if not line or answer == "q":
            raise _Quit
        if answer == "<":
            raise _Back
        if answer == "?":
            output.say(f"  {explanation} {_HELP}")
            continue
        if choices and answer.isdigit() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        if choices and answer and answer not in choices:
            output.say(f"  There is no {answer!r} here: give a number from 1 to {len(choices)}.")
            continue
        return answer or default


class PlainWizard:
    """Asks for every part of a recipe, saves it after each answer, then runs it."""

    def __init__(self, azure: Azure, settings: Settings, recipe: Recipe) -> None:
        self._azure = azure
        self._settings = settings
        self.recipe = recipe

    def walk(self) -> bool:
        """Ask all questions; True where the person wants to submit.

        Raises:
            _Quit: the person stopped; the draft is saved.
        """
        steps: list[Callable[[], None]] = [
            self._place,
            self._model,
            self._data,
            self._validation,
            self._hyperparameters,
            self._output,
        ]
        at = 0
        while at < len(steps):
            try:
                steps[at]()
            except _Back:
                at = max(at - 1, 0)
            else:
                at += 1
        return self._review()

    def _field(self, key: str, choices: Sequence[str] = ()) -> None:
        """Ask for the recipe's field `part__name` until its value is valid, and save the draft."""
        from tui.services import drafts

        part, _, name = key.partition("__")
        holder = getattr(self.recipe, part)
        info = type(holder).model_fields[name]
        while True:
            current = getattr(holder, name)
            shown = "" if current is None else f"{current:.10f}".rstrip("0") if isinstance(current, float) else current
            answer = _ask(name.replace("_", " ").capitalize(), str(shown), info.description or "", choices)
            value: object = answer
            if isinstance(current, bool):
                value = answer.lower() in {"y", "yes", "true", "on", "1"}
            try:
                self.recipe = self.recipe.with_(**{key: value})
            except RecipeError as error:
                output.say(f"  {error.message}")
                continue
            drafts.save(self._settings, self.recipe)
            return

    def _heading(self, number: int, title: str) -> None:
        output.say()
        output.say(f"Step {number} of 7: {title}")

    def _place(self) -> None:
        from tui.services import access

        self._heading(1, "hub and project")
        subscriptions = access.subscriptions(self._azure)
        if len(subscriptions) > 1:
            self._field("target__subscription", [found.id for found in subscriptions])
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
        for model in found.models:
            output.say(f"  {model.name}: {model.status(today)}")
        self._field("model__name", [model.name for model in found.models])
        self._field("model__engine", ["serverless", "managed", "script"])

    def _data(self) -> None:
        from tui.dataset import check
        from tui.services import catalog, datasets
        from tui.services.errors import UsageError

        self._heading(3, "data")
        model = catalog.named(catalog.cached(self._settings), self.recipe.model.name)
        rules = catalog.rules(model, self.recipe.model.engine)
        while True:
            self._field("data__train")
            path = self.recipe.data_path(Path.cwd())
            try:
                datasets.readable(path)
            except UsageError as error:
                output.say(f"  {error.message}. {error.next_step}")
                continue
            report = check.check(path, rules=rules)
            for line in report.lines():
                output.say(f"  {line}")
            if report.ok:
                return
            output.say(f"  Mend it with: phift-tui check {path} --fix OUT.jsonl, then give the new file here.")

    def _validation(self) -> None:
        self._heading(4, "validation")
        mode = _ask("Mode", self.recipe.validation.mode, "Where validation rows come from.", ("split", "file", "none"))
        if mode == "file":
            from tui.services import datasets
            from tui.services.errors import UsageError

            while True:
                path = Path(_ask("Validation file", self.recipe.validation.path, "A chat JSONL file.")).expanduser()
                try:
                    datasets.readable(path)
                except UsageError as error:
                    output.say(f"  {error.message}. {error.next_step}")
                    continue
                self.recipe = self.recipe.with_(validation={"mode": "file", "path": str(path.resolve())})
                return
        self.recipe = self.recipe.with_(validation__mode=mode)
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

    def _review(self) -> bool:
        self._heading(7, "review and submit")
        for line in self.recipe.to_toml().splitlines():
            output.say(f"  {line}")
        return True


def run_wizard(settings: Settings, *, sandbox: bool, recipe: Recipe | None) -> int:
    """Walk the wizard on stdin and stderr, then run the recipe; returns the exit code."""
    from tui.services import drafts, flow, identity
    from tui.services.errors import Cancelled
    from tui.services.flow import Event

    azure = identity.connect(settings, sandbox=sandbox, prompt=common.show_code)
    output.say(f"Signed in as {azure.identity.name} ({azure.identity.method}). {_HELP}")
    if sandbox:
        output.say("This is the sandbox: Azure on this machine, with a small stand-in model. Nothing is billed.")
    wizard = PlainWizard(azure, settings, recipe or drafts.latest(settings) or Recipe())

    def approve(estimate: Estimate) -> bool:
        for line in estimate.lines():
            output.say(line)
        return _ask("Submit this run? yes or no", "no", "The run is billed as estimated.", ("yes", "no")) == "yes"

    def show(event: Event) -> None:
        for line in event.lines():
            output.say(line)

    try:
        wizard.walk()
        deploy = _ask("Deploy the tuned model afterwards? yes or no", "yes", "It bills by the hour.", ("yes", "no"))
        with common.cancel_on_signal() as cancel:
            flow.Flow(
                wizard.recipe,
                Path.cwd(),
                settings,
                connect=lambda: azure,
                approve=approve,
                on_event=show,
                cancel=cancel,
            ).run(deploy=deploy == "yes", evaluate=True)
    except _Quit:
        output.say(f"Stopped; the draft {wizard.recipe.name!r} is kept.")
    except Cancelled as error:
        for line in error.lines():
            output.say(line)
        return error.exit_code
    return 0
