"""The wizard as questions and answers, line by line: for screen readers, serial consoles and `TERM=dumb`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from tui import preferences
from tui.commands import common, output
from tui.commands.questions import Back, NoInput, Quit, ask, ask_yes, how, read
from tui.messages import mark, n, t
from tui.paths import expanded
from tui.preferences import Left
from tui.recipe import LABELS, Engine, Recipe, RecipeError, field_of, help_of, script_only
from tui.wizard import BY_NAME
from tui.wording import range_of, system_words

if TYPE_CHECKING:
    from tui.commands.run import Teller
    from tui.dataset.report import Report
    from tui.dataset.rules import Rules
    from tui.services.catalog import Catalogue, Model
    from tui.services.clients import Azure
    from tui.services.costs import Estimate
    from tui.services.deployments import Endpoint
    from tui.services.flow import Event
    from tui.services.projects import Workspace
    from tui.settings import Settings

_HINTS = {
    "target.resource_group": "up to 90 letters, digits, - . _ ( )",
    "target.location": "for example eastus2",
    "target.hub": "3–33 letters, digits, - _",
    "target.project": "3–33 letters, digits, - _",
    "model.instance_type": "empty: the model's smallest",
    "model.compute": "empty: serverless compute",
    "model.weights": "empty: the catalogue's",
    "validation.share": "of the rows",
    "hyperparameters.batch_size_multiplier": "rows a step",
    "output.model": "letters, digits, - . _",
    "budget.limit": "US dollars",
}
"""The unit or the form of an answer, where the field's own range does not say it all."""
_MODES = {
    "split": "a share of the training file",
    "file": "a file of its own",
    "none": "no validation",
}
_METHODS = {
    "cli": "as who `az login` signed in on this machine",
    "device-code": "type a code in a browser on any machine",
    "service-principal": "application id and secret; for servers",
    "certificate": "application id and a certificate file",
    "managed-identity": "the identity of this Azure machine",
    "environment": "AZURE_CLIENT_ID and its companions, as set in this shell",
}
_CODE = {
    "cli": "as az commands",
    "python": "as a Python program",
    "bicep": "as a Bicep template",
}
_STATUS = {"available": "available", "deprecated": "deprecated", "retired": "retired", "unknown": "unknown"}
_NEW = mark("new")
_PLACES = ("sign_in", "project", "model", "data", "validation", "hyperparameters", "review", "review")
"""Of each step, the place of the wizard with a screen that it stands for."""


