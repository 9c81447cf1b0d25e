"""The run in other forms: the recipe itself, az commands, Python, Bicep; from any page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui import backend
from tui.messages import t

if TYPE_CHECKING:
    from tui.app import PhiftApp
    from tui.recipe import Recipe
    from tui.services.catalog import Model
    from tui.services.progress import Cancel, Report

TITLES = {"recipe": "Recipe", "cli": "az commands", "python": "Python", "bicep": "Bicep"}
"""Kinds and their titles, not translated yet."""


def code_of(kind: str, recipe: Recipe, model: Model | None) -> str:
    """The run as code; imports the service that writes it, so call it in a task."""
    export = backend.export
    writers = {"cli": export.as_cli, "python": export.as_python, "bicep": export.as_bicep}
    return writers[kind](recipe, model)


def show(program: PhiftApp, kind: str) -> None:
    """Show the run in this form as plain text, to copy or to write to a file."""
    recipe, model, title = program.wizard.recipe, program.wizard.model, t(TITLES[kind])
    if kind == "recipe":
        program.show_text(title, recipe.to_toml())
        return

    def work(report: Report, cancel: Cancel) -> str:
        return code_of(kind, recipe, model)

    program.tasks.start("export", t("Writing code"), work, done=lambda code: program.show_text(title, code), quiet=True)
