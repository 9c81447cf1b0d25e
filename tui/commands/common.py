"""What several commands need: settings, a connection, the workspace, and asking before something costs or deletes."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM, getsignal, signal
from types import FrameType
from typing import TYPE_CHECKING

from tui.commands import output

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

    from tui.recipe import Recipe
    from tui.services.clients import Azure
    from tui.services.identity import DeviceCode
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
    output.say(f"To sign in, open {code.url} and enter the code {code.code} (valid until {code.expires:%H:%M})")


def connect(args: argparse.Namespace) -> Azure:
    """Sign in as the command line says; starts the sandbox where `--sandbox` is given.

    Raises:
        AccessError: no credential.
    """
    from tui.services import identity

    return identity.connect(settings_of(args), sandbox=getattr(args, "sandbox", False), prompt=show_code)


def name(text: str) -> str:
    """An argument that names a job, a model, an endpoint or a project."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not a name: letters, digits, hyphens, underscores and dots")


def whole(low: int, high: int) -> Callable[[str], int]:
    """An argument that is a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """An argument that is a number from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not low <= found <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
        return found

    return parse


def add_place(parser: argparse.ArgumentParser) -> None:
    """Options that say which project a command is about."""
    parser.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE",
        help="recipe whose project is meant (default: the last run's project, else the last draft's)",
    )
    parser.add_argument("--resource-group", metavar="NAME", help="resource group")
    parser.add_argument("--project", type=name, metavar="NAME", help="project")
    parser.add_argument("--subscription", metavar="ID", help="subscription")


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


def workspace(azure: Azure, args: argparse.Namespace) -> Workspace:
    """The project that the command is about.

    Raises:
        NotFound: there is no such project; the message says how to name another.
    """
    from tui.services import projects
    from tui.services.errors import NotFound

    if not args.recipe and (last := _last_project(azure, args)):
        output.say(f"Project {last.name} in {last.resource_group}")
        return last
    target = recipe_of(args).target
    subscription = projects.subscription_of(azure, target)
    try:
        return projects.get(azure, subscription, target.resource_group, target.project)
    except NotFound as error:
        error.next_step = "Name the project: --resource-group NAME --project NAME, or --recipe FILE."
        raise


def _last_project(azure: Azure, args: argparse.Namespace) -> Workspace | None:
    """The project of the newest run in the journal, options before it; None where this Azure does not have it."""
    from tui.services import projects
    from tui.services.errors import AccessError, NotFound
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
    from tui.services.errors import NotFound

    try:
        yield
    except NotFound as error:
        error.next_step = error.next_step or next_step
        raise


def confirm(question: str, args: argparse.Namespace) -> bool:
    """Ask for a yes on the terminal; `--yes` answers it; without a terminal the answer is no."""
    if args.yes:
        return True
    if not sys.stdin.isatty():
        output.error("this needs a yes, and there is no terminal to ask on", "add --yes")
        return False
    output.say(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def cancel_on_signal(at_once: Callable[[], object] | None = None) -> Iterator[Cancel]:
    """A `Cancel` that the first ctrl+c or TERM sets; a second one ends the process there and then.

    Args:
        at_once: called before the process ends at a second signal.

    Raises:
        Interrupted: the block ended as cancelled after a signal.
    """
    from tui.services.errors import Cancelled
    from tui.services.progress import Cancel

    class Interrupted(Cancelled):
        """Cancelled by a signal."""

        exit_code = output.EXIT_INTERRUPTED
        default_code = "Interrupted"

    cancel = Cancel()

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set:
            # Not by an exception: the calls under way, and threads that Python waits for at its end, may hang.
            try:
                if at_once:
                    at_once()
            finally:
                os._exit(output.EXIT_INTERRUPTED)
        cancel.set()
        output.say("Stopping; ctrl+c again to stop at once.")

    before = {number: getsignal(number) for number in (SIGINT, SIGTERM)}
    for number in before:
        signal(number, stop)
    try:
        yield cancel
    except Cancelled as error:
        if not cancel.is_set:
            raise
        raise Interrupted(error.message, meaning=error.meaning, next_step=error.next_step or output.AGAIN) from None
    finally:
        for number, handler in before.items():
            signal(number, handler)