class PlainWizard:
    """Asks for every part of a recipe, saves it after each answer, runs it, and looks after what it leaves behind."""

    def __init__(self, settings: Settings, *, sandbox: bool, recipe: Recipe) -> None:
        """Nothing is asked yet.

        Args:
            settings: the settings in force.
            sandbox: use Azure on the loopback interface.
            recipe: what the answers change.
        """
        self._settings = settings
        self._sandbox = sandbox
        self._azure: Azure | None = None
        self._secret: str | None = None
        self._locations: list[str] = []
        self._answered = False
        self._go_on_at = 0
        self.recipe = self._draft = recipe
        self.deploy = True
        self.evaluate = True

    @property
    def azure(self) -> Azure:
        """The connection; made where there is none."""
        if self._azure is None:
            from tui.services import identity

            self._azure = identity.connect(
                self._settings, sandbox=self._sandbox, prompt=common.show_code, secret=self._secret
            )
        return self._azure

    def take_up(self) -> None:
        """Offer, after the sign-in, to go on where the draft was left, here or on a screen."""
        left = preferences.load(self._settings.state).left.get(self.recipe.name)
        if left and left.sandbox == self._sandbox and left.place in BY_NAME:
            names = list(BY_NAME)
            asked = enumerate(map(names.index, _PLACES[:-1]))
            last = len(_PLACES) - 2  # before the review, so that what happens after the training is asked
            self._go_on_at = next((step for step, place in asked if place >= names.index(left.place)), last)

    def _leave_at(self, place: str, job: str = "") -> None:
        """Remember where the person is, for the next start, here or on a screen."""
        known = preferences.load(self._settings.state)
        left = known.left.get(self.recipe.name)
        before = left if left and left.sandbox == self._sandbox else Left(place=place)
        names = list(BY_NAME)
        done = {*before.done, *names[1 : names.index(place)]}
        left = Left(place=place, done=tuple(sorted(done)), job=job or before.job, sandbox=self._sandbox)
        preferences.save(known.with_left(self.recipe.name, left), self._settings.state)

    def walk(self, *, again: bool = False) -> None:
        """Ask all questions and show the recipe; the draft is saved after each answer.

        Args:
            again: begin with the last step, after the person came back to it.

        Raises:
            Quit: the person stopped.
            NoInput: the input ended.
        """
        steps: list[Callable[[], None]] = [
            self._sign_in,
            self._place,
            self._model,
            self._data,
            self._validation,
            self._hyperparameters,
            self._output,
            self._review,
        ]
        titles = (
            t("Sign in"),
            t("Hub and project"),
            t("Model"),
            t("Data"),
            t("Validation"),
            t("Hyperparameters"),
            t("After the training"),
            t("Review"),
        )
        at = len(steps) - 1 if again else 0
        while at < len(steps):
            output.say()
            output.say(t("Step {number} of {last}: {title}", number=at + 1, last=len(steps), title=titles[at]))
            self._answered = False
            if at > 1:
                self._leave_at(_PLACES[at])
            try:
                steps[at]()
                after = self._goes_on(titles) if at == 0 else at + 1
            except Back:
                at = at if self._answered else max(at - 1, 0)
            else:
                at = after

    def _goes_on(self, titles: Sequence[str]) -> int:
        """The step after the sign-in."""
        there, self._go_on_at = self._go_on_at, 0
        if there > 1:
            question = t("Go on at {title}, where this draft was left?", title=titles[there])
            if ask_yes(question, True, t("No asks every question again, with the answers it has.")):
                return there
        return 1

    def _ask(self, label: str, default: str = "", **more: Any) -> str:
        """`ask`, remembering that this step has an answer, so that `<` leads to its beginning first."""
        answer = ask(label, default, **more)
        self._answered = True
        return answer

    def _ask_yes(self, question: str, default: bool, explanation: str) -> bool:
        """`ask_yes`, remembering the same."""
        answer = ask_yes(question, default, explanation)
        self._answered = True
        return answer

    def _take(self, **changes: object) -> None:
        """Change the recipe and save the draft.

        Raises:
            RecipeError: a value is out of range.
        """
        from tui.services import drafts

        self.recipe = self.recipe.with_(**changes)
        kept = drafts.save_apart(self._settings, self.recipe, self._draft)
        if kept.name != self.recipe.name:
            said = "There is another draft {old} on the disk by now. What you do here goes on as {new}."
            output.say(t(said, old=self.recipe.name, new=kept.name))
        self.recipe = self._draft = kept

    def _field(
        self,
        path: str,
        choices: Mapping[str, str] | None = None,
        *,
        default: str = "",
        refuse: Callable[[str], str] = lambda answer: "",
    ) -> None:
        """Ask for the recipe's field `part.name` until its value is valid.

        Args:
            path: the field.
            choices: the answers that there are; without them those of the field's type.
            default: what Enter stands for; empty: the recipe's own value.
            refuse: says why an answer that is valid in itself is not taken; empty: it is.
        """
        part, _, name = path.partition(".")
        current = getattr(getattr(self.recipe, part), name)
        info = field_of(path)
        if info is None:
            raise LookupError(path)
        empty, explanation = info.default, t(help_of(path))
        if isinstance(current, bool):
            self._take(**{f"{part}__{name}": self._ask_yes(f"{t(LABELS[path])}?", current, explanation)})
            return
        if not choices and get_origin(info.annotation) is Literal:
            choices = dict.fromkeys(get_args(info.annotation), "")

        def take(answer: str) -> str:
            if reason := refuse(answer):
                return reason
            try:
                given = "" if answer == "-" else answer
                self._take(**{f"{part}__{name}": None if not given and empty is None else given})
            except RecipeError as error:
                return t("Not possible: {reason}.", reason=error.message)
            return ""

        shown = f"{current:.10f}".rstrip("0") if isinstance(current, float) else str(current or "")
        limits = "" if choices else range_of(info)
        self._ask(
            t(LABELS[path]),
            default or shown,
            hint=", ".join(each for each in (limits, t(_HINTS.get(path, ""))) if each),
            explanation=explanation,
            choices=choices,
            take=take,
        )

    def _sign_in(self) -> None:
        from tui.services.errors import Cancelled, PhiftError

        while True:
            if not self._sandbox:
                self._way()
            try:
                identity = self.azure.identity
            except PhiftError as error:
                if self._sandbox or isinstance(error, Cancelled):
                    raise
                output.show(error)
                continue
            output.say(t("Signed in as {name} ({method})", name=identity.name, method=identity.method))
            return

    def _way(self) -> None:
        """Ask how to sign in, and for what that way needs."""
        profile = self._settings.active_profile()
        remarks = {name: t(_METHODS[name]) for name in _METHODS}
        values: dict[str, Any] = {"method": self._ask(t("Way of signing in"), profile.method, choices=remarks)}
        needed = {
            "device-code": ("tenant",),
            "service-principal": ("tenant", "client_id"),
            "certificate": ("tenant", "client_id", "certificate"),
        }
        labels = {"tenant": t("Tenant id"), "client_id": t("Application id"), "certificate": t("Certificate file")}
        for name in needed.get(values["method"], ()):
            values[name] = self._ask(labels[name], getattr(profile, name))
        profiles = {**self._settings.profiles, self._settings.profile: profile.model_copy(update=values)}
        self._settings = self._settings.model_copy(update={"profiles": profiles})
        self._azure = None
        self._secret = None
        if values["method"] in ("service-principal", "certificate"):
            with common.unseen() if sys.stdin.isatty() else nullcontext():
                output.say(
                    t("Secret or passphrase: it is not shown as it is typed; Enter alone uses the one that is kept.")
                )
                self._secret = read() or None

    def _place(self) -> None:
        from tui.services import access

        subscriptions = access.subscriptions(self.azure)
        if len(subscriptions) > 1:
            default = self.recipe.target.subscription or subscriptions[0].id
            self._field("target.subscription", {found.id: found.name for found in subscriptions}, default=default)
        elif subscriptions:
            self._take(target__subscription=subscriptions[0].id)
        self._locations = access.locations(self.azure, self.recipe.target.subscription)
        self._field("target.resource_group")
        self._field("target.location", refuse=self._unknown_region)
        self._field("target.hub")
        self._field("target.project")
        while self._problems():
            if not self._mended():
                question = t("Go on all the same? The run will stop at these problems.")
                if not self._ask_yes(question, False, t("No goes back to the first question of this step.")):
                    self._place()
                return

    def _unknown_region(self, region: str) -> str:
        if not self._locations or region in self._locations:
            return ""
        near = [name for name in self._locations if name.startswith(region[:4])]
        known = near[:5] or self._locations[:5]
        return t(
            "This subscription has no region {name}. It has, for example: {names}.", name=region, names=", ".join(known)
        )

    def _problems(self) -> bool:
        """Show what the doctor finds; whether something stops the run."""
        from tui.services import doctor

        with common.cancel_on_signal() as cancel:
            self._findings = doctor.examine(self.azure, self.recipe, cancel=cancel)
        fine = sum(finding.level == "ok" for finding in self._findings)
        output.say("  " + t("Access: {fine} of {all} findings in order.", fine=fine, all=len(self._findings)))
        for finding in self._findings:
            if finding.level == "ok":
                continue
            title = f"{finding.title}. {finding.detail}".strip()
            if finding.level == "problem":
                output.say("  " + t("Problem: {title}", title=title))
            else:
                output.say("  " + t("Note: {title}", title=title))
            if finding.command:
                output.say(f"    $ {finding.command}")
        return any(finding.level == "problem" for finding in self._findings)

    def _mended(self) -> bool:
        """Register the providers that are not registered, where the person wants that."""
        from tui.services import access

        prefix = "provider."
        problems = [finding.code for finding in self._findings if finding.level == "problem"]
        missing = [code.removeprefix(prefix) for code in problems if code.startswith(prefix)]
        if not missing:
            return False
        question = t("Register {names} now?", names=", ".join(missing))
        if not self._ask_yes(question, True, t("Registering is free and done once for a subscription.")):
            return False
        with common.cancel_on_signal() as cancel:
            for name in missing:
                access.register_provider(
                    self.azure, self.recipe.target.subscription, name, report=output.ProgressLine(), cancel=cancel
                )
        return True

    def _model(self) -> None:
        from tui.services import catalog

        found = catalog.models(self.azure)
        today = catalog.today(self.azure)
        region = self.recipe.target.location

        def open_engines(model: Model) -> list[Engine]:
            return [engine for engine in get_args(Engine) if model.availability(engine, today, region).ok is not False]

        def refuse(name: str) -> str:
            model = catalog.named(found, name)
            return "" if open_engines(model) else self._refusal(found, model, "serverless")

        self._field("model.name", {model.name: self._remark(model, today) for model in found.models}, refuse=refuse)
        chosen = catalog.named(found, self.recipe.model.name)
        offers = {engine: chosen.availability(engine, today, region) for engine in get_args(Engine)}
        usable = open_engines(chosen)
        wanted = self.recipe.model.engine
        if wanted not in usable:
            output.say(f"  {self._refusal(found, chosen, wanted)}")
        self._field(
            "model.engine",
            {engine: "" if one.ok else one.reason for engine, one in offers.items()},
            default=wanted if wanted in usable else usable[0],
            refuse=lambda engine: "" if engine in usable else self._refusal(found, chosen, engine),  # type: ignore[arg-type]  # one of the choices
        )
        if self.recipe.model.engine != "serverless":
            sizes = dict.fromkeys(chosen.instance_types, "")
            self._field("model.instance_type", sizes, default=self.recipe.model.instance_type or next(iter(sizes), ""))
            self._field("model.compute")
        if self.recipe.model.engine == "script":
            self._field("model.instance_count")
            self._field("model.weights")

    def _remark(self, model: Model, today: Any) -> str:
        ended = model.finetune_retirement
        match model.status(today):
            case "retired" if ended:
                return t("retired; fine-tuning ended on {date}", date=ended)
            case "deprecated" if ended:
                return t("deprecated; fine-tuning ends on {date}", date=ended)
            case status:
                return t(_STATUS[status])

    def _refusal(self, found: Catalogue, model: Model, engine: Engine) -> str:
        """Why an engine does not take a model, and what still works."""
        from tui.services import catalog
        from tui.services.errors import ModelUnavailable

        recipe = self.recipe.with_(model__name=model.name, model__version="", model__engine=engine)
        try:
            catalog.check(found, recipe, catalog.today(self.azure))
        except ModelUnavailable as error:
            return f"{error.message} {error.next_step}"
        return ""

    def _rules(self) -> Rules:
        from tui.services import catalog

        model = catalog.named(catalog.cached(self._settings, sandbox=self._sandbox), self.recipe.model.name)
        return catalog.rules(model, self.recipe.model.engine)

    def _file(self, label: str, current: str) -> Path:
        """Ask for a chat file until one can be read; returns its absolute path."""
        from tui.services import datasets
        from tui.services.errors import UsageError

        def take(answer: str) -> str:
            try:
                datasets.readable(expanded(answer).resolve())
            except UsageError as error:
                return f"{error.message} {error.next_step}"
            return ""

        answer = self._ask(
            label, current, hint=t("a path; ~ is your home folder"), explanation=t("A chat JSONL file."), take=take
        )
        return expanded(answer).resolve()

    def _checked(self, path: Path, other: Path | None = None) -> Report:
        """The data desk's report, shown."""
        from tui.dataset import check
        from tui.services.progress import Progress

        telling = output.ProgressLine(after=2.0)

        def tell(done: int, total: int) -> None:
            telling(Progress(t("Checking"), done, total, "bytes"))

        report = check.check(path, validation=other, rules=self._rules(), progress=tell)
        for line in report.lines():
            output.say(f"  {line}")
        return report

    def _data(self) -> None:
        from assets import ROOT

        sample = str(ROOT / "samples" / "support-train.jsonl") if self._sandbox else ""
        path = self._file(t("Training file"), self.recipe.data.train or sample)
        while not self._checked(path).ok:
            mended = self._mended_copy(path)
            path = mended or self._file(t("Training file"), str(path))
        self._take(data__train=str(path))

    def _mended_copy(self, path: Path) -> Path | None:
        """A copy of a refused file with what can be put right put right, where the person wants one."""
        from tui.dataset import fix

        question = t("Write a mended copy and go on with it?")
        if not self._ask_yes(question, True, t("What cannot be put right is left out; the original is never changed.")):
            return None
        out = path.with_name(f"{path.stem}-mended.jsonl")

        def take(answer: str) -> str:
            target = expanded(answer).resolve()
            if target.exists():
                return t("{path} exists; give another name.", path=target)
            try:
                made = fix.apply(path, target, rules=self._rules())
            except (OSError, fix.FixError) as error:
                reason = system_words(error) if isinstance(error, OSError) else error
                return t("Not written: {reason}.", reason=reason)
            output.say("  " + n("{count} row is written.", "{count} rows are written.", made.rows_written))
            return ""

        answer = self._ask(t("Name of the copy"), str(out), hint=t("a path; ~ is your home folder"), take=take)
        return expanded(answer).resolve()

    def _validation(self) -> None:
        now = self.recipe.validation
        remarks = {mode: t(_MODES[mode]) for mode in _MODES}
        explanation = t("Held-out rows show whether the model learns or only remembers.")
        mode = self._ask(t("Rows come from"), now.mode, explanation=explanation, choices=remarks)
        if mode == "file":
            path = self._file(t("Validation file"), now.path)
            while not self._checked(path, Path(self.recipe.data.train)).ok:
                path = self._file(t("Validation file"), str(path))
            self._take(validation=now.model_dump() | {"mode": "file", "path": str(path)})
            return
        self._take(validation__mode=mode)
        if mode == "split":
            self._field("validation.share")
            self._field("validation.seed")

    def _hyperparameters(self) -> None:
        for name in ("epochs", "learning_rate", "batch_size_multiplier"):
            self._field(f"hyperparameters.{name}")
        if self.recipe.model.engine == "script":
            for name in script_only():
                self._field(f"hyperparameters.{name}")

    def _output(self) -> None:
        self._field("output.model")
        self._field("budget.limit")
        self.evaluate = self._ask_yes(
            t("Compare the tuned model with the base model afterwards?"),
            self.evaluate,
            t("Both answer the same held-out questions; the base model's endpoint is removed after that."),
        )
        self.deploy = self._ask_yes(
            t("Deploy the tuned model afterwards?"), self.deploy, t("It is billed by the hour until it is deleted.")
        )
        if self.deploy:
            self._field("deployment.content_safety")

    def _review(self) -> None:
        from tui.services import catalog, export

        for field, _, value in Recipe().diff(self.recipe):
            output.say(f"  {field}: {value}")
        output.say("  " + t("Everything else is as it is by default."))
        choices = {"submit": t("the price first, then one more question"), **{each: t(_CODE[each]) for each in _CODE}}
        renders = {"cli": export.as_cli, "python": export.as_python, "bicep": export.as_bicep}
        while True:
            explanation = t("The other choices show the same run as code.")
            answer = self._ask(t("What next"), "submit", explanation=explanation, choices=choices)
            if answer == "submit":
                return
            model = catalog.find(catalog.models(self.azure), self.recipe.model.name)
            for line in renders[answer](self.recipe, model).rstrip("\n").split("\n"):
                output.result(line)

    def run(self, teller: Teller) -> None:
        """Submit, follow, evaluate, deploy; then ask the endpoint and clean up.

        Args:
            teller: told of what happens.

        Raises:
            Back: the person went back instead of submitting.
            PhiftError: a step failed.
        """
        from tui.services import flow

        def approve(estimate: Estimate) -> bool:
            for line in estimate.lines():
                output.say(f"  {line}")
            return self._ask_yes(t("Submit this run?"), False, t("The run is billed as estimated."))

        def on_event(event: Event) -> None:
            if (event.step, event.status) == ("submit", "done"):
                self._leave_at("monitor", str(event.fields["job"]))
            teller(event)

        with common.cancel_on_signal() as cancel:
            outcome = flow.Flow(
                self.recipe,
                Path.cwd(),
                self._settings,
                connect=lambda: self.azure,
                approve=approve,
                on_event=on_event,
                cancel=cancel,
            ).run(deploy=self.deploy, evaluate=self.evaluate)
        with suppress(Back):  # what is done is not undone
            if outcome.endpoint and outcome.workspace:
                self._talk(outcome.workspace, outcome.endpoint)
        with suppress(Back):
            if outcome.workspace:
                self._clean_up(outcome.workspace)

    def _talk(self, workspace: Workspace, endpoint: Endpoint) -> None:
        """Questions to the tuned model until there are no more."""
        from tui.commands.chat import reply
        from tui.services import deployments
        from tui.services.chat import Message

        key = deployments.keys(self.azure, workspace, endpoint.name).primary
        history: list[Message] = []
        output.say()
        output.say(t("Ask the tuned model; an empty line ends."))
        while question := self._ask(t("Question"), explanation=t("The model answers; it remembers this conversation.")):
            history.append({"role": "user", "content": question})
            answer = reply(endpoint.uri, key, history, max_tokens=self.recipe.evaluation.max_tokens)
            output.say_text(answer.text, "  ")
            history.append({"role": "assistant", "content": answer.text})

    def _clean_up(self, workspace: Workspace) -> None:
        """Offer to remove what is billed."""
        from tui.services import cleanup

        billed = [item for item in cleanup.inventory(self.azure, workspace) if item.billable]
        for item in billed:
            output.say(f"  {item.line()}")
        if not billed or not self._ask_yes(
            t("Remove what is billed now?"), False, t("The tuned model stays; only what bills by the hour goes.")
        ):
            return
        with common.cancel_on_signal() as cancel:
            for outcome in cleanup.remove(self.azure, billed, report=output.ProgressLine(), cancel=cancel):
                output.say(f"  {outcome.line()}")


