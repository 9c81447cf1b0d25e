"""`phift-tui run`: the whole flow of the wizard from a recipe, without a screen."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.commands import common, output
from tui.messages import t

if TYPE_CHECKING:
    from tui.services.flow import Event


def add_parser(subparsers: common.Subparsers, shared: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "run", parents=[shared], help=t("check, upload and tune; evaluate and deploy on request")
    )
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml")
    parser.add_argument("--yes", action="store_true", help=t("do not ask before something is billed"))
    parser.add_argument("--deploy", action="store_true", help=t("deploy the tuned model and ask it a question"))
    parser.add_argument("--evaluate", action="store_true", help=t("compare the base and the tuned model"))
    parser.set_defaults(run=run)


class Teller:
    """Tells a person on stderr, or a program on stdout one object a line, whose last is that of the step `run`."""

    def __init__(self, *, json: bool, sandbox: bool, asks: bool) -> None:
        self._json = json
        self._asks = asks
        self._sandbox = sandbox
        self._endpoint = ""

    def __call__(self, event: Event) -> None:
        """Tell of an event; why the run failed is told by `failed`, once."""
        if (event.step, event.status) == ("deploy", "done"):
            self._endpoint = event.fields["name"]
        if self._json:
            if (event.step, event.status) != ("run", "failed"):
                self._write(event.step, event.status, event.fields)
        elif event.status != "failed" and not (self._asks and (event.step, event.status) == ("estimate", "done")):
            for line in event.lines():
                output.say(line)

    def failed(self, problem: BaseException) -> int:
        """Tell how the run ended before it was done; returns the exit code."""
        ending = output.ending(problem, sandbox=self._sandbox)
        ending.next_step = ending.next_step or output.again()
        if self._endpoint:
            billed = t(
                "The endpoint {endpoint} serves and is billed; `{command}` removes it.",
                endpoint=self._endpoint,
                command="phift-tui --sandbox cleanup" if self._sandbox else "phift-tui cleanup",
            )
            ending.meaning = f"{ending.meaning} {billed}".strip()
        if self._json:
            self._write("run", "failed", {"error": ending.to_json(), "exit_code": ending.exit_code})
        return output.show(ending)

    def _write(self, step: str, status: str, fields: dict[str, Any]) -> None:
        time = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        output.data({"time": time, "step": step, "status": status, **fields})


def run(args: argparse.Namespace) -> int:
    """Run the flow; 0 when every step is done, else the exit code of the error that stopped it."""
    teller = Teller(json=common.wants_json(args), sandbox=getattr(args, "sandbox", False), asks=not args.yes)
    try:
        _flow(args, teller)
    except BrokenPipeError:
        raise  # nobody is left to be told
    except (Exception, KeyboardInterrupt) as problem:
        return teller.failed(problem)
    return 0


def _flow(args: argparse.Namespace, teller: Teller) -> None:
    from tui import recipe as recipes
    from tui.services import flow

    settings = common.settings_of(args)
    recipe = recipes.load(args.recipe)
    with common.cancel_on_signal(at_once=lambda: teller.failed(KeyboardInterrupt())) as cancel:
        flow.Flow(
            recipe,
            args.recipe.resolve().parent,
            settings,
            connect=lambda: common.connect(args),
            approve=lambda estimate: common.confirm("\n".join([*estimate.lines(), t("Submit this run?")]), args),
            on_event=teller,
            cancel=cancel,
        ).run(deploy=args.deploy, evaluate=args.evaluate)
