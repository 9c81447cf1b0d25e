"""What several commands need: settings, a connection, the workspace, and asking before something costs or deletes."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM, default_int_handler, getsignal, signal
from types import FrameType
from typing import TYPE_CHECKING

from tui.commands import output
from tui.messages import t
from tui.services.errors import Cancelled, NotFound

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

    from tui.recipe import Recipe
    from tui.services.clients import Azure
    from tui.services.deployments import Endpoint
    from tui.services.errors import SignInRequired
    from tui.services.identity import DeviceCode
    from tui.services.jobs import Job
    from tui.services.progress import Cancel
    from tui.services.projects import Workspace
    from tui.settings import Settings


def settings_of(args: argparse.Namespace) -> Settings:
    """The settings in force for a command line; from here on what libraries log goes to the log file."""
    from tui import settings
    from tui.services import log

    found = settings.load(profile=getattr(args, "profile", None))
    log.capture(found)
    return found


def wants_json(args: argparse.Namespace) -> bool:
    """Whether the result is to be JSON."""
    return getattr(args, "json", False)


def show_code(code: DeviceCode) -> None:
    """Tell the person where to enter a device code."""
    until = f"{code.expires.astimezone():%H:%M}"
    output.say(
        t(
            "To sign in, open {url} and enter the code {code} (valid until {time})",
            url=code.url,
            code=code.code,
            time=until,
        )
    )


def connect(args: argparse.Namespace) -> Azure:
    """Sign in as the command line says; starts the sandbox where `--sandbox` is given.

    From here on the person is told of waits, and asked where the sign-in ends in the middle of the command.

    Raises:
        AccessError: no credential.
    """
    from tui.services import identity, progress

    cancel = progress.listening()[1]
    progress.listen(output.ProgressLine(), cancel)
    sandbox = getattr(args, "sandbox", False)
    azure = identity.connect(settings_of(args), sandbox=sandbox, prompt=show_code, cancel=cancel)
    if sys.stdin.isatty():
        azure.credential.ask = partial(_signed_in_again, azure)
    return azure


def _signed_in_again(azure: Azure, error: SignInRequired, cancel: Cancel) -> bool:
    """Ask a person at the terminal to sign in anew; whether they have, or say so."""
    from tui.services import identity
    from tui.services.errors import AccessError

    typed = azure.identity.method in ("service-principal", "certificate")
    problem: AccessError = error
    while True:
        output.error(problem.message, "" if typed else problem.next_step)
        question = (
            t("The sign-in has ended; the step waits. Type the secret (it is not shown) to go on; q ends the command.")
            if typed
            else t("The sign-in has ended; the step waits. Sign in again in another shell, then press Enter here to go "
                   "on; q ends the command.")
        )  # fmt: skip
        answer = _line(question, cancel, hidden=typed)
        if answer is None or answer.lower() == "q":
            return False
        if not typed:
            return True
        try:
            again = identity.connect(azure.settings, secret=answer or None, cancel=cancel)
        except AccessError as refused:
            problem = refused
            continue
        azure.credential.take(again.credential)
        return True


def _line(question: str, cancel: Cancel, *, hidden: bool) -> str | None:
    """The line that answers a question, from any thread, until a stop is asked for; None: the input ended."""
    from select import select

    with unseen() if hidden else nullcontext():
        output.say(question)
        while not select([sys.stdin.fileno()], [], [], 0.2)[0]:
            cancel.check()
        line = sys.stdin.readline()
        return line.strip() if line else None


@contextmanager
def unseen() -> Iterator[None]:
    """What is typed on the terminal is not shown.

    To be entered before the question is written: a quick answer would be seen, and then lost by the flush.
    """
    import termios

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    termios.tcsetattr(terminal, termios.TCSAFLUSH, [*before[:3], before[3] & ~termios.ECHO, *before[4:]])
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def name(text: str) -> str:
    """An argument that names a job, a model, an endpoint or a project."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", text):
        return text
    wrong = t("{text} is not a name: letters, digits, hyphens, underscores and dots", text=repr(text))
    raise argparse.ArgumentTypeError(wrong)


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argument that is a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        wrong = t("{text} is not a whole number from {low} to {high}", text=repr(text), low=low, high=high)
        raise argparse.ArgumentTypeError(wrong)

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """An argument that is a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not low <= found <= high:
            wrong = t("{text} is not a number from {low} to {high}", text=repr(text), low=f"{low:g}", high=f"{high:g}")
            raise argparse.ArgumentTypeError(wrong)
        return found

    return parse


def add_place(parser: argparse.ArgumentParser) -> None:
    """Options that say which project a command is about."""
    parser.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE",
        help=t("recipe whose project is meant (default: the last run's project, else the last draft's)"),
    )
    parser.add_argument("--resource-group", metavar="NAME", help=t("resource group"))
    parser.add_argument("--project", type=name, metavar="NAME", help=t("project"))
    parser.add_argument("--subscription", metavar="ID", help=t("subscription"))


def add_verbs(
    parser: argparse.ArgumentParser,
    shared: argparse.ArgumentParser,
    verbs: Mapping[str, tuple[str, Callable[[argparse.Namespace], int]]],
) -> dict[str, argparse.ArgumentParser]:
    """Give a command its verbs, each with its help and its action; returns their parsers."""
    found = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    leaves = {}
    for verb, (text, action) in verbs.items():
        leaves[verb] = found.add_parser(verb, parents=[shared], help=text)
        leaves[verb].set_defaults(run=action)
        add_place(leaves[verb])
    return leaves


def add_yes(parser: argparse.ArgumentParser) -> None:
    """The option that answers every question with a yes."""
    parser.add_argument("--yes", action="store_true", help=t("do not ask"))


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The recipe that `add_place`'s options name: the file, else the last draft, else the defaults, options before all.

    Raises:
        RecipeError: the file or an option is wrong.
    """
    from tui import recipe
    from tui.services import drafts

    path: Path | None = args.recipe
    found = recipe.load(path) if path else drafts.latest(settings_of(args)) or recipe.Recipe()
    changes = {
        f"target__{name}": value
        for name in ("resource_group", "project", "subscription")
        if (value := getattr(args, name, None))
    }
    return found.with_(**changes) if changes else found


