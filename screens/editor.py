"""Text in the user's own editor, with the program put aside meanwhile."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from tui import recipe as recipes
from tui import terminal
from tui.messages import t
from tui.recipe import RecipeError
from tui.services.errors import UsageError

if TYPE_CHECKING:
    from tui.app import PhiftApp


def edit(program: PhiftApp, content: str, suffix: str) -> str:
    """The text as the editor left it.

    Raises:
        UsageError: there is no editor, it failed, or the program cannot step aside here.
    """
    command = terminal.editor()
    if not command:
        raise UsageError(t("There is no editor."), next_step=t("Set $EDITOR and start the program again."))
    with tempfile.TemporaryDirectory(prefix="phift-") as folder:
        path = Path(folder) / f"text{suffix}"
        recipes.write_private(path, content)
        try:
            with program.suspend():
                code = subprocess.run([*command, str(path)], check=False).returncode
        except (SuspendNotSupported, OSError) as error:
            raise UsageError(
                t("The editor {name} could not be started: {reason}.", name=command[0], reason=error),
                next_step=t("Set $EDITOR to one that runs in this terminal."),
            ) from None
        if code:
            raise UsageError(t("The editor {name} ended with code {code}.", name=command[0], code=code))
        return path.read_text(encoding="utf-8", errors="replace")


def edit_recipe(program: PhiftApp) -> None:
    """Let the user edit the whole recipe; a faulty one is not taken, and what is wrong is said."""
    try:
        edited = edit(program, program.wizard.recipe.to_toml(), ".toml")
        program.wizard.take(recipes.loads(edited))
    except RecipeError as error:
        program.show_error(
            UsageError(
                t("The recipe was not taken: {place}: {why}.", place=error.place, why=error.message),
                meaning=t("The recipe is as it was before."),
                next_step=t("F3 opens the editor again."),
            )
        )
    except UsageError as error:
        program.show_error(error)
