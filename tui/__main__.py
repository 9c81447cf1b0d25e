"""The console script `phift-tui`: parses arguments and hands over, importing nothing heavy before it must."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

# Nothing else is imported before `main` is entered: from there on, ctrl+c ends with a message and not with a traceback.
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

    from tui.wizard import Start


def build_parser(*, commands: bool = True) -> argparse.ArgumentParser:
    """The whole command line; without the commands it takes little time to make, and raises its errors."""
    import argparse
    from pathlib import Path

    from tui import __version__
    from tui.commands.parser import Parser
    from tui.messages import t

    common = argparse.ArgumentParser(add_help=False)
    for name, text in (
        ("--sandbox", t("use Azure on this machine's loopback interface instead of Azure")),
        ("--json", t("print JSON on stdout (messages stay on stderr)")),
    ):
        common.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=text)
    common.add_argument("--profile", metavar="NAME", default=argparse.SUPPRESS, help=t("profile of the config file"))
    parser = Parser(
        prog="phift-tui",
        description=t("Fine-tune Phi models in Azure AI Foundry from a terminal. Without a command: the wizard."),
        epilog=t("Without an Azure account: phift-tui --sandbox"),
        parents=[common],
        add_help=commands,
        exit_on_error=commands,
    )
    parser.set_defaults(command=None)
    parser.add_argument(
        "--version", action="version", version=f"phift-tui {__version__}", help=t("show the version and exit")
    )
    parser.add_argument("--recipe", type=Path, metavar="FILE", help=t("recipe that the wizard opens with"))
    parser.add_argument("--data", type=Path, metavar="FILE", help=t("training file that the wizard opens with"))
    parser.add_argument("--mouse", action="store_true", help=t("turn the mouse on"))
    parser.add_argument("--no-color", action="store_true", help=t("no colours (as NO_COLOR=1)"))
    parser.add_argument("--ascii", action="store_true", help=t("borders and symbols in plain ASCII"))
    parser.add_argument("--plain", action="store_true", help=t("questions and answers, line by line, no full screen"))
    if commands:
        from tui.commands.every import COMMANDS

        subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
        for command in COMMANDS:
            command.add_parser(subparsers, common)
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; the commands are loaded only where one is given, since the wizard's first frame waits for this."""
    import argparse

    from tui import messages

    messages.use()
    try:
        args, rest = build_parser(commands=False).parse_known_args(argv)
    except argparse.ArgumentError:
        rest = ["?"]
    if rest:
        _choose_language()
        args = build_parser().parse_args(argv)
    return args


def _read(args: argparse.Namespace) -> Start:
    """Read the settings and the recipe that the wizard begins with."""
    import contextlib
    from pathlib import Path

    from tui import recipe as recipes
    from tui import settings as configuration
    from tui.paths import expanded
    from tui.services import log
    from tui.wizard import Start

    settings = configuration.load(profile=getattr(args, "profile", None))
    with contextlib.suppress(OSError):  # the first draft that cannot be written says so
        log.capture(settings)
    recipe = recipes.load(args.recipe) if args.recipe else None
    if args.data:
        recipe = (recipe or recipes.Recipe()).with_(data__train=str(expanded(args.data).resolve()))
    base = args.recipe.resolve().parent if args.recipe else Path.cwd()
    if recipe and recipe.data.train:
        recipe = recipe.with_(data__train=str(recipe.data_path(base)))
    if recipe and recipe.evaluation.file:
        recipe = recipe.with_(evaluation__file=str((base / expanded(recipe.evaluation.file)).resolve()))
    return Start(settings, recipe, base)


def _wizard(args: argparse.Namespace) -> int:
    """Start the wizard, or say why a terminal is needed."""
    sandbox = getattr(args, "sandbox", False)
    if args.plain or os.environ.get("TERM") == "dumb":
        from tui.commands import plain

        _choose_language()
        settings, recipe, _ = _read(args)
        return plain.run_wizard(settings, sandbox=sandbox, recipe=recipe)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        from tui.commands import output
        from tui.messages import t

        _choose_language()
        _read(args)  # a wrong recipe is the first thing to be told
        output.error(
            t("the wizard needs a terminal, and this is not one"),
            t("run it in one (ssh -t HOST phift-tui), or without a screen: phift-tui run RECIPE.toml (see --help)"),
        )
        return output.EXIT_USAGE
    if args.no_color:
        os.environ["NO_COLOR"] = "1"
    import gc

    gc.disable()  # until the first page: what is loaded for it is no garbage, and looking takes a tenth of the time
    from tui.guard import guarded_terminal

    with guarded_terminal() as noted:
        from tui.launch import Launched

        app = Launched(lambda: _read(args), sandbox=sandbox, ascii_only=args.ascii)
        noted()
        app.run(mouse=args.mouse)
    if app.failure:
        raise app.failure
    return app.return_code or 0


def _choose_language() -> None:
    """Take the language that the settings or the environment name, before any text is made."""
    import contextlib

    from tui import messages, preferences, settings

    messages.use()
    with contextlib.suppress(settings.SettingsError):  # told by what needs the settings; `--help` needs none
        found = settings.load()
        messages.use(found.language or preferences.load(found.state).language)
    try:
        messages.t("yes").encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:  # rather English than rows of question marks
        messages.use("en")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code (see DESIGN: 0 done, 2 usage, 3 data … 130 interrupted)."""
    sandbox = False
    # Looking for plugins of pydantic in the metadata of all that is installed takes a tenth of the start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal without the text's characters gets question marks
        args = _parse(argv)
        sandbox = getattr(args, "sandbox", False)
        code: int = _wizard(args) if args.command is None else args.run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        return 130
    except (Exception, KeyboardInterrupt) as problem:
        from tui.commands import output

        return output.show(output.ending(problem, sandbox=sandbox))
    finally:
        _let_go()


def _let_go() -> None:
    """Where output has lost its reader or its terminal, give the rest of it somewhere to go.

    The interpreter's own last flush would fail, and end the program with code 120 in place of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def console_script() -> NoReturn:
    """Run the program as a process of its own, and leave behind the threads that still work or hang.

    Python would take itself apart beneath them: one that is just importing the compiled parts of the SDK aborts the
    process then, with code 134 in place of its own.
    """
    code = main()
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        import atexit
        import contextlib

        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # its reader has gone
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    console_script()
