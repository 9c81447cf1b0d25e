"""Text in the user's own editor, with the program put aside meanwhile."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported
from textual.widgets import Input

from tui import recipe as recipes
from tui import terminal, text
from tui.messages import grouped, t
from tui.recipe import RecipeError
from tui.services.errors import PhiftError, UsageError

if TYPE_CHECKING:
    from tui.app import PhiftApp

_LONGEST = 200_000
"""Bytes of the longest text that is taken; a recipe or a prompt is far shorter."""
_UNSAFE = re.compile(f"[{text.UNSAFE}]")


class _NotTaken(Exception):
    """What was written is not taken, for this reason."""


@contextmanager
def _signals_of(editor: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave the keys that are signals to the editor, and hand it those that ask the program to end.

    The event loop hears of the latter too, as soon as the editor has gone.
    """

    def handle(number: int, frame: object) -> None:
        if number in (signal.SIGTERM, signal.SIGHUP):
            editor.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(program: PhiftApp, path: Path) -> str:
    """Have the file edited; returns why the editor says that it failed, empty where it did not.

    Raises:
        UsageError: there is no editor, or the program cannot step aside here.
    """
    try:
        command = terminal.editor()
    except ValueError as error:
        raise UsageError(
            t("$EDITOR is not a command: {reason}.", reason=error),
            next_step=t("Set $EDITOR and start the program again."),
        ) from None
    if not command:
        raise UsageError(t("There is no editor."), next_step=t("Set $EDITOR and start the program again."))
    code, refused = 0, ""
    try:
        with program.suspend():
            # Textual does not come back to its screen where an exception leaves this block.
            try:
                with subprocess.Popen([*command, str(path)]) as editor, _signals_of(editor):
                    code = editor.wait()
            except OSError as error:
                refused = error.strerror or str(error)
    except SuspendNotSupported as error:
        refused = str(error)
    if refused:
        raise UsageError(
            t("The editor {name} could not be started: {reason}.", name=command[0], reason=refused),
            next_step=t("Set $EDITOR to one that runs in this terminal."),
        )
    return t("the editor {name} ended with code {code}", name=command[0], code=code) if code else ""


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST:
            raise _NotTaken(t("it is longer than {limit} bytes", limit=grouped(_LONGEST)))
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _NotTaken(t("line {line} is not UTF-8", line=raw.count(b"\n", 0, error.start) + 1)) from None
    except OSError as error:
        raise _NotTaken(error.strerror or str(error)) from None


def _is_written(path: Path, content: str) -> bool:
    """Whether the editor left another text than it was given."""
    if not path.is_file():
        return False
    path.chmod(0o600)
    raw = content.encode()
    return path.stat().st_size != len(raw) or path.read_bytes() != raw


def _edit(program: PhiftApp, content: str, name: str, take: Callable[[str], object]) -> None:
    """Have text edited and taken; what cannot be taken is kept beside the drafts, and opened the next time.

    Args:
        program: the application.
        content: what the editor opens with.
        name: of the file.
        take: takes the text; raises RecipeError where it cannot.
    """
    state = program.settings.state
    kept = state / f"not-taken-{name}"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        program.autosave.now()  # nothing is written while the editor has the terminal
        with tempfile.TemporaryDirectory(dir=state, prefix="edit-") as folder:
            path = Path(folder) / name
            if kept.is_file() and kept.stat().st_size <= _LONGEST:
                content = kept.read_text(encoding="utf-8", errors="backslashreplace")
            recipes.write_private(path, content)
            failed = _run(program, path)
            try:
                edited = _read(path)
                if failed:
                    raise _NotTaken(failed)
                if edited.strip():
                    take(edited)
                kept.unlink(missing_ok=True)
            except (_NotTaken, RecipeError) as error:
                if _is_written(path, content):
                    path.replace(kept)
                told, meaning = (
                    t("The text was not taken: {reason}.", reason=error),
                    t("Everything is as it was before."),
                )
                if not kept.exists():
                    raise UsageError(told, meaning=meaning) from None
                raise UsageError(
                    told,
                    meaning=meaning,
                    next_step=t(
                        "What you wrote is in {path}. The same key opens it again; an empty file gives it up.",
                        path=kept,
                    ),
                ) from None
    except PhiftError as error:
        program.show_error(error)
    except OSError as error:
        program.show_error(
            UsageError(
                t("The editor could not be given the text: {reason}.", reason=error.strerror or error),
                next_step=t("Make room in {path}.", path=state),
            )
        )


def edit_recipe(program: PhiftApp) -> None:
    """Let the user edit the whole recipe; a faulty one is not taken, and what is wrong is said."""
    wizard = program.wizard
    _edit(program, wizard.recipe.to_toml(), "recipe.toml", lambda edited: wizard.take(recipes.loads(edited)))


def edit_prompt(program: PhiftApp) -> None:
    """Let the user edit the field in focus, or else the playground's prompt; it may have many lines then."""
    focused = program.focused
    field = focused if isinstance(focused, Input) else program.screen.query_one("#prompt", Input)

    def take(edited: str) -> None:
        field.value = _UNSAFE.sub("", edited.replace("\r\n", "\n")).strip("\n")

    _edit(program, field.value, "prompt.txt", take)