def opened(args: argparse.Namespace) -> tuple[Azure, Workspace]:
    """The connection, and the project that the command is about.

    Raises:
        AccessError: no credential.
        NotFound: there is no such project; the message says how to name another.
    """
    azure = connect(args)
    return azure, workspace(azure, args)


def job_named(azure: Azure, place: Workspace, name: str) -> Job:
    """The job of a name.

    Raises:
        NotFound: the project has none; the next step says how to see them.
    """
    from tui.services import jobs

    with hint(t("See them all with `phift-tui jobs list`.")):
        return jobs.get(azure, place, name)


def endpoint_named(azure: Azure, place: Workspace, name: str) -> Endpoint:
    """The endpoint of a name.

    Raises:
        NotFound: the project has none; the next step says how to see them.
    """
    from tui.services import deployments

    with hint(t("See them all with `phift-tui deployments list`.")):
        return deployments.get(azure, place, name)


def workspace(azure: Azure, args: argparse.Namespace) -> Workspace:
    """The project that the command is about.

    Raises:
        NotFound: there is no such project; the message says how to name another.
    """
    from tui.services import projects

    if not args.recipe and (last := _last_project(azure, args)):
        output.say(t("Project {project} in {group}", project=last.name, group=last.resource_group))
        return last
    target = recipe_of(args).target
    subscription = projects.subscription_of(azure, target)
    try:
        return projects.get(azure, subscription, target.resource_group, target.project)
    except NotFound as error:
        error.next_step = t("Name the project: --resource-group NAME --project NAME, or --recipe FILE.")
        raise


def _last_project(azure: Azure, args: argparse.Namespace) -> Workspace | None:
    """The project of the newest run in the journal, options before it; None where this Azure does not have it."""
    from tui.services import projects
    from tui.services.errors import AccessError
    from tui.services.journal import Journal

    recent = Journal(azure.settings.journal).recent()
    path = next((entry.workspace for entry in recent if entry.kind == "run"), "")
    if not path:
        return None
    _, _, subscription, _, group, *_, project = path.split("/")
    try:
        return projects.get(
            azure, args.subscription or subscription, args.resource_group or group, args.project or project
        )
    except (NotFound, AccessError):
        return None


@contextmanager
def hint(next_step: str) -> Iterator[None]:
    """Give what is not found a next step."""
    try:
        yield
    except NotFound as error:
        error.next_step = error.next_step or next_step
        raise


@contextmanager
def waiting_for_an_answer() -> Iterator[None]:
    """Ctrl+c ends the wait for an answer at once, also where it would stop work after its present call."""
    before = signal(SIGINT, default_int_handler)
    try:
        yield
    finally:
        signal(SIGINT, before)


def confirm(question: str, args: argparse.Namespace) -> bool:
    """Ask for a yes on the terminal; `--yes` answers it; without a terminal the answer is no."""
    if args.yes:
        return True
    if not sys.stdin.isatty():
        output.error(t("this needs a yes, and there is no terminal to ask on"), t("add --yes"))
        return False
    output.say(f"{question} {t('[y/N]')}")
    with waiting_for_an_answer():
        return yes_or_no(sys.stdin.readline()) or False


def yes_or_no(answer: str) -> bool | None:
    """What an answer means, a word or its beginning, in the language in use or in English; None: neither."""
    given = answer.strip().casefold()
    for meaning, words in ((True, ("yes", t("yes"))), (False, ("no", t("no")))):
        if given and any(word.casefold().startswith(given) for word in words):
            return meaning
    return None


@contextmanager
def cancel_on_signal(at_once: Callable[[], object] | None = None) -> Iterator[Cancel]:
    """A `Cancel` that the first ctrl+c or TERM sets; a second one ends the process there and then.

    Args:
        at_once: called before the process ends at a second signal.

    Raises:
        output.Interrupted: the block ended as cancelled after a signal.
    """
    from tui.services import progress

    cancel = progress.Cancel()

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set:
            # Not by an exception: the calls under way, and threads that Python waits for at its end, may hang.
            try:
                if at_once:
                    # The stream may be in the middle of a write, which lets nobody else in.
                    own = os.dup(sys.stdout.fileno())
                    sys.stdout = open(own, "w", encoding="utf-8", errors="replace")  # noqa: SIM115  # the process ends next
                    at_once()
            finally:
                os._exit(output.EXIT_INTERRUPTED)
        cancel.set()
        output.say(t("Stopping; ctrl+c again to stop at once."))

    before = {number: getsignal(number) for number in (SIGINT, SIGTERM)}
    for number in before:
        signal(number, stop)
    report, outer = progress.listening()
    progress.listen(report, cancel)  # also for the calls that are not given it
    try:
        yield cancel
    except Cancelled as error:
        if not cancel.is_set:
            raise
        next_step = error.next_step or output.again()
        raise output.Interrupted(error.message, meaning=error.meaning, next_step=next_step) from None
    finally:
        progress.listen(progress.listening()[0], outer)
        for number, handler in before.items():
            signal(number, handler)