def _draft(settings: Settings) -> Recipe:
    """The draft that the person goes on with: one of those on disk, or a new one."""
    from tui.services import drafts

    found = [draft for draft in drafts.listing(settings) if not draft.error]
    if not found:
        return Recipe()
    choices = {draft.name: f"{draft.changed.astimezone():%Y-%m-%d %H:%M}" for draft in found[:9]}
    new = t(_NEW)
    answer = ask(
        t("Draft"), found[0].name, choices={**choices, new: t("begin anew")}, explanation=t("All choices of a run.")
    )
    if answer == new:
        return Recipe(name=drafts.free_name(Recipe().name, {draft.name for draft in found}))
    return drafts.load(settings, answer)


def run_wizard(settings: Settings, *, sandbox: bool, recipe: Recipe | None) -> int:
    """Walk the wizard on stdin and stderr, then run the recipe.

    Returns:
        The exit code: 0 where the run is done or the person quit, 7 where the input ended before.

    Raises:
        PhiftError: signing in or a step of the run failed, or was cancelled.
    """
    from tui.commands.run import Teller
    from tui.services.errors import PhiftError

    output.say(how())
    if sandbox:
        output.say(t("This is the sandbox: Azure on this machine, with a small stand-in model. Nothing is billed."))
    wizard: PlainWizard | None = None
    teller = Teller(json=False, sandbox=sandbox, asks=True)
    try:
        wizard = PlainWizard(settings, sandbox=sandbox, recipe=recipe or _draft(settings))
        if recipe is None:
            wizard.take_up()
        output.say(t("The draft is called {name}.", name=wizard.recipe.name))
        again = False
        while True:
            wizard.walk(again=again)
            try:
                wizard.run(teller)
            except Back:
                again = True
            else:
                return 0
    except (Quit, Back):
        output.say(t("Stopped; the draft {name} is kept.", name=wizard.recipe.name) if wizard else t("Stopped."))
        return 0
    except NoInput:
        name = wizard.recipe.name if wizard else ""
        output.error(t("the input ended"), t("the draft {name} is kept: start again to go on", name=name))
        return 7
    except (PhiftError, KeyboardInterrupt) as problem:
        if isinstance(problem, KeyboardInterrupt):
            output.say()  # the terminal has shown the key on the question's line
        if wizard:
            output.say(t("The draft {name} is kept: start again to go on.", name=wizard.recipe.name))
        return teller.failed(problem)
